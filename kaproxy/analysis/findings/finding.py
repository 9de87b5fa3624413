"""A finding: one sentence about many connections, its numbers, the connections behind it, and what to do.

The screen, the JSON and the HTML report show findings and know nothing of how they were found; whoever finds knows
nothing of how they are shown. Read next: any neighbour in this folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from kaproxy.diagnosis.verdict import Confidence, Owner

#: A finding's numbers: names like those of the log's fields, with the unit at the end (`_s`, `_ms`).
Numbers: TypeAlias = Mapping[str, object]

#: Identifiers of connections kept with a finding; `drops` says how many there are in all.
CONNECTIONS_KEPT = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """What stands out.

    `kind` is a stable name ("incident", "takeover_fight"); `title` one sentence without a full stop; `drops` how many
    connections are behind it (0: none dropped), of which `connections` names the first (identifiers, at most 20);
    `subject` says of whom it speaks (a client identifier, a client group, a broker, a network; "" for all);
    `first_us` and `last_us` bound it in time (microseconds since 1970, UTC; None: the whole log); `basis` says what the
    confidence rests on and what would settle it.
    """

    kind: str
    title: str
    owner: Owner
    confidence: Confidence
    advice: str
    basis: str
    drops: int = 0
    subject: str = ""
    numbers: Numbers = field(default_factory=dict)
    connections: tuple[str, ...] = ()
    first_us: int | None = None
    last_us: int | None = None

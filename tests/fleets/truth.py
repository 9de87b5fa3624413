"""What was planted in a fleet's log, written beside it: each thing with its connections, times and numbers.

`plants` are to be found, `decoys` are not; `noise` counts the lines that are none of kaproxy's. Read next:
`scoring.py`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tests.fleets.replay import Lived


@dataclass(slots=True)
class Plant:
    """One thing that is wrong (or, as a decoy, that only looks so).

    `kind` says what, in the generator's words (`scoring.KINDS` holds them against the findings'); `subjects` are the
    client groups, client identifiers, brokers or networks it is about; `numbers` what a finding should say of it.
    """

    name: str
    kind: str
    why: str
    subjects: tuple[str, ...]
    numbers: dict[str, Any] = field(default_factory=dict)
    conn_ids: list[str] = field(default_factory=list)
    first_us: int = 0
    last_us: int = 0

    def add(self, conn_id: str, ended: float) -> None:
        """One of its connections ended then."""
        at = int(ended * 1e6)
        self.first_us = min(self.first_us or at, at)
        self.last_us = max(self.last_us, at)
        self.conn_ids.append(conn_id)


@dataclass(slots=True)
class Truth:
    """All that is known of a log that was made."""

    seed: int
    plants: list[Plant] = field(default_factory=list)
    decoys: list[Plant] = field(default_factory=list)
    noise: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    lived: dict[str, list[Lived]] = field(default_factory=dict)  # by client group

    def save(self, path: Path) -> None:
        """As JSON."""
        path.write_bytes(orjson.dumps(self, option=orjson.OPT_INDENT_2))

    @classmethod
    def load(cls, path: Path) -> Truth:
        """What `save` wrote."""
        found = orjson.loads(path.read_bytes())
        for name in ("plants", "decoys"):
            found[name] = [Plant(**{**each, "subjects": tuple(each["subjects"])}) for each in found[name]]
        for name in ("noise", "events", "causes"):
            found[name] = Counter(found[name])
        found["lived"] = {
            group: [Lived.load(each) for each in lives] for group, lives in found["lived"].items()
        }
        return cls(**found)


def truth_of(log: Path) -> Path:
    """Where the truth of a log stands: F.jsonl -> F.truth.json."""
    return log.with_name(log.name.removesuffix(".jsonl") + ".truth.json")

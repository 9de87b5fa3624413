"""What a look at the evidence finds: why a cause happened, with its reasons, for the rules to build upon."""

from __future__ import annotations

from dataclasses import dataclass

from kaproxy.diagnosis.verdict import Confidence, Owner, RuledOut


@dataclass(frozen=True, slots=True)
class Root:
    """A root with its reasons; `name` None where none can be told from its look-alikes."""

    name: str | None
    because: tuple[str, ...] = ()
    confidence: Confidence = Confidence.LIKELY
    owner: Owner | None = None
    ruled_out: tuple[RuledOut, ...] = ()
    would_settle: str | None = None
    advice: str | None = None

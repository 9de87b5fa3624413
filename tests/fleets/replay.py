"""What another Keep Alive, or another patience of the broker, would have done to the lives of a fleet.

The log keeps a connection's longest gap; here every gap is known, and how each kind of device comes by it, so that an
answer read from the log can be held against what would have happened. A drop that did not happen lets the client go on
as it was; what it would have met afterwards is nobody's to know. Read next: `keeping.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kaproxy.connection.evidence import Evidence
from tests.fleets.world import Life

#: A broker waits so many times the Keep Alive.
PATIENCE = 1.5
_LONG_S = 1.0
_EXPIRED = frozenset({"gone", "hung", "late", "premature"})
_BY_BOX = frozenset({"cut", "forgotten"})


@dataclass(frozen=True, slots=True)
class Lived:
    """One life, as far as Keep Alive matters to it; times in seconds.

    `habit`: how its gaps follow from the Keep Alive; `app` where it pings only if its application is silent for that
    long. `spoke_s`: the silence after which it would have spoken, in one that was fatal (None: never again).
    `limit_s`: where its path or broker ends silences. `gaps`: (length, how many), all survived.
    """

    keep_alive: int
    habit: str
    pace_s: float
    ending: str
    silence_s: float
    spoke_s: float | None
    limit_s: float | None
    gaps: tuple[tuple[float, int], ...]

    @classmethod
    def load(cls, data: dict[str, Any]) -> Lived:
        """What orjson made of one."""
        return cls(**{**data, "gaps": tuple((gap, count) for gap, count in data["gaps"])})

    def with_keep_alive(self, gap_s: float, keep_alive: int) -> float:
        """How long that gap would have been."""
        if self.habit == "app":
            return min(gap_s, float(keep_alive))
        if self.habit == "plus":
            return keep_alive + gap_s - self.keep_alive
        return self.pace_s * keep_alive / self.keep_alive + gap_s - self.pace_s


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many drops there would not have been, and how many more."""

    prevented: int = 0
    added: int = 0

    def __add__(self, other: Replayed) -> Replayed:
        return Replayed(self.prevented + other.prevented, self.added + other.added)


def lived(life: Life, seen: Evidence) -> Lived | None:
    """The life with what was drawn of it; None where Keep Alive has no say in it."""
    group, keep_alive = life.client.group, seen.effective_keep_alive
    if not keep_alive or not (life.gaps or seen.pingreqs or life.ending in _EXPIRED | _BY_BOX):
        return None
    silence = seen.silence_s or 0.0
    late = seen.late_from_client
    spoke = silence + late.after_s if late is not None else None
    return Lived(
        keep_alive,
        group.habit if group.pings_s else "app",
        group.pings_s,
        life.ending,
        silence,
        group.pings_s if life.ending == "premature" else spoke,
        life.limit_s,
        tuple((gap, 1) for gap in life.gaps if gap >= _LONG_S) or _paced(group.pings_s, seen),
    )


def _paced(pace_s: float, seen: Evidence) -> tuple[tuple[float, int], ...]:
    """Pings at the pace, and the longest gap."""
    if not seen.pingreqs or seen.gap_max_s is None:
        return ()
    return ((seen.gap_max_s, 1), *(((pace_s, seen.pingreqs - 1),) if seen.pingreqs > 1 else ()))


def window(lives: Iterable[Lived], factor: float) -> Replayed:
    """Brokers that wait exactly so many times the Keep Alive."""
    return sum((_in_window(each, factor * each.keep_alive) for each in lives), Replayed())


def _in_window(life: Lived, limit_s: float) -> Replayed:
    added = sum(count for gap, count in life.gaps if gap > limit_s)
    if life.ending not in _EXPIRED:
        return Replayed(0, added + (life.silence_s > limit_s))
    return Replayed(int(life.spoke_s is not None and life.spoke_s <= limit_s), added)


def keep_alive(lives: Iterable[Lived], value: int) -> Replayed:
    """Clients with that Keep Alive, at brokers that wait 1.5 times."""
    return sum((_with(each, value) for each in lives), Replayed())


def _with(life: Lived, value: int) -> Replayed:
    limit_s = PATIENCE * value
    added = sum(count for gap, count in life.gaps if life.with_keep_alive(gap, value) > limit_s)
    return Replayed(int(_prevented(life, value)), added)


def _prevented(life: Lived, value: int) -> bool:
    if life.ending in _BY_BOX or life.ending == "premature":
        due = life.with_keep_alive(1e9 if life.habit == "app" else life.pace_s, value)
        return life.limit_s is not None and due < life.limit_s
    if life.ending not in _EXPIRED or life.spoke_s is None:
        return False
    return life.with_keep_alive(life.spoke_s, value) <= PATIENCE * value

"""Formulas of ping cadences: how the time between two PINGREQ of an idle client follows from its Keep Alive.

Rows are data; the libraries that keep to them are in `kaproxy/diagnosis/libraries.py`. One Keep Alive alone may fit
several formulas, several Keep Alives seldom do. It may not know a log. Read next: `late_pingers.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from kaproxy.diagnosis.clients import late_pinger
from kaproxy.diagnosis.libraries import CLIENT_PROFILES, EARLY_S, LATE_S, ClientProfile

#: How far (s, and part of it) a cadence may lie from its formula: scheduling below, the network above.
_NEAR_S, _NEAR = 0.3, 0.01
_MOST_LIBRARIES = 4
#: At this Keep Alive (s) some seconds more are nothing.
_LARGE = 10_000
#: A margin of a quarter of the Keep Alive is left where the lateness is at most a quarter of it.
_QUARTER = 4


@dataclass(frozen=True, slots=True)
class Formula:
    """`period_s`: Keep Alive (s) to seconds between two pings. `keep_alive_from`: from here on a margin is left."""

    name: str
    period_s: Callable[[int], float]
    keep_alive_from: int | None = None
    by_round_trip: bool = False

    @property
    def times(self) -> float | None:
        """So many times the Keep Alive, where it grows with it; None where some seconds are added."""
        factor = self.period_s(_LARGE) / _LARGE
        return round(factor, 2) if factor > 1 + _NEAR else None

    def fits(self, keep_alive: int, cadence_s: float) -> bool:
        """Is that cadence (s) the formula's at this Keep Alive (s)?"""
        return abs(self.period_s(keep_alive) - cadence_s) <= max(_NEAR_S, _NEAR * cadence_s)


def _plus(extra_s: float, why: str) -> Formula:
    return Formula(
        f"Keep Alive + {extra_s:g} s, {why}",
        lambda keep_alive: keep_alive + extra_s,
        ceil(_QUARTER * extra_s),
    )


def _times(factor: float) -> Formula:
    useful = factor <= 1 + 1 / _QUARTER
    return Formula(f"{factor:g} x Keep Alive", lambda keep_alive: factor * keep_alive, 1 if useful else None)


def _tick(tick_s: float) -> Formula:
    """The first tick after Keep Alive: differs from Keep Alive + tick where that is no multiple of the tick."""
    return Formula(
        f"the first tick of {tick_s:g} s after the Keep Alive",
        lambda keep_alive: tick_s * (int(keep_alive / tick_s) + 1),
        ceil(_QUARTER * tick_s),
    )


#: The commonest first: of formulas that fit alike the earlier one is named first.
FORMULAS: tuple[Formula, ...] = (
    _times(1.5),
    _times(1.25),
    _plus(5.0, "a tick of 5 s"),
    _tick(5.0),
    _times(1.3),
    _times(2.0),
    _plus(1.0, "a tick of 1 s"),
    _plus(6.0, "a tick of 6 s"),
    _plus(10.0, "a tick of 10 s"),
    _times(1.75),
)


def formulas(cadences: Mapping[int, float]) -> tuple[Formula, ...]:
    """Formulas that fit the cadences (s) of all these Keep Alives (s); none where there are none."""
    if not cadences:
        return ()
    fitting = [each for each in FORMULAS if all(each.fits(ka, at) for ka, at in cadences.items())]
    return tuple(fitting[:3])


def round_trip() -> Formula:
    """The next ping is timed from the answer to the last: late by the round trip."""
    return Formula("Keep Alive + the round trip of the ping before", float, None, by_round_trip=True)


def libraries(keep_alive: int, cadence_s: float, versions: Sequence[str]) -> tuple[str, ...]:
    """Libraries whose idle clients of these MQTT versions ping at this cadence, the narrowest claim first."""
    fitting = [row for row in CLIENT_PROFILES if _fits(row, keep_alive, cadence_s, versions)]
    fitting.sort(key=lambda row: _spread(row, keep_alive))
    named = [row.name for row in fitting]
    ticking = late_pinger(keep_alive, cadence_s)
    return tuple(dict.fromkeys([*([ticking] if ticking else []), *named]))[:_MOST_LIBRARIES]


def _fits(row: ClientProfile, keep_alive: int, cadence_s: float, versions: Sequence[str]) -> bool:
    if row.cadence is None or not row.keep_alives[0] <= keep_alive <= row.keep_alives[1]:
        return False
    if any(version not in row.versions for version in versions):
        return False
    low, high = row.cadence.range_s(keep_alive)
    return max(low, keep_alive) - EARLY_S <= cadence_s <= high + LATE_S


def _spread(row: ClientProfile, keep_alive: int) -> float:
    low, high = row.cadence.range_s(keep_alive) if row.cadence else (0.0, 0.0)
    return high - low

"""After an incident: how long until the clients were back, and how they tried: backing off, with jitter, or neither.

Plain numbers: for each client the moments of its attempts after its drop, and whether the last one stood. A wait is
the time from the drop or an attempt to the next attempt. It may not know an engine or a sentence.
Read next: `incidents.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from statistics import median

#: Waits that have grown by the first factor back off; where they stay within the second, they do not.
GROWS, STAYS = 1.3, 1.25
#: First waits that all lie within this part of their median, or within this many seconds, have no jitter.
SAME_PART, SAME_S = 0.1, 0.5
FEWEST_CLIENTS = 3
_FEWEST_WAITS = 3
#: A burst of attempts matters from so many in a second.
CROWD = 20


@dataclass(frozen=True)
class Return:
    """One client after its drop: moments (s) of its attempts, relative to the drop; `back`: did the last one stand."""

    group: str
    attempts: tuple[float, ...]
    back: bool

    @cached_property
    def waits(self) -> list[float]:
        """From the drop to the first attempt, and from each to the next."""
        return [later - earlier for earlier, later in pairwise((0.0, *self.attempts))]


class Backoff(StrEnum):
    """What the waits between one client's attempts do."""

    GROWS = "grows"
    NONE = "none"
    UNKNOWN = "unknown"  # too few tried more than twice


class Jitter(StrEnum):
    """Whether clients spread their attempts."""

    SPREAD = "spread"
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Shape:
    """How a group of clients came back."""

    clients: int
    attempts: int
    first_wait_s: float
    backoff: Backoff
    jitter: Jitter
    growth: float | None
    together: bool  # the first attempts of all at the same moment

    @property
    def storms(self) -> bool:
        """Does it load a broker that comes up: no back-off over many attempts, or all of many at once?"""
        at_once = self.together and self.clients >= CROWD
        hammering = self.backoff is Backoff.NONE and self.attempts >= max(CROWD, _HAMMERING * self.clients)
        return at_once or hammering

    @property
    def words(self) -> str:
        """ "no back-off, no jitter"."""
        backoff = {Backoff.GROWS: "back-off", Backoff.NONE: "no back-off"}.get(self.backoff)
        jitter = {Jitter.SPREAD: "jitter", Jitter.NONE: "no jitter"}.get(self.jitter)
        return ", ".join(each for each in (backoff, jitter) if each) or "too few attempts to tell"


_HAMMERING = 3


def shape(returns: Sequence[Return]) -> Shape | None:
    """How these clients came back, None where too few did."""
    tried = [each for each in returns if each.attempts]
    if len(tried) < FEWEST_CLIENTS:
        return None
    firsts = [each.attempts[0] for each in tried]
    growth = _growth(tried)
    return Shape(
        len(tried),
        sum(len(each.attempts) for each in tried),
        round(median(firsts), 3),
        _backoff(growth),
        Jitter.NONE if _alike(firsts) or _alike_waits(tried) else Jitter.SPREAD,
        None if growth is None else round(growth, 2),
        _alike(firsts),
    )


def _backoff(growth: float | None) -> Backoff:
    if growth is None or STAYS < growth < GROWS:
        return Backoff.UNKNOWN
    return Backoff.GROWS if growth >= GROWS else Backoff.NONE


def _growth(tried: Sequence[Return]) -> float | None:
    """By what factor the later waits between attempts exceed the first, in the median of all clients that tried often.

    The first wait of all, from the drop, is left out; the later half is taken together, since back-off ends at a cap.
    """
    factors = [
        median(waits[len(waits) // 2 :]) / waits[0]
        for each in tried
        if len(waits := each.waits[1:]) >= _FEWEST_WAITS - 1 and waits[0] > 0
    ]
    return median(factors) if len(factors) >= FEWEST_CLIENTS else None


def _alike(times: Sequence[float]) -> bool:
    low, high = spread(times)
    return high - low <= max(SAME_S, SAME_PART * median(times))


def _alike_waits(tried: Sequence[Return]) -> bool:
    """Does each client that tried often wait the same time again and again?"""
    often = [each.waits[1:] for each in tried if len(each.waits) > _FEWEST_WAITS]
    steady = sum(max(waits) - min(waits) <= SAME_PART * median(waits) for waits in often)
    return bool(often) and 2 * len(often) >= len(tried) and steady >= _MOST * len(often)


_MOST = 0.8


def spread(times: Sequence[float]) -> tuple[float, float]:
    """The 10th and the 90th percentile."""
    ordered = sorted(times)
    last = len(ordered) - 1
    return ordered[round(0.1 * last)], ordered[round(0.9 * last)]


def peak(moments: Sequence[float]) -> int:
    """The most attempts in one second."""
    return max(Counter(int(each) for each in moments).values(), default=0)

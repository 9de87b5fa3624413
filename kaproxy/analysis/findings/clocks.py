"""Which clock do endings follow: age, or wall clock? Circular statistics and spreads over plain numbers.

Events on a circle (the phase of hour or day) gather more than chance would have it (Rayleigh's test, and the binomial
tail of those in one narrow window). Of connections that ended at one age: who came back later lives as long, or shorter
by as much; ages are equal and ends apart, or the other way round; or both are, and then it cannot be told.
It may not know a log. Read next: `periods.py`, which asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from math import atan2, cos, exp, hypot, pi, sin, sqrt
from statistics import fmean, median

from kaproxy.analysis.findings.chance import binomial_tail

#: Minutes after which people and programs repeat things, the longest first.
PERIODS_MIN = (10080, 1440, 720, 360, 240, 180, 120, 60, 30, 20, 15, 10, 5)
#: Events (minutes) this close to each other are one, and this close to the phase are on it.
ONE_EVENT_MIN, ON_PHASE_MIN = 2, 1
FEWEST_CYCLES = 4
#: So much of the events on the phase, and so many of the cycles with one.
_MOST, _COVERED = 0.6, 0.5


@dataclass(frozen=True, slots=True)
class Beat:
    """Events that repeat: every so many minutes, at a phase (minutes since a multiple of the period, UTC)."""

    period_min: float
    phase_min: float
    events: int  # on the phase
    of: int  # in all
    cycles: int  # from the first on the phase to the last
    strength: float  # mean resultant length, 0 to 1
    rayleigh: float  # its chance
    chance: float  # of so many in one window, over all periods tried


def rayleigh(count: int, strength: float) -> float:
    """How likely points on a circle gather this much by chance (large-sample form of Rayleigh's test)."""
    return exp(-count * strength**2)


def mean_phase(minutes: Sequence[float], period: float) -> tuple[float, float]:
    """(phase, strength): where on a circle of that circumference the points gather, and how much (0 to 1)."""
    turns = [2 * pi * (minute % period) / period for minute in minutes]
    x, y = sum(map(cos, turns)), sum(map(sin, turns))
    return (atan2(y, x) / (2 * pi) * period) % period, hypot(x, y) / len(turns)


def merged(minutes: Sequence[float], apart: float = ONE_EVENT_MIN) -> list[float]:
    """Moments, those close to the one before left out."""
    found: list[float] = []
    last = float("-inf")
    for minute in sorted(minutes):
        if minute - last > apart:
            found.append(minute)
        last = minute
    return found


def beat(minutes: Sequence[float], looks: int = 1, level: float = 1e-4) -> Beat | None:
    """The longest usual period these moments (minutes since 1970) keep to, beyond chance; else an unusual one."""
    events = merged(minutes)
    if len(events) < FEWEST_CYCLES:
        return None
    tries = looks * (len(PERIODS_MIN) + 1)
    for period in PERIODS_MIN:
        found = _at_period(events, period, tries)
        if found is not None and found.chance <= level:
            return found
    own = _spacing(events)
    found = _at_period(events, own, tries) if own else None
    return found if found is not None and found.chance <= level else None


def _at_period(events: Sequence[float], period: float, tries: int) -> Beat | None:
    phase = _densest(events, period)
    on = [each for each in events if _off(each, phase, period) <= ON_PHASE_MIN]
    cycles = round((on[-1] - on[0]) / period) + 1
    hit = len({round((each - phase) / period) for each in on})
    if hit < FEWEST_CYCLES or hit < _COVERED * cycles or len(on) < _MOST * len(events):
        return None
    window = min(1.0, (2 * ON_PHASE_MIN + 1) / period)
    _, strength = mean_phase(events, period)
    chance = binomial_tail(len(on) - 1, len(events) - 1, window) * tries
    return Beat(
        period, phase, len(on), len(events), cycles, strength, rayleigh(len(events), strength), chance
    )


def _densest(events: Sequence[float], period: float) -> float:
    """The phase around which most events lie."""
    turns = Counter(int(each % period) for each in events)
    last = max(1, int(period))
    near = range(-ON_PHASE_MIN, ON_PHASE_MIN + 1)
    return float(
        max(turns, key=lambda phase: (sum(turns[(phase + off) % last] for off in near), turns[phase]))
    )


def _off(moment: float, phase: float, period: float) -> float:
    away = (moment - phase) % period
    return min(away, period - away)


def _spacing(events: Sequence[float]) -> float | None:
    """The usual time between two events, where most times are near it."""
    apart = [later - earlier for earlier, later in pairwise(events)]
    middle = median(apart)
    near = [each for each in apart if abs(each - middle) <= 1.0]
    if middle < PERIODS_MIN[-1] or len(near) < _MOST * len(apart):
        return None
    return sum(near) / len(near)


class Follows(StrEnum):
    """What ends of one age tell of their clock."""

    AGE = "age"
    WALL = "wall"  # or a clock of its own
    EITHER = "either"


@dataclass(frozen=True)
class Lives:
    """Connections of about one age: when each began and ended (seconds), and whose it was.

    What is worked out of them is kept.
    """

    began: Sequence[float]
    ended: Sequence[float]
    clients: Sequence[object]

    @cached_property
    def ages(self) -> list[float]:
        """How old each became, the shortest first."""
        return sorted(end - start for start, end in zip(self.began, self.ended, strict=True))

    @cached_property
    def age_s(self) -> float:
        """The age in the middle."""
        return float(median(self.ages))

    @cached_property
    def spread_s(self) -> float:
        """How far ages lie apart: half the range of the middle two thirds, seconds."""
        return _spread(self.ages)

    @cached_property
    def crowds(self) -> list[list[int]]:
        """Connections that ended at one moment: their places, crowd by crowd."""
        order = sorted(range(len(self.ended)), key=lambda at: self.ended[at])
        apart = max(_AT_ONCE_S, 3 * self.spread_s)
        found: list[list[int]] = []
        for at in order:
            if found and self.ended[at] - self.ended[found[-1][-1]] <= apart:
                found[-1].append(at)
            else:
                found.append([at])
        return found

    @property
    def rounds(self) -> int:
        """How often one client after the other, or all at once, came to this age: spans of one age."""
        return int((max(self.ended) - min(self.ended)) / self.age_s + _ROUNDING) + 1


_AT_ONCE_S, _ROUNDING = 15.0, 0.1
_TIMES, _FINE_S = 3.0, 1.0


def follows(lives: Lives) -> Follows:
    """Age, a schedule, or either: by what is equal among them and what is apart.

    A schedule may be the wall clock or one of each client's own; either way one client's ends are spaced more evenly
    than its connections are of one age, since it takes a while to come back.
    """
    for test in (_by_pauses, _by_spacing):
        told = test(lives)
        if told is not Follows.EITHER:
            return told
    crowds = lives.crowds
    if len(crowds) >= _APART * len(lives.ended) and len(crowds) >= FEWEST_CYCLES:
        return Follows.AGE if len(set(lives.clients)) >= _INDEPENDENT else Follows.EITHER
    ends = [_spread(sorted(lives.ended[at] for at in crowd)) for crowd in crowds if len(crowd) >= _CROWD]
    return _steadier(lives.spread_s, float(median(ends))) if ends else Follows.EITHER


_APART, _INDEPENDENT, _CROWD, _NEXT = 0.5, 3, 3, 1.5


def _by_pauses(lives: Lives) -> Follows:
    """Who comes back later lives shorter by as much where a schedule is kept, and just as long where an age is.

    A straight line through ages over the pauses before them: its slope is -1 or 0, if either.
    """
    pairs = list(_pauses_and_ages(lives))
    if len(pairs) < _FEWEST_PAIRS:
        return Follows.EITHER
    pauses, ages = zip(*pairs, strict=True)
    (pause_s, age_s), count = (fmean(pauses), fmean(ages)), len(pairs)
    of_pauses = sum((pause - pause_s) ** 2 for pause in pauses)
    of_ages = sum((age - age_s) ** 2 for age in ages)
    if of_pauses < count * _VARIED_S**2:
        return Follows.EITHER
    slope = sum((pause - pause_s) * (age - age_s) for pause, age in pairs) / of_pauses
    error = sqrt(max(0.0, of_ages - slope**2 * of_pauses) / (count - 2) / of_pauses) + _LEAST_ERROR
    if abs(slope + 1) <= _SAME * error and -slope >= _OTHER * error:
        return Follows.WALL
    return Follows.AGE if abs(slope) <= _SAME * error and slope + 1 >= _OTHER * error else Follows.EITHER


#: Standard errors within which a slope is the one, and beyond which it is not the other; fewer pairs tell nothing.
_SAME, _OTHER, _LEAST_ERROR, _FEWEST_PAIRS = 3.0, 6.0, 0.02, 10
_VARIED_S = 1.0  # pauses that are all alike tell nothing


def _pauses_and_ages(lives: Lives) -> Iterator[tuple[float, float]]:
    """How long a client was away before a connection, and how old that became, seconds."""
    last: dict[object, float] = {}
    for began, ended, client in sorted(
        zip(lives.began, lives.ended, lives.clients, strict=True), key=_by_end
    ):
        pause = began - last.get(client, began)
        if 0 < pause < 0.5 * lives.age_s:
            yield pause, ended - began
        last[client] = ended


def _by_end(life: tuple[float, float, object]) -> float:
    return life[1]


def _by_spacing(lives: Lives) -> Follows:
    """Of each client: are its ends spaced more evenly than its ages are equal, or the other way round?"""
    last: dict[object, float] = {}
    apart: list[float] = []
    for client, ended in sorted(zip(lives.clients, lives.ended, strict=True), key=lambda each: each[1]):
        if ended - last.get(client, ended) > _FINE_S:  # the same line read twice is no second end
            apart.append(ended - last[client])
        last[client] = ended
    if len(apart) < FEWEST_CYCLES:
        return Follows.EITHER
    near = [each for each in apart if each < _NEXT * lives.age_s]
    if len(near) < FEWEST_CYCLES:
        return Follows.EITHER
    period = float(median(near))
    uneven = sorted(each - period * max(1, round(each / period)) for each in apart)
    return _steadier(lives.spread_s, _spread(uneven))


def _steadier(ages_s: float, ends_s: float) -> Follows:
    """What varies clearly less: ages, or ends? In seconds."""
    if ends_s > _TIMES * ages_s + _FINE_S:
        return Follows.AGE
    return Follows.WALL if ages_s > _TIMES * ends_s + _FINE_S else Follows.EITHER


def _spread(values: Sequence[float]) -> float:
    """Half the range of the middle two thirds of sorted values."""
    last = len(values) - 1
    return (values[round(last * 5 / 6)] - values[round(last / 6)]) / 2

"""Idle times at which connections were cut: where far more of them lie than around, in windows as wide as boxes are.

Counts by half seconds, no engine and no sentence. Read next: `path_limits.py`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from kaproxy.analysis.findings.chance import poisson_tail
from kaproxy.analysis.findings.idle_gaps import SHORTEST_S, Bin

#: So many cut alike make a limit.
FEWEST_CUTS = 4
#: A cut's width (s, and part of it): boxes look once a second.
WIDTH_S, WIDTH = 2.0, 0.015
_CHANCE = 1e-6


def clusters(bins: Sequence[Bin]) -> Iterator[Bin]:
    """Idle times at which far more were cut than around them."""
    rest = sorted(bins, key=lambda each: each.low_s)
    while rest:
        best = fullest(rest)
        around = sum(e.count for e in rest if best.low_s / 2 <= e.low_s <= best.low_s * 2) - best.count
        covered = min(2 * best.low_s, rest[-1].high_s) - max(
            best.low_s / 2, SHORTEST_S, rest[0].low_s - WIDTH_S
        )
        expected = around * width(best.low_s) / max(width(best.low_s), covered - width(best.low_s))
        if best.count < FEWEST_CUTS or poisson_tail(best.count, max(expected, 0.05)) > _CHANCE:
            return
        yield best
        rest = [each for each in rest if not best.low_s <= each.low_s <= best.high_s]


def width(value_s: float) -> float:
    """How far (s) cuts of one limit lie apart at most."""
    return max(WIDTH_S, WIDTH * value_s)


def fullest(bins: Sequence[Bin]) -> Bin:
    """The window with the most in it, the first of equal ones. `bins` by their start, each narrower than a window."""
    by_end = sorted(bins, key=lambda each: each.high_s)
    ends, ended = [each.high_s for each in by_end], [0, *accumulate(each.count for each in by_end)]
    before, most, at = 0, 0, 0
    for start, each in enumerate(bins):  # what ends in time, less what began before: that ended in time, too
        reach = each.low_s + width(each.low_s)
        inside = ended[bisect_right(ends, reach)] - before
        if inside > most:
            most, at = inside, start
        before += each.count
    low = bins[at].low_s
    high = max(each.high_s for each in bins[at:] if each.high_s <= low + width(low))
    return Bin(low, high, most)

"""What chance alone would do: tails of the Poisson and binomial distributions.

Summed term by term, from the end where they are small: scipy has them too, but to import it takes longer than all the
questions that a saved log is asked; `tests/analysis/findings/test_chance.py` holds these against scipy's. Levels are
so strict because a log is asked many questions at once. It may not know what is counted. Read next: `bursts.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import exp, lgamma, log, log1p

#: What is said to stand out would come about by chance in one log of so many.
LEVEL = 1e-4
#: A term smaller than this part of the sum so far changes nothing of it.
_NOTHING = 1e-17


def poisson_tail(count: int, mean: float) -> float:
    """How likely `count` or more are where `mean` are expected."""
    if count <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    if count > mean:
        return _summed(_poisson(count, mean), count, lambda k: mean / (k + 1), 1)
    return 1.0 - _summed(_poisson(count - 1, mean), count - 1, lambda k: k / mean, -1)


def binomial_tail(count: int, of: int, chance: float) -> float:
    """How likely `count` or more out of `of` are where each has this chance."""
    if count <= 0 or chance >= 1.0:
        return 1.0 if count <= of else 0.0
    if count > of or chance <= 0.0:
        return 0.0
    odds = chance / (1.0 - chance)
    if count > of * chance:
        return _summed(_binomial(count, of, chance), count, lambda k: (of - k) / (k + 1) * odds, 1)
    less = count - 1
    return 1.0 - _summed(_binomial(less, of, chance), less, lambda k: k / (of - k + 1) / odds, -1)


def _poisson(count: int, mean: float) -> float:
    """How likely exactly so many are."""
    return exp(count * log(mean) - mean - lgamma(count + 1))


def _binomial(count: int, of: int, chance: float) -> float:
    """How likely exactly so many are."""
    ways = lgamma(of + 1) - lgamma(count + 1) - lgamma(of - count + 1)
    return exp(ways + count * log(chance) + (of - count) * log1p(-chance))


def _summed(term: float, at: int, ratio: Callable[[int], float], step: int) -> float:
    """This term and all on one side of it; `ratio`: of the next term to the one at a place, below 1 and falling."""
    total = 0.0
    while term > _NOTHING * total:
        total += term
        term *= ratio(at)
        at += step
    return min(1.0, total)


@lru_cache(maxsize=65_536)
def surprising(mean: float, looks: float) -> int:
    """The smallest count that chance does not bring about in any of so many looks, but in one log of 1 / LEVEL."""
    low, high = 1, 2
    while poisson_tail(high, mean) * looks > LEVEL:
        low, high = high, high * 2
    while low < high:
        tried = (low + high) // 2
        if poisson_tail(tried, mean) * looks > LEVEL:
            low = tried + 1
        else:
            high = tried
    return low


def rates_differ(count: int, time: float, others: int, others_time: float) -> float:
    """How likely `count` events in `time` are, where the rate is that of `others` in `others_time`.

    The exact conditional test of two Poisson rates (Przyborowski and Wilenski): given the sum of both counts, the
    first is binomial.
    """
    whole = time + others_time
    return binomial_tail(count, count + others, time / whole) if whole > 0 else 1.0

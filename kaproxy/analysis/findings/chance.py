"""What chance alone would do: tails of the Poisson and binomial distributions, by scipy.

scipy.special rather than scipy.stats, which takes most of a second to import. Levels are so strict because a log is
asked many questions at once. It may not know what is counted. Read next: `bursts.py`.
"""

from __future__ import annotations

from scipy import special

#: What is said to stand out would come about by chance in one log of so many.
LEVEL = 1e-4


def poisson_tail(count: int, mean: float) -> float:
    """How likely `count` or more are where `mean` are expected."""
    return 1.0 if count <= 0 else float(special.pdtrc(count - 1, mean))


def binomial_tail(count: int, of: int, chance: float) -> float:
    """How likely `count` or more out of `of` are where each has this chance."""
    return 1.0 if count <= 0 else float(special.bdtrc(count - 1, of, min(1.0, max(0.0, chance))))


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

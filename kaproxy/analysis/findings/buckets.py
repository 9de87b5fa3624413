"""Log buckets: a distribution as a few hundred counts that any engine can make and any two of which can be added.

A bucket is `floor(log2(x + 0.000001) * 32)`, so it spans a factor of 2 ** (1/32), 2.2 %. A quantile read from them
is the geometric middle of a bucket: at most 1.1 % (`ERROR`) and a millionth from a value that the quantile of the
whole data may have. It may not know what is counted. Read next: `asking.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

PER_OCTAVE = 32
#: Added before the logarithm, so that 0 has a bucket.
EPSILON = 1e-6
#: A bucket's middle is at most this part away from any value in it.
ERROR = 2 ** (0.5 / PER_OCTAVE) - 1


def bucket_sql(value: str) -> str:
    """SQL for the bucket of a number (a column or an expression); NULL where it is NULL or negative."""
    return f"case when {value} >= 0 then cast(floor(log2({value} + 0.000001) * {PER_OCTAVE}) as {{INT}}) end"


def bucket(value: float) -> int:
    """The bucket of a value of 0 or above."""
    return math.floor(math.log2(value + EPSILON) * PER_OCTAVE)


def edges(number: int) -> tuple[float, float]:
    """From (included) and to (excluded) which value a bucket goes."""
    return _start(number), _start(number + 1)


def _start(number: float) -> float:
    return float(max(0.0, 2 ** (number / PER_OCTAVE) - EPSILON))


def middle(number: int) -> float:
    """What stands for all values of a bucket."""
    return _start(number + 0.5)


class Buckets:
    """Counts per bucket of one distribution."""

    def __init__(self, counts: Mapping[int, int] | Iterable[tuple[int, int]] = ()) -> None:
        self._counts: dict[int, int] = {}
        for number, count in dict(counts).items():
            self._counts[int(number)] = int(count)

    @property
    def total(self) -> int:
        """How many values are in it."""
        return sum(self._counts.values())

    @property
    def counts(self) -> list[tuple[int, int]]:
        """(bucket, count), the smallest values first."""
        return sorted(self._counts.items())

    def add(self, number: int, count: int = 1) -> None:
        """So many more values in a bucket."""
        self._counts[number] = self._counts.get(number, 0) + count

    def __add__(self, other: Buckets) -> Buckets:
        both = Buckets(self._counts)
        for number, count in other.counts:
            both.add(number, count)
        return both

    def quantile(self, part: float) -> float | None:
        """The value below which `part` (0 to 1) of all values lie; None where there are none."""
        rank, seen = part * self.total, 0
        for number, count in self.counts:
            seen += count
            if seen >= rank and count:
                return middle(number)
        return None

    def above(self, value: float) -> int:
        """How many values are in buckets that begin at or above a value: at least so many are larger."""
        return sum(count for number, count in self._counts.items() if edges(number)[0] >= value)

"""How often a number fell where: a histogram of plain integers, cheap enough for every PINGRESP.

The directory keeps two for all connections of a worker: how long brokers took to answer PINGREQ, and how much
of the broker's patience clients used up. It may not know who reads it. Read next: `kaproxy/telemetry/tally.py`.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

#: Upper ends (s) of the buckets of PINGREQ to PINGRESP.
RTT_BOUNDS: Final[tuple[float, ...]] = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)
#: Upper ends of the buckets of a client's pauses, as parts of the shortest the broker may lose patience after.
PAUSE_BOUNDS: Final[tuple[float, ...]] = (0.1, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0, 1.1, 1.5, 2.0)


class Spread:
    """Counts by bucket, the last one for what is above every bound, and their sum."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, number: float) -> None:
        """One more."""
        self.counts[bisect_left(self._bounds, number)] += 1
        self.total += number

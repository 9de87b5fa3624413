"""Bursts: moments at which more ended together than chance and habit explain.

Counts per window of 1, 8 and 64 s are held against the Poisson tail of the rate of that hour's neighbours, for every
kind of thing counted by itself; a longer window counts only what shorter ones have not told of. What is counted is
for the caller to say. Brokers that look at their clients every few seconds expire in batches: families marked so are
not looked at by the second, and twice the rate is their habit. It may not know what a burst means.
Read next: `incidents.py`, `stalls.py`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from kaproxy.analysis.findings.asking import SECOND_US
from kaproxy.analysis.findings.chance import surprising
from kaproxy.analysis.store.engine import Engine

#: What is counted by itself: a broker and a family of causes, for one.
Key: TypeAlias = tuple[str, ...]

SCALES_S = (1, 8, 64)
HOUR_S = 3600
FEWEST = 3
#: Bursts of the same key that are no further apart (microseconds) are one.
APART_US = 20 * SECOND_US


@dataclass(frozen=True, slots=True)
class Burst:
    """So many in one stretch of time: [start_us, end_us) in microseconds."""

    key: Key
    start_us: int
    end_us: int
    count: int

    def joined(self, other: Burst) -> Burst:
        """Both as one."""
        start, end = min(self.start_us, other.start_us), max(self.end_us, other.end_us)
        return Burst(self.key, start, end, self.count + other.count)


@dataclass(frozen=True, slots=True)
class Counted:
    """What is counted: rows of `table` under `condition`, by their `moment` column and by the `parts`, SQL each."""

    table: str
    moment: str
    parts: tuple[str, ...]
    condition: str

    def windows(self, width_s: int, least: int) -> str:
        """The query for windows with at least so many: parts, start, count."""
        # Without the cast ClickHouse 18.16 gives a remainder as narrow as its divisor, and that of an hour wraps.
        width = f"cast({width_s * SECOND_US} as {{INT}})"
        start = f"{self.moment} - {self.moment} % {width}"
        named = ", ".join(f"{part} as part_{place}" for place, part in enumerate(self.parts))
        return (
            f"select {named}, {start} as window_us, count(*) as together from {self.table} "
            f"where {self.condition} group by {', '.join(self.parts)}, {start} having count(*) >= {least} "
            "order by window_us"
        )


class Rates:
    """How many are usual: per key, from the counts of each hour and the time the log covers (seconds)."""

    def __init__(self, hours: Mapping[Key, Mapping[int, int]], seconds: float, batched: Collection[Key] = ()):
        self._hours = hours
        self._seconds = max(seconds, 1.0)
        self._batched = batched

    @property
    def keys(self) -> Iterable[Key]:
        """All that was counted."""
        return self._hours

    def per_second(self, key: Key, at_us: int) -> float:
        """The usual rate at a moment: of the whole log, or of the hours before and after, whichever is higher.

        The hour itself is left out, so that an outage does not make itself usual.
        """
        hours = self._hours[key]
        hour = at_us // (HOUR_S * SECOND_US)
        whole = sum(hours.values()) / self._seconds
        near = (hours.get(hour - 1, 0) + hours.get(hour + 1, 0)) / (2 * HOUR_S)
        return max(whole, near) * (2.0 if key in self._batched else 1.0)

    def least(self, key: Key, at_us: int, width_s: int) -> int:
        """The smallest count in a window that is no chance."""
        return _least(round(self.per_second(key, at_us) * width_s, 6), round(self._looks / width_s))

    def lowest(self, width_s: int) -> int:
        """A count below which no window of any key can stand out."""
        mean = min((sum(each.values()) for each in self._hours.values()), default=0) / self._seconds * width_s
        return max(FEWEST, _least(round(mean, 6), round(self._looks / width_s)))

    @property
    def _looks(self) -> float:
        return self._seconds * max(1, len(self._hours))


@lru_cache(maxsize=4096)
def _least(mean: float, looks: int) -> int:
    return max(FEWEST, surprising(max(mean, 1e-9), max(1, looks)))


def search(engine: Engine, counted: Counted, seconds: float, batched: Collection[str] = ()) -> list[Burst]:
    """The bursts, by their start. `batched`: last parts of keys that brokers end in batches."""
    rates = _rates(engine, counted, seconds, batched)
    found: dict[Key, list[Burst]] = defaultdict(list)
    for width_s in SCALES_S:
        windows: dict[Key, list[Burst]] = defaultdict(list)
        for *parts, start, count in (
            engine.rows(counted.windows(width_s, rates.lowest(width_s))) if rates.keys else []
        ):
            key = tuple(str(part) for part in parts)
            if width_s > 1 or key[-1] not in batched:
                windows[key].append(Burst(key, int(start), int(start) + width_s * SECOND_US, int(count)))
        for key, its in windows.items():
            found[key] = _taken(found[key], its, rates)
    return sorted(
        (burst for bursts in found.values() for burst in merged(bursts)), key=lambda each: each.start_us
    )


def _rates(engine: Engine, counted: Counted, seconds: float, batched: Collection[str]) -> Rates:
    hours: dict[Key, dict[int, int]] = defaultdict(dict)
    for *parts, start, count in engine.rows(counted.windows(HOUR_S, 1)):
        hours[tuple(str(part) for part in parts)][int(start) // (HOUR_S * SECOND_US)] = int(count)
    return Rates(hours, seconds, {key for key in hours if key[-1] in batched})


def _taken(found: list[Burst], windows: list[Burst], rates: Rates) -> list[Burst]:
    """Add the windows in which more are than the shorter ones inside have and than is usual; all in their order."""
    starts = [each.start_us for each in found]
    taken: list[Burst] = []
    kept = 0  # what was found up to here is in `taken`, or in a window of it
    for window in windows:
        first, after = bisect_left(starts, window.start_us), bisect_left(starts, window.end_us)
        left = window.count - sum(each.count for each in found[first:after])
        width_s = (window.end_us - window.start_us) // SECOND_US
        if left >= rates.least(window.key, window.start_us, width_s):
            taken += [*found[kept:first], window]
            kept = after
    return [*taken, *found[kept:]]


def merged(bursts: Sequence[Burst], apart_us: int = APART_US) -> list[Burst]:
    """Those that overlap or follow each other closely as one."""
    whole: list[Burst] = []
    for burst in sorted(bursts, key=lambda each: each.start_us):
        if whole and burst.start_us <= whole[-1].end_us + apart_us:
            whole[-1] = whole[-1].joined(burst)
        else:
            whole.append(burst)
    return whole

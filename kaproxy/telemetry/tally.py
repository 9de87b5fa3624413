"""What a process has counted, as plain integers: taken at one moment, added up over workers.

A `Snapshot` crosses from a worker to its supervisor as JSON. What a worker had counted when it died is kept
(`retired`), so that sums only ever grow. This file may not know a metric's name nor who asks.
Read next: `metrics.py`, which names what is here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kaproxy.connection.spread import Spread
    from kaproxy.connection.tracker import ConnectionTracker


class Traffic:
    """Bytes and control packets in both directions, of every connection there has been: of one whose line is not out
    its tracker counts.
    """

    __slots__ = ("_from_broker", "_from_client", "_open")

    def __init__(self) -> None:
        self._from_client = (0, 0)  # bytes, packets
        self._from_broker = (0, 0)
        self._open: dict[str, ConnectionTracker] = {}

    def opened(self, conn_id: str, tracker: ConnectionTracker) -> None:
        """A connection begins."""
        self._open[conn_id] = tracker

    def closed(self, conn_id: str) -> None:
        """Its line is out; one nobody tracked has counted nothing."""
        tracker = self._open.pop(conn_id, None)
        if tracker is None:
            return
        up, down = tracker.up, tracker.down
        count, packets = self._from_client
        self._from_client = (count + up.bytes, packets + up.packets)
        count, packets = self._from_broker
        self._from_broker = (count + down.bytes, packets + down.packets)

    def both_ways(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Bytes and packets from clients, and from brokers."""
        up, up_packets = self._from_client
        down, down_packets = self._from_broker
        for tracker in self._open.values():
            up += tracker.up.bytes
            up_packets += tracker.up.packets
            down += tracker.down.bytes
            down_packets += tracker.down.packets
        return (up, up_packets), (down, down_packets)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by bucket, the last one for what is above every bound, and the sum of all numbers."""

    counts: tuple[int, ...] = ()
    total: float = 0.0

    @classmethod
    def of(cls, spread: Spread) -> Histogram:
        """A spread as it stands."""
        return cls(tuple(spread.counts), spread.total)

    def __add__(self, other: Histogram) -> Histogram:
        if not self.counts or not other.counts:
            return self if self.counts else other
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return Histogram(counts, self.total + other.total)


Verdicts = Mapping[tuple[str, str, str], int]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One process's counts at one moment; all but `live` and `loop_lag_s` only grow."""

    live: int = 0
    accepted: int = 0
    verdicts: Verdicts = field(default_factory=dict)  # by cause, root ("": none) and owner
    warnings: Mapping[str, int] = field(default_factory=dict)  # by event
    bytes_from_client: int = 0
    bytes_from_broker: int = 0
    packets_from_client: int = 0
    packets_from_broker: int = 0
    ping_rtts: Histogram = field(default_factory=Histogram)  # s
    pauses: Histogram = field(default_factory=Histogram)  # parts of the broker's shortest patience
    log_lines_dropped: int = 0
    news_dropped: int = 0
    loop_lag_s: float = 0.0  # the longest in the last minute
    cpu_s: float = 0.0

    @property
    def closed(self) -> int:
        """Closing lines made."""
        return sum(self.verdicts.values())

    @property
    def causes(self) -> dict[str, int]:
        """Closing lines by cause, the most frequent first."""
        causes: Counter[str] = Counter()
        for (cause, _, _), count in self.verdicts.items():
            causes[cause] += count
        return dict(causes.most_common())

    def __add__(self, other: Snapshot) -> Snapshot:
        return Snapshot(
            live=self.live + other.live,
            accepted=self.accepted + other.accepted,
            verdicts=Counter(self.verdicts) + Counter(other.verdicts),
            warnings=Counter(self.warnings) + Counter(other.warnings),
            bytes_from_client=self.bytes_from_client + other.bytes_from_client,
            bytes_from_broker=self.bytes_from_broker + other.bytes_from_broker,
            packets_from_client=self.packets_from_client + other.packets_from_client,
            packets_from_broker=self.packets_from_broker + other.packets_from_broker,
            ping_rtts=self.ping_rtts + other.ping_rtts,
            pauses=self.pauses + other.pauses,
            log_lines_dropped=self.log_lines_dropped + other.log_lines_dropped,
            news_dropped=self.news_dropped + other.news_dropped,
            loop_lag_s=max(self.loop_lag_s, other.loop_lag_s),
            cpu_s=self.cpu_s + other.cpu_s,
        )

    def retired(self) -> Snapshot:
        """What stays of it once its process is gone."""
        return replace(self, live=0, loop_lag_s=0.0)

    def to_data(self) -> dict[str, Any]:
        """Lists, numbers and text."""
        data = asdict(self)
        data["verdicts"] = [[*key, count] for key, count in self.verdicts.items()]
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Snapshot:
        """What `to_data` has made. Raises KeyError, TypeError or ValueError where it has not."""
        fields = dict(data)
        fields["verdicts"] = {(cause, root, owner): n for cause, root, owner, n in fields["verdicts"]}
        for name in ("ping_rtts", "pauses"):
            fields[name] = Histogram(tuple(fields[name]["counts"]), fields[name]["total"])
        return cls(**fields)

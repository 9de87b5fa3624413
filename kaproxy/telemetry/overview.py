"""The whole proxy at one moment: each process with what it has counted, and the sum of all.

What the metrics, the status page and `proxy.stopped` are made of, one worker or many. It may not know how the
numbers came here. Read next: `tally.py` for what is counted, `metrics.py` for its names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

from kaproxy.telemetry.tally import Snapshot

#: What a worker may be doing. Silent: it has a process, which does not answer.
STATES = ("up", "silent", "starting", "down")


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker: what it is doing, and what it had counted `age_s` seconds ago."""

    name: str
    pid: int | None
    state: str  # one of STATES
    starts: int  # how often a process was started for it
    uptime_s: float | None
    snapshot: Snapshot
    age_s: float


@dataclass(frozen=True, slots=True)
class Overview:
    """The proxy as a whole."""

    version: str
    listen: str
    upstream: str
    broker_profile: str
    uptime_s: float
    draining: bool
    workers: tuple[WorkerView, ...]
    retired: Snapshot = field(default_factory=Snapshot)  # what workers had counted that are gone
    own: Snapshot = field(default_factory=Snapshot)  # of the supervisor, where there is one
    restarts: int = 0
    lost: int = 0  # connections of killed workers, which have no closing line

    @property
    def total(self) -> Snapshot:
        """Everything that was counted since the start."""
        return reduce(add, (worker.snapshot for worker in self.workers), self.retired + self.own)

    @property
    def up(self) -> int:
        """Workers that accept connections."""
        return sum(worker.state == "up" for worker in self.workers)

    @property
    def ready(self) -> bool:
        """Whether a client that comes now is served."""
        return self.up > 0 and not self.draining

    def to_data(self) -> dict[str, Any]:
        """The status page."""
        return {
            "version": self.version,
            "listen": self.listen,
            "upstream": self.upstream,
            "broker_profile": self.broker_profile,
            "uptime_s": round(self.uptime_s, 3),
            "ready": self.ready,
            "draining": self.draining,
            "worker_restarts": self.restarts,
            "connections_lost": self.lost,
            "total": _counts(self.total),
            "workers": [_worker(worker) for worker in self.workers],
        }


def _worker(worker: WorkerView) -> dict[str, Any]:
    return {
        "worker": worker.name,
        "pid": worker.pid,
        "state": worker.state,
        "starts": worker.starts,
        "uptime_s": None if worker.uptime_s is None else round(worker.uptime_s, 3),
        "counted_s_ago": round(worker.age_s, 3),
        **_counts(worker.snapshot),
    }


def _counts(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "connections_live": snapshot.live,
        "connections_accepted": snapshot.accepted,
        "connections_closed": snapshot.closed,
        "causes": snapshot.causes,
        "warnings": dict(snapshot.warnings),
        "bytes_from_client": snapshot.bytes_from_client,
        "bytes_from_broker": snapshot.bytes_from_broker,
        "packets_from_client": snapshot.packets_from_client,
        "packets_from_broker": snapshot.packets_from_broker,
        "log_lines_dropped": snapshot.log_lines_dropped,
        "loop_lag_max_ms": round(snapshot.loop_lag_s * 1000, 3),
        "cpu_s": round(snapshot.cpu_s, 3),
    }

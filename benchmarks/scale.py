"""What many connections take, computed from what one took in a run.

Every number a reader could doubt is an argument or a constant with its reason here; nothing is measured.
Read next: `page.py`, which shows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

IDLE_COUNT = 9000  # connections the idle figures are for
BUSY = 0.5  # of a core: what is left over is for reconnects and whatever else happens
PUBLISH_EVERY_S = 10.0
MACHINE_CORES = 8
SPARE_MACHINES = 1  # that may fail, with the others still carrying all
BACK_WITHIN_S = 60.0  # everybody is connected again after the broker has dropped all
PORTS = 64511  # of one address towards one address and port of the broker: 1024 to 65535
DESCRIPTORS_BESIDE = 64  # a worker's own: log, epoll, listeners, admin


@dataclass(frozen=True)
class Costs:
    """What was measured of one build."""

    kb: float  # resident, per established idle connection
    kernel_kb: float  # the kernel's, per such connection: two sockets
    idle_cores: float  # per connection, Keep Alive 60
    message_s: float  # CPU per PUBLISH passed on
    connects_per_s: float  # and worker
    lines_per_s: float
    line_bytes: float


@dataclass(frozen=True)
class Need:
    """What a number of connections takes."""

    connections: int
    idle_cores: float
    traffic_cores: float
    workers: int
    workers_for: str  # what decides their number
    machines: int  # of `MACHINE_CORES`, those to spare included
    back_s: float
    memory_gb: float
    kernel_gb: float
    descriptors_each: int  # per worker
    addresses: int  # source addresses, or addresses of the broker
    drop_lines_s: float
    drop_log_gb: float


def costs(results: dict[str, Any], build: str) -> Costs | None:
    """Reads one build's costs off a run; None where the run did not measure them all."""
    found = {(row["experiment"], row["figure"]): row["medians"].get(build) for row in results["figures"]}
    wanted = [("idle", key) for key in ("kb", "kernel_kb", "cpu", "lines", "line_bytes")]
    wanted += [("round_trips_1000", "cpu"), ("churn", "rate")]
    if any(found.get(key) is None for key in wanted):
        return None
    kb, kernel_kb, cpu, lines, line_bytes, trip_us, connects = (found[key] for key in wanted)
    return Costs(
        kb=kb,
        kernel_kb=kernel_kb,
        idle_cores=cpu / 100 / IDLE_COUNT,
        message_s=trip_us / 2 / 1e6,
        connects_per_s=connects,
        lines_per_s=lines,
        line_bytes=line_bytes,
    )


def need(connections: int, cost: Costs) -> Need:
    """What that many connections take, each publishing every `PUBLISH_EVERY_S`, Keep Alive 60."""
    idle, traffic = connections * cost.idle_cores, connections / PUBLISH_EVERY_S * cost.message_s
    for_traffic = math.ceil((idle + traffic) / BUSY)
    for_storms = math.ceil(connections / cost.connects_per_s / BACK_WITHIN_S)
    workers = max(for_traffic, for_storms)
    return Need(
        connections=connections,
        idle_cores=idle,
        traffic_cores=traffic,
        workers=workers,
        workers_for="reconnecting" if for_storms > for_traffic else "traffic",
        machines=math.ceil(workers / MACHINE_CORES) + SPARE_MACHINES,
        back_s=connections / cost.connects_per_s / workers,
        memory_gb=connections * cost.kb / 1e6,
        kernel_gb=connections * cost.kernel_kb / 1e6,
        descriptors_each=2 * math.ceil(connections / workers) + DESCRIPTORS_BESIDE,
        addresses=math.ceil(connections / PORTS),
        drop_lines_s=connections / cost.lines_per_s / workers,
        drop_log_gb=connections * cost.line_bytes / 1e9,
    )

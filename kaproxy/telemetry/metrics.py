"""The table of metrics: name, kind, labels, meaning, and where each number is read; nothing else names them.

Names follow the conventions of Prometheus: base units, counters end in `_total`. The label sets are closed (causes,
roots and owners of the catalogue, event names, two directions), so their number is bounded. A metric is added, never
renamed. This file may not know the library that writes them out (`kaproxy/admin/exposition.py`).
Read next: `overview.py` and `tally.py` for what is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from kaproxy.connection.spread import PAUSE_BOUNDS, RTT_BOUNDS
from kaproxy.telemetry.overview import STATES, Overview
from kaproxy.telemetry.tally import Histogram, Snapshot

Sample: TypeAlias = tuple[tuple[str, ...], float]
#: More combinations of cause, root and owner than this are told as root "other": a label set must stay bounded.
VERDICTS_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Metric:
    """One family. `kind`: counter or gauge; `read` gives the label values and number of each sample."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[Overview], Iterable[Sample]]


@dataclass(frozen=True, slots=True)
class HistogramMetric:
    """One family of buckets with these upper ends."""

    name: str
    help: str
    bounds: tuple[float, ...]
    read: Callable[[Snapshot], Histogram]


def _one(number: float) -> tuple[Sample, ...]:
    return (((), number),)


def _directions(from_client: int, from_broker: int) -> tuple[Sample, ...]:
    return (("from_client",), from_client), (("from_broker",), from_broker)


def _closed(overview: Overview) -> Iterable[Sample]:
    found: dict[tuple[str, ...], int] = {}
    for (cause, root, owner), count in sorted(overview.total.verdicts.items()):
        key = (cause, root if len(found) < VERDICTS_LIMIT else "other", owner)
        found[key] = found.get(key, 0) + count
    return found.items()


def _warnings(overview: Overview) -> Iterable[Sample]:
    return (((event,), count) for event, count in sorted(overview.total.warnings.items()))


def _cpu(overview: Overview) -> Iterable[Sample]:
    return _one(overview.total.cpu_s)


METRICS: tuple[Metric, ...] = (
    Metric(
        "kaproxy_build_info", "gauge", "Always 1; the version is the label.", ("version",),
        lambda o: (((o.version,), 1),),
    ),
    Metric("kaproxy_ready", "gauge", "1 while a client that comes is served, 0 before and while draining.", (),
           lambda o: _one(o.ready)),
    Metric("kaproxy_uptime_seconds", "gauge", "Since proxy.started.", (), lambda o: _one(o.uptime_s)),
    Metric("kaproxy_workers", "gauge", "Processes that relay, by what they are doing.", ("state",),
           lambda o: (((state,), sum(w.state == state for w in o.workers)) for state in STATES)),
    Metric("kaproxy_worker_restarts_total", "counter", "Workers started anew because they had died.", (),
           lambda o: _one(o.restarts)),
    Metric("kaproxy_connections_live", "gauge", "Connections that have a socket.", (), lambda o: _one(o.total.live)),
    Metric("kaproxy_connections_accepted_total", "counter", "Connections accepted.", (),
           lambda o: _one(o.total.accepted)),
    Metric("kaproxy_connections_closed_total", "counter",
           "Closing lines by verdict (docs/causes.md); root is empty where the evidence does not reach that far.",
           ("cause", "root", "owner"), _closed),
    Metric("kaproxy_connections_lost_total", "counter",
           "Connections of killed workers: they ended without a closing line.", (), lambda o: _one(o.lost)),
    Metric("kaproxy_warnings_total", "counter", "Warnings told before a drop, by event (docs/log-schema.md).",
           ("event",), _warnings),
    Metric("kaproxy_bytes_total", "counter", "Bytes read, by who sent them.", ("direction",),
           lambda o: _directions(o.total.bytes_from_client, o.total.bytes_from_broker)),
    Metric("kaproxy_control_packets_total", "counter", "Complete control packets, by who sent them.", ("direction",),
           lambda o: _directions(o.total.packets_from_client, o.total.packets_from_broker)),
    Metric("kaproxy_log_lines_dropped_total", "counter", "Log lines lost because their reader was too slow.", (),
           lambda o: _one(o.total.log_lines_dropped)),
    Metric("kaproxy_worker_news_dropped_total", "counter",
           "What workers had to tell each other and could not: takeovers over workers may be missing.", (),
           lambda o: _one(o.total.news_dropped)),
    Metric("kaproxy_loop_lag_seconds", "gauge", "How late a loop was at most in the last minute, of all workers.", (),
           lambda o: _one(o.total.loop_lag_s)),
    Metric("kaproxy_cpu_seconds_total", "counter", "CPU time used, of all processes.", (), _cpu),
)  # fmt: skip

HISTOGRAMS: tuple[HistogramMetric, ...] = (
    HistogramMetric(
        "kaproxy_ping_rtt_seconds",
        "From PINGREQ to PINGRESP, as seen here.",
        RTT_BOUNDS,
        lambda s: s.ping_rtts,
    ),
    HistogramMetric(
        "kaproxy_client_pause_ratio",
        "Pauses of clients of a quarter second and more that a packet ended, as parts of the shortest silence after "
        "which the broker may expire the client: above 1 it was lucky.",
        PAUSE_BOUNDS,
        lambda s: s.pauses,
    ),
)


def metrics_markdown() -> str:
    """The page docs/metrics.md."""
    rows = [
        f"| `{m.name}` | {m.kind} | {', '.join(f'`{label}`' for label in m.labels)} | {m.help} |"
        for m in METRICS
    ]
    rows += [f"| `{m.name}` | histogram | `le`: {_bounds(m)} | {m.help} |" for m in HISTOGRAMS]
    return "\n".join([_INTRODUCTION, "| Metric | Kind | Labels | Meaning |", "|---|---|---|---|", *rows, ""])


def _bounds(metric: HistogramMetric) -> str:
    return " ".join(f"{bound:g}" for bound in metric.bounds)


_INTRODUCTION = """\
# The metrics of kaproxy

Generated by `python -m kaproxy.docs`; do not edit. Metrics are added, never renamed.

`kaproxy run --admin 127.0.0.1:9464` (key `admin`, extra `kaproxy[admin]`) serves them at `/metrics`, one view of all
workers. Every number is summed when it is asked for. A worker that dies leaves its counts as they were last told, so
counters never go back; what a killed worker had counted since (at most five seconds' worth) is missing from them.
"""

"""What is measured: one experiment per kind of load, one or more figures from each of its samples.

Bars are those of the project's design: a ratio kaproxy / HAProxy to reach (or not to exceed), or a figure
of kaproxy's own. An experiment may not know how a relay is started or how a table is printed.
Read next: `report.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from benchmarks.generator import Generator
from benchmarks.relays import Running

Sample: TypeAlias = dict[str, float]
IDLE_S = 5.0  # over which the CPU of idle connections is measured


@dataclass(frozen=True)
class Figure:
    """One row of the table. `bar` is for the ratio, `own_bar` for kaproxy's own figure."""

    key: str
    title: str
    unit: str
    from_answer: Callable[[dict[str, Any]], float]
    more_is_better: bool = True
    bar: float | None = None
    own_bar: float | None = None
    added: bool = False  # what counts is what a relay adds to the direct figure


def per_second(answer: dict[str, Any]) -> float:
    """Completed operations per second."""
    return float(answer["done"] / answer["seconds"])


def relay_us(answer: dict[str, Any]) -> float:
    """CPU time of the relay per completed operation, microseconds."""
    return float(1e6 * answer["relay_cpu_s"] / max(1, answer["done"]))


def relay_us_per_megabyte(answer: dict[str, Any]) -> float:
    """CPU time of the relay per megabyte (10^6) that reached the broker, microseconds."""
    return float(1e12 * answer["relay_cpu_s"] / max(1, answer["bytes"]))


def megabytes(answer: dict[str, Any]) -> float:
    """Megabytes (10^6) per second that reached the broker."""
    return float(answer["bytes"] / answer["seconds"] / 1e6)


@dataclass(frozen=True)
class Experiment:
    """One kind of load."""

    key: str
    load: dict[str, object]
    figures: tuple[Figure, ...]
    quick: dict[str, object] = field(default_factory=dict)
    relays: tuple[str, ...] = ("direct", "haproxy", "kaproxy")
    pairs: int = 3

    def sample(self, generator: Generator, relay: Running, quick: bool, cores: str | None) -> Sample:
        """Puts the load on `relay` once and reads every figure off it."""
        arguments = {**self.load, **(self.quick if quick else {}), **addresses(relay)}
        if self.load["mode"] == "idle":
            answer = sample_idle(generator, relay, arguments, generator.own_core(cores))
        else:
            answer = generator.run(arguments, generator.own_core(cores))
        return {figure.key: figure.from_answer(answer) for figure in self.figures} | {
            "generator_busy": answer["generator_cpu_s"] / answer["seconds"]
        }


def addresses(relay: Running) -> dict[str, object]:
    """Where the generator's clients go and where its broker waits."""
    return {
        "connect": f"127.0.0.1:{relay.port}",
        "listen": f"127.0.0.1:{relay.broker_port}",
        "relay-pid": relay.pid,
    }


def sample_idle(
    generator: Generator, relay: Running, load: dict[str, object], core: int | None
) -> dict[str, Any]:
    """Memory before and after the connections are established, then the CPU of letting them be."""
    before = relay.rss_kb
    with generator.hold({**load, "seconds": 600}, core) as held:
        time.sleep(0.5)
        grown = relay.rss_kb - before
        used = cpu_s(relay.pid)
        time.sleep(IDLE_S)
        used = cpu_s(relay.pid) - used
        assert held.poll() is None
    count = int(str(load["conns"]))
    return {"kb": grown / count, "cpu": 100 * used / IDLE_S, "generator_cpu_s": 0.0, "seconds": IDLE_S}


def cpu_s(pid: int) -> float:
    """CPU time a process has used, seconds, by its own clock."""
    return time.clock_gettime(process_clock(pid))


def process_clock(pid: int) -> int:
    """The kernel's CPU clock of another process (what clock_getcpuclockid(3) returns)."""
    return (~pid << 3) | 2


MEGABYTE_CPU = Figure("cpu", "  relay CPU per MB", "us", relay_us_per_megabyte, more_is_better=False)
ROUND_TRIPS = "round trips, 100-byte PUBLISH"
EXPERIMENTS = (
    Experiment(
        "round_trips_50",
        {"mode": "pingpong", "conns": 50, "frame": 100, "seconds": 1.5},
        (
            Figure("rate", f"{ROUND_TRIPS}, 50 connections", "/s", per_second, bar=1.0),
            Figure("cpu", "  relay CPU per round trip", "us", relay_us, more_is_better=False),
        ),
        {"seconds": 1.0},
    ),
    Experiment(
        "round_trips_1000",
        {"mode": "pingpong", "conns": 1000, "frame": 100, "seconds": 1.5},
        (
            Figure("rate", f"{ROUND_TRIPS}, 1,000 connections", "/s", per_second, bar=1.0),
            Figure("cpu", "  relay CPU per round trip", "us", relay_us, more_is_better=False),
        ),
        {"seconds": 1.0},
    ),
    Experiment(
        "latency",
        {"mode": "pingpong", "conns": 20, "frame": 100, "rate": 1000, "seconds": 2.0},
        (
            Figure(
                "p50",
                "added latency, 1,000 round trips/s, p50",
                "us",
                lambda a: a["p50_us"],
                False,
                1.0,
                added=True,
            ),
            Figure("p99", "  p99", "us", lambda a: a["p99_us"], False, 1.0, added=True),
        ),
        {"seconds": 1.0},
    ),
    Experiment(
        "stream_small",
        {"mode": "stream", "conns": 50, "frame": 110, "seconds": 1.5},
        (Figure("rate", "streamed, 110-byte PUBLISH", "MB/s", megabytes, bar=0.6), MEGABYTE_CPU),
        {"seconds": 1.0},
    ),
    Experiment(
        "stream_mixed",
        {"mode": "stream", "conns": 50, "frame": 110, "mixed": 1, "seconds": 1.5},
        (
            Figure("rate", "streamed, PUBLISH of 27 to 192 bytes mixed", "MB/s", megabytes, bar=0.6),
            MEGABYTE_CPU,
        ),
        {"seconds": 1.0},
    ),
    Experiment(
        "stream_large",
        {"mode": "stream", "conns": 50, "frame": 65536, "seconds": 1.5},
        (Figure("rate", "streamed, 64 KB PUBLISH", "MB/s", megabytes, bar=1.0), MEGABYTE_CPU),
        {"seconds": 1.0},
    ),
    Experiment(
        "churn",
        {"mode": "churn", "conns": 50, "seconds": 1.5},
        (
            Figure("rate", "CONNECT + CONNACK + DISCONNECT", "/s", per_second, bar=0.5),
            Figure("cpu", "  relay CPU per connection", "us", relay_us, more_is_better=False),
        ),
        {"seconds": 1.0},
        ("direct", "haproxy", "haproxy_log", "kaproxy"),
    ),
    Experiment(
        "idle",
        {"mode": "idle", "conns": 9000, "keep-alive": 60, "setup-limit": 60},
        (
            Figure(
                "kb", "memory per established idle connection", "KB", lambda a: a["kb"], False, own_bar=4.0
            ),
            Figure("cpu", "  CPU of them all, Keep Alive 60", "%", lambda a: a["cpu"], False, own_bar=5.0),
        ),
        {"conns": 2000},
        ("haproxy", "kaproxy"),
        pairs=2,
    ),
)

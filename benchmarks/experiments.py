"""What is measured: one experiment per kind of load, one or more figures from each of its samples.

Bars are the project's own: a ratio kaproxy / HAProxy to reach (or not to exceed), or a figure of kaproxy's
own. An experiment may not know how a relay is started or how a table is printed.
Read next: `idle.py` for the one that does more than call the generator, `report.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from benchmarks import idle, priority
from benchmarks.generator import Generator
from benchmarks.relays import SMALL_CORES, WANTED_CONNECTIONS, Running

Sample: TypeAlias = dict[str, float]


@dataclass(frozen=True)
class Figure:
    """One row of the table. `bar` is for the ratio, `own_bar` for kaproxy's own figure."""

    key: str
    title: str
    unit: str
    from_answer: Callable[[dict[str, Any]], float | None]  # None: this relay has no such figure
    more_is_better: bool = True
    bar: float | None = None
    own_bar: float | None = None
    added: bool = False  # what counts is what a relay adds to the direct figure
    compared: bool = True  # a ratio to HAProxy's says something


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


def late(answer: dict[str, Any]) -> float:
    """Percent of the paced round trips that could not begin, as the one before was not over: stalls show here too."""
    return float(100 * answer["skipped"] / max(1, answer["skipped"] + answer["done"]))


PEERS = ("haproxy", "nginx", "kaproxy", "compiled")
OTHERS = ("bare", "trio_streams", "mitmproxy")
CONTEXT = ("direct", *OTHERS)  # once per experiment: nobody compares with them

# A bar that is near: many short pairs. A machine's speed wanders within minutes, and less from one sample to the next.
STEADY_PAIRS = 7
STEADY_S = 0.5


@dataclass(frozen=True)
class Experiment:
    """One kind of load."""

    key: str
    load: dict[str, object]
    figures: tuple[Figure, ...]
    quick: dict[str, object] = field(default_factory=dict)
    relays: tuple[str, ...] = PEERS
    context: tuple[str, ...] = CONTEXT
    pairs: int = 3
    half_of: str | None = None  # paced at half of what HAProxy did in that experiment, figure "rate"
    real_time: bool = False  # the relay mostly waits, and should not wait for whatever else its core does

    def sample(
        self, generator: Generator, relay: Running, arguments: dict[str, object], core: int | None
    ) -> Sample:
        """Puts the load on `relay` once and reads every figure off it."""
        arguments = {**arguments, **addresses(relay)}
        if self.real_time and relay.pid:
            priority.put_first((relay.pid, *relay.beside))
        if self.load["mode"] == "idle":
            answer = idle.sample(generator, relay, arguments, core)
        else:
            answer = generator.run(arguments, core)
        return {f.key: value for f in self.figures if (value := f.from_answer(answer)) is not None} | {
            "generator_busy": 1 - answer["idle_s"] / answer["seconds"]
        }


def addresses(relay: Running) -> dict[str, object]:
    """Where the generator's clients go and where its broker waits."""
    return {
        "connect": f"127.0.0.1:{relay.port}",
        "listen": f"127.0.0.1:{relay.broker_port}",
        "relay-pid": ",".join(map(str, (relay.pid, *relay.beside))),
    }


def round_trips(conns: int, qos: int = 0, bar: float | None = None) -> Experiment:
    """PUBLISH there and back (at QoS 1: PUBLISH there, PUBACK back), one at a time per connection."""
    seconds = STEADY_S if bar else 1.0
    name = f"round_trips_{conns}" if qos == 0 else f"round_trips_qos{qos}_{conns}"
    what = (
        f"round trips, 100-byte PUBLISH{' at QoS 1' if qos else ''}, {conns:,} connection{'s'[: conns > 1]}"
    )
    return Experiment(
        name,
        {"mode": "pingpong", "conns": conns, "frame": 100, "qos": qos, "seconds": seconds},
        (
            Figure("rate", what, "/s", per_second, bar=bar),
            Figure("cpu", "  relay CPU per round trip", "us", relay_us, more_is_better=False),
        ),
        {"seconds": min(seconds, 0.6)},
        context=CONTEXT if (conns, qos) == (50, 0) else ("direct",),
        pairs=STEADY_PAIRS if bar else 2,
    )


def latency(key: str, title: str, rate: int, half_of: str | None, bar: float | None) -> Experiment:
    """What a relay adds to a round trip at a pace, each quantile the median of those of windows of 0.25 s.

    One stall of the host is a window's 99th percentile, and of a sample it would be as well.
    """
    return Experiment(
        key,
        {"mode": "pingpong", "conns": 200, "frame": 100, "rate": rate, "seconds": 1.5, "windows": 6},
        (
            Figure(
                "p50", f"added latency, {title}, p50", "us", lambda a: a["p50_us"], False, bar, added=True
            ),
            Figure(
                "p99", f"added latency, {title}, p99", "us", lambda a: a["p99_us"], False, bar, added=True
            ),
            Figure("late", "  not sent in time: their client still waited", "%", late, False, compared=False),
        ),
        {"seconds": 0.75, "windows": 3},
        ("direct", *PEERS),
        () if half_of else OTHERS,
        pairs=9 if bar else 3,
        half_of=half_of,
        real_time=half_of is None,  # at half load a relay may ask in a loop: see `priority.py`
    )


def stream(key: str, title: str, load: dict[str, object], bar: float, pairs: int = 3) -> Experiment:
    """PUBLISH one way, as fast as they are taken."""
    return Experiment(
        key,
        {"mode": "stream", "conns": 50, "seconds": 1.0, **load},
        (
            Figure("rate", f"streamed, {title}", "MB/s", megabytes, bar=bar),
            Figure("cpu", "  relay CPU per MB", "us", relay_us_per_megabyte, more_is_better=False),
        ),
        {"seconds": 0.6},
        pairs=pairs,
    )


def workers(
    title: str,
    load: dict[str, object],
    rate: tuple[str, Callable[[dict[str, Any]], float]],
    cpu: tuple[str, Callable[[dict[str, Any]], float]],
) -> Experiment:
    """One worker and two, each with the same small core (`quota.py`), so that the generator is not the limit."""
    return Experiment(
        f"workers_{load['mode']}",
        {"seconds": 0.7, "conns": 64, **load},
        (
            Figure("rate", title, *rate, bar=TWO_WORKERS),
            Figure("cpu", f"  CPU of all processes per {cpu[0]}", "us", cpu[1], more_is_better=False),
        ),
        relays=tuple(sorted(SMALL_CORES)),
        context=(),
        pairs=9,
    )


TWO_WORKERS = 1.7  # of one
TRIPS: dict[str, object] = {"mode": "pingpong", "frame": 100}
CHURN: dict[str, object] = {"mode": "churn"}
#: So many that neither worker runs out of them: the kernel gives a newcomer to either by chance.
CHURN_AMONG_MANY: dict[str, object] = {**CHURN, "conns": 256}
MIXED: dict[str, object] = {"mode": "stream", "frame": 110, "mixed": 1}

CHURNING = Experiment(
    "churn",
    {**CHURN, "conns": 50, "seconds": STEADY_S},
    (
        Figure("rate", "CONNECT + CONNACK + DISCONNECT", "/s", per_second, bar=0.5),
        Figure("cpu", "  relay CPU per such connection", "us", relay_us, more_is_better=False),
    ),
    relays=(*PEERS, "haproxy_log"),
    pairs=STEADY_PAIRS,
)
CHURNING_ASLEEP = Experiment(  # how `CHURNING` would look if the relay woke its peers
    "churn_asleep",
    {**CHURN, "conns": 50, "seconds": 1.0, "sleep": 1},
    (
        Figure("rate", "CONNECT + CONNACK + DISCONNECT, peers that sleep", "/s", per_second),
        Figure("cpu", "  relay CPU per such connection", "us", relay_us, more_is_better=False),
    ),
    {"seconds": 0.6},
    context=(),
    pairs=2,
)
IDLING = Experiment(
    "idle",
    {"mode": "idle", "conns": WANTED_CONNECTIONS, "keep-alive": 60, "setup-limit": 60},
    (
        Figure("kb", "memory per established idle connection", "KB", lambda a: a["kb"], False, own_bar=4.0),
        Figure("count", "idle connections held", "", lambda a: a["count"], own_bar=9000, compared=False),
        Figure("kernel_kb", "  kernel memory of each", "KB", lambda a: a["kernel_kb"], False),
        Figure("cpu", "CPU of 9,000 idle ones, Keep Alive 60", "%", lambda a: a["cpu"], False, own_bar=5.0),
        Figure("lines", "closing lines, all dropped at once", "/s", lambda a: a.get("lines_per_s")),
        Figure("line_cpu", "  relay CPU per ending", "us", lambda a: a.get("line_us"), False),
        Figure(
            "line_bytes",
            "size of such a line",
            "bytes",
            lambda a: a.get("line_bytes"),
            False,
            own_bar=2500,
            compared=False,
        ),
        Figure("judged", "judging and writing it", "us", lambda a: a.get("judged_us"), False, own_bar=300),
    ),
    {"conns": 2000},
    ("haproxy_log", "nginx", "kaproxy", "compiled"),
    (),
    2,
)
EXPERIMENTS = (
    round_trips(1),
    round_trips(50, bar=1.0),
    round_trips(1000, bar=1.0),
    round_trips(4000),
    round_trips(1, qos=1),
    round_trips(50, qos=1),
    round_trips(1000, qos=1),
    latency("latency_low", "1,000 round trips/s", 1000, None, 1.0),
    latency("latency_half", "half of HAProxy's most", 20000, "round_trips_50", None),
    stream("stream_small", "110-byte PUBLISH", {"frame": 110}, 0.6),
    stream("stream_mixed", "PUBLISH of 27 to 192 bytes mixed", {"frame": 110, "mixed": 1}, 0.6),
    stream("stream_large", "64 KB PUBLISH", {"frame": 1 << 16}, 1.0),
    stream("stream_huge", "1 MB PUBLISH", {"frame": 1 << 20, "conns": 20}, 1.0, 2),
    CHURNING,
    CHURNING_ASLEEP,
    IDLING,
    workers("round trips, 100-byte PUBLISH", TRIPS, ("/s", per_second), ("round trip", relay_us)),
    workers("CONNECT + CONNACK + DISCONNECT", CHURN_AMONG_MANY, ("/s", per_second), ("connection", relay_us)),
    workers("streamed, mixed PUBLISH", MIXED, ("MB/s", megabytes), ("MB", relay_us_per_megabyte)),
)

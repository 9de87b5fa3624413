"""Stalls of a broker: many clients' PINGRESP late at once, and those that gave up waiting.

From the warnings ping.slow and ping.unanswered and from drops with the roots broker_slow and broker_silent: a burst
of them over several networks is the broker's; of one network it is that network's; and where kaproxy's own loop was
late at that moment it is kaproxy's. A single slow client never shows. It may not judge a ping.
Read next: `bursts.py`, `proxy.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kaproxy.analysis.findings.asking import SECOND_US, one_of, percent, share_of, span, utc
from kaproxy.analysis.findings.bursts import Burst, Counted, merged, search
from kaproxy.analysis.findings.finding import CONNECTIONS_KEPT, Finding
from kaproxy.analysis.findings.live import live_at
from kaproxy.analysis.store.engine import Engine, Row
from kaproxy.diagnosis.verdict import Cause, Confidence, Owner
from kaproxy.diagnosis.wording import counted, seconds

#: So many connections at least that waited, of this many networks at least where the broker serves several.
FEWEST = 5
#: Answers come together when the broker goes on, up to a Keep Alive after the first that gave up (microseconds).
APART_US = 120 * SECOND_US
MOST_TOLD = 10
_READ = 40_000
#: Of other networks fewer than this (and this part) wait by chance while one network is slow.
_STRAYS, _STRAY_PART = 3, 0.05
_MS = 1000.0
#: Lag of kaproxy's own (ms) that explains waits by itself.
_OWN_MS = 1000.0
_SLOW = "event in ('ping.slow', 'ping.unanswered')"
_GAVE_UP = f"cause = '{Cause.PING_TIMEOUT}' and root in ('broker_slow', 'broker_silent')"


class Wait(NamedTuple):
    """A PINGREQ that waited: from when, until when it was answered or given up."""

    conn_id: str
    process: str
    client: str
    net: str
    began_us: int
    ended_us: int
    dropped: bool


@dataclass(frozen=True, slots=True)
class Stall:
    """One broker's."""

    broker: str
    waits: tuple[Wait, ...]
    live: int = 0

    @property
    def start_us(self) -> int:
        """The first PINGREQ that was not answered in time."""
        return min(each.began_us for each in self.waits)

    @property
    def end_us(self) -> int:
        """When the last answer came, or the last client gave up."""
        return max(each.ended_us for each in self.waits)

    @property
    def connections(self) -> list[str]:
        """Those that waited, the first first; the same name in two logs is two connections."""
        return _connections(self.waits)

    @property
    def drops(self) -> list[str]:
        """Those that gave up."""
        return _connections(each for each in self.waits if each.dropped)


def _connections(waits: Iterable[Wait]) -> list[str]:
    return [conn_id for conn_id, _ in dict.fromkeys((each.conn_id, each.process) for each in waits)]


def find(engine: Engine) -> list[Finding]:
    """The stalls of every broker, by time."""
    whole = span(engine)
    if not whole.lines:
        return []
    brokers = _brokers(engine)
    slow = Counted("{warnings}", "at_us", ("source", "worker"), _SLOW)
    gave_up = Counted("{drops}", "ended_us", ("broker_addr",), _GAVE_UP)
    bursts = [
        Burst((broker,), each.start_us, each.end_us, each.count)
        for each in search(engine, slow, whole.seconds)
        if (broker := brokers.get(each.key)) is not None
    ]
    bursts += search(engine, gave_up, whole.seconds)
    stalls = [_stall(engine, each, brokers) for each in _by_broker(bursts)]
    kept = [
        each for each in stalls if len(each.connections) >= FEWEST and not _own_lag(engine, each, brokers)
    ]
    kept = sorted(kept, key=lambda each: -len(each.connections))[:MOST_TOLD]
    live = live_at(engine, [((each.broker,), each.start_us) for each in kept])
    told = [Stall(each.broker, each.waits, count) for each, count in zip(kept, live, strict=True)]
    return [_finding(engine, each) for each in sorted(told, key=lambda each: each.start_us)]


def _brokers(engine: Engine) -> dict[tuple[str, ...], str]:
    """(source, worker) -> the broker most of its connections went to; a worker has one at a time."""
    rows = engine.rows(
        "select source, worker, broker_addr, sum(lines) as many from {clients} as clients "
        "group by source, worker, broker_addr order by many, broker_addr"
    )
    return {(str(source), str(worker)): str(broker) for source, worker, broker, _ in rows}


def _by_broker(bursts: Sequence[Burst]) -> list[Burst]:
    """Bursts of one broker that overlap, whichever process told of them."""
    return [
        burst
        for key in sorted({each.key for each in bursts})
        for burst in merged([each for each in bursts if each.key == key], APART_US)
    ]


def _processes(engine: Engine, broker: str, brokers: dict[tuple[str, ...], str]) -> str:
    """Condition: a line of a process before this broker."""
    mine = [key for key, value in brokers.items() if value == broker]
    sources, workers = one_of(engine, "source", {key[0] for key in mine}), {key[1] for key in mine}
    return f"{sources} and {one_of(engine, 'worker', workers)}"


def _stall(engine: Engine, burst: Burst, brokers: dict[tuple[str, ...], str]) -> Stall:
    (broker,) = burst.key
    warned = engine.rows(
        "select conn_id, source, worker, client_id, client_net, at_us, coalesce(ping_rtt_ms, ping_wait_s * 1000) "
        "from {warnings} "
        f"where {_SLOW} and {_processes(engine, broker, brokers)} and at_us >= {burst.start_us} "
        f"and at_us < {burst.end_us} order by at_us, conn_id limit {_READ}"
    )
    closed = engine.rows(
        "select conn_id, source, worker, client_id, client_net, ended_us, ping_wait_s * 1000 from {drops} "
        f"where {_GAVE_UP} and {one_of(engine, 'broker_addr', [broker])} and ended_us >= {burst.start_us} "
        f"and ended_us < {burst.end_us} order by ended_us, conn_id limit {_READ}"
    )
    waits = (*_waits(warned, dropped=False), *_waits(closed, dropped=True))
    return Stall(broker, tuple(sorted(waits, key=lambda each: (each.began_us, each.conn_id, each.process))))


def _waits(rows: Iterable[Row], *, dropped: bool) -> Iterable[Wait]:
    for conn_id, source, worker, client, net, at_us, waited in rows:
        began = int(at_us - (waited or 0.0) * _MS)
        yield Wait(str(conn_id), f"{source}/{worker}", str(client), str(net), began, int(at_us), dropped)


def _own_lag(engine: Engine, stall: Stall, brokers: dict[tuple[str, ...], str]) -> bool:
    """Was kaproxy itself late then? Its own pause makes every PINGRESP late."""
    if not stall.waits:
        return False
    (worst,) = engine.rows(
        "select max(lag_ms) from {warnings} where event = 'proxy.lagging' "
        f"and {_processes(engine, stall.broker, brokers)} and at_us >= {stall.start_us} "
        f"and at_us <= {stall.end_us + SECOND_US}"
    )[0]
    return worst is not None and worst >= _OWN_MS


def _finding(engine: Engine, stall: Stall) -> Finding:
    nets = Counter({(each.conn_id, each.process): each.net for each in stall.waits}.values())
    ((net, most),) = nets.most_common(1)
    narrow = nets.total() - most < max(_STRAYS, _STRAY_PART * nets.total()) and 2 * nets.total() < stall.live
    several = narrow and _networks(engine, stall.broker) > 1
    lasted = (stall.end_us - stall.start_us) / SECOND_US
    waited, gave_up = len(stall.connections), len(stall.drops)
    longest = max(each.ended_us - each.began_us for each in stall.waits) / SECOND_US
    who = (
        f"{counted(waited, 'connection')}, {percent(waited, stall.live)} of those live"
        if stall.live
        else f"{waited}"
    )
    title = (
        f"{utc(stall.start_us)} network {net}: {stall.broker} answered pings late for {seconds(round(lasted, 1))}"
        if several
        else f"{utc(stall.start_us)} {stall.broker} stood still for {seconds(round(lasted, 1))}"
    )
    return Finding(
        "slow_network" if several else "broker_stall",
        f"{title}: {who}, waited up to {seconds(round(longest, 1))}, and {gave_up} gave up",
        Owner.PATH if several else Owner.BROKER,
        Confidence.UNCLEAR if narrow else Confidence.LIKELY,
        "Look at what these clients share on their way."
        if several
        else "Look at the broker's host at this moment: disk, memory, a save of its database, a pause of its runtime.",
        "Far more pings waited at once than in the hours around"
        + (
            ", all of one network."
            if narrow
            else f", of {len(nets)} networks, and kaproxy itself was in time."
        ),
        drops=gave_up,
        subject=net if several else stall.broker,
        numbers={
            "lasted_s": round(lasted, 3),
            "waited": waited,
            "gave_up": gave_up,
            "wait_max_s": round(longest, 3),
            "live_before": stall.live,
            "waited_share": share_of(waited, stall.live),
            "networks": len(nets),
        },
        connections=tuple(dict.fromkeys((*stall.drops, *stall.connections)))[:CONNECTIONS_KEPT],
        first_us=stall.start_us,
        last_us=stall.end_us,
    )


def _networks(engine: Engine, broker: str) -> int:
    """From how many networks that broker's clients come."""
    where = one_of(engine, "broker_addr", [broker])
    return int(
        engine.rows(f"select count(distinct client_net) from {{clients}} as clients where {where}")[0][0]
    )

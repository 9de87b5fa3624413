"""What only the logs of several proxies together tell is told alike on a laptop and by a cluster.

One broker behind two proxies on two hosts, each with two workers; conn_ids are told twice, once in each log.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any, TypeAlias

import orjson
import pytest

from kaproxy.analysis.findings import fights, incidents, margins, stalls
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.store.clickhouse import connect
from kaproxy.analysis.store.copying import copy
from kaproxy.analysis.store.duck import DuckEngine
from kaproxy.analysis.store.engine import Engine
from tests.analysis.findings.table import at, table
from tests.analysis.store.cluster import fresh, together
from tests.peers.clickhouse import Server

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("clickhouse"), pytest.mark.timeout(200)]

Row: TypeAlias = dict[str, Any]
Ask: TypeAlias = Callable[[Callable[[Engine], list[Finding]]], list[Finding]]

PROXIES = ("a.jsonl", "b.jsonl")
DAY = 86_400.0
OUTAGE_AT, STALL_AT = 50_000.2, 20_000.0
LOST = {"cause": "broker_closed", "closed_by": "broker", "close_how": "fin"}


def _proxy(number: int) -> Row:
    """Which of the two proxies and of its two workers."""
    return {"source": PROXIES[number % 2], "worker": f"w{number // 2 % 2}"}


def _ordinary() -> Iterator[Row]:
    """A day in which clients come and go, and a few drop at random."""
    rng = Random(1)
    for number in range(300):
        cause = {"cause": "client_reset"} if number < 20 else {}
        ends = rng.uniform(700, DAY)
        yield {
            "client_id": f"gauge-{number}",
            "conn_id": f"o{number}",
            **_proxy(number),
            "ended_us": at(ends),
        } | cause


def _outage() -> Iterator[Row]:
    """Forty clients of both proxies drop at once; the n-th connection of each proxy is called alike."""
    rng = Random(2)
    for number in range(40):
        opened = at(OUTAGE_AT - rng.uniform(3600, 40_000))
        ended = at(OUTAGE_AT + 0.01 * number)
        who = {"client_id": f"press-{number}", "conn_id": f"twice-{number // 2}", **_proxy(number)}
        yield who | LOST | {"opened_us": opened, "ended_us": ended}
        yield who | {"conn_id": f"back-{number}", "opened_us": ended + 3_000_000, "ended_us": at(DAY)}


def _turns(client: str, who: Callable[[int], Row], ahead_s: float = 0.0) -> Iterator[Row]:
    """Two clients of one identifier that take turns every ten seconds; neither proxy sees both.

    `ahead_s`: by how much the second proxy's clock is ahead.
    """
    for number in range(12):
        side = number % 2
        moment = 30_000 + 10 * number + ahead_s * side
        yield {
            "client_id": client,
            "conn_id": f"{client}-{number // 2}",
            "client_addr": f"10.{side}.0.7",
            "keep_alive": 60 - 45 * side,
            "silence_s": 2.0,
            "opened_us": at(moment - 0.005),
            "ended_us": at(moment + 10),
            **LOST,
            **who(number),
        }


def _two_brokers(number: int) -> Row:
    """An identifier of its own at each of two brokers: no fight."""
    return _proxy(number % 2) | {"broker_addr": f"broker-{number % 2}:1883"}


def _stall() -> tuple[list[Row], list[Row]]:
    """Sixty connections of both proxies that all wait from one moment on; each conn_id is told by both proxies."""
    closed, warned = [], []
    for number in range(60):
        who = {
            "conn_id": f"twin-{number // 2}",
            "client_id": f"valve-{number}",
            "client_net": f"10.0.{number % 4}.0/24",
            **_proxy(number),
        }
        closed.append(who | {"opened_us": at(0), "ended_us": at(DAY + number)})
        slow = who | {"event": "ping.slow", "ping_rtt_ms": 60_000.0, "at_us": at(STALL_AT + 60)}
        warned.append(slow | {"fields": orjson.dumps(who).decode()})
    return closed, warned


def _thin() -> tuple[list[Row], list[Row]]:
    """A connection that nearly expired, and one of the same conn_id in the other log that did expire."""
    late = {
        "event": "keep_alive.late",
        "conn_id": "namesake",
        "gap_s": 89.9,
        "margin_s": 0.1,
        "keep_alive": 60,
    }
    rows = [
        late | {"client_id": f"{kind}-1", "at_us": at(40_000 + 90 * step), **_proxy(proxy)}
        for proxy, kind in enumerate(("pump", "belt"))
        for step in range(6)
    ]
    expired = {
        "cause": "keep_alive_timeout",
        "closed_by": "broker",
        "close_how": "fin",
        "silence_counted_s": 91.0,
    }
    ended = {"client_id": "belt-1", "conn_id": "namesake", "ended_us": at(41_000), **_proxy(1)}
    return [ended | expired], [row | {"fields": orjson.dumps(row).decode()} for row in rows]


def _rows() -> tuple[list[Row], list[Row]]:
    (stalled, slow), (expired, late) = _stall(), _thin()
    fought = [
        *_turns("torn", lambda number: _proxy(number % 2)),
        *_turns("skewed", lambda number: _proxy(number % 2), ahead_s=0.4),
        *_turns("workers", lambda number: {"source": PROXIES[0], "worker": f"w{number % 2}"}),
        *_turns("apart", _two_brokers),
    ]
    return [*_ordinary(), *_outage(), *fought, *stalled, *expired], [*slow, *late]


def _part(source: str | None = None) -> DuckEngine:
    """The rows of one proxy, or of both."""
    return table(*([row for row in rows if source in (None, row["source"])] for rows in _rows()))


WAYS = ("a laptop", "two old servers", "a modern server")


@pytest.fixture(scope="module")
def engines(debian_pair: list[Server], modern: Server) -> Iterator[Mapping[str, Engine]]:
    """Both logs, asked in every way."""
    for server, source in zip(debian_pair, PROXIES, strict=True):
        with _part(source) as part:
            copy(part, fresh(server, "proxies"))
    with _part() as laptop:
        copy(laptop, fresh(modern, "proxies"))
        yield {
            "a laptop": laptop,
            "two old servers": connect(together(debian_pair, "proxies")),
            "a modern server": connect(f"http://127.0.0.1:{modern.http}/proxies"),
        }


@pytest.fixture(params=WAYS)
def ask(engines: Mapping[str, Engine], request: pytest.FixtureRequest) -> Ask:
    """What a finder finds, after it was seen to be the same as on a laptop."""

    def asked(find: Callable[[Engine], list[Finding]]) -> list[Finding]:
        found = find(engines[request.param])
        assert [dataclasses.asdict(each) for each in found] == [
            dataclasses.asdict(each) for each in find(engines["a laptop"])
        ]
        return found

    return asked


def test_a_fight_is_seen_whose_takeovers_no_proxy_and_no_worker_saw(ask: Ask) -> None:
    found = {each.subject: each for each in ask(fights.find)}
    assert set(found) == {"torn", "skewed", "workers"}
    for each in found.values():
        assert each.numbers["seen_by_no_proxy_alone_share"] == 1.0
        assert each.numbers["takeovers"] == 11
        assert each.numbers["differs"] == ["client_addr", "keep_alive"]


@pytest.mark.parametrize("source", PROXIES)
def test_neither_proxys_log_alone_tells_of_the_fight_between_them(source: str) -> None:
    with _part(source) as alone:
        assert not {"torn", "skewed"} & {each.subject for each in fights.find(alone)}


def test_drops_at_both_proxies_are_one_incident_in_which_everybody_counts_once(ask: Ask) -> None:
    (found,) = [each for each in ask(incidents.find) if each.kind == "incident"]
    assert (found.drops, found.numbers["clients"], found.numbers["clients_back"]) == (40, 40, 40)
    assert found.numbers["proxies"] == [f"{source}/w{worker}" for source in PROXIES for worker in (0, 1)]
    assert found.first_us == at(OUTAGE_AT)
    assert int(str(found.numbers["live_before"])) >= 100


@pytest.mark.parametrize("source", PROXIES)
def test_either_proxys_log_alone_tells_of_half_the_incident(source: str) -> None:
    with _part(source) as alone:
        (found,) = [each for each in incidents.find(alone) if each.kind == "incident"]
    assert found.drops == 20


def test_a_stall_is_one_over_both_proxies_and_connections_called_alike_are_two(ask: Ask) -> None:
    (found,) = ask(stalls.find)
    assert found.kind == "broker_stall"
    assert found.numbers["waited"] == 60


def test_a_connection_is_not_taken_for_its_namesake_in_another_log(ask: Ask) -> None:
    groups = {each.subject: each for each in ask(margins.find)}
    assert "pump-#" in groups
    assert "belt-#" not in groups


def test_connections_called_alike_are_all_there(engines: Mapping[str, Engine]) -> None:
    sql = "select count(*), count(distinct source) from {closed} where conn_id = 'twice-3'"
    assert {way: engine.rows(sql) for way, engine in engines.items()} == {way: [(2, 2)] for way in WAYS}

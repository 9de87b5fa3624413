"""Real ClickHouse servers hold the same rows as DuckDB, and find the same in them with the same numbers.

Two of Debian's 18.16 hold the logs of some proxies each and answer as one: the first reads the raw lines itself, as a
shipper writes them, into the second they are copied. A modern one, from the chdb library, reads them all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

from kaproxy.analysis.findings import FINDERS, bursts, find_all
from kaproxy.analysis.fleet_what_if import what_if
from kaproxy.analysis.store.clickhouse import Address, connect, post
from kaproxy.analysis.store.columns import TABLES
from kaproxy.analysis.store.copying import copy
from kaproxy.analysis.store.duck import DuckEngine
from kaproxy.analysis.store.engine import Engine, EngineError, Row
from kaproxy.analysis.store.filters import Filters
from kaproxy.analysis.store.opening import load, memory_engine
from tests.analysis.store.cluster import fresh, plain, rounded, rows_of, same, ship, together
from tests.peers.clickhouse import Server

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("clickhouse"), pytest.mark.timeout(400)]

T = TypeVar("T")
#: 2026-05-04 00:00:00 UTC.
START_US = 1_777_852_800_000_000


class Bench(NamedTuple):
    """A fleet's logs on a laptop, on two old servers that each have some of them, and on a modern one."""

    laptop: DuckEngine
    old: list[Server]
    modern: Server
    known: dict[str, Any]

    def expected(self, what: str, ask: Callable[[DuckEngine], T]) -> T:
        """What the laptop says, asked once."""
        if what not in self.known:
            self.known[what] = ask(self.laptop)
        found: T = self.known[what]
        return found

    @property
    def urls(self) -> Mapping[str, str]:
        """Every way to ask the whole fleet, by what it shows."""
        return {
            "two old servers, named": together(self.old, "fleet"),
            "two old servers, a cluster": f"http://127.0.0.1:{self.old[1].http}/fleet?cluster=pair",
            "a modern server": f"http://127.0.0.1:{self.modern.http}/fleet",
        }


@pytest.fixture(scope="module")
def bench(debian_pair: list[Server], modern: Server, fleet_logs: list[Path]) -> Iterator[Bench]:
    """All of it."""
    with load(_names(fleet_logs)) as laptop:
        with load(_names(fleet_logs[1::2])) as part:
            copy(part, fresh(debian_pair[1], "fleet"))
        for server, logs in ((debian_pair[0], fleet_logs[::2]), (modern, fleet_logs)):
            fresh(server, "fleet")
            for log in logs:
                ship(server, "fleet", str(log), log.read_bytes().splitlines())
        yield Bench(laptop, debian_pair, modern, {})


def _names(paths: Iterable[Path]) -> list[str]:
    return [str(path) for path in paths]


WAYS = ("two old servers, named", "two old servers, a cluster", "a modern server")


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize("table", TABLES)
def test_every_cell_is_the_same_as_on_a_laptop(bench: Bench, way: str, table: str) -> None:
    expected = bench.expected(f"rows of {table}", lambda laptop: rows_of(laptop, table, every=3))
    with connect(bench.urls[way]) as servers:
        found = rows_of(servers, table, every=3)
    assert len(found) == len(expected) > 100
    if "old" in way:
        found, expected = rounded(found), rounded(expected)
    assert [pair for pair in zip(found, expected, strict=True) if pair[0] != pair[1]][:1] == []


def _found(engine: Engine) -> list[dict[str, Any]]:
    return [dataclasses.asdict(each) for each in find_all(engine)]


@pytest.mark.parametrize("way", WAYS)
def test_every_finder_finds_the_same_with_the_same_numbers(bench: Bench, way: str) -> None:
    expected = bench.expected("findings", _found)
    with connect(bench.urls[way]) as servers:
        found = _found(servers)
    assert not [each["title"] for each in found if each["kind"] == "analysis_failed"]
    assert [each["title"] for each in found] == [each["title"] for each in expected]
    assert plain(found) == same(expected)
    assert len(expected) >= len(FINDERS)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_counted_by_the_hour_begins_with_the_hour(bench: Bench, way: str) -> None:
    """18.16 gives the remainder of a division by a number of 32 bits as 32 bits with a sign."""
    windows = bursts.Counted("{closed}", "ended_us", ("broker_addr",), "clean = 0").windows(bursts.HOUR_S, 1)
    found = sorted(connect(bench.urls[way]).rows(windows))
    assert found == bench.expected("hours", lambda laptop: sorted(laptop.rows(windows)))
    assert {start % (bursts.HOUR_S * 1_000_000) for _, start, _ in found} == {0}


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize("question", ["keep_alive=45", "window=1.25"])
def test_the_whole_fleet_answers_what_if_alike(bench: Bench, way: str, question: str) -> None:
    expected = bench.expected(question, lambda laptop: dataclasses.asdict(what_if(laptop, question)))
    assert plain(dataclasses.asdict(what_if(connect(bench.urls[way]), question))) == same(expected)


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize(
    "filters",
    [
        Filters.of(client="gateway-3"),
        Filters.of(client="*_?[0-9]"),
        Filters.of(client="*-1?"),
        Filters.of(cause="takeover/two_clients"),
        Filters.of(since="6h", until="30m"),
    ],
    ids=["client", "no client", "clients", "cause", "span"],
)
def test_what_is_asked_for_is_the_same(bench: Bench, way: str, filters: Filters) -> None:
    expected = bench.expected(repr(filters), lambda laptop: _asked(laptop, filters))
    with connect(bench.urls[way], filters) as servers:
        assert [_which(servers, table) for table in TABLES] == expected


def _asked(laptop: DuckEngine, filters: Filters) -> list[list[Row]]:
    laptop.ask_for(filters)
    try:
        return [_which(laptop, table) for table in TABLES]
    finally:
        laptop.ask_for(Filters())


def _which(engine: Engine, table: str) -> list[Row]:
    return sorted(engine.rows(f"select source, event, conn_id, at_us from {{{table}}}"), key=repr)


@pytest.fixture
def apart(bench: Bench) -> str:
    """The URL of an empty database."""
    return fresh(bench.old[0], "apart")


def _turn(number: int) -> dict[str, object]:
    """A connection of one of two clients that take turns, each through a proxy of its own that sees no takeover."""
    side = number % 2
    return {
        "event": "connection.closed",
        "source": f"proxy-{side}.log",
        "worker": f"proxy-{side}",
        "conn_id": f"torn-{number}",
        "client_id": "torn",
        "client_addr": f"10.{side}.0.7",
        "keep_alive": 60 - 45 * side,
        "protocol_version": "3.1.1",
        "cause": "broker_closed",
        "closed_by": "broker",
        "silence_s": 2.0,
        "opened_us": START_US + number * 10_000_000 - 5_000,
        "ended_us": START_US + (number + 1) * 10_000_000,
        "at_us": START_US + (number + 1) * 10_000_000,
        "duration_s": 10.005,
    }


def test_a_line_that_is_brought_twice_is_one_row(apart: str) -> None:
    for _ in range(2):
        with memory_engine([_turn(0)]) as part:
            copy(part, apart)
    assert connect(apart).rows("select count(*) from {closed}") == [(1,)]
    assert connect(f"{apart}?final=0").rows("select count(*) from {closed}") == [(2,)]


def test_texts_with_tabs_line_ends_and_backslashes_arrive_whole(apart: str) -> None:
    text = "a\tb\nc\\d\r'e\\N\u00fc"
    with memory_engine([_turn(0) | {"client_id": text, "explanation": ""}]) as part:
        copy(part, apart)
    sql = "select client_id, explanation, advice from {closed} where client_id is not null"
    assert connect(apart).rows(sql) == [(text, "", None)]


@pytest.mark.parametrize("way", WAYS)
def test_the_servers_say_in_one_line_what_is_wrong_with_a_query(bench: Bench, way: str) -> None:
    with pytest.raises(EngineError) as error:
        connect(bench.urls[way]).rows("select nope from {closed}")
    assert "nope" in str(error.value)
    assert "\n" not in str(error.value)
    assert "Stack" not in str(error.value)


def test_nothing_can_be_written_through_the_engine(bench: Bench) -> None:
    with pytest.raises(EngineError, match="Code: 164"):
        post(Address.of(bench.old[0].url), "DROP TABLE closed", {"readonly": "2"})


def test_a_user_who_may_only_read_is_enough(bench: Bench) -> None:
    one = bench.urls["two old servers, named"].partition("?")[0]
    reader = connect(one.replace("127", "reader@127"))
    assert reader.rows("select count(*) > 0 from {closed}") == [(1,)]


def test_user_and_password_of_the_url_hold_on_all_servers_and_are_told_by_none(bench: Bench) -> None:
    known = bench.urls["two old servers, named"].replace("127", "someone:not%20so%20secret@127", 1)
    assert connect(known).rows("select count(*) > 0 from {closed}") == [(1,)]
    with pytest.raises(EngineError) as error:
        connect(known.replace("not%20so", "no"))
    assert "secret" not in str(error.value)


def test_a_database_without_the_tables_says_how_they_are_made(bench: Bench) -> None:
    with pytest.raises(EngineError, match="config/clickhouse"):
        connect(bench.old[0].fresh("bare"))

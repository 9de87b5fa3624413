"""Real ClickHouse servers hold the same rows as DuckDB, and find the same in them with the same numbers.

Two of Debian's 18.16 hold the logs of some proxies each and answer as one; a modern one, from the chdb library,
reads the raw lines itself, as a shipper writes them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest

from kaproxy.analysis.findings import FINDERS, fights, find_all
from kaproxy.analysis.fleet_what_if import what_if
from kaproxy.analysis.logs import FOREIGN, NOT_JSON, TORN
from kaproxy.analysis.store.clickhouse import Address, connect, post
from kaproxy.analysis.store.columns import TABLES
from kaproxy.analysis.store.copying import copy
from kaproxy.analysis.store.duck import DuckEngine
from kaproxy.analysis.store.engine import Engine, EngineError, Row
from kaproxy.analysis.store.filters import Filters
from kaproxy.analysis.store.opening import load, memory_engine
from tests.analysis import scene
from tests.diagnosis.cases import CASES
from tests.fleets import fleet
from tests.peers.clickhouse import Server, debian_servers, modern_server

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("clickhouse"), pytest.mark.timeout(400)]
#: What these find is not yet the same everywhere: docs/analysis.md says so.
NOT_YET = ("incidents",)
COMPARED = tuple(each for each in FINDERS if each[0] not in NOT_YET)

SQL = Path(__file__).parents[3] / "config" / "clickhouse"
LINES, SEED = 12_000, 1
#: 2026-05-04 00:00:00 UTC.
START_US = 1_777_852_800_000_000


class Bench(NamedTuple):
    """A fleet's logs on a laptop, on two old servers that each have some of them, and on a modern one."""

    laptop: DuckEngine
    old: list[Server]
    modern: Server

    @property
    def together(self) -> str:
        """The URL of both old servers as one."""
        return f"{self.old[0].url}?remote=" + ",".join(f"127.0.0.1:{each.native}" for each in self.old)

    @property
    def urls(self) -> Mapping[str, str]:
        """Every way to ask the whole fleet, by what it shows."""
        return {
            "two old servers, named": self.together,
            "two old servers, a cluster": f"{self.old[1].url}?cluster=pair",
            "a modern server": self.modern.url,
        }


@pytest.fixture(scope="module")
def bench(require: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """All of it; about half a minute on a busy machine."""
    require("clickhouse-server", "chdb")
    folder = tmp_path_factory.mktemp("clickhouse")
    whole = folder / "fleet.jsonl"
    fleet.write(whole, LINES, SEED)
    logs = fleet.write_by_worker(folder, whole)
    with debian_servers(folder, 2) as old, modern_server(folder) as modern, load(_names(logs)) as laptop:
        for server, half in zip(old, (logs[0::2], logs[1::2]), strict=True):
            server.make(SQL / "tables-18.16.sql")
            with load(_names(half)) as part:
                copy(part, server.url)
        prepare(modern)
        for log in logs:
            ship(modern, str(log), log.read_bytes().splitlines())
        yield Bench(laptop, old, modern)


def prepare(modern: Server) -> None:
    """Tables and views; without TTL, since the logs of tests are older than what a server keeps."""
    modern.make(SQL / "tables.sql")
    modern.make(SQL / "lines.sql")
    for table in TABLES:
        modern.tell(f"ALTER TABLE {table} REMOVE TTL")


def ship(server: Server, source: str, lines: Iterable[bytes]) -> None:
    """Write raw lines as Vector does."""
    rows = b"".join(
        orjson.dumps({"source": source, "line": line.decode(errors="replace")}) + b"\n" for line in lines
    )
    server.tell(f"INSERT INTO lines FORMAT JSONEachRow\n{rows.decode()}")


def _names(paths: Iterable[Path]) -> list[str]:
    return [str(path) for path in paths]


def rows_of(engine: Engine, table: str, without: Sequence[str] = ("line_no",)) -> list[Row]:
    """All rows but for what a shipper does not know, in one order."""
    names = [column.name for column in TABLES[table] if column.name not in without]
    known = "ended_us is not null" if table == "closed" else "at_us is not null"
    return sorted(engine.rows(f"select {', '.join(names)} from {{{table}}} where {known}"), key=repr)


def rounded(rows: list[Row]) -> list[Row]:
    """Without the last digits of decimal fractions, which 18.16 reads a last bit off where it reads text."""
    return [tuple(float(f"{each:.12g}") if isinstance(each, float) else each for each in row) for row in rows]


def same(value: object) -> object:
    """Numbers that were added up in another order may differ in their last digits."""
    if isinstance(value, float):
        return pytest.approx(value, rel=1e-9, abs=1e-9)
    if isinstance(value, Mapping):
        return {name: same(each) for name, each in value.items()}
    return [same(each) for each in value] if isinstance(value, list | tuple) else value


def plain(value: object) -> object:
    """The same with lists for tuples."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


WAYS = ("two old servers, named", "two old servers, a cluster", "a modern server")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("table", TABLES)
def test_every_cell_is_the_same_as_on_a_laptop(bench: Bench, way: str, table: str) -> None:
    expected = rows_of(bench.laptop, table)
    with connect(bench.urls[way]) as servers:
        found = rows_of(servers, table)
    assert len(found) == len(expected) > 100
    if "old" in way:
        found, expected = rounded(found), rounded(expected)
    assert [pair for pair in zip(found, expected, strict=True) if pair[0] != pair[1]][:1] == []


@pytest.mark.parametrize("way", WAYS)
def test_every_finder_finds_the_same_with_the_same_numbers(bench: Bench, way: str) -> None:
    expected = [dataclasses.asdict(each) for each in find_all(bench.laptop, finders=COMPARED)]
    with connect(bench.urls[way]) as servers:
        found = [dataclasses.asdict(each) for each in find_all(servers, finders=COMPARED)]
    assert not [each["title"] for each in found if each["kind"] == "analysis_failed"]
    assert [each["title"] for each in found] == [each["title"] for each in expected]
    assert plain(found) == same(expected)
    assert len(expected) >= len(FINDERS)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("question", ["keep_alive=45", "window=1.25"])
def test_the_whole_fleet_answers_what_if_alike(bench: Bench, way: str, question: str) -> None:
    expected = dataclasses.asdict(what_if(bench.laptop, question))
    assert plain(dataclasses.asdict(what_if(connect(bench.urls[way]), question))) == same(expected)


@pytest.mark.parametrize("way", WAYS)
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
    bench.laptop.ask_for(filters)
    try:
        expected = [rows_of(bench.laptop, table) for table in TABLES]
    finally:
        bench.laptop.ask_for(Filters())
    with connect(bench.urls[way], filters) as servers:
        found = [rows_of(servers, table) for table in TABLES]
    assert [rounded(rows) for rows in found] == [rounded(rows) for rows in expected]


@pytest.fixture
def apart(bench: Bench) -> list[str]:
    """The URLs of an empty database on each of the old servers."""
    for server in bench.old:
        server.tell("DROP DATABASE IF EXISTS apart")
        server.tell("CREATE DATABASE apart")
        server.make(SQL / "tables-18.16.sql", "apart")
    return [server.url.replace("/default", "/apart") for server in bench.old]


def test_a_fight_with_its_sides_on_two_servers_is_seen_on_both_together_as_on_a_laptop(
    bench: Bench, apart: list[str]
) -> None:
    lines = [_turn(number) for number in range(12)]
    for number, url in enumerate(apart):
        with memory_engine(lines[number::2]) as part:
            assert copy(part, url) == {"closed": 6, "warned": 0}
    with memory_engine(lines) as laptop:
        (expected,) = fights.find(laptop)
    both = bench.together.replace("/default", "/apart")
    assert [dataclasses.asdict(each) for each in fights.find(connect(both))] == [dataclasses.asdict(expected)]
    assert [fights.find(connect(url)) for url in apart] == [[], []]
    assert (expected.subject, expected.numbers["seen_by_no_proxy_alone_share"]) == ("torn", 1.0)


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


def test_a_line_that_is_brought_twice_is_one_row(bench: Bench, apart: list[str]) -> None:
    for _ in range(2):
        with memory_engine([_turn(0)]) as part:
            copy(part, apart[0])
    assert connect(apart[0]).rows("select count(*) from {closed}") == [(1,)]
    assert connect(f"{apart[0]}?final=0").rows("select count(*) from {closed}") == [(2,)]


def test_texts_with_tabs_line_ends_and_backslashes_arrive_whole(apart: list[str]) -> None:
    text = "a\tb\nc\\d\r'e\\N\u00fc"
    with memory_engine([_turn(0) | {"client_id": text, "explanation": ""}]) as part:
        copy(part, apart[0])
    sql = "select client_id, explanation, advice from {closed} where client_id is not null"
    assert connect(apart[0]).rows(sql) == [(text, "", None)]


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
    reader = connect(bench.old[0].url.replace("127", "reader@127"))
    assert reader.rows("select count(*) > 0 from {closed}") == [(1,)]


def test_user_and_password_of_the_url_hold_on_all_servers_and_are_told_by_none(bench: Bench) -> None:
    known = bench.together.replace("127", "someone:not%20so%20secret@127", 1)
    assert connect(known).rows("select count(*) > 0 from {closed}") == [(1,)]
    with pytest.raises(EngineError) as error:
        connect(known.replace("not%20so", "no"))
    assert "secret" not in str(error.value)


def test_a_database_without_the_tables_says_how_they_are_made(bench: Bench) -> None:
    bench.old[0].tell("CREATE DATABASE IF NOT EXISTS bare")
    with pytest.raises(EngineError, match="config/clickhouse"):
        connect(bench.old[0].url.replace("/default", "/bare"))


@pytest.fixture(scope="module")
def shipped(require: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A modern server of its own, for single lines."""
    require("chdb")
    with modern_server(tmp_path_factory.mktemp("shipped")) as server:
        prepare(server)
        yield server


def test_every_shape_of_a_closing_line_gives_the_same_row_on_both(shipped: Server, tmp_path: Path) -> None:
    lines = [orjson.dumps(scene.closed(case.evidence) | {"conn_id": name}) for name, case in CASES.items()]
    lines += [lines[0].replace(b"10.1.2.3", address) for address in (b"fd00:1:2:3:4:5:6:7", b"fd00::7")]
    lines[-2:] = [
        line.replace(b'"conn_id":"', b'"conn_id":"%d' % each) for each, line in enumerate(lines[-2:])
    ]
    lines[1] = b"2026-04-24T03:10:00.1Z stdout F " + lines[1]
    lines[2] = orjson.dumps({"log": lines[2].decode() + "\n", "stream": "stdout"})
    log = tmp_path / "cases.log"
    log.write_bytes(b"\n".join(lines) + b"\n")
    ship(shipped, str(log), lines)
    with load([str(log)]) as laptop:
        expected = rows_of(laptop, "closed")
    assert len(expected) == len(lines)
    assert rows_of(connect(shipped.url), "closed") == expected


def test_a_line_that_gives_no_row_is_kept_with_what_it_is(shipped: Server) -> None:
    odd = {
        b"hello": NOT_JSON,
        b'{"event":"connection.closed","schema":1,"conn_id': TORN,
        b'{"msg":"hello"}': FOREIGN,
        b'{"event":"x","schema":2}': "of schema 2",
        b'{"event":"connection.closed","schema":1,"conn_id":"c"}': "a line without its times",
    }
    ship(shipped, "odd.log", [*odd, b"", b" \t"])
    answer = shipped.tell("SELECT line, what FROM not_understood FORMAT JSONCompactEachRow")
    assert {tuple(orjson.loads(row)) for row in answer.splitlines()} == {
        (line.decode(), what) for line, what in odd.items()
    }


def test_the_hourly_buckets_are_those_of_the_rows(bench: Bench) -> None:
    sql = (
        "select ended_us - ended_us % 3600000000 as hour, cause, coalesce(root, ''), broker_addr, "
        "cast(floor(log2(duration_s + 0.000001) * 32) as {INT}) as bucket, count(*) from {closed} "
        "where duration_s >= 0 group by hour, cause, root, broker_addr, bucket"
    )
    kept = (
        "SELECT toInt64(hour) * 1000000, cause, root, broker_addr, bucket, sum(n) FROM buckets_hourly "
        "WHERE measure = 'duration_s' GROUP BY hour, cause, root, broker_addr, bucket FORMAT TabSeparated"
    )
    expected = {"\t".join(map(str, row)) for row in bench.laptop.rows(sql)}
    assert set(bench.modern.tell(kept).splitlines()) == expected
    both = [line for server in bench.old for line in server.tell(kept).splitlines()]
    assert {row.rsplit("\t", 1)[0] for row in both} == {row.rsplit("\t", 1)[0] for row in expected}
    assert sum(int(row.rsplit("\t", 1)[1]) for row in both) == sum(
        int(row.rsplit("\t", 1)[1]) for row in expected
    )

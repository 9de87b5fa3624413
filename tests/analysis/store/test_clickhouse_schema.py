"""The tables as the servers make them: histograms of the rows they hold, what is forgotten and how small it is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from kaproxy.analysis.findings.buckets import Buckets, bucket_sql
from kaproxy.analysis.store.clickhouse_sql import MEASURES
from kaproxy.analysis.store.columns import TABLES
from kaproxy.analysis.store.copying import copy
from kaproxy.analysis.store.duck import DuckEngine
from kaproxy.analysis.store.opening import load
from tests.analysis.store.cluster import MODERN, OLD, fresh, ship
from tests.fleets import fleet
from tests.peers.clickhouse import Server

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("clickhouse"), pytest.mark.timeout(200)]

LINES, SEED = 2_000, 3
Counts = Mapping[tuple[str, ...], int]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beginning of a fleet's log."""
    path = tmp_path_factory.mktemp("schema") / "fleet.jsonl"
    fleet.write(path, LINES, SEED)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:LINES]))
    return path


@pytest.fixture(scope="module")
def laptop(log: Path) -> DuckEngine:
    """The log on a laptop."""
    return load([str(log)])


def _copied(server: Server, log: Path, laptop: DuckEngine) -> None:
    copy(laptop, fresh(server, "schema"))


def _shipped(server: Server, log: Path, laptop: DuckEngine) -> None:
    fresh(server, "schema")
    ship(server, "schema", str(log), log.read_bytes().splitlines())


@pytest.fixture(scope="module", params=["18.16 copied", "18.16 shipped", "modern copied", "modern shipped"])
def server(
    debian_pair: list[Server], modern: Server, log: Path, laptop: DuckEngine, request: pytest.FixtureRequest
) -> Server:
    """Each server with the rows of that log, however they came."""
    release, way = request.param.split()
    found = modern if release == "modern" else debian_pair[0]
    bring: Callable[[Server, Path, DuckEngine], None] = _copied if way == "copied" else _shipped
    bring(found, log, laptop)
    return found


def _measured(laptop: DuckEngine, measure: str) -> Counts:
    """Counts by hour, cause, root, broker and bucket, in the words that finders ask in."""
    value = f"({MEASURES[measure]})"
    rows = laptop.rows(
        f"select ended_us - ended_us % 3600000000, cause, coalesce(root, ''), broker_addr, {bucket_sql(value)}, "
        f"count(*) from {{closed}} where {value} >= 0 group by all"
    )
    return {tuple(map(str, row[:-1])): int(row[-1]) for row in rows}


def _kept(server: Server, measure: str) -> Counts:
    answer = server.tell(
        "SELECT toInt64(toUnixTimestamp(hour)) * 1000000, cause, root, broker_addr, bucket, sum(n) "
        f"FROM buckets_hourly WHERE measure = '{measure}' GROUP BY hour, cause, root, broker_addr, bucket "
        "FORMAT TabSeparated",
        "schema",
    )
    return {tuple(row.split("\t")[:-1]): int(row.rpartition("\t")[2]) for row in answer.splitlines()}


def test_the_histograms_kept_are_those_that_finders_would_count(server: Server, laptop: DuckEngine) -> None:
    for measure in MEASURES:
        expected = _measured(laptop, measure)
        assert _kept(server, measure) == expected, measure
        assert expected or measure == "overdue_s"


def test_quantiles_are_read_from_sums_of_them_as_finders_read_them(
    server: Server, laptop: DuckEngine
) -> None:
    step = bucket_sql("duration_s")
    rows = laptop.rows(f"select {step} as step, count(*) from {{closed}} group by step")
    expected = Buckets((int(step), int(count)) for step, count in rows if step is not None)
    summed: Counter[int] = Counter()
    for (*_, number), count in _kept(server, "duration_s").items():
        summed[int(number)] += count
    found = Buckets(summed)
    assert [found.quantile(part) for part in (0.1, 0.5, 0.99)] == [
        expected.quantile(part) for part in (0.1, 0.5, 0.99)
    ]


def test_the_files_can_be_run_again_over_what_is_there(debian_pair: list[Server], modern: Server) -> None:
    for server, scripts in ((debian_pair[0], OLD), (modern, MODERN)):
        server.fresh("again", *scripts)
        tables = server.tell("SHOW TABLES", "again")
        for script in scripts:
            server.make(script, "again")
        assert server.tell("SHOW TABLES", "again") == tables
        assert {"closed", "warned", "lines", "not_understood", "buckets_hourly"} <= set(tables.split())


@pytest.mark.parametrize(("table", "days"), [("closed", 400), ("warned", 100)])
def test_rows_older_than_is_kept_go_by_their_own_time(
    modern: Server, log: Path, laptop: DuckEngine, table: str, days: int
) -> None:
    modern.fresh("forgetting", *MODERN)
    moment = "ended_us" if table == "closed" else "at_us"
    other = {"closed": "conn_id", "warned": "event"}[table]
    for age in (days - 2, days + 2):
        modern.tell(
            f"INSERT INTO {table} ({moment}, {other}) "
            f"SELECT toInt64(toUnixTimestamp(now() - INTERVAL {age} DAY)) * 1000000, 'of {age} days'",
            "forgetting",
        )
    modern.tell(f"OPTIMIZE TABLE {table} FINAL", "forgetting")
    assert modern.tell(f"SELECT {other} FROM {table}", "forgetting") == f"of {days - 2} days\n"


def test_a_row_takes_a_sixth_of_its_line(modern: Server, log: Path, laptop: DuckEngine) -> None:
    _copied(modern, log, laptop)
    for table in TABLES:
        modern.tell(f"OPTIMIZE TABLE {table} FINAL", "schema")
    size = modern.tell(
        "SELECT sum(data_compressed_bytes) FROM system.parts WHERE active AND database = 'schema' "
        "AND table IN ('closed', 'warned')"
    )
    assert int(size) < log.stat().st_size / 6

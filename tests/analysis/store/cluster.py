"""What the tests on ClickHouse share: databases that are ready, raw lines brought as shippers do, rows to compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import orjson
import pytest

from kaproxy.analysis.store.clickhouse_sql import KEYS
from kaproxy.analysis.store.columns import TABLES
from kaproxy.analysis.store.engine import Engine, Row
from tests.peers.clickhouse import Server

SQL = Path(__file__).parents[3] / "config" / "clickhouse"
OLD = (SQL / "tables-18.16.sql", SQL / "lines-18.16.sql")
MODERN = (SQL / "tables.sql", SQL / "lines.sql")


def fresh(server: Server, database: str) -> str:
    """An empty database with tables and views, its URL; without TTL, since the logs of tests are old."""
    if server.native:
        return server.fresh(database, *OLD)
    url = server.fresh(database, *MODERN)
    for table in TABLES:
        server.tell(f"ALTER TABLE {table} REMOVE TTL", database)
    return url


def together(servers: Sequence[Server], database: str) -> str:
    """The URL of several servers as one."""
    others = ",".join(f"127.0.0.1:{each.native}" for each in servers)
    return f"http://127.0.0.1:{servers[0].http}/{database}?remote={others}"


def ship(server: Server, database: str, source: str, lines: Iterable[bytes]) -> None:
    """Write raw lines as Vector does."""
    rows = b"".join(
        orjson.dumps({"source": source, "line": line.decode(errors="replace")}) + b"\n" for line in lines
    )
    server.tell(f"INSERT INTO lines FORMAT JSONEachRow\n{rows.decode()}", database)


def rows_of(engine: Engine, table: str, without: Sequence[str] = ("line_no",), every: int = 1) -> list[Row]:
    """All rows, or about one in `every`, but for what a shipper does not know; in one order."""
    names = [column.name for column in TABLES[table] if column.name not in without]
    moment = "ended_us" if table == "closed" else "at_us"
    chosen = f"{moment} is not null and {moment} % {every} = 0"
    rows = engine.rows(f"select {', '.join(names)} from {{{table}}} where {chosen}")
    keys = [names.index(key) for key in KEYS[table]]
    return sorted(rows, key=lambda row: [row[key] for key in keys])


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

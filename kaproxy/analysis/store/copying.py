"""Copying what is loaded on a laptop into the same two tables on a ClickHouse server.

For logs that no shipper brought there, and for servers too old to read lines themselves. A line that is there
already stays one row. It may not know what a column means, nor which engine asks later.
Read next: `clickhouse.py`, `clickhouse_sql.py`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from kaproxy.analysis.store.clickhouse import Address, insert
from kaproxy.analysis.store.clickhouse_sql import KEYS
from kaproxy.analysis.store.columns import DUCKDB_TYPES, TABLES, Column
from kaproxy.analysis.store.duck import DuckEngine

#: What goes in one request, about: few large inserts suit ClickHouse, and memory on both sides is bounded.
BYTES_AT_ONCE = 128 << 20


def copy(engine: DuckEngine, url: str) -> dict[str, int]:
    """Copy all that `engine` is asked for; how many rows of each table. Lines without their times stay behind.

    Raises EngineError.
    """
    address = Address.of(url)
    with tempfile.TemporaryDirectory(prefix="kaproxy-") as folder:
        return {table: _copy(engine, address, table, Path(folder) / table) for table in TABLES}


def _copy(engine: DuckEngine, address: Address, table: str, folder: Path) -> int:
    known = " and ".join(f"{name} is not null" for name in KEYS[table])
    selected = ", ".join(f"{_cell(column)} as {column.name}" for column in TABLES[table])
    form = f"format csv, header false, delim '\t', quote '', nullstr '\\N', file_size_bytes {BYTES_AT_ONCE}"
    counted = engine.run(f"copy (select {selected} from {table} where {known}) to '{folder}' ({form})")
    for file in sorted(folder.iterdir()):
        with file.open("rb") as rows:
            insert(address, table, [column.name for column in TABLES[table]], rows)
        file.unlink()
    return int(counted.fetchone()[0])


def _cell(column: Column) -> str:
    """A text with the escapes ClickHouse undoes, anything else as it is."""
    text = column.name
    if DUCKDB_TYPES[column.holds] == "VARCHAR":
        for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
            text = f"replace({text}, '{plain}', '{escaped}')"
    return text

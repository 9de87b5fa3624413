"""DuckDB as the engine: the two tables in memory, spilling to disk where they do not fit, asked in SQL.

What is loaded stays; what of it is asked for (`Filters`) can be set anew at any time. It may not know where rows come
from (`loading.py`, `saved.py`) nor what is looked for.
Read next: `lines.py` for how a line becomes a row.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from concurrent.futures import Future
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from kaproxy.analysis.logs import Account
from kaproxy.analysis.store.columns import DUCKDB_TYPES, TABLES
from kaproxy.analysis.store.engine import DUCKDB_WORDS, EngineError, Row, once
from kaproxy.analysis.store.filters import ALL, Filters
from kaproxy.analysis.store.shared import SHARED

if TYPE_CHECKING:
    import duckdb

#: Memory DuckDB may use at most, as a share of the machine's, before it spills to disk.
_MEMORY_SHARE = 0.6
_MISSING = "kaproxy analyze needs DuckDB: pip install 'kaproxy[analyze]'"


class MissingLibraryError(Exception):
    """A library of the extra `analyze` is not installed; the message says what to install."""


class DuckEngine:
    """The tables `closed` and `warned` in DuckDB, and the account of the lines they were read from."""

    def __init__(
        self, opened: Opened, accounts: Mapping[str, Account], filters: Filters | None = None
    ) -> None:
        """`all_closed` and `all_warned`, with the columns of `columns.py`, must be there.

        `accounts`: what was read, by log.
        """
        self._opened = opened
        self._connection = opened.connection
        self.accounts = accounts
        self.ask_for(filters or Filters())

    @property
    def name(self) -> str:
        """ "duckdb 2.0.0"."""
        return f"duckdb {_duckdb().__version__}"

    def ask_for(self, filters: Filters) -> None:
        """What `{closed}` and `{warned}` stand for from now on."""
        self.filters = filters
        self._words = {**DUCKDB_WORDS, **{table: table for table in SHARED}}
        for table in TABLES:
            condition = getattr(filters, table)(self.last_us if filters.ago else 0)
            self.run(f"create or replace view {table} as select * from all_{table} where {condition}")
            # A view of so many columns costs every query a millisecond: none is between where all are asked for.
            self._words[table] = table if condition != ALL else f"all_{table}"
        for table in SHARED:
            self.run(f"drop table if exists {table}")
        self._shared: dict[str, Future[None]] = {}

    def rows(self, sql: str) -> list[Row]:
        """The rows of a query after its placeholders are filled in. Raises EngineError with DuckDB's words.

        Several threads may ask at once.
        """
        self._share(sql)
        with self._connection.cursor() as cursor:
            found: list[Row] = _run(cursor, sql.format(**self._words)).fetchall()
        return found

    def _share(self, sql: str) -> None:
        """Make the shared tables that a query names and nobody has asked for yet; whoever asks meanwhile waits."""
        for table in SHARED:
            if f"{{{table}}}" in sql:
                once(self._shared, table, partial(self._make, table))

    def _make(self, table: str) -> None:
        with self._connection.cursor() as cursor:
            _run(cursor, f"create table {table} as {SHARED[table].format(**self._words)}")

    def run(self, sql: str, parameters: object = None) -> Any:
        """Execute SQL of DuckDB's own, without placeholders. Raises EngineError."""
        return _run(self._connection, sql, parameters)

    def close(self) -> None:
        """Give the memory and the files on disk back."""
        self._opened.close()

    def __enter__(self) -> DuckEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def last_us(self) -> int:
        """When the last line was written; 0 where there is none."""
        sql = " union all ".join(f"select max(at_us) as at_us from all_{table}" for table in TABLES)
        return int(self.run(f"select max(at_us) from ({sql})").fetchone()[0] or 0)


def _run(connection: duckdb.DuckDBPyConnection, sql: str, parameters: object = None) -> Any:
    try:
        return connection.execute(sql, parameters)
    except _duckdb().Error as error:
        raise EngineError(f"duckdb: {error}") from error


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise MissingLibraryError(_MISSING) from error
    return duckdb


def duckdb_errors() -> type[Exception]:
    """What DuckDB raises."""
    found: type[Exception] = _duckdb().Error
    return found


class Opened:
    """An empty database in memory, and a folder for what it spills and for scratch files.

    Both go with `close`, or with the last reference. Raises MissingLibraryError.
    """

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="kaproxy-")
        try:
            self.connection = _connect(self.folder)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self.close = weakref.finalize(self, _close, self.connection, self.folder)


def _close(connection: duckdb.DuckDBPyConnection, folder: str) -> None:
    connection.close()
    shutil.rmtree(folder, ignore_errors=True)


def _connect(folder: str) -> duckdb.DuckDBPyConnection:
    found: duckdb.DuckDBPyConnection = _duckdb().connect(config={"temp_directory": folder})
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 4 << 30
    found.execute(f"set memory_limit = '{int(memory * _MEMORY_SHARE) >> 20}MiB'")
    found.execute("set global TimeZone = 'UTC'")  # global: for the cursors, too
    found.execute("set global parquet_metadata_cache = true")
    found.execute("set enable_progress_bar = false")
    return found


def empty_table(name: str) -> str:
    """The statement that makes a table with the columns of `closed` or `warned`."""
    columns = ", ".join(f'"{each.name}" {DUCKDB_TYPES[each.holds]}' for each in TABLES[name])
    return f"create table {name}_rows ({columns})"

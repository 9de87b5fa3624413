"""Asking the tables: what every engine can do, and the words in which their SQL differs.

A query is one text for all engines, a format: `{closed}` stands for the closing lines asked for, `{warned}` for the
other lines among them, and `{INT}` `{REAL}` `{TEXT}` for types to cast to; braces of its own are doubled. What an
engine cannot do (windows, joins that need none) is not asked: aggregate in SQL, put sequences together in Python. It
may not know what a column means.
Read next: `duck.py`, `clickhouse.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

Row: TypeAlias = tuple[Any, ...]

#: Placeholder in a query -> what DuckDB calls it. Every engine has the same keys.
DUCKDB_WORDS: Mapping[str, str] = {"INT": "BIGINT", "REAL": "DOUBLE", "TEXT": "VARCHAR"}


class Engine(Protocol):
    """Whoever answers queries over the two tables."""

    @property
    def name(self) -> str:
        """ "duckdb" or "clickhouse", with its version."""

    def rows(self, sql: str) -> list[Row]:
        """The rows of a query after its placeholders are filled in. Raises EngineError with the engine's words."""


class EngineError(Exception):
    """A query could not be answered; the message says by whom and why."""

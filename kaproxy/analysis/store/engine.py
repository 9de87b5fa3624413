"""Asking the tables: what every engine can do, and the words in which their SQL differs.

A query is one text for all engines, a format: `{closed}` stands for the closing lines asked for, `{warned}` for the
other lines among them, `{drops}`, `{clients}` and `{warnings}` for tables worked out of these (`shared.py`), and
`{INT}` `{REAL}` `{TEXT}` for types to cast to; braces of its own are doubled. What an
engine cannot do (windows, joins that need none) is not asked: aggregate in SQL, put sequences together in Python. It
may not know what a column means.
Read next: `duck.py`, `clickhouse.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol, TypeAlias, TypeVar

Row: TypeAlias = tuple[Any, ...]
Key = TypeVar("Key")
Result = TypeVar("Result")

#: Placeholder in a query -> what DuckDB calls it. Every engine has the same keys.
DUCKDB_WORDS: Mapping[str, str] = {"INT": "BIGINT", "REAL": "DOUBLE", "TEXT": "VARCHAR"}


class Engine(Protocol):
    """Whoever answers queries over the two tables."""

    @property
    def name(self) -> str:
        """ "duckdb" or "clickhouse", with its version."""

    def rows(self, sql: str) -> list[Row]:
        """The rows of a query after its placeholders are filled in. Raises EngineError with the engine's words.

        Several threads may ask at once.
        """


def once(known: dict[Key, Future[Result]], key: Key, make: Callable[[], Result]) -> Result:
    """What was made under this key; the first thread that asks makes it, and the others wait."""
    mine: Future[Result] = Future()
    first = known.setdefault(key, mine)
    if first is mine:
        try:
            mine.set_result(make())
        except BaseException as error:
            mine.set_exception(error)
            raise
    return first.result()


class Memory:
    """An engine that remembers its answers: what several finders ask is asked once, also by several threads."""

    def __init__(self, engine: Engine) -> None:
        """`engine` is asked for what is not known yet; what is asked of it must not change meanwhile."""
        self._engine = engine
        self._known: dict[str, Future[list[Row]]] = {}
        self._made: dict[Callable[[Engine], Any], Future[Any]] = {}

    @property
    def name(self) -> str:
        """That of the engine."""
        return self._engine.name

    def rows(self, sql: str) -> list[Row]:
        """The rows of a query, which whoever asks shares: they are not to be changed. Raises EngineError."""
        return once(self._known, sql, lambda: self._engine.rows(sql))

    def kept(self, work: Callable[[Engine], Result]) -> Result:
        """What a function makes of the answers, which whoever asks for it shares, too."""
        found: Result = once(self._made, work, lambda: work(self))
        return found


class EngineError(Exception):
    """A query could not be answered; the message says by whom and why."""

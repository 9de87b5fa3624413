"""Loading logs into DuckDB: whole files at once, and what DuckDB cannot take line by line with the tolerant reader.

Every physical line becomes a row of `line_rows`, in order, or is listed as rejected: so each row knows its line, and
each line that is none of kaproxy's is named in the account of its log. A file is read twice, once for that and once
for its closing lines, which have many more columns. It may not know what is asked for.
Read next: `lines.py` for the statements, `places.py` for how a row finds its line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import orjson

from kaproxy.analysis.logs import CUT_OFF, LONGEST_LINE, NOT_JSON, Account, next_line, read_line
from kaproxy.analysis.store.columns import CLOSED, WARNED
from kaproxy.analysis.store.duck import duckdb_errors
from kaproxy.analysis.store.engine import EngineError
from kaproxy.analysis.store.lines import (
    CLOSED_EVENT,
    MAY_CLOSE,
    NOT_SOUND,
    begun_rows,
    closed_rows,
    closed_view,
    line_rows,
    warned_rows,
)
from kaproxy.analysis.store.places import Stretch, line_sql, place, source_sql, stretches
from kaproxy.analysis.store.sources import Chunk, Copy, Part, chunks, copied
from kaproxy.analysis.store.zstd import is_whole

if TYPE_CHECKING:
    import duckdb

#: Says what is being done, for whoever waits.
Progress = Callable[[str], None]


class Rows(Protocol):
    """One of the statements of `lines.py`."""

    def __call__(self, relation: str, *, checked: bool = False) -> str: ...


NO_TIME = "with a time that cannot be read (in no time span)"
_NO_RELATION = (
    "(select null::VARCHAR as l, null::BIGINT as place, null::BIGINT as numbered, null::VARCHAR as named)"
)
_BATCH = 10_000
#: Between columns; no JSON has control characters.
_DELIMITER = "E'\\x01\\x02\\x03\\x04'"
_REJECTS = ", ignore_errors = true, store_rejects = true, rejects_limit = 0"
_IGNORED = ", ignore_errors = true"
#: Logs with carriage returns are copied with them taken out (`sources.py`).
_NEW_LINE = r", new_line = '\n'"
_DROP_REJECTS = "drop table if exists reject_errors; drop table if exists reject_scans"
_PLAIN = f"(format csv, header false, quote '', delim {_DELIMITER})"


def _csv(path: str, more: str = "") -> str:
    """A file's lines: a column `l`, NULL for empty lines."""
    name = path.replace("'", "''")
    return f"""read_csv('{name}', columns = {{'l': 'VARCHAR'}}, delim = {_DELIMITER}, quote = '', escape = '',
        header = false, auto_detect = false, max_line_size = {LONGEST_LINE}{more})"""


class Loader:
    """Fills an empty database; `finish` makes the views `all_closed` and `all_warned`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: str, progress: Progress) -> None:
        self._run = connection.execute
        self._folder = folder
        self._progress = progress
        self._lines = 0
        self._closing = 0
        self._stretches: list[Stretch] = []
        self.accounts: dict[str, Account] = {}
        self._run(f"create table line_rows as {line_rows(_NO_RELATION)} limit 0")
        self._run(f"create table closed_rows as {closed_rows(_NO_RELATION)} limit 0")
        self._run(f"create table warned_rows as {warned_rows(_NO_RELATION)} limit 0")

    def load(self, paths: Sequence[str]) -> None:
        """Load these logs, in this order. Raises LogError where one cannot be read at all."""
        for path in paths:
            self.accounts[path] = Account()
        for chunk in chunks(paths, self._folder, self._unpack):
            self._progress(f"reading {_names(chunk)}")
            try:
                self._load(chunk)
            finally:
                if chunk.scratch:
                    Path(chunk.path).unlink(missing_ok=True)

    def _load(self, chunk: Chunk) -> None:
        try:
            self._insert(chunk)
        except duckdb_errors() as error:
            if chunk.scratch or "CSV" not in str(error):
                raise EngineError(f"duckdb: {_first_line(error)}") from error
            copy = Copy(self._folder)  # line ends of several kinds, most likely
            for each in (*copied(chunk.path, copy), *copy.taken()):
                self._insert(each)
                Path(each.path).unlink()

    def _insert(self, chunk: Chunk) -> None:
        try:
            count = self._added("line_rows", line_rows, _csv(chunk.path, _REJECTS + _NEW_LINE))
            rejected = self._rejects()
        finally:
            self._run(_DROP_REJECTS)
        self._insert_closing(chunk)
        self._stretches += stretches(chunk.parts, rejected, self._lines)
        self._lines += count
        self._count(chunk, count + len(rejected))
        for source, number, odd in chunk.odd:
            list(read_line(odd, number, self.accounts[source]))
        self._rescue(self._rejected(chunk, rejected))

    def _insert_closing(self, chunk: Chunk) -> None:
        """The file's closing lines; they are in the same order as the rows of `line_rows` that stand for them."""
        lines = _csv(chunk.path, _IGNORED + _NEW_LINE)
        relation = (
            f"(select l, null::BIGINT as numbered, null::VARCHAR as named from {lines} where {MAY_CLOSE})"
        )
        first = self._closing
        self._closing += self._added("closed_rows", closed_rows, relation)
        self._run(
            f"create table places as select rowid as place from line_rows where closing and rowid >= {self._lines}"
        )
        self._run(
            f"update closed_rows set place = places.place from places where closed_rows.rowid = places.rowid + {first}"
        )
        self._run("drop table places")

    def _added(self, table: str, rows: Rows, relation: str, given: object = None) -> int:
        """Insert the rows of a relation; how many."""
        try:
            done = self._run(f"insert into {table} {rows(relation)}", given)
        except duckdb_errors() as error:
            if NOT_SOUND not in str(error):
                raise
            self._run(_DROP_REJECTS)
            done = self._run(f"insert into {table} {rows(relation, checked=True)}", given)
        return int(done.fetchone()[0])  # type: ignore[index]

    def _rejects(self) -> dict[int, int]:
        """The lines DuckDB would not take, and where each begins, in bytes from 1."""
        sql = "select line, max(line_byte_position) from reject_errors group by line"
        return dict(self._run(sql).fetchall())

    def _count(self, chunk: Chunk, lines: int) -> None:
        ends = [part.line for part in chunk.parts[1:]] + [lines + 1]
        for part, end in zip(chunk.parts, ends, strict=True):
            self.accounts[part.source].lines += end - part.line

    def _rejected(self, chunk: Chunk, rejected: dict[int, int]) -> Iterator[tuple[str, int, bytes]]:
        """The lines DuckDB would not take, as bytes: log, line, text."""
        with Path(chunk.path).open("rb") as stream:
            for line, position in sorted(rejected.items()):
                stream.seek(position - 1)
                raw = next_line(stream)
                if (
                    not raw.strip()
                ):  # after empty lines at the very beginning DuckDB tells the position of one of them
                    raw = _line_of(chunk.path, line)
                yield *place(chunk.parts, line), raw

    def _rescue(self, odd: Iterable[tuple[str, int, bytes]]) -> None:
        """Read lines one by one and put what is kaproxy's in them into the tables."""
        closing: list[tuple[str, int, str]] = []
        others: list[tuple[str, int, str]] = []
        for source, number, raw in odd:
            for line in read_line(raw, number, self.accounts[source]):
                kept = closing if line.fields["event"] == CLOSED_EVENT else others
                kept.append((orjson.dumps(line.fields).decode(), number, source))
        self._closing += self._rescued("closed_rows", closed_rows, closing)
        self._rescued("warned_rows", warned_rows, others)

    def _rescued(self, table: str, rows: Rows, lines: list[tuple[str, int, str]]) -> int:
        relation = (
            "(select unnest($1) as l, null::BIGINT as place, unnest($2) as numbered, unnest($3) as named)"
        )
        batches = (lines[first : first + _BATCH] for first in range(0, len(lines), _BATCH))
        return sum(
            self._added(table, rows, relation, [list(each) for each in zip(*batch, strict=True)])
            for batch in batches
        )

    def _unpack(self, path: str, target: str) -> list[Part]:
        """Undo zstd; the parts of the plain file, which lacks the lines DuckDB rejects."""
        account, rejected = self.accounts[path], list[int]()
        lines = _csv(path, f", compression = 'zstd'{_REJECTS}")
        try:
            count = self._run(f"copy (select l from {lines}) to '{target}' {_PLAIN}").fetchone()[0]  # type: ignore[index]
            rejected = list(self._rejects())
        except duckdb_errors() as error:
            Path(target).write_bytes(b"")
            count = account.lines = 0
            account.note(f"the log, which cannot be read ({_first_line(error)})", 1)
        finally:
            self._run(_DROP_REJECTS)
        if count and not is_whole(path):
            account.note(CUT_OFF, count + len(rejected))
        for line in rejected:
            account.note(NOT_JSON, line)
        account.lines += len(rejected)
        missing = sorted(rejected)
        return [
            Part(line - number, path, line)
            for number, line in enumerate((1, *(each + 1 for each in missing)))
        ]

    def finish(self) -> None:
        """Make the other lines' table and the views; count what is in them. Nothing can be loaded afterwards."""
        self._progress("reading the lines that close no connection")
        others = "select rest as l, rowid as place, null::BIGINT as numbered, null::VARCHAR as named from line_rows"
        self._added("warned_rows", warned_rows, f"({others} where rest is not null)")
        self._rescue_rest()
        self._run("alter table closed_rows drop column rest")
        self._run("alter table line_rows drop column rest")
        self._views()
        self._understood()

    def _rescue_rest(self) -> None:
        """Lines that are in no table yet: named in the account, and what is kaproxy's in them taken."""
        left = """select place, rest from closed_rows where rest is not null and numbered is null
            union all select rowid as place, rest from line_rows where rest is not null
            and rowid not in (select place from warned_rows where place is not null)"""
        self._run(f"create table left_rows as {left}")
        sql = f"""select place, {source_sql(self._stretches, "place")}, {line_sql(self._stretches, "place")}, rest
            from left_rows where place > $1 order by place limit {_BATCH}"""
        last = -1
        while batch := self._run(sql, [last]).fetchall():
            last = batch[-1][0]
            self._rescue((source, number, text.encode()) for _, source, number, text in batch)
        self._run("drop table left_rows")

    def _views(self) -> None:
        begun = "select *, rowid as place, null::BIGINT as numbered, null::VARCHAR as named from line_rows"
        for table, columns, rows in (
            ("closed", CLOSED, [f"({closed_view('closed_rows')})"]),
            ("warned", WARNED, ["warned_rows", f"({begun_rows(f'({begun})')})"]),
        ):
            source, number = source_sql(self._stretches, "place"), line_sql(self._stretches, "place")
            head = f"coalesce(named, {source}) as source, coalesce(numbered, {number}) as line_no"
            names = ", ".join(f'"{each.name}"' for each in columns if each.name not in ("source", "line_no"))
            selected = " union all ".join(f"select {head}, {names} from {each}" for each in rows)
            self._run(f"create view all_{table} as {selected}")

    def _understood(self) -> None:
        """Lines taken in bulk; those read one by one are counted already."""
        source = source_sql(self._stretches, "place")
        for rows in (
            "closed_rows where event is not null and numbered is null",
            "warned_rows where numbered is null",
            "(select rowid as place from line_rows where fields is not null)",
        ):
            for name, count in self._run(
                f"select {source} as source, count(*) from {rows} group by 1"
            ).fetchall():
                self.accounts[name].understood += count
        for table, time in (("closed", "ended_us"), ("warned", "at_us")):
            no_time = f"select source, line_no from all_{table} where at_us is null or {time} is null"
            for name, number in self._run(f"{no_time} order by source, line_no").fetchall():
                self.accounts[name].note(NO_TIME, number)


def _line_of(path: str, number: int) -> bytes:
    """A line by its number, from 1."""
    with Path(path).open("rb") as stream:
        return next(islice(stream, number - 1, None), b"")


def _names(chunk: Chunk) -> str:
    names = list(dict.fromkeys(part.source for part in chunk.parts))
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return ("standard input" if names[0] == "-" else names[0]) + more


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]

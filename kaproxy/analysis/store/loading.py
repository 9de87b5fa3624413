"""Loading logs into DuckDB: whole files at once, and what DuckDB cannot take line by line with the tolerant reader.

Every physical line becomes a row, in order, or is listed as rejected: so each row knows its line, and each line that
is none of kaproxy's is named in the account of its log. It may not know what is asked for.
Read next: `lines.py` for the statements, `places.py` for how a row finds its line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from kaproxy.analysis.logs import CUT_OFF, LONGEST_LINE, NOT_JSON, Account, next_line, read_line
from kaproxy.analysis.store.columns import CLOSED, WARNED
from kaproxy.analysis.store.duck import duckdb_errors
from kaproxy.analysis.store.engine import EngineError
from kaproxy.analysis.store.lines import closed_rows, warned_rows
from kaproxy.analysis.store.places import Stretch, line_sql, place, source_sql, stretches
from kaproxy.analysis.store.sources import Chunk, Copy, Part, chunks, copied
from kaproxy.analysis.store.zstd import is_whole

if TYPE_CHECKING:
    import duckdb

#: Says what is being done, for whoever waits.
Progress = Callable[[str], None]

NO_TIME = "with a time that cannot be read (in no time span)"
_NO_RELATION = (
    "(select cast(null as VARCHAR) as l, cast(null as BIGINT) as numbered, cast(null as VARCHAR) as named)"
)
_BATCH = 10_000
#: Between columns; no JSON has control characters.
_DELIMITER = "E'\\x01\\x02\\x03\\x04'"
_REJECTS = ", ignore_errors = true, store_rejects = true, rejects_limit = 0"
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
        self._rows = 0
        self._stretches: list[Stretch] = []
        self.accounts: dict[str, Account] = {}
        self._run(f"create table closed_rows as {closed_rows(_NO_RELATION)} limit 0")

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
        lines = _csv(chunk.path, _REJECTS + _NEW_LINE)
        relation = (
            f"(select l, cast(null as BIGINT) as numbered, cast(null as VARCHAR) as named from {lines})"
        )
        try:
            count = self._run(f"insert into closed_rows {closed_rows(relation)}").fetchone()[0]  # type: ignore[index]
            rejected = self._rejects()
        finally:
            self._run(_DROP_REJECTS)
        self._stretches += stretches(chunk.parts, rejected, self._rows)
        self._rows += count
        self._count(chunk, count + len(rejected))
        for source, number, odd in chunk.odd:
            list(read_line(odd, number, self.accounts[source]))
        self._rescue(self._rejected(chunk, rejected))

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
        """Read lines one by one and put what is kaproxy's in them into the table."""
        batch: list[tuple[str, int, str]] = []
        for source, number, raw in odd:
            found = read_line(raw, number, self.accounts[source])
            batch.extend((orjson.dumps(line.fields).decode(), number, source) for line in found)
        for first in range(0, len(batch), _BATCH):
            lines, numbers, sources = zip(*batch[first : first + _BATCH], strict=True)
            unnested = "(select unnest($1) as l, unnest($2) as numbered, unnest($3) as named)"
            given = [list(lines), list(numbers), list(sources)]
            self._rows += self._run(f"insert into closed_rows {closed_rows(unnested)}", given).fetchone()[0]  # type: ignore[index]

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
        others = "select rest as l, rowid as place, numbered, named from closed_rows where rest is not null"
        self._run(f"create table warned_rows as {warned_rows(f'({others})')}")
        rescued_from = self._rows
        self._rescue_rest(rescued_from)
        self._run(f"insert into warned_rows {warned_rows(f'({others} and rowid >= {rescued_from})')}")
        self._run("alter table closed_rows drop column rest")
        self._views()
        self._understood()

    def _rescue_rest(self, before: int) -> None:
        """Lines that are in neither table: named in the account, and what is kaproxy's in them taken."""
        sql = f"""select rowid, {source_sql(self._stretches)}, {line_sql(self._stretches)}, rest from closed_rows
            where rest is not null and numbered is null and rowid > $1 and rowid < {before}
            and rowid not in (select place from warned_rows) order by rowid limit {_BATCH}"""
        last = -1
        while batch := self._run(sql, [last]).fetchall():
            last = batch[-1][0]
            self._rescue((source, number, text.encode()) for _, source, number, text in batch)

    def _views(self) -> None:
        for table, columns, row in (("closed", CLOSED, "rowid"), ("warned", WARNED, "place")):
            source, number = source_sql(self._stretches, row), line_sql(self._stretches, row)
            head = f"coalesce(named, {source}) as source, coalesce(numbered, {number}) as line_no"
            names = ", ".join(f'"{each.name}"' for each in columns if each.name not in ("source", "line_no"))
            where = "where event is not null"
            self._run(f"create view all_{table} as select {head}, {names} from {table}_rows {where}")

    def _understood(self) -> None:
        """Lines taken in bulk; those read one by one are counted already."""
        for table, row, time in (("closed", "rowid", "ended_us"), ("warned", "place", "at_us")):
            source = source_sql(self._stretches, row)
            counted = f"select {source} as source, count(*) from {table}_rows where event is not null"
            for name, count in self._run(f"{counted} and numbered is null group by 1").fetchall():
                self.accounts[name].understood += count
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

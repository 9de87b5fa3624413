"""Reading a log: every line of kaproxy's in it, and an account of every line that is none.

A log may come plain, gzipped or through a pipe, from docker or kubectl with their wrapping, torn where a disk was
full, mixed with other programs' lines, written by another version. None of that stops the reading, and nothing is
left out untold: `Account` counts what was not understood, with line numbers. It may not know what lines mean.
Read next: `story.py`, which picks lines out.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from bisect import insort
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

import orjson

from kaproxy.diagnosis.record import SCHEMA

Fields: TypeAlias = Mapping[str, Any]

#: Longer lines are none of kaproxy's, whose closing lines stay far below it, bytes.
LONGEST_LINE = 1 << 20
#: How far into a line docker, kubectl or a system log may put it, bytes.
LONGEST_PREFIX = 512

TORN = "torn (not a complete JSON object)"
NOT_JSON = "not JSON"
FOREIGN = "JSON of another program"
TOO_LONG = "longer than 1 MiB"
CUT_OFF = "the rest of the log, which cannot be read (cut off or damaged)"
#: Line numbers remembered of each kind of other lines.
NUMBERS_KEPT = 5

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BLANK = b" \t\r\n\0"
_BOM = b"\xef\xbb\xbf"
_HEAD = b'{"timestamp":'


class LogError(Exception):
    """The log cannot be read at all; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of kaproxy's: its number in the log, from 1, and its fields."""

    number: int
    fields: Fields


@dataclass(slots=True)
class Others:
    """Lines that are none of kaproxy's, of one kind: how many, and the numbers of the first."""

    count: int = 0
    first: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Account:
    """What was read: `lines` in all, `understood` of them, and the others by what they are, in words."""

    lines: int = 0
    understood: int = 0
    others: dict[str, Others] = field(default_factory=dict)

    def note(self, what: str, number: int) -> None:
        """Line `number` was not understood; `what` says what it is. Lines may be noted in any order."""
        others = self.others.setdefault(what, Others())
        others.count += 1
        if len(others.first) < NUMBERS_KEPT or number < others.first[-1]:
            insort(others.first, number)
            del others.first[NUMBERS_KEPT:]


_Lines: TypeAlias = io.BufferedReader | gzip.GzipFile


class Odd(bytes):
    """Stands for a line that cannot be taken: the bytes say what is wrong with it."""


def read_lines(source: Iterable[bytes], account: Account) -> Iterator[Line]:
    """The lines of kaproxy's in `source`, in order; `account` is kept while they are taken."""
    for raw in source:
        account.lines += 1
        yield from read_line(raw, account.lines, account)


def read_line(raw: bytes, number: int, account: Account) -> Iterator[Line]:
    """The line of kaproxy's in `raw`, line `number` of its log; what is none is noted in `account`."""
    if isinstance(raw, Odd):
        account.note(raw.decode(), number)
    elif text := raw.strip(_BLANK).removeprefix(_BOM):
        yield from _line(text, number, account)


@contextmanager
def open_log(path: str) -> Iterator[Iterator[bytes]]:
    """The raw lines of the log at `path`, `-` for standard input; undoes gzip, and zstd of a file. Raises LogError."""
    with ExitStack() as stack:
        try:
            stream = sys.stdin.buffer if path == "-" else stack.enter_context(open(path, "rb"))  # noqa: PTH123
            buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(_raw(stream))
            first = buffered.peek(4)
        except OSError as error:
            raise LogError(f"cannot read the log {path}: {error.strerror or error}") from error
        if first.startswith(_ZSTD):
            yield _zstd_lines(path)
        elif first.startswith(_GZIP):
            yield _raw_lines(stack.enter_context(gzip.GzipFile(fileobj=buffered)))
        else:
            yield _raw_lines(buffered)


def _zstd_lines(path: str) -> Iterator[bytes]:
    """Python cannot undo zstd; DuckDB can, of a file. Whoever reads no zstd needs no DuckDB."""
    from kaproxy.analysis.store.duck import MissingLibraryError
    from kaproxy.analysis.store.zstd import lines

    try:
        if path != "-" and Path(path).is_file():
            return lines(path)
        why = "only a file's can be undone"
    except MissingLibraryError:
        why = "DuckDB is missing, which undoes it: pip install 'kaproxy[analyze]'"
    raise LogError(
        f"{path} is compressed with zstd: {why}; or try: zstdcat {path} | kaproxy explain --log - …"
    )


def _raw(stream: object) -> io.RawIOBase:
    """Standard input where it was replaced by something that is not buffered."""
    return cast("io.RawIOBase", stream)


def _raw_lines(stream: _Lines) -> Iterator[bytes]:
    try:
        while raw := next_line(stream):
            yield raw
    except (OSError, EOFError, zlib.error):
        yield Odd(CUT_OFF.encode())


def next_line(stream: _Lines) -> bytes:
    """The next raw line, b"" at the end; one that is too long is passed over and stands for itself as `Odd`."""
    raw = stream.readline(LONGEST_LINE)
    whole = raw.endswith(b"\n") or len(raw) < LONGEST_LINE
    return raw if whole else _passed_over(stream)


def _passed_over(stream: _Lines) -> bytes:
    """Read to the end of a line that is too long."""
    while rest := stream.readline(LONGEST_LINE):
        if rest.endswith(b"\n"):
            break
    return Odd(TOO_LONG.encode())


def _line(text: bytes, number: int, account: Account) -> Iterator[Line]:
    fields, what = parse(text)
    if what == TORN:
        account.note(what, number)
        place = text.rfind(_HEAD)  # a writer that was killed, and its successor's line right behind
        fields, what = parse(text[place:]) if place > 0 else (None, None)
    if fields is not None:
        account.understood += 1
        yield Line(number, fields)
    elif what is not None and what != TORN:
        account.note(what, number)


def parse(text: bytes) -> tuple[Fields | None, str | None]:
    """One line's fields, or None and what it is instead."""
    start = 0 if text.startswith(b"{") else text.find(b'{"', 0, LONGEST_PREFIX)
    if start < 0:
        return None, NOT_JSON
    try:
        found = orjson.loads(text[start:])
    except orjson.JSONDecodeError:
        return None, TORN
    if not isinstance(found, dict):
        return None, FOREIGN
    return _own(found)


def _own(found: dict[str, Any]) -> tuple[Fields | None, str | None]:
    wrapped = found.get("log")
    if isinstance(wrapped, str) and "event" not in found:  # docker's json-file
        text = wrapped.encode("utf-8", "replace").strip(_BLANK)
        return parse(text) if text else (None, FOREIGN)
    if not isinstance(found.get("event"), str) or "schema" not in found:
        return None, FOREIGN
    if found["schema"] != SCHEMA:
        return None, f"of schema {_short(found['schema'])} (this version reads {SCHEMA})"
    return found, None


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


_SHOWN = 12

"""Which files a command line names, and what each is: plain text that DuckDB reads itself, or something else.

What is compressed, comes through a pipe or is small is copied into a scratch file first, many small logs into one,
with a table of where each log's lines stand in it. It may not know what a line means.
Read next: `loading.py`, which loads these files.
"""

from __future__ import annotations

import glob
import mmap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from kaproxy.analysis.logs import LogError, Odd, open_log

STDIN = "-"
#: Logs smaller than this are copied together, bytes: a statement for each would cost more than the copy.
SMALL = 8 << 20
#: A scratch file is loaded and deleted when it has this size, bytes.
SCRATCH_SIZE = 1 << 30


class Is(StrEnum):
    """What a file is, by its first bytes."""

    PLAIN = "plain"
    SMALL = "small"
    GZIP = "gzip"
    ZSTD = "zstd"
    PARQUET = "parquet"
    STREAM = "stream"


_MAGIC = {b"\x1f\x8b": Is.GZIP, b"\x28\xb5\x2f\xfd": Is.ZSTD, b"PAR1": Is.PARQUET}


@dataclass(frozen=True, slots=True)
class Part:
    """From line `line` (1 and up) of a file on, its lines are those of the log `source` from `source_line` on."""

    line: int
    source: str
    source_line: int = 1


@dataclass(slots=True)
class Chunk:
    """A plain text file to load, and whose lines are in it; `odd`: lines left out of it, which are counted."""

    path: str
    parts: list[Part]
    scratch: bool = False
    odd: list[tuple[str, int, bytes]] = field(default_factory=list)


def expand(names: Iterable[str]) -> list[str]:
    """The logs that are named, each once, patterns filled in. Raises LogError for a name with nothing behind it."""
    found: dict[str, None] = {}
    for name in names:
        if name == STDIN or Path(name).exists():
            found[name] = None
        elif glob.has_magic(name) and (matching := sorted(glob.glob(name, recursive=True))):  # noqa: PTH207
            found.update(dict.fromkeys(each for each in matching if not Path(each).is_dir()))
        else:
            raise LogError(f"cannot read the log {name}: {_why(name)}")
    return list(found)


def _why(name: str) -> str:
    return "no file matches" if glob.has_magic(name) else "No such file or directory"


def what_is(path: str) -> Is:
    """What the file is. Raises LogError where it cannot be read."""
    if path == STDIN:
        return Is.STREAM
    try:
        if not Path(path).is_file():
            return _no_file(path)
        with Path(path).open("rb") as stream:
            first = stream.read(4)
        size = Path(path).stat().st_size
    except OSError as error:
        raise LogError(f"cannot read the log {path}: {error.strerror or error}") from error
    for magic, kind in _MAGIC.items():
        if first.startswith(magic):
            return kind
    return Is.SMALL if size < SMALL or _has_returns(path) else Is.PLAIN


def _has_returns(path: str) -> bool:
    """Has it a carriage return anywhere? DuckDB may take one for the end of a line, and numbers would be wrong."""
    with Path(path).open("rb") as stream:
        try:
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return content.find(b"\r") >= 0
        except (ValueError, OSError):  # empty, or of a kind that cannot be mapped
            return False


def _no_file(path: str) -> Is:
    if Path(path).is_dir():
        raise LogError(f"{path} is a folder: name its files ({path.rstrip('/')}/*)")
    return Is.STREAM  # a named pipe, a process substitution


def chunks(paths: Iterable[str], folder: str, unpacked: Callable[[str, str], list[Part]]) -> Iterator[Chunk]:
    """The logs as files that DuckDB can read line by line; each scratch file is to be deleted by who takes it.

    `unpacked(path, target)` undoes zstd, which Python cannot, and tells the target's parts. Raises LogError where a
    log cannot be read.
    """
    copy = Copy(folder)
    for path in paths:
        kind = what_is(path)
        if kind is Is.PLAIN:
            yield Chunk(path, [Part(1, path)])
        elif kind is Is.ZSTD:
            target = str(Path(folder) / "unpacked")
            yield Chunk(target, unpacked(path, target), scratch=True)
        else:
            yield from copied(path, copy)
    yield from copy.taken()


def copied(path: str, copy: Copy) -> Iterator[Chunk]:
    """Copy a log line by line; whenever the scratch file is full, it is handed out."""
    with open_log(path) as lines:
        copy.begin(path)
        for number, raw in enumerate(lines, 1):
            copy.add(raw, number)
            if copy.size >= SCRATCH_SIZE:
                yield from copy.taken()
                copy.begin(path, number + 1)


class Copy:
    """A scratch file that is being filled."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._count = 0
        self._stream: BinaryIO | None = None
        self._source = ""
        self._new()

    def _new(self) -> None:
        self._count += 1
        self._path = self._folder / f"lines-{self._count}"
        self._chunk = Chunk(str(self._path), [], scratch=True)
        self._lines = 0
        self.size = 0

    def begin(self, source: str, number: int = 1) -> None:
        """Lines of another log follow, from its line `number` on."""
        self._source = source
        self._chunk.parts.append(Part(self._lines + 1, source, number))

    def add(self, raw: bytes, number: int) -> None:
        """One line, with or without its end."""
        if self._stream is None:
            self._stream = self._path.open("wb")
        if isinstance(raw, Odd):
            self._chunk.odd.append((self._source, number, raw))
            raw = b"\n"
        elif b"\r" in raw:
            raw = raw.rstrip(b"\r\n").replace(b"\r", b" ") + b"\n"
        elif not raw.endswith(b"\n"):
            raw += b"\n"
        self._stream.write(raw)
        self._lines += 1
        self.size += len(raw)

    def taken(self) -> Iterator[Chunk]:
        """The file so far, closed, where anything is in it; a new one is begun."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
            chunk = self._chunk
            self._new()
            yield chunk

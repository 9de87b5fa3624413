"""Logs in zstd, which Python cannot undo and DuckDB can: their lines one by one, and whether the file is whole.

DuckDB reads what is cut off without a word, so the frames are walked here, block by block, of which only sizes are
read (RFC 8878 section 3.1). It may not know what is in the file.
Read next: `loading.py`, which has DuckDB undo the compression of whole logs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kaproxy.analysis.logs import CUT_OFF, LONGEST_LINE, Odd
from kaproxy.analysis.store.duck import Opened, duckdb_errors

_MAGIC, _SKIPPABLE = 0xFD2FB528, 0x184D2A50
_CONTENT_SIZE_BYTES, _DICTIONARY_BYTES = (0, 2, 4, 8), (0, 1, 2, 4)
_RLE, _RESERVED = 1, 3
_AT_ONCE = 1000
#: One column of whole lines; every byte is a character, so that none is refused.
_LINES = f"""select l from read_csv($1, columns = {{'l': 'VARCHAR'}}, delim = E'\\x01\\x02\\x03\\x04', quote = '',
    escape = '', header = false, auto_detect = false, strict_mode = false, encoding = 'latin-1', compression = 'zstd',
    ignore_errors = true, max_line_size = {LONGEST_LINE})"""


class _CutOffError(Exception):
    """The file ends, or makes no sense, within a frame."""


def lines(path: str) -> Iterator[bytes]:
    """The lines of a log in zstd, as far as it goes; those longer than `LONGEST_LINE` are left out.

    Raises MissingLibraryError without DuckDB.
    """
    return _lines(path, Opened())


def _lines(path: str, opened: Opened) -> Iterator[bytes]:
    try:
        asked = opened.connection.execute(_LINES, [path])
        while batch := asked.fetchmany(_AT_ONCE):
            yield from ((line or "").encode("latin-1") for (line,) in batch)
    except duckdb_errors():
        yield Odd(CUT_OFF.encode())
        return
    finally:
        opened.close()
    if not is_whole(path):
        yield Odd(CUT_OFF.encode())


def is_whole(path: str) -> bool:
    """Does every frame of the file end?"""
    try:
        with Path(path).open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            while stream.tell() < size:
                _pass_frame(stream)
                if stream.tell() > size:
                    return False
    except _CutOffError:
        return False
    return True


def _number(stream: BinaryIO, size: int) -> int:
    found = stream.read(size)
    if len(found) < size:
        raise _CutOffError
    return int.from_bytes(found, "little")


def _pass_frame(stream: BinaryIO) -> None:
    magic = _number(stream, 4)
    if magic & 0xFFFFFFF0 == _SKIPPABLE:
        stream.seek(_number(stream, 4), os.SEEK_CUR)
        return
    if magic != _MAGIC:
        raise _CutOffError
    descriptor = _number(stream, 1)
    single_segment = descriptor >> 5 & 1
    content_size = _CONTENT_SIZE_BYTES[descriptor >> 6] or single_segment
    stream.seek((1 - single_segment) + _DICTIONARY_BYTES[descriptor & 3] + content_size, os.SEEK_CUR)
    while not _pass_block(stream):
        pass
    stream.seek(4 * (descriptor >> 2 & 1), os.SEEK_CUR)  # the checksum


def _pass_block(stream: BinaryIO) -> bool:
    """Go behind the next block; whether it was the frame's last."""
    header = _number(stream, 3)
    kind, size = header >> 1 & 3, header >> 3
    if kind == _RESERVED:
        raise _CutOffError
    stream.seek(1 if kind == _RLE else size, os.SEEK_CUR)
    return bool(header & 1)

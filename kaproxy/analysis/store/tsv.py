"""Rows as tab-separated text, the way every ClickHouse of the last ten years writes them.

An answer has two lines on top, names and types; by the types its cells become numbers, text or None again. It may
not know a table, a column or a server.
Read next: `clickhouse.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kaproxy.analysis.store.engine import EngineError, Row

#: What an answer is asked for in.
FORMAT = "TabSeparatedWithNamesAndTypes"
_NULL = r"\N"
_ESCAPES = {"b": "\b", "f": "\f", "r": "\r", "n": "\n", "t": "\t", "0": "\0"}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WRAPPER = re.compile(r"(?:LowCardinality|Nullable)\((.*)\)")


def rows_of(answer: str) -> list[Row]:
    """The rows of an answer in `FORMAT`. Raises EngineError where it is not one."""
    lines = answer.split("\n")
    if len(lines) < 2:
        raise EngineError(f"an answer without names and types: {answer[:80]!r}")
    kinds = [_reader(name) for name in lines[1].split("\t")]
    return [_row(line, kinds) for line in lines[2:-1]]


def _row(line: str, kinds: list[Callable[[str], Any]]) -> Row:
    cells = line.split("\t")
    if len(cells) != len(kinds):
        raise EngineError(f"a row of {len(cells)} cells where {len(kinds)} were told: {line[:80]!r}")
    return tuple(None if cell == _NULL else kind(cell) for kind, cell in zip(kinds, cells, strict=True))


def _reader(kind: str) -> Callable[[str], Any]:
    """What makes a value of a cell of this type; anything but numbers stays text."""
    while wrapped := _WRAPPER.fullmatch(kind):
        kind = wrapped[1]
    if re.fullmatch(r"U?Int\d+", kind):
        return int
    if kind.startswith(("Float", "Decimal")):
        return float
    if kind == "Bool":
        return "true".__eq__
    return _text


def _text(cell: str) -> str:
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), cell) if "\\" in cell else cell

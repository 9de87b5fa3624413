"""Where a row's line stood: from row numbers to log and line, as tables of where each stretch of rows begins.

Rows follow lines one by one, but for lines that DuckDB rejects. It may not know how rows are made.
Read next: `loading.py`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kaproxy.analysis.store.sources import Part


@dataclass(frozen=True, slots=True)
class Stretch:
    """From row `row` on, rows are the lines of `source` from its line `line` on."""

    row: int
    source: str
    line: int


def stretches(parts: Sequence[Part], rejected: Iterable[int], first_row: int) -> list[Stretch]:
    """The stretches of a file whose lines became rows from `first_row` on, but for the rejected ones."""
    missing = sorted(set(rejected))
    begins = sorted({part.line for part in parts} | {line + 1 for line in missing})
    found: dict[int, Stretch] = {}
    for line in begins:
        row = first_row + line - 1 - bisect_right(missing, line - 1)
        source, number = place(parts, line)
        found[row] = Stretch(row, source, number)
    return list(found.values())


def place(parts: Sequence[Part], line: int) -> tuple[str, int]:
    """The log and the line in it of line `line` of a file."""
    part = parts[bisect_right(parts, line, key=lambda each: each.line) - 1]
    return part.source, part.source_line + line - part.line


def source_sql(found: Sequence[Stretch], row: str = "rowid") -> str:
    """The log of a row, by its number."""
    return _tree(found, row, lambda each: "'" + each.source.replace("'", "''") + "'")


def line_sql(found: Sequence[Stretch], row: str = "rowid") -> str:
    """The line of a row in its log, by its number."""
    return _tree(found, row, lambda each: f"{row} + {each.line - each.row}")


def _tree(found: Sequence[Stretch], row: str, value: Callable[[Stretch], str]) -> str:
    """A decision tree over row numbers, so that a thousand stretches cost ten comparisons."""
    if len(found) <= 1:
        return value(found[0]) if found else "null"
    middle = len(found) // 2
    below, above = _tree(found[:middle], row, value), _tree(found[middle:], row, value)
    return below if below == above else f"case when {row} < {found[middle].row} then {below} else {above} end"

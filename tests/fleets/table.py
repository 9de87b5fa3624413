"""The score as a table: on a terminal, and in docs/analysis.md between its two markers.

Read next: `scoring.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.fleets.scoring import KINDS, Score, shares

PAGE = Path(__file__).parents[2] / "docs" / "analysis.md"
_BEGIN, _END = "<!-- score: written by `make fleets` -->", "<!-- end of the score -->"


def markdown(whole: Score, logs: int, lines: int, what: str) -> str:
    """The table and the sentence before it."""
    found, right = shares(whole)
    head = (
        f"{what} faults, {logs} logs with {lines:,} closing lines in all: {found:.0%} of what was planted is found, "
        f"and {right:.0%} of what is said of it is true.\n\n"
        "| Planted | how many | found | missed | with a wrong number | invented |\n|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(_rows(whole))


def _rows(whole: Score) -> Iterator[str]:
    for kind, row in whole.items():
        cells = (
            KINDS[kind].title,
            row.planted,
            row.found,
            len(row.missed),
            len(row.wrong),
            len(row.invented),
        )
        yield "| " + " | ".join(map(str, cells)) + " |"


def put(text: str, page: Path = PAGE, markers: tuple[str, str] = (_BEGIN, _END)) -> None:
    """Write the table where the page has its markers."""
    begin, end = markers
    whole = page.read_text("utf-8")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    new, count = pattern.subn(lambda _: f"{begin}\n{text}\n{end}", whole)
    if count != 1:
        raise ValueError(f"{page} has {begin} {count} times")
    page.write_text(new, "utf-8")


def details(whole: Score) -> Iterator[str]:
    """What was missed, wrong and invented, a line each."""
    for kind, row in whole.items():
        for what in ("missed", "wrong", "invented"):
            for each in getattr(row, what):
                yield f"{kind}: {what}: {each}"

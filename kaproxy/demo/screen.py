"""What a person sees: a table that fills while it runs, the table of verdicts, one closing line explained.

On a terminal the table is live; anywhere else each verdict is a line of its own when it is known.
It may not judge: it shows what `play.py` found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kaproxy.demo.children import Line
from kaproxy.demo.scenarios import Scenario
from kaproxy.telemetry.schema import events

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"


@dataclass(slots=True)
class Run:
    """A scenario and how far it has come; `took_s` counts from the start of the play."""

    scenario: Scenario
    state: str = WAITING
    line: Line | None = None
    took_s: float = 0.0
    trouble: str = ""

    @property
    def right(self) -> bool:
        """Is it done, and did kaproxy say what it had to?"""
        return self.line is not None and self.scenario.right(self.line)

    @property
    def said(self) -> str:
        """Cause and root as kaproxy told them, or what went wrong."""
        if self.line is None:
            return self.trouble
        return " / ".join(part for part in (self.line["cause"], self.line.get("root")) if part)


_MARKS = {WAITING: Text("·", "dim"), RUNNING: Text("…", "yellow"), FAILED: Text("failed", "bold red")}


def _mark(run: Run) -> Text:
    if run.state != DONE:
        return _MARKS[run.state]
    return Text("yes", "green") if run.right else Text("NO", "bold red")


def table(runs: Sequence[Run]) -> Table:
    """What was made to happen, what kaproxy said of it, and whether that is right; fits 80 columns."""
    shown = Table(title="What happened, and what kaproxy said", title_justify="left", show_lines=True)
    for heading in ("made to happen", "cause, root", "owner, confidence", "right?"):
        shown.add_column(heading)
    for run in runs:
        line = run.line or {}
        said = run.trouble or _stacked(line.get("cause"), line.get("root"))
        shown.add_row(
            run.scenario.what, said, _stacked(line.get("owner"), line.get("confidence")), _mark(run)
        )
    return shown


def _stacked(*words: str | None) -> str:
    return "\n".join(word for word in words if word)


def progress(runs: Sequence[Run]) -> Table:
    """A line per scenario while they run; short enough for a small terminal."""
    shown = Table.grid(padding=(0, 1))
    shown.add_column(width=3)
    for run in runs:
        shown.add_row(_mark(run), Text(run.scenario.what), Text(run.said, no_wrap=True, overflow="ellipsis"))
    return shown


class Screen:
    """Shows progress and results on one console."""

    def __init__(self, console: Console, runs: Sequence[Run]) -> None:
        """`runs` is looked at again whenever something is shown."""
        self.console = console
        self.runs = runs

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show progress as long as this lasts."""
        if not self.console.is_terminal:
            yield
            return
        with Live(
            get_renderable=lambda: progress(self.runs),
            console=self.console,
            refresh_per_second=4,
            transient=True,
        ):
            yield

    def told(self, run: Run) -> None:
        """A run is over."""
        if not self.console.is_terminal:
            outcome = "right" if run.right else "WRONG"
            self.console.print(
                f"{run.took_s:5.1f} s  {run.scenario.what}: {run.said} ({outcome})", soft_wrap=True
            )

    def result(self) -> None:
        """The whole table, and how many were right."""
        self.console.print(table(self.runs))
        for run in self.runs:
            if not run.right:
                wanted = f"{run.scenario.cause} / {run.scenario.root}"
                self.console.print(
                    f"[red]{run.scenario.name}[/]: expected {wanted}, got {run.said}", soft_wrap=True
                )

    def score(self, took_s: float) -> None:
        """The last line: how many were right, and how long it took in seconds."""
        right = sum(run.right for run in self.runs)
        self.console.print(f"{right} of {len(self.runs)} right, in {took_s:.0f} s")

    def explain(self, line: Line, warnings: Sequence[Line]) -> None:
        """One connection's lines in full: the warnings before the drop, and the closing line with its meanings."""
        if warnings:
            self.console.print("Before this drop, kaproxy warned:", style="bold")
        for warning in warnings:
            self.console.print_json(json.dumps(warning), indent=None)
        self.console.print("\nOne closing line, explained", style="bold")
        self.console.print(line["explanation"], style="cyan", soft_wrap=True)
        self.console.print("What to do: " + line["advice"], style="cyan", soft_wrap=True)
        self.console.print(_fields(line))


_TOLD = {"explanation", "advice"}  # stand above the table


def _fields(line: Line) -> Table:
    shown = Table(show_header=True, expand=False)
    for heading in ("field", "value", "means"):
        shown.add_column(heading, overflow="fold")
    described = events()["connection.closed"].fields
    known = [
        field for field in described if field.name not in _TOLD and line.get(field.name) not in (None, [], {})
    ]
    for _group, fields in groupby(known, key=attrgetter("group")):
        shown.add_section()
        for field in fields:
            shown.add_row(field.name, _short(line[field.name]), field.meaning)
    return shown


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 160 else text[:157] + "…"

"""`kaproxy analyze`: what is asked for, in order: read the logs or call the cluster, find, answer, show, save.

It wires the parts of the analysis and nothing else; what it writes goes to the console it is given. It may not know
how anything is found or shown. Read next: `store/__init__.py`, `findings/__init__.py`, `report/`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from rich.console import Console

from kaproxy.analysis.findings import find_all
from kaproxy.analysis.fleet_what_if import what_if
from kaproxy.analysis.logs import Account, LogError
from kaproxy.analysis.report import as_json, html, terminal
from kaproxy.analysis.report.summary import summary, unread
from kaproxy.analysis.store import DuckEngine, Filters, load
from kaproxy.analysis.store.clickhouse import ClickHouse
from kaproxy.analysis.store.clickhouse import connect as connect_to
from kaproxy.analysis.store.copying import copy
from kaproxy.analysis.store.saved import save

_Engine: TypeAlias = DuckEngine | ClickHouse


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for. `what_if`: questions, in place of the findings; `json`: for programs."""

    logs: Sequence[str]
    filters: Filters
    connect: str | None = None
    json: bool = False
    html: str | None = None
    save: str | None = None
    what_if: Sequence[str] = ()
    rejudge: bool = False


def analyze(asked: Asked, console: Console | None = None) -> None:
    """Do all of it. Raises LogError, EngineError, WhatIfError, ReportError or MissingLibraryError.

    What is being done is told on standard error, where somebody looks at it.
    """
    console, progress = console or Console(), Console(stderr=True)
    if asked.rejudge:
        _rejudge(asked, console, progress)
        return
    with _doing(progress) as doing, _engine(asked, doing) as engine:
        if asked.save is not None:
            doing(f"saving to {asked.save}")
            _save(engine, asked.save)
        if asked.what_if:
            answers = [what_if(engine, question) for question in asked.what_if]
            if asked.json:
                _plain(console, as_json.answers(answers))
            else:
                terminal.answers(answers, console)
            return
        _report(asked, engine, console, doing)


def _report(asked: Asked, engine: _Engine, console: Console, doing: Callable[[str], None]) -> None:
    accounts: Mapping[str, Account] = getattr(engine, "accounts", {})
    counted = summary(engine)
    findings = find_all(engine, lambda word, number, of: doing(f"looking for {word} ({number} of {of})"))
    if asked.html is not None:
        doing(f"drawing {asked.html}")
        html.write(engine, findings, unread(accounts), asked.html)
    doing("")
    if asked.json:
        _plain(console, as_json.report(counted, findings, accounts))
    else:
        terminal.Report(console).show(counted, findings, unread(accounts))
        if asked.html is not None:
            _plain(console, f"The report is in {asked.html}")


def _plain(console: Console, text: str) -> None:
    """As it is: not wrapped, not coloured."""
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def _engine(asked: Asked, doing: Callable[[str], None]) -> _Engine:
    if asked.connect is not None:
        doing("asking the cluster")
        return connect_to(asked.connect, asked.filters)
    return load(asked.logs, asked.filters, doing)


def _save(engine: _Engine, target: str) -> None:
    """To a Parquet file, or into the tables of a ClickHouse."""
    if not isinstance(engine, DuckEngine):
        raise LogError("--save keeps what was read from logs; a cluster keeps its own")
    if target.startswith(("http://", "https://")):
        copy(engine, target)
    else:
        save(engine, target)


def _rejudge(asked: Asked, console: Console, progress: Console) -> None:
    from kaproxy.analysis.rejudge import Asked as Wanted
    from kaproxy.analysis.rejudge import rejudge
    from kaproxy.analysis.rejudge_screen import show
    from kaproxy.analysis.store.sources import expand

    paths = expand(asked.logs)
    wanted = Wanted(asked.filters, _last_us(asked)) if asked.filters != Filters() else None
    with _doing(progress) as doing:
        found = rejudge(
            paths, wanted=wanted, progress=lambda log, count: doing(f"{log}: {count} judged again")
        )
    if asked.json:
        _plain(console, json.dumps(found.as_json()))
    else:
        show(found, console)


def _last_us(asked: Asked) -> int:
    """When the last line was written; only a time told as "ago" needs it, and a pipe can be read once."""
    times = (asked.filters.since, asked.filters.until)
    if not any(each is not None and each.ago for each in times):
        return 0
    if "-" in asked.logs:
        raise LogError("a pipe is read once: with --rejudge tell the time itself, not how long ago")
    with load(asked.logs) as engine:
        return engine.last_us


@contextmanager
def _doing(console: Console) -> Iterator[Callable[[str], None]]:
    """Tells what is being done while it takes long, where somebody looks."""
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("") as status:
        yield lambda words: status.update(words)

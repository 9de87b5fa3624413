"""`kaproxy analyze`: what is asked for, in order: read the logs or call the cluster, find, answer, show, save.

It wires the parts of the analysis and nothing else; what it writes goes to the console it is given. It may not know
how anything is found or shown. Read next: `store/__init__.py`, `findings/__init__.py`, `report/`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from kaproxy.analysis import kept
from kaproxy.analysis.findings import find_all
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.fleet_what_if import Answer, what_if
from kaproxy.analysis.logs import Account, LogError
from kaproxy.analysis.report import as_json
from kaproxy.analysis.report.summary import Summary, summary, unread
from kaproxy.analysis.store import DuckEngine, Filters, load
from kaproxy.analysis.store.engine import Memory
from kaproxy.analysis.store.saved import found_in, is_saved, save
from kaproxy.analysis.store.sources import expand

if TYPE_CHECKING:
    from kaproxy.analysis.store.clickhouse import ClickHouse

_Engine: TypeAlias = "DuckEngine | ClickHouse"


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


def analyze(asked: Asked) -> None:
    """Do all of it. Raises LogError, EngineError, WhatIfError, ReportError or MissingLibraryError.

    What is being done is told on standard error, where somebody looks at it. Libraries are imported where they are
    needed: to ask a saved log again takes hardly longer than to import them all.
    """
    if asked.rejudge:
        _rejudge(asked)
        return
    with _doing() as doing, _engine(asked, doing) as engine:
        if asked.what_if:
            if asked.save is not None:
                _save(engine, asked.save, doing)
            answers = [what_if(engine, question) for question in asked.what_if]
            if asked.json:
                _say(as_json.answers(answers))
            else:
                _answers(answers)
            return
        _report(asked, engine, doing)


def _answers(answers: Sequence[Answer]) -> None:
    from rich.console import Console

    from kaproxy.analysis.report import terminal

    terminal.answers(answers, Console())


def _report(asked: Asked, engine: _Engine, doing: Callable[[str], None]) -> None:
    accounts: Mapping[str, Account] = getattr(engine, "accounts", {})
    memory = Memory(engine)
    counted, findings = _kept(asked, engine) or _found(memory, doing)
    if asked.save is not None:
        _save(
            engine, asked.save, doing, "" if asked.filters != Filters() else kept.written(counted, findings)
        )
    if asked.html is not None:
        _draw(asked.html, memory, findings, accounts, doing)
    doing("")
    if asked.json:
        _say(as_json.report(counted, findings, accounts))
    else:
        _show(asked, counted, findings, accounts)


def _found(memory: Memory, doing: Callable[[str], None]) -> tuple[Summary, list[Finding]]:
    with ThreadPoolExecutor(1) as pool:
        counting = pool.submit(summary, memory)
        findings = find_all(memory, lambda word, number, of: doing(f"looking for {word} ({number} of {of})"))
    return counting.result(), findings


def _kept(asked: Asked, engine: _Engine) -> tuple[Summary, list[Finding]] | None:
    """What was found in a saved log when it was saved, where all of it is asked for."""
    if not isinstance(engine, DuckEngine) or asked.filters != Filters():
        return None
    paths = expand(asked.logs)
    if len(paths) != 1 or not is_saved(paths[0]):
        return None
    text = found_in(engine, paths[0])
    return kept.read(text, engine.name) if text else None


def _say(text: str) -> None:
    """As it is: not wrapped, not coloured."""
    sys.stdout.write(f"{text}\n")


def _draw(
    path: str,
    engine: Memory,
    findings: Sequence[Finding],
    accounts: Mapping[str, Account],
    doing: Callable[[str], None],
) -> None:
    from kaproxy.analysis.report import html

    doing(f"drawing {path}")
    html.write(engine, findings, unread(accounts), path)


def _show(
    asked: Asked, counted: Summary, findings: Sequence[Finding], accounts: Mapping[str, Account]
) -> None:
    from rich.console import Console

    from kaproxy.analysis.report import terminal

    terminal.Report(Console()).show(counted, findings, unread(accounts))
    if asked.html is not None:
        _say(f"The report is in {asked.html}")


def _engine(asked: Asked, doing: Callable[[str], None]) -> _Engine:
    if asked.connect is not None:
        from kaproxy.analysis.store.clickhouse import connect

        doing("asking the cluster")
        return connect(asked.connect, asked.filters)
    return load(asked.logs, asked.filters, doing)


def _save(engine: _Engine, target: str, doing: Callable[[str], None], found: str = "") -> None:
    """To a Parquet file, with what was `found`, or into the tables of a ClickHouse."""
    doing(f"saving to {target}")
    if not isinstance(engine, DuckEngine):
        raise LogError("--save keeps what was read from logs; a cluster keeps its own")
    if target.startswith(("http://", "https://")):
        from kaproxy.analysis.store.copying import copy

        copy(engine, target)
    else:
        save(engine, target, found)


def _rejudge(asked: Asked) -> None:
    from rich.console import Console

    from kaproxy.analysis.rejudge import Asked as Wanted
    from kaproxy.analysis.rejudge import rejudge
    from kaproxy.analysis.rejudge_screen import show

    paths = expand(asked.logs)
    wanted = Wanted(asked.filters, _last_us(asked)) if asked.filters != Filters() else None
    with _doing() as doing:
        found = rejudge(
            paths, wanted=wanted, progress=lambda log, count: doing(f"{log}: {count} judged again")
        )
    if asked.json:
        _say(json.dumps(found.as_json()))
    else:
        show(found, Console())


def _last_us(asked: Asked) -> int:
    """When the last line was written; only a time told as "ago" needs it, and a pipe can be read once."""
    if not asked.filters.ago:
        return 0
    if "-" in asked.logs:
        raise LogError("a pipe is read once: with --rejudge tell the time itself, not how long ago")
    with load(asked.logs) as engine:
        return engine.last_us


@contextmanager
def _doing() -> Iterator[Callable[[str], None]]:
    """Tells what is being done while it takes long, where somebody looks."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("") as status:
        yield lambda words: status.update(words)

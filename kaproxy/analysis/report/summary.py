"""What stands above the findings: how much was read, of when and of whom, and what could not be read.

Counts by two queries. It may not know how they are shown. Read next: `terminal.py`, `as_json.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kaproxy.analysis.findings.asking import Span, named, span
from kaproxy.analysis.logs import Account
from kaproxy.analysis.store.engine import Engine
from kaproxy.diagnosis.wording import counted


@dataclass(frozen=True, slots=True)
class Verdicts:
    """How many connections ended by one cause and root, and how many client identifiers had it."""

    cause: str
    root: str | None
    clean: bool
    connections: int
    clients: int

    @property
    def name(self) -> str:
        """ "keep_alive_timeout/pinged_late"."""
        return named(self.cause, self.root)


@dataclass(frozen=True, slots=True)
class Summary:
    """What was asked for, counted."""

    engine: str
    covered: Span
    clients: int
    verdicts: tuple[Verdicts, ...]


def summary(engine: Engine) -> Summary:
    """Count what is asked for. Raises EngineError."""
    rows = engine.rows(
        "select cause, root, clean, sum(lines) as many, count(distinct client_id) from {clients} as clients "
        "group by cause, root, clean order by many desc, cause, root"
    )
    clients = engine.rows("select count(distinct client_id) from {clients} as clients where client_id != ''")
    verdicts = tuple(
        Verdicts(str(cause), root, bool(clean), int(many), int(distinct))
        for cause, root, clean, many, distinct in rows
    )
    return Summary(engine.name, span(engine), int(clients[0][0] or 0), verdicts)


def unread(accounts: Mapping[str, Account]) -> list[str]:
    """What could not be read, a sentence for each log and kind: "a.log: 2 lines torn (…), lines 7, 9"."""
    found = []
    for name, account in accounts.items():
        for what, others in account.others.items():
            numbers = ", ".join(map(str, others.first))
            more = " …" if others.count > len(others.first) else ""
            where = f"line {numbers}" if others.count == 1 else f"lines {numbers}{more}"
            which = f"; {where}" if others.first else ""
            found.append(f"{name}: {counted(others.count, 'line')} not understood: {what}{which}")
    return found

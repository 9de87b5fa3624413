"""The report for programs: one JSON object, whose `schema` is raised when a name in it changes its meaning.

It may not compute. Read next: `terminal.py`, the same for people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.fleet_what_if import Answer
from kaproxy.analysis.logs import Account
from kaproxy.analysis.report.summary import Summary

#: The version of the object's shape.
SCHEMA = 1


def report(counted: Summary, findings: Sequence[Finding], accounts: Mapping[str, Account]) -> str:
    """Totals, verdicts, findings in the order of the report, and the account of the lines, by log."""
    return dumped(
        {
            "schema": SCHEMA,
            "engine": counted.engine,
            "closing_lines": counted.covered.lines,
            "drops": counted.covered.drops,
            "clients": counted.clients,
            "first_us": counted.covered.first_us,
            "last_us": counted.covered.last_us,
            "verdicts": [asdict(each) for each in counted.verdicts],
            "findings": [asdict(each) for each in findings],
            "logs": {name: asdict(account) for name, account in accounts.items()},
        }
    )


def answers(found: Sequence[Answer]) -> str:
    """The answers to what-if questions."""
    return dumped({"schema": SCHEMA, "what_if": [asdict(each) for each in found]})


def dumped(value: Any) -> str:
    """Any of these as JSON text. Raises ValueError for what JSON has no number for."""
    return json.dumps(value, default=_plain, allow_nan=False)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)

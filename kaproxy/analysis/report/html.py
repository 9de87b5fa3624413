"""The report as one HTML file: it asks nobody for anything, and reads on a phone, on paper and without JavaScript.

Headline findings first, then the charts, then the drops with the explanation that their closing lines gave. The page
forbids itself every outside request (Content-Security-Policy). It may not know how anything was found.
Read next: `charts.py`; `page/report.html` for the page itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaproxy import __version__
from kaproxy.analysis.findings.asking import DROP, Span, named, one_of, span, utc
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.report.summary import summary
from kaproxy.analysis.store.engine import Engine
from kaproxy.analysis.words import printable

#: Drops that stand in the page; of more, those behind the findings and the newest of each cause and root.
MOST_DROPS = 1000
#: Of each cause and root at least so many, where there are.
_OF_EACH = 25
_PAGE = Path(__file__).parent / "page"
_DROP_COLUMNS = (
    *(
        "ended_us",
        "conn_id",
        "client_id",
        "client_addr",
        "broker_addr",
        "cause",
        "root",
        "owner",
        "confidence",
    ),
    *("duration_s", "keep_alive", "explanation", "advice", "would_settle", "source", "line_no"),
)
#: What of the drawing library the page's script calls.
_BUNDLE = "window.vegaEmbed = vegaEmbed;"
_MISSING = "--html needs the libraries of the report: pip install 'kaproxy[report]'"


class ReportError(Exception):
    """The report cannot be written; the message says why."""


@dataclass(frozen=True, slots=True)
class Drop:
    """One row of the table of drops."""

    ended: str
    conn_id: str
    client_id: str
    client_addr: str
    broker_addr: str
    verdict: str
    owner: str
    confidence: str
    duration_s: float
    keep_alive: int | None
    explanation: str
    advice: str
    would_settle: str
    place: str  # log and line


def write(engine: Engine, findings: Sequence[Finding], unread: Sequence[str], path: str) -> None:
    """Write the report to `path`.

    `unread`: what could not be read of the logs, a sentence each. Raises ReportError where a library is missing or
    the file cannot be written, EngineError where the engine fails.
    """
    text = page(engine, findings, unread)
    try:
        Path(path).write_text(text, "utf-8")
    except OSError as error:
        raise ReportError(f"cannot write the report {path}: {error.strerror or error}") from error


def page(engine: Engine, findings: Sequence[Finding], unread: Sequence[str] = ()) -> str:
    """The whole page."""
    try:
        import jinja2
        import vl_convert

        from kaproxy.analysis.report.charts import charts
    except ImportError as error:
        raise ReportError(_MISSING) from error
    drawn, counted = charts(engine, findings), summary(engine)
    covered = counted.covered
    shown = drops(engine, findings)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PAGE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["printable"] = printable
    environment.filters["number"] = _number
    return environment.get_template("report.html").render(
        version=__version__,
        engine=counted.engine,
        covered=_covered(covered),
        lines=covered.lines,
        drop_count=covered.drops,
        clients=counted.clients,
        findings=[_finding(each) for each in findings],
        unread=unread,
        charts=drawn,
        specs=_as_script({chart.name: chart.spec for chart in drawn}),
        drops=shown,
        style=(_PAGE / "report.css").read_text("utf-8"),
        script=(_PAGE / "report.js").read_text("utf-8"),
        vega=vl_convert.javascript_bundle(_BUNDLE) if drawn else "",
    )


def drops(engine: Engine, findings: Sequence[Finding]) -> list[Drop]:
    """The drops to show, newest first: all, or those behind the findings and some of each cause and root."""
    total = span(engine).drops
    if total <= MOST_DROPS:
        return [_drop(row) for row in _drop_rows(engine, DROP, MOST_DROPS)]
    behind = [conn_id for finding in findings for conn_id in finding.connections]
    rows = {
        row[1]: row
        for row in _drop_rows(engine, f"{DROP} and {one_of(engine, 'conn_id', behind)}", MOST_DROPS)
    }
    kinds = engine.rows(f"select cause, root, count(*) from {{drops}} where {DROP} group by cause, root")
    for cause, root, _ in kinds:
        also = f" and root = '{root}'" if root else " and root is null"
        rows |= {row[1]: row for row in _drop_rows(engine, f"{DROP} and cause = '{cause}'{also}", _OF_EACH)}
    newest = {row[1]: row for row in _drop_rows(engine, DROP, MOST_DROPS)}
    others = [conn_id for conn_id in newest if conn_id not in rows]
    rows |= {conn_id: newest[conn_id] for conn_id in others[: max(0, MOST_DROPS - len(rows))]}
    return [_drop(row) for row in sorted(rows.values(), key=lambda row: -row[0])]


def _drop_rows(engine: Engine, condition: str, limit: int) -> list[tuple[Any, ...]]:
    columns = ", ".join(_DROP_COLUMNS)
    return engine.rows(
        f"select {columns} from {{closed}} where {condition} order by ended_us desc, conn_id limit {limit}"
    )


def _drop(row: tuple[Any, ...]) -> Drop:
    said = dict(zip(_DROP_COLUMNS, row, strict=True))
    return Drop(
        ended=utc(int(said["ended_us"])),
        conn_id=str(said["conn_id"]),
        client_id=str(said["client_id"] or ""),
        client_addr=str(said["client_addr"] or ""),
        broker_addr=str(said["broker_addr"] or ""),
        verdict=named(str(said["cause"]), said["root"]),
        owner=str(said["owner"] or ""),
        confidence=str(said["confidence"] or ""),
        duration_s=float(said["duration_s"] or 0.0),
        keep_alive=said["keep_alive"],
        explanation=str(said["explanation"] or ""),
        advice=str(said["advice"] or ""),
        would_settle=str(said["would_settle"] or ""),
        place=str(said["source"]) + ("" if said["line_no"] is None else f":{said['line_no']}"),
    )


def _finding(finding: Finding) -> dict[str, Any]:
    """A finding with its numbers and its time as text."""
    when = ""
    if finding.first_us is not None:
        when = utc(finding.first_us)
        if finding.last_us is not None and finding.last_us > finding.first_us:
            when += f" to {utc(finding.last_us)}"
    numbers = [(name, _number(value)) for name, value in finding.numbers.items() if value is not None]
    return {"is": finding, "when": when, "numbers": numbers}


def _number(value: object) -> str:
    """A number as people read it; anything else as it is."""
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(_number(each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_number(each)}" for name, each in value.items())
    return printable(str(value))


def _covered(covered: Span) -> str:
    if not covered.lines:
        return "no closing line"
    return f"{utc(covered.first_us)} to {utc(covered.last_us)}"


def _as_script(value: object) -> str:
    """JSON that may stand in a script: no end tag and no comment can begin in it."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")

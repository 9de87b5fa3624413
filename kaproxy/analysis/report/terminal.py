"""The report for a terminal: what was read, the findings, the verdicts as a table, and what was not understood.

With colours where there are some, plain text elsewhere, laid out for the console's width. It may not compute.
Read next: `summary.py`; `kaproxy/analysis/screen.py`, the screen of one client.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kaproxy.analysis.findings.asking import percent, utc
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.fleet_what_if import Answer
from kaproxy.analysis.report.summary import Summary
from kaproxy.analysis.whatif import Drops
from kaproxy.analysis.words import printable
from kaproxy.diagnosis.wording import counted

_STYLES = {"settled": "bold green", "likely": "bold yellow", "unclear": "bold magenta"}
#: Findings, verdicts, groups and connections shown; the rest are counted.
_FINDINGS, _VERDICTS, _GROUPS, _CONNECTIONS = 40, 25, 20, 5


class Report:
    """Shows a report on one console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, counted_: Summary, findings: Sequence[Finding], unread: Sequence[str]) -> None:
        """All of it."""
        self._head(counted_)
        self._heading("Findings")
        for finding in findings[:_FINDINGS]:
            self._finding(finding)
        if not findings:
            self._paragraph("Nothing stands out.")
        if len(findings) > _FINDINGS:
            self._paragraph(f"{len(findings) - _FINDINGS} more with --json or --html.")
        self._verdicts(counted_)
        if unread:
            self._heading("Not understood")
            for sentence in unread:
                self._paragraph(printable(sentence))

    def _head(self, found: Summary) -> None:
        covered = found.covered
        if not covered.lines:
            self._paragraph("No closing line is in what was asked for.", "bold")
            return
        share = percent(covered.drops, covered.lines)
        words = f"{covered.drops:,} of {covered.lines:,} connections dropped ({share})"
        self._paragraph(f"{words}, {counted(found.clients, 'client identifier')}", "bold")
        self._paragraph(f"{utc(covered.first_us)} to {utc(covered.last_us)}", "dim")

    def _finding(self, finding: Finding) -> None:
        head = Text(printable(finding.title), "bold")
        self._console.print(Padding(head, (1, 0, 0, 0)))
        self._indented(_tags(finding))
        self._indented(Text(f"Do: {printable(finding.advice)}"))
        self._indented(Text(printable(finding.basis), "dim"))
        numbers = ", ".join(_numbers(finding.numbers))
        if numbers:
            self._indented(Text(numbers, "dim"))
        if finding.connections:
            named = ", ".join(map(printable, finding.connections[:_CONNECTIONS]))
            more = f" and {finding.drops - _CONNECTIONS:,} more" if finding.drops > _CONNECTIONS else ""
            self._indented(Text(f"e.g. {named}{more}", "dim"))

    def _verdicts(self, found: Summary) -> None:
        rows = found.verdicts[:_VERDICTS]
        if not rows:
            return
        self._heading("How connections ended")
        table = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
        table.add_column("cause/root", overflow="fold")
        for name in ("connections", "share", "clients"):
            table.add_column(name, justify="right")
        for each in rows:
            share = percent(each.connections, found.covered.lines)
            style = "dim" if each.clean else ""
            table.add_row(each.name, f"{each.connections:,}", share, f"{each.clients:,}", style=style)
        self._console.print(table)
        if len(found.verdicts) > _VERDICTS:
            self._paragraph(f"{len(found.verdicts) - _VERDICTS} more with --json.", "dim")

    def _heading(self, words: str) -> None:
        self._console.print(Padding(Text(words, "bold underline"), (1, 0, 0, 0)))

    def _paragraph(self, words: str, style: str = "") -> None:
        self._console.print(Text(words, style))

    def _indented(self, text: Text) -> None:
        self._console.print(Padding(text, (0, 0, 0, 2)))


def _tags(finding: Finding) -> Text:
    parts = [Text(finding.confidence, _STYLES.get(finding.confidence, "")), Text(f"{finding.owner} acts")]
    if finding.drops:
        parts.append(Text(counted(finding.drops, "drop")))
    if finding.first_us is not None:
        until = finding.last_us if finding.last_us is not None else finding.first_us
        span = (
            utc(finding.first_us) if until <= finding.first_us else f"{utc(finding.first_us)} to {utc(until)}"
        )
        parts.append(Text(span))
    return Text("; ").join(parts)


def _numbers(numbers: Mapping[str, object]) -> Iterator[str]:
    for name, value in numbers.items():
        if isinstance(value, float):
            yield f"{name} {value:.6g}"
        elif isinstance(value, str | int):
            yield f"{name} {printable(str(value))}"


def answers(found: Sequence[Answer], console: Console) -> None:
    """The answers to what-if questions: sentences, then the client groups that would change."""
    for answer in found:
        console.print(Text(f"What if {answer.question}?", "bold"))
        for sentence in answer.sentences:
            console.print(Padding(Text(printable(sentence)), (0, 0, 0, 2)))
        if answer.groups:
            console.print(_groups(answer))


def _groups(answer: Answer) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("client group", overflow="fold")
    for name in ("connections", "drops now", "then"):
        table.add_column(name, justify="right")
    for each in answer.groups[:_GROUPS]:
        table.add_row(printable(each.group), f"{each.connections:,}", f"{each.now:,}", _range(each.then))
    if len(answer.groups) > _GROUPS:
        table.add_row(f"and {len(answer.groups) - _GROUPS} more", "", "", "")
    return table


def _range(drops: Drops) -> str:
    return f"{drops.least:,}" if drops.least == drops.most else f"{drops.least:,} to {drops.most:,}"

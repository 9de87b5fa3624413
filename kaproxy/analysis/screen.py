"""One screen about a client: its connections, and one of them in full with bars against its deadlines.

On a terminal with colours, elsewhere plain text; laid out for the console's width. It may not compute: what is
shown was found by `story.py`, `timeline.py` and `whatif.py`.
Read next: `bars.py` for a bar.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from kaproxy.analysis import words
from kaproxy.analysis.bars import Bars
from kaproxy.analysis.logs import Account
from kaproxy.analysis.story import Closing, Connection, Found, judged_anew
from kaproxy.analysis.ticket import ticket
from kaproxy.analysis.timeline import Is, Row, Timeline, timeline
from kaproxy.analysis.whatif import duration, what_if
from kaproxy.connection.evidence import Evidence
from kaproxy.diagnosis import wording

_NARROWEST, _NARROWEST_TEXT = 60, 12
_LISTED = 6
_TIME_WIDTH = 9
_CONFIDENCE = {"settled": "bold green", "likely": "bold yellow", "unclear": "bold magenta"}
_ROW_STYLE = {Is.WARNING: "yellow", Is.ENDING: "bold", Is.AFTER: "cyan", Is.GAP: "dim", Is.COUNTED: "dim"}


class Screen:
    """Shows what was found on one console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = max(_NARROWEST, console.width)
        self._ascii = console.options.ascii_only

    def show(self, found: Found, account: Account) -> None:
        """The whole screen."""
        chosen = found.chosen()
        self._connections(found, chosen)
        self._verdict(chosen)
        if chosen.evidence is not None and chosen.closing is not None:
            self._timeline(chosen.evidence, timeline(chosen.evidence, chosen.warnings))
            self._legs(chosen.evidence, chosen.closing)
            self._ruled_out(chosen.closing)
        else:
            self._bare_warnings(chosen)
        self._section("What if", what_if(chosen, found.connections))
        self._heading("For the ticket")
        self._paragraph("", ticket(chosen))
        self._notes(found, account)

    def _connections(self, found: Found, chosen: Connection) -> None:
        hidden = len(found.connections) - _LISTED
        listed = found.connections[-_LISTED:]
        if chosen not in listed:
            listed = [chosen, *listed[1:]]
        self._heading(_title(found))
        id_width = min(20, max(len("conn_id"), *(len(words.printable(each.conn_id)) for each in listed)))
        self._line(Text(f"  {'opened (UTC)':<20} {'lasted':>8}  {'conn_id':<{id_width}}  verdict", "dim"))
        if hidden > 0:
            self._line(Text(f"  … {wording.counted(hidden, 'connection')} not listed", "dim"))
        for each in listed:
            self._hanging(_connection_head(each, each is chosen, id_width), _connection_words(each))

    def _verdict(self, chosen: Connection) -> None:
        self._heading(f"Connection {words.printable(chosen.conn_id)}")
        if chosen.closing is None:
            self._paragraph("  ", "No closing line in this log: it was still open, or the line is missing.")
            return
        said = chosen.closing.said
        verdict = Text.assemble(
            (words.printable(said.name), "bold"),
            "  ",
            (said.confidence, _CONFIDENCE.get(said.confidence, "")),
            f"  code {words.printable(said.code)}  to act: {words.printable(said.owner)}",
        )
        self._hanging(Text("  "), verdict)
        self._paragraph("  ", words.printable(said.explanation))
        self._paragraph("  ", f"To do: {words.printable(said.advice)}")
        anew = judged_anew(chosen.closing)
        if anew is not None:
            self._paragraph("  ", f"Judged again by this version's rules: {anew}.")
        if chosen.closing.trouble is not None:
            trouble = words.printable(chosen.closing.trouble)
            self._paragraph("  ", f"Its evidence cannot be read (line {chosen.closing.line}): {trouble}.")

    def _timeline(self, evidence: Evidence, told: Timeline) -> None:
        bars = Bars.fitting(evidence, told.rows, self._width, plain=self._ascii)
        self._heading(
            f"Timeline (seconds from the first ending, {words.utc(evidence.origin.opened_at + evidence.duration_s)})"
        )
        if bars is not None:
            self._paragraph("  ", bars.legend)
        for left_out, what in (
            (told.packets_before, "control packets before this are not recorded or not shown"),
            (told.warnings_before, "earlier warnings are in the log"),
        ):
            if left_out:
                self._hanging(Text(f"{'…':>{_TIME_WIDTH}}   ", "dim"), Text(f"{left_out} {what}", "dim"))
        for row in told.rows:
            self._row(row, bars)

    def _row(self, row: Row, bars: Bars | None) -> None:
        at = "" if row.at_s is None or row.kind is Is.COUNTED else _offset(row.at_s)
        mark = {Is.WARNING: "! "}.get(row.kind, "  ")
        head = Text(f"{at:>{_TIME_WIDTH}} {mark}", _ROW_STYLE.get(row.kind, ""))
        body = Text(words.printable(row.what), _ROW_STYLE.get(row.kind, ""))
        if bars is None or row.silence_s is None or not bars.worth(row):
            self._hanging(head, body)
            return
        lines = _wrapped(self._console, body, bars.before - len(head.plain) - 1)
        for place, line in enumerate(lines):
            shown = head if place == 0 else Text(" " * len(head.plain))
            last = place == len(lines) - 1
            self._line(_joined(shown, line, bars.before, bars.bar(row.silence_s)) if last else shown + line)

    def _legs(self, evidence: Evidence, closing: Closing) -> None:
        self._heading("What was seen on each leg")
        width = len("client leg") + 4
        for name, leg in (("client leg", evidence.client_leg), ("broker leg", evidence.broker_leg)):
            self._hanging(Text(f"  {name}".ljust(width)), Text(words.leg(leg, evidence.duration_s)))
        for title, sentence in (*words.others(evidence), *words.library(evidence)):
            self._hanging(Text(f"  {title}".ljust(width)), Text(words.printable(sentence)))
        clear, own = words.own_part(evidence, closing.said)
        self._hanging(Text("  kaproxy".ljust(width)), Text(own, "green" if clear else "bold red"))

    def _ruled_out(self, closing: Closing) -> None:
        beaten = [f"{cause}: {because}" for cause, because in closing.said.ruled_out]
        self._section("Ruled out", beaten or ["nothing: no look-alike was near enough to rule out"])
        if closing.said.would_settle:
            self._section("What would settle it", [closing.said.would_settle])

    def _bare_warnings(self, chosen: Connection) -> None:
        lines = [
            f"{words.utc(each.at) if each.at is not None else '-'} {each.event}: {words.warning(each.fields)}"
            for each in chosen.warnings
        ]
        self._section("Warnings", lines)

    def _notes(self, found: Found, account: Account) -> None:
        notes = list(_account(account))
        if found.lost:
            notes.append(
                f"kaproxy says that {wording.counted(found.lost, 'line')} never reached this log (log.dropped)."
            )
        if notes:
            self._line(Text(""))
        for note in notes:
            self._paragraph("", f"Note: {note}", "dim")

    def _section(self, title: str, sentences: Sequence[str]) -> None:
        if sentences:
            self._heading(title)
        for sentence in sentences:
            self._hanging(Text("  - "), Text(words.printable(sentence)))

    def _heading(self, text: str) -> None:
        self._line(Text(""))
        for line in _wrapped(self._console, Text(text, "bold underline"), self._width):
            self._line(line)

    def _paragraph(self, indent: str, text: str, style: str = "") -> None:
        self._hanging(Text(indent), Text(text, style))

    def _hanging(self, head: Text, body: Text) -> None:
        """`body` wrapped to the right of `head`."""
        for place, line in enumerate(_wrapped(self._console, body, self._width - head.cell_len)):
            self._line((head if place == 0 else Text(" " * head.cell_len)) + line)

    def _line(self, line: Text) -> None:
        line.rstrip()
        self._console.print(line, soft_wrap=True, highlight=False)


def _wrapped(console: Console, text: Text, width: int) -> list[Text]:
    return list(text.wrap(console, max(_NARROWEST_TEXT, width)))


def _joined(head: Text, body: Text, before: int, bar: Text) -> Text:
    shown = head + body
    return shown + Text(" " * max(1, before - shown.cell_len)) + bar


def _offset(at_s: float) -> str:
    """Seconds from the first ending, as precise as they are recorded."""
    return f"{at_s:+.3f}" if abs(at_s) < _LONG_S else f"{at_s:+.1f}"


_LONG_S = 100.0


def _title(found: Found) -> str:
    many = wording.counted(len(found.connections), "connection")
    if found.target.conn_id is not None:
        known = next((each.evidence.client_id for each in found.connections if each.evidence), None)
        return f"Connection {words.printable(found.target.conn_id)}" + (
            f' of client "{words.printable(known)}"' if known is not None else ""
        )
    return f'Client "{words.printable(found.target.client_id or "")}": {many} in this log, newest last'


def _connection_head(each: Connection, chosen: bool, id_width: int) -> Text:
    when = words.utc(each.opened_at, spec="seconds") if each.opened_at else "-"
    lasted = duration(each.evidence.duration_s) if each.evidence else "-"
    name = words.printable(each.conn_id)
    short = name if len(name) <= id_width else name[: id_width - 1] + "…"
    return Text(
        f"{'>' if chosen else ' '} {when:<20} {lasted:>8}  {short:<{id_width}}  ", "bold" if chosen else ""
    )


def _connection_words(each: Connection) -> Text:
    if each.closing is None:
        return Text("no closing line", "dim")
    said = each.closing.said
    style = _CONFIDENCE.get(said.confidence, "") if each.dropped else "dim"
    return Text.assemble(
        (words.printable(said.name), style), f" ({said.confidence}, {words.printable(said.owner)})"
    )


def _account(account: Account) -> Iterator[str]:
    """What of the log was not understood."""
    if not account.others:
        return
    parts = []
    for what, others in account.others.items():
        numbers = ", ".join(map(str, others.first)) + (" …" if others.count > len(others.first) else "")
        parts.append(f"{others.count} {what} (line{'s' if others.count > 1 else ''} {numbers})")
    many = wording.counted(account.lines, "line")
    yield f"of {many}, {account.understood} are kaproxy's; the others: {'; '.join(parts)}."

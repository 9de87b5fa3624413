"""What judging old lines again came to, for a terminal: how many, what changed into what, and where to look.

It may not compute. Read next: `rejudge.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from kaproxy.analysis.rejudge import Examples, Rejudged, Said
from kaproxy.analysis.words import printable
from kaproxy.diagnosis import wording

_STYLES = {"settled": "bold green", "likely": "bold yellow", "unclear": "bold magenta"}
_INDENT = 9


def show(found: Rejudged, console: Console) -> None:
    """All of it."""
    for line in _lines(found):
        console.print(line, soft_wrap=True, highlight=False)


def _lines(found: Rejudged) -> Iterator[Text]:
    yield Text(
        f"{wording.counted(found.judged, 'closing line')} judged again by this version's rules", "bold"
    )
    yield Text(f"  {found.same} have the verdict they had{_worded(found)}; {found.changed} have another now.")
    for before, after, examples in found.most_first():
        yield Text("")
        yield Text(f"{examples.count:>{_INDENT - 2}}  ") + _named(before)
        yield Text(" " * (_INDENT - 3) + "-> ") + _named(after)
        yield from _where(examples)
    if found.unreadable:
        count = sum(each.count for each in found.unreadable.values())
        yield Text("")
        yield Text(f"{wording.counted(count, 'closing line')} without evidence that can be read", "bold")
    for why, examples in found.unreadable.items():
        yield Text(f"{examples.count:>{_INDENT - 2}}  {printable(why)}")
        yield from _where(examples)
    yield from _notes(found)


def _worded(found: Rejudged) -> str:
    return f" ({found.worded} of them in other words)" if found.worded else ""


def _named(said: Said) -> Text:
    return Text(printable(said.name), _STYLES.get(said.confidence, ""))


def _where(examples: Examples) -> Iterator[Text]:
    for example in examples.first:
        place = f"{example.source}:{example.line}"
        yield Text(" " * _INDENT + printable(f"{example.conn_id or '-'}  {place}"), "dim")
    if examples.count > len(examples.first):
        yield Text(" " * _INDENT + f"… and {examples.count - len(examples.first)} more", "dim")


def _notes(found: Rejudged) -> Iterator[Text]:
    """What of each log was not understood."""
    for source, account in found.accounts.items():
        for what, others in account.others.items():
            numbers = ", ".join(map(str, others.first)) + (" …" if others.count > len(others.first) else "")
            yield Text(f"Note: {printable(source)}: {others.count} {what}: line {numbers}", "dim")

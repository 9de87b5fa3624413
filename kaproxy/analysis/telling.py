"""`kaproxy explain --log`: from a log's path to the screen. It wires the parts of this package and nothing else."""

from __future__ import annotations

from rich.console import Console

from kaproxy.analysis.logs import Account, open_log, read_lines
from kaproxy.analysis.screen import Screen
from kaproxy.analysis.story import Target, UnknownTargetError, select
from kaproxy.analysis.words import printable


def tell(path: str, target: Target, console: Console | None = None) -> None:
    """Show what the log has of the target, on standard output. Raises LogError and UnknownTargetError."""
    account = Account()
    with open_log(path) as raw:
        found = select(read_lines(raw, account), target)
    Screen(console or Console()).show(found, account)


def unknown_words(error: UnknownTargetError, path: str) -> str:
    """The error in a sentence, with the nearest names."""
    flag = "client identifier" if error.kind == "client" else "connection"
    where = "standard input" if path == "-" else path
    said = f'no {flag} "{printable(error.given)}" in {where}'
    if error.near:
        return f"{said}; did you mean {' or '.join(printable(name) for name in error.near)}?"
    if not error.known:
        return f'{said}: it has no line of kaproxy\'s with one (lines must be JSON: log.format = "json")'
    return f"{said}; it has {error.known} others"

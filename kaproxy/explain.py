"""`kaproxy explain`: the manual's paragraphs on a cause or a root, as text for a terminal.

It finds and lays out; every sentence stands in `kaproxy/diagnosis/causes.py` and `roots.py`. It may not print.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from kaproxy.diagnosis.causes import CAUSE_ROWS, Row
from kaproxy.diagnosis.roots import ROOTS
from kaproxy.settings.kinds import did_you_mean

_WIDTH = 92


class UnknownNameError(Exception):
    """No cause and no root has this name; the message has the nearest one and the list of causes."""


def explain(name: str) -> str:
    """The paragraphs on `name`: a cause, a root (under each cause that has it), or "cause/root"."""
    cause, _, root = name.partition("/")
    found = list(
        _cause(cause) if cause in CAUSE_ROWS and not root else _roots(cause if root else "", root or cause)
    )
    if not found:
        raise UnknownNameError(_unknown(name))
    return "\n\n".join(found) + "\n"


def _cause(name: str) -> Iterator[str]:
    yield _paragraphs(name, CAUSE_ROWS[name])
    roots = ROOTS.get(name, {})
    if roots:
        width = max(map(len, roots))
        lines = [f"  {root:<{width}}  {row.meaning}" for root, row in roots.items()]
        yield "\n".join(["Roots, why it happened (kaproxy explain ROOT):", *lines])


def _roots(cause: str, root: str) -> Iterator[str]:
    for name, rows in ROOTS.items():
        if root in rows and cause in ("", name):
            yield _paragraphs(f"{name}/{root}", rows[root])


def _paragraphs(title: str, row: Row) -> str:
    lines = [title, *_wrapped(row.meaning, "  ", "  "), ""]
    lines += _wrapped(row.evidence, "  Evidence:    ")
    lines += _wrapped(row.look_alikes, "  Look-alikes: ")
    lines += _wrapped(row.owner, "  Owner:       ")
    lines += _wrapped(row.advice, "  To do:       ")
    if not row.judged:
        lines += ["", "  No rule says this yet: the name is reserved."]
    return "\n".join(lines)


def _wrapped(text: str, head: str, rest: str = " " * 15) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=head, subsequent_indent=rest)


def _unknown(name: str) -> str:
    names = [*CAUSE_ROWS, *(root for rows in ROOTS.values() for root in rows)]
    causes = textwrap.fill(", ".join(CAUSE_ROWS), _WIDTH, initial_indent="  ", subsequent_indent="  ")
    return f"no cause or root is called {name}{did_you_mean(name, names)}\nCauses:\n{causes}"

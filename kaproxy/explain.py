"""`kaproxy explain`: the manual's paragraphs on a cause, a root or a code, as text for a terminal.

It finds and lays out; the sentences stand in `kaproxy/diagnosis/causes.py`, `roots.py` and `codes.py`. It may not
print.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import replace

from kaproxy.diagnosis.causes import CAUSE_ROWS, Row
from kaproxy.diagnosis.codes import FIRST_LETTERS, SECOND_LETTERS
from kaproxy.diagnosis.roots import ROOTS
from kaproxy.diagnosis.verdict import Cause
from kaproxy.mqtt.codes import CONNACK_RETURN_CODES, REASON_CODES, reason_name, reason_slug
from kaproxy.settings.kinds import did_you_mean

_WIDTH = 92


#: Roots of connect_refused are named after CONNACK's codes (3.2.2.2); most have no row of their own.
_REFUSALS = {
    reason_slug(code, version, "CONNACK"): reason_name(code, version, "CONNACK")
    for version, codes in ((4, CONNACK_RETURN_CODES), (5, REASON_CODES))
    for code in codes
    if code
}


class UnknownNameError(Exception):
    """No cause, root or code has this name; the message has the nearest one and the list of causes."""


def explain(name: str) -> str:
    """The paragraphs on `name`: a cause, a root (under each cause that has it), "cause/root", or a code ("cE").

    Raises UnknownNameError.
    """
    cause, _, root = name.partition("/")
    if cause in CAUSE_ROWS and not root:
        found = list(_cause(cause))
    else:
        found = [*_roots(cause if root else "", root or cause), *_code(name)]
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
    refused = Cause.CONNECT_REFUSED
    if root in _REFUSALS and root not in ROOTS[refused] and cause in ("", refused):
        row = CAUSE_ROWS[refused]
        yield _paragraphs(
            f"{refused}/{root}", replace(row, meaning=f'{row.meaning} CONNACK: "{_REFUSALS[root]}".')
        )


def _code(name: str) -> Iterator[str]:
    """The termination code's two letters in words."""
    phases = {letter: phase for phase, letter in SECOND_LETTERS.items()}
    if len(name) == 2 and name[0] in FIRST_LETTERS and name[1] in phases:
        yield f"{name}\n  {FIRST_LETTERS[name[0]]}; phase {phases[name[1]]}."


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
    return f"no cause, root or code is called {name}{did_you_mean(name, names)}\nCauses:\n{causes}"

"""The manual page of causes, docs/causes.md, made of the catalogue, the rules and the profiles.

Nothing is said here that is not in those tables, so the page cannot drift from the program. It may not
write a file.
Read next: `causes.py` and `roots.py` for the sentences.
"""

from __future__ import annotations

from collections.abc import Iterator

from kaproxy.diagnosis.causes import CAUSES, Row
from kaproxy.diagnosis.codes import FIRST_LETTERS, SECOND_LETTERS
from kaproxy.diagnosis.profiles import BROKER_PROFILES, TAKEOVERS, BrokerProfile
from kaproxy.diagnosis.roots import ROOTS
from kaproxy.diagnosis.rules import RULES

_HEAD = """\
# Causes

What kaproxy says of an ended connection: `cause` is what happened, `root` why, where the evidence reaches that
far. The strings are a contract: added, never renamed. This page is generated from `kaproxy/diagnosis`; `kaproxy
explain CAUSE` prints one section of it.

## Confidence

Confidence covers the cause and, where one is given, the root.

- `settled`: an explicit code, or two independent facts, say so.
- `likely`: the evidence fits, and the look-alikes that can be told apart are ruled out. A broker or client that
  ends a connection without a word over a keepalive or ping is never more than this.
- `unclear`: another explanation fits as well; `would_settle` says what would decide.

## Not seen from here

An acknowledgement means that a kernel took the bytes, not that an application read them. A takeover by a client
that does not come through the same worker shows as `broker_closed`, a process that ends between two packets as
`client_closed`. A fault on the path behind a load balancer
is only seen on the leg the balancer sits on. Without a configured `broker_profile` the window of all known brokers
together is used.
"""


def causes_markdown() -> str:
    """The whole page."""
    parts = [_HEAD, *_codes(), "## The causes\n", *_overview()]
    for row in CAUSES:
        parts += _cause(row)
    parts += [*_rules(), *_profiles()]
    return "\n".join(parts).rstrip() + "\n"


def _codes() -> Iterator[str]:
    yield "## The code\n"
    yield "`code` is two letters, in the manner of HAProxy's: who or what ended it, and in which phase.\n"
    yield from _table(("first", "meaning"), ((f"`{letter}`", text) for letter, text in FIRST_LETTERS.items()))
    yield from _table(
        ("second", "phase"), ((f"`{letter}`", f"`{phase}`") for phase, letter in SECOND_LETTERS.items())
    )


def _overview() -> Iterator[str]:
    rows = ((f"[`{row.name}`](#{row.name})", row.meaning + _reserved(row)) for row in CAUSES)
    yield from _table(("cause", "meaning"), rows)


def _cause(row: Row) -> Iterator[str]:
    yield f"### {row.name}\n"
    yield row.meaning + _reserved(row) + "\n"
    yield f"- Evidence: {row.evidence}"
    yield f"- Look-alikes: {row.look_alikes}"
    yield f"- Owner: `{row.owner}`"
    yield f"- To do: {row.advice}"
    yield f"- First letter of the code: {f'`{row.letter}`' if row.letter else 'who closed'}\n"
    roots = ROOTS.get(row.name, {}).values()
    if roots:
        cells = (
            (f"`{each.name}`", _words(each), each.evidence, f"`{each.owner}`", each.advice) for each in roots
        )
        yield from _table(("root", "meaning and look-alikes", "evidence", "owner", "to do"), cells)


def _words(root: Row) -> str:
    return f"{root.meaning}{_reserved(root)} Look-alikes: {root.look_alikes}"


def _reserved(row: Row) -> str:
    return "" if row.judged else " *Not yet judged.*"


def _rules() -> Iterator[str]:
    yield "## The order of the rules\n"
    yield "The first that finds something decides.\n"
    yield "\n".join(f"{place}. {rule.name}" for place, rule in enumerate(RULES, 1)) + "\n"


def _profiles() -> Iterator[str]:
    yield "## Broker profiles\n"
    yield "When a broker expires a client, for a Keep Alive of 60 s, in seconds since what it counts.\n"
    yield "Takeover: " + "; ".join(f"*{name}*: {what}" for name, what in TAKEOVERS.items()) + ".\n"
    asked = ("sends 0x8D", "closes with", "waits for CONNECT", "takeover", "largest Keep Alive")
    head = ("profile", "broker", "counts", "from", "to", *asked, "note", "source")
    yield from _table(head, (_profile(row) for row in BROKER_PROFILES.values()))


def _profile(row: BrokerProfile) -> tuple[str, ...]:
    limits = row.window.limits(_EXAMPLE_KEEP_ALIVE)
    low, high = (f"{limits[0]:g}", f"{limits[1]:g}") if limits else ("never", "never")
    says = {True: "yes", False: "no", None: "not known"}[row.sends_0x8d]
    wait = f"{row.connect_wait_s[0]:g} s" if row.connect_wait_s else "-"
    largest = f"{row.keep_alive_max} s" if row.keep_alive_max else "-"
    answers = (says, (row.closes_with or "-").upper(), wait, row.takeover or "-", largest)
    return (f"`{row.name}`", row.title, row.window.counts.value, low, high, *answers, row.note, row.source)


_EXAMPLE_KEEP_ALIVE = 60


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""

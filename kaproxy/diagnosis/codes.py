"""The termination code: two letters in the manner of HAProxy, short, stable, good for grep and counting.

The first says who or what ended the connection, the second in which phase of its life. It may not know
the rules: only who closed, when, and what the catalogue says of the cause.
Read next: `causes.py`, where a cause may bring its own first letter.
"""

from __future__ import annotations

from typing import Final

from kaproxy.connection.facts import Phase

FIRST_LETTERS: Final = {
    "C": "the client ended it",
    "c": "the client's silence ran out: it was expired, never sent CONNECT, or TCP gave up on it",
    "B": "the broker ended it",
    "b": "the broker's silence ran out: the client gave up on it, the dial got no answer, or TCP gave up on it",
    "P": "kaproxy ended it",
    "U": "not known",
}
SECOND_LETTERS: Final = {
    Phase.ACCEPTED: "A",
    Phase.PROXY_HEADER: "H",
    Phase.TLS: "T",
    Phase.AWAITING_CONNECT: "W",
    Phase.DIALING: "D",
    Phase.AWAITING_CONNACK: "K",
    Phase.ESTABLISHED: "E",
    Phase.CLOSING: "L",
}
_BY_CLOSER: Final = {"client": "C", "broker": "B", "proxy": "P"}


def termination_code(closed_by: str, phase: Phase, silence_letter: str = "") -> str:
    """The code of a connection; `silence_letter` is "c" or "b" where a silence ended it, else empty."""
    return (silence_letter or _BY_CLOSER.get(closed_by, "U")) + SECOND_LETTERS[phase]

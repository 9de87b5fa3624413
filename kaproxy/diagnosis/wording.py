"""How numbers and endings are put into sentences.

Plain functions from facts to short English; they may not know a cause.
Read next: `explain.py`, which puts a whole verdict together.
"""

from __future__ import annotations

from typing import Final

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Phase
from kaproxy.connection.keepalive import Counts
from kaproxy.diagnosis.numbers import with_thousandths
from kaproxy.diagnosis.verdict import RuledOut

_WHO: Final = {"client": "The client", "broker": "The broker", "proxy": "kaproxy", "unknown": "Nobody seen"}
_NOBODY: Final = _WHO["unknown"]
_HOW: Final = {
    "disconnect": "sent DISCONNECT",
    "fin": "closed (FIN)",
    "rst": "reset its leg (RST)",
    "timed_out": "no longer answered TCP (timed out)",
    "unreachable": "could not be reached",
    "refused": "refused the dial",
    "tls_alert": "sent a TLS alert",
    "local": "ended the connection",
}
_DIALED: Final = {"timed_out": "did not answer the dial", "unreachable": "could not be dialed"}
_DIALING: Final = Phase.DIALING
_WHEN: Final = {
    Phase.ACCEPTED: " just accepted",
    Phase.PROXY_HEADER: " before its PROXY header was complete",
    Phase.TLS: " in the TLS handshake",
    Phase.AWAITING_CONNECT: " before a CONNECT",
    Phase.DIALING: " while the broker was being dialed",
    Phase.AWAITING_CONNACK: " before a CONNACK",
}


def seconds(value: float) -> str:
    """A duration with at most three decimals, one from 1000 s on: "15.003 s"."""
    if value >= _LONG_S:
        return f"{value:.1f} s"
    return with_thousandths(value).rstrip("0").rstrip(".") + " s"


_LONG_S: Final = 1000.0


def moment(value: float) -> str:
    """A short time in milliseconds, a longer one in seconds: "0.4 ms", "13 ms", "1.2 s"."""
    if value >= 1.0:
        return seconds(value)
    millis = value * 1000
    return f"{millis:.1f}".removesuffix(".0") + " ms" if millis < _FINE_MS else f"{millis:.0f} ms"


_FINE_MS: Final = 10.0


def held(unsent: int | None) -> str:
    """Bytes held for a peer, as the start of a sentence."""
    return counted(unsent, "byte") if unsent else "Bytes"


def in_all(stalled_s: float) -> str:
    """For how long a peer had not read, as the end of a sentence; nothing where only its kernel held them."""
    return f", in all for {seconds(stalled_s)}" if stalled_s >= _STALLED_MATTERS_S else ""


_STALLED_MATTERS_S: Final = 0.001


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 byte", "2 bytes"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def ending(evidence: Evidence) -> str:
    """Who ended the connection, how and when, as a sentence."""
    phase = evidence.phase
    who, when = _WHO.get(evidence.closed_by, _NOBODY), _WHEN.get(phase, "")
    how = _HOW.get(evidence.close_how, "ended it")
    if phase is _DIALING and evidence.closed_by == "broker":
        how, when = _DIALED.get(evidence.close_how, how), ""
    return f"{who} {how} after {seconds(evidence.duration_s)}{when}."


def silence(evidence: Evidence) -> str:
    """The client's silence against the Keep Alive and the broker's window, as a sentence."""
    silent = evidence.silence_counted_s if evidence.silence_counted_s is not None else evidence.silence_s
    who = "Both peers were" if evidence.counts == Counts.BOTH_WAYS else "The client was"
    start = f"{who} silent for {seconds(silent)}; " if silent is not None else ""
    return f"{start}{keep_alive(evidence)}."


def keep_alive(evidence: Evidence) -> str:
    """The Keep Alive and what it allows, as half a sentence."""
    own, effective = evidence.keep_alive, evidence.effective_keep_alive
    text = f"Keep Alive {effective} s"
    if effective != own:
        text += f" (the broker's; the client asked for {own} s)"
    if evidence.limit_low_s is None or evidence.limit_high_s is None:
        return f"{text}, {evidence.broker_profile} sets no limit"
    low, high = seconds(evidence.limit_low_s), seconds(evidence.limit_high_s)
    span = low if low == high else f"{low[:-2]} to {high}"
    broker = "an unknown broker" if evidence.broker_profile == "unknown" else evidence.broker_profile
    return f"{text}, {broker} expires at {span}"


def beaten(cause: str, because: str) -> RuledOut:
    """A look-alike and the fact that beats it."""
    return RuledOut(cause, because)

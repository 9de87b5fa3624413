"""How numbers and endings are put into sentences.

Plain functions from facts to short English; they may not know a cause.
Read next: `explain.py`, which puts a whole verdict together.
"""

from __future__ import annotations

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Phase
from kaproxy.diagnosis.verdict import RuledOut

_WHO = {"client": "The client", "broker": "The broker", "proxy": "kaproxy", "unknown": "Nobody seen"}
_HOW = {
    "disconnect": "sent DISCONNECT",
    "fin": "closed (FIN)",
    "rst": "reset its leg (RST)",
    "timed_out": "no longer answered TCP (timed out)",
    "unreachable": "could not be reached",
    "refused": "refused the dial",
    "tls_alert": "sent a TLS alert",
    "local": "ended the connection",
}
_WHEN = {
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
    return f"{value:.3f}".rstrip("0").rstrip(".") + " s"


_LONG_S = 1000.0


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 byte", "2 bytes"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def ending(evidence: Evidence) -> str:
    """Who ended the connection, how and when, as a sentence."""
    who = _WHO.get(evidence.closed_by, _WHO["unknown"])
    how = _HOW.get(evidence.close_how, "ended it")
    return f"{who} {how} after {seconds(evidence.duration_s)}{_WHEN.get(evidence.phase, '')}."


def silence(evidence: Evidence) -> str:
    """The client's silence against the Keep Alive and the broker's window, as a sentence."""
    silent = evidence.silence_counted_s if evidence.silence_counted_s is not None else evidence.silence_s
    last = f" (last: {evidence.last_from_client.packet})" if evidence.last_from_client else ""
    what = {"bytes": "byte from the client", "both_ways": "byte either way"}.get(
        evidence.counts, "control packet from the client"
    )
    start = f"No {what} for {seconds(silent)}{last}; " if silent is not None else ""
    return f"{start}{keep_alive(evidence)}."


def keep_alive(evidence: Evidence) -> str:
    """The Keep Alive and what it allows, as half a sentence."""
    own, effective = evidence.keep_alive, evidence.effective_keep_alive
    text = f"Keep Alive {effective} s"
    if effective != own:
        text += f" (set by the broker, the client asked for {own} s)"
    if evidence.limit_low_s is None or evidence.limit_high_s is None:
        return f"{text} sets no limit for {evidence.broker_profile}"
    low, high = seconds(evidence.limit_low_s), seconds(evidence.limit_high_s)
    span = low if low == high else f"{low[:-2]} to {high}"
    return f"{text} lets broker_profile {evidence.broker_profile} expire it at {span}"


def beaten(cause: str, because: str) -> RuledOut:
    """A look-alike and the fact that beats it."""
    return RuledOut(cause, because)

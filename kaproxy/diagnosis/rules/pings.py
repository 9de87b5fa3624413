"""The client gave up waiting for PINGRESP: stated by 0x8D, disguised as a normal leave, or without a word.

And why none came: the broker was silent, the path to it dead, the client did not read, or its timer is wrong.
"""

from __future__ import annotations

from dataclasses import replace

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Ending, Side
from kaproxy.diagnosis.clients import SHORTEST_WAIT_S, LimitMatch, matching_limit, own_timer_match
from kaproxy.diagnosis.reading import (
    backlogged,
    closed_first,
    established,
    readable,
    received_in_silence,
    retransmitting,
)
from kaproxy.diagnosis.rules.answer_roots import find_root, read_in_time
from kaproxy.diagnosis.verdict import Cause, Confidence, Finding, RuledOut, weaker
from kaproxy.diagnosis.wording import beaten, seconds

_KEEP_ALIVE_TIMEOUT = 0x8D
_DISGUISED_FACTOR = 1.5
_TOLERANCE_FACTOR = 0.1
_TOLERANCE_S = 0.5


def stated(evidence: Evidence) -> Finding | None:
    """DISCONNECT 0x8D from the client: reserved for brokers, yet three libraries say so."""
    if evidence.first_disconnect != "client" or evidence.disconnect_from_client != _KEEP_ALIVE_TIMEOUT:
        return None
    said = "It gives the reason 0x8D, which clients send when PINGRESP stays away."
    root = find_root(evidence) if evidence.pings_open else read_in_time(evidence)
    seen = readable(evidence, Side.BROKER)
    confidence = root.confidence if root.root else Confidence.SETTLED
    return replace(
        root,
        because=(said, *_waited(evidence), *root.because),
        confidence=confidence if seen else weaker(Confidence.LIKELY, confidence),
        would_settle=root.would_settle or "The client's log: why did it give up?",
    )


def disguised(evidence: Evidence) -> Finding | None:
    """A normal DISCONNECT after 1.5 x Keep Alive with nothing from the broker: paho C's ping timeout."""
    wait = evidence.ping_wait_s
    if evidence.first_disconnect != "client" or evidence.disconnect_from_client or wait is None:
        return None
    if not evidence.pings_open or not _as_paho_c(evidence, wait):
        return None
    root = find_root(evidence)
    said = "A normal DISCONNECT, but after 1.5 x Keep Alive without PINGRESP: paho C's way to give up."
    return replace(
        root,
        because=(said, *_waited(evidence), *root.because),
        confidence=weaker(Confidence.LIKELY, root.confidence),
        ruled_out=(beaten(Cause.CLIENT_DISCONNECT, f"a PINGREQ had waited {seconds(wait)}"), *root.ruled_out),
        would_settle=root.would_settle or "The client's log.",
    )


def _as_paho_c(evidence: Evidence, wait: float) -> bool:
    quiet = evidence.downlink_idle_s
    for keep_alive in {evidence.keep_alive, evidence.effective_keep_alive}:
        if keep_alive:
            limit = _DISGUISED_FACTOR * keep_alive
            least = limit - max(_TOLERANCE_FACTOR * limit, _TOLERANCE_S)
            if wait >= max(least, SHORTEST_WAIT_S) and (quiet is None or quiet >= least):
                return True
    return False


def unanswered(evidence: Evidence) -> Finding | None:
    """The client ended it without a word while a PINGREQ had been open for long."""
    wait = evidence.ping_wait_s
    if not _left_wordless(evidence) or not evidence.pings_open or wait is None or wait < SHORTEST_WAIT_S:
        return None
    match = matching_limit(wait, (evidence.effective_keep_alive, evidence.keep_alive))
    root = find_root(evidence)
    seen = readable(evidence, Side.BROKER)
    confidence = Confidence.LIKELY if match and seen else Confidence.UNCLEAR
    return replace(
        root,
        because=(*_waited(evidence), _matched(match), *_unseen(evidence), *root.because),
        confidence=weaker(confidence, root.confidence),
        ruled_out=(*_not_just_an_exit(evidence, match), *root.ruled_out),
        would_settle=root.would_settle or "The client's log.",
    )


def held_back(evidence: Evidence) -> Finding | None:
    """PINGRESP came, but behind bytes that the client does not take; it closed at its limit."""
    ago = evidence.ping_ago_s
    if not _left_wordless(evidence) or evidence.pings_open or ago is None or ago < SHORTEST_WAIT_S:
        return None
    if not backlogged(evidence.client_leg):
        return None
    match = matching_limit(ago, (evidence.effective_keep_alive, evidence.keep_alive))
    if match is None:
        return None
    root = read_in_time(evidence)
    return replace(
        root,
        because=(f"It closed {seconds(ago)} after its last PINGREQ.", _matched(match), *root.because),
        confidence=weaker(Confidence.LIKELY, root.confidence),
        would_settle=root.would_settle or "The client's log.",
    )


def lost(evidence: Evidence) -> Finding | None:
    """PINGRESP was the last thing passed on, its kernel never acknowledged it, and after a while the client closed."""
    ago, last = evidence.ping_ago_s, evidence.last_from_broker
    if not _left_wordless(evidence) or evidence.pings_open or ago is None or ago < SHORTEST_WAIT_S:
        return None
    if last is None or last.packet != "PINGRESP" or not retransmitting(evidence.client_leg):
        return None
    match = matching_limit(ago, (evidence.effective_keep_alive, evidence.keep_alive))
    root = read_in_time(evidence)
    sure = Confidence.LIKELY if match and readable(evidence, Side.BROKER) else Confidence.UNCLEAR
    return replace(
        root,
        because=(f"It closed {seconds(ago)} after its last PINGREQ.", _matched(match), *root.because),
        confidence=weaker(sure, root.confidence),
    )


def answered(evidence: Evidence) -> Finding | None:
    """Answered and taken by its kernel, yet it closed where a ping timer ends: chance, its timer, or unread."""
    ago = evidence.ping_ago_s
    if not _left_wordless(evidence) or evidence.pings_open or not evidence.pingresps or ago is None:
        return None
    unread = evidence.close_how == Ending.RST
    if unread and not received_in_silence(evidence):
        return None
    match = own_timer_match(ago, (evidence.effective_keep_alive, evidence.keep_alive), any_limit=unread)
    if match is None:
        return None
    root = read_in_time(evidence)
    return replace(
        root,
        because=(
            f"It closed {seconds(ago)} after its last PINGREQ, though that had been answered.",
            _matched(match),
            *root.because,
        ),
        confidence=Confidence.UNCLEAR,
        would_settle=f"The next drop {seconds(match.low_s)} after a PINGREQ too, or the client's log.",
    )


def _left_wordless(evidence: Evidence) -> bool:
    return closed_first(evidence, Side.CLIENT) and established(evidence)


def _waited(evidence: Evidence) -> tuple[str, ...]:
    wait = evidence.ping_wait_s
    if wait is None or not evidence.pings_open:
        return ("Every PINGREQ had been answered.",) if evidence.pingreqs else ()
    slowest = evidence.ping_rtt_max_ms
    usual = f"; earlier ones at most {slowest:.1f} ms" if slowest is not None else ""
    return (f"Its PINGREQ had waited {seconds(wait)} at Keep Alive {evidence.keep_alive} s{usual}.",)


def _matched(match: LimitMatch | None) -> str:
    if match is None:
        return "That matches no client library known here."
    low, high = seconds(match.low_s), seconds(match.high_s)
    limit = low if low == high else f"{low[:-2]} to {high}"
    return f"Known to give up after {limit}: {match.libraries}."


def _unseen(evidence: Evidence) -> tuple[str, ...]:
    if readable(evidence, Side.BROKER):
        return ()
    return ("The broker's bytes could not all be read; a PINGRESP may have been missed.",)


def _not_just_an_exit(evidence: Evidence, match: LimitMatch | None) -> tuple[RuledOut, ...]:
    if match is None:
        return ()
    cause = Cause.CLIENT_RESET if evidence.close_how == Ending.RST else Cause.CLIENT_CLOSED
    return (beaten(cause, "it left at a known ping limit"),)

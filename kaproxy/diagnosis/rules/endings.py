"""What is left when nothing explains an ending: who closed, how, and what could not be ruled out.

These say no more than was seen. An RST alone blames nobody: any close with unread bytes shows as one.
"""

from __future__ import annotations

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Ending, Side
from kaproxy.diagnosis.reading import (
    backlogged,
    closed_first,
    established,
    idle_both_ways,
    keep_alive_of,
    own_delay,
    perhaps_expired_unseen,
    readable,
    retransmitting,
)
from kaproxy.diagnosis.rules.answer_roots import EXPIRED_UNSEEN
from kaproxy.diagnosis.rules.keep_alive import in_window
from kaproxy.diagnosis.rules.neighbours import broker_cause
from kaproxy.diagnosis.rules.openings import AT_ONCE_S
from kaproxy.diagnosis.verdict import Cause, Confidence, Finding, Owner, RuledOut
from kaproxy.diagnosis.wording import beaten, seconds

#: A client or broker may lose patience with kaproxy from here on, seconds.
OWN_DELAY_S = 1.0
_MANY = 5
#: So many CONNECTs within a minute, of connections no longer than this (s), are a storm.
STORM_CONNECTS = 6
_SHORT_LIFE_S = 10.0


def malformed(evidence: Evidence) -> Finding | None:
    """The broker closed just after bytes that kaproxy cannot read either."""
    found, since = evidence.unreadable, evidence.silence_bytes_s
    if found is None or found.side != Side.CLIENT or since is None or since > AT_ONCE_S:
        return None
    if not closed_first(evidence, Side.BROKER):
        return None
    return Finding(
        Cause.PACKET_REJECTED,
        (
            f"kaproxy cannot read the client's {found.packet} at byte {found.offset} either: {found.what}.",
            f"The broker closed {seconds(since)} after the client's last byte.",
        ),
        Confidence.LIKELY,
        root="malformed",
        would_settle="The broker's log.",
    )


def broker(evidence: Evidence) -> Finding | None:
    """The broker ended it, and why is not seen."""
    if not closed_first(evidence, Side.BROKER):
        return None
    fine = _looks_fine(evidence)
    reset = evidence.close_how == Ending.RST
    return Finding(
        broker_cause(evidence),
        (*_last(evidence), *_idle(evidence), *_crowd(evidence), *_blind(evidence), *_no_blame(evidence)),
        Confidence.UNCLEAR,
        root="client_looks_fine" if fine else None,
        owner=Owner.NOBODY if reset else None,
        ruled_out=(*_not_keep_alive(evidence), *_not_idle(evidence)),
        would_settle=_settled_by(evidence, "broker"),
    )


def client(evidence: Evidence) -> Finding | None:
    """The client ended it without DISCONNECT, and no ping explains it."""
    if not closed_first(evidence, Side.CLIENT):
        return None
    reset = evidence.close_how == Ending.RST
    cause = Cause.CLIENT_RESET if reset else Cause.CLIENT_CLOSED
    root, told = _why_it_left(evidence)
    expired = (EXPIRED_UNSEEN,) if perhaps_expired_unseen(evidence) else ()
    return Finding(
        cause,
        (*_last(evidence), *told, *expired, *_idle(evidence), *_blind(evidence), *_no_blame(evidence)),
        Confidence.UNCLEAR
        if reset or expired or root == "process_exit" or _perhaps_cut(evidence)
        else Confidence.LIKELY,
        root=root,
        ruled_out=(*_not_ping(evidence), *_not_idle(evidence)),
        would_settle=_settled_by(evidence, "client"),
    )


def _why_it_left(evidence: Evidence) -> tuple[str | None, tuple[str, ...]]:
    """It connects again and again, or it went in the middle of a packet."""
    others, partial = evidence.neighbours, evidence.partial_from_client
    short = evidence.duration_s <= _SHORT_LIFE_S
    if others is not None and others.connects_1m >= STORM_CONNECTS and short:
        last = others.previous_ended_s
        gap = f", {seconds(last)} after the last one ended" if last is not None else ""
        return "storm", (
            f"This was CONNECT number {others.connects_1m} of that client within a minute{gap}.",
        )
    if evidence.closed_within_1s >= _MANY and others is not None and not others.ended_by_broker:
        told = f"{evidence.closed_within_1s} connections ended in that second, none of them by the broker"
        return "process_exit", (f"{told}: one process, its host, or a box before kaproxy.",)
    if partial is not None and partial.size is not None:
        return "process_exit", (
            "A library does not close in the middle of a packet, so its process may have ended.",
        )
    return None, ()


def _looks_fine(evidence: Evidence) -> bool:
    """Is there nothing to be seen that the client did wrong, or that another explanation needs?"""
    silent_s, keep_alive = evidence.silence_s, keep_alive_of(evidence)
    readable_both = readable(evidence, Side.CLIENT) and readable(evidence, Side.BROKER)
    if not established(evidence) or not readable_both or silent_s is None or idle_both_ways(evidence):
        return False
    in_time = not evidence.late_gaps and (not keep_alive or silent_s <= keep_alive)
    answered = not evidence.pings_open or (evidence.ping_wait_s or 0.0) < OWN_DELAY_S
    leg = evidence.client_leg
    healthy = not backlogged(leg) and not retransmitting(leg) and evidence.partial_from_client is None
    return in_time and answered and healthy and not evidence.oddities


def kaproxy_was_late(evidence: Evidence) -> Finding | None:
    """kaproxy stood still for so long that the peer may have lost patience with it, and no time here can be trusted."""
    if own_delay(evidence) < OWN_DELAY_S:
        return None
    if closed_first(evidence, Side.BROKER):
        cause = broker_cause(evidence)
    elif closed_first(evidence, Side.CLIENT):
        cause = Cause.CLIENT_RESET if evidence.close_how == Ending.RST else Cause.CLIENT_CLOSED
    else:
        return None
    delay = seconds(own_delay(evidence))
    return Finding(
        cause,
        (f"kaproxy itself was up to {delay} late on this connection, which may be why.", *_blind(evidence)),
        Confidence.UNCLEAR,
        owner=Owner.PROXY,
        advice="Give kaproxy more CPU before looking at client or broker.",
        would_settle="The same with kaproxy less loaded: see loop_lag_max_ms and relay_dwell_max_ms.",
    )


def unknown(evidence: Evidence) -> Finding:
    """The last rule always finds."""
    return Finding(
        Cause.UNKNOWN,
        (f"closed_by {evidence.closed_by}, close_how {evidence.close_how}: no rule explains this.",),
        Confidence.UNCLEAR,
        would_settle="The logs of both peers.",
    )


def _last(evidence: Evidence) -> tuple[str, ...]:
    """That nothing was said, and what the client had sent last."""
    last, partial = evidence.last_from_client, evidence.partial_from_client
    if partial is not None and partial.size is not None:
        return (
            f"No DISCONNECT; of a {partial.packet} from the client {partial.seen} of {partial.size} bytes had come.",
        )
    if last is not None:
        return (f"No DISCONNECT; last from the client: {last.packet}, {seconds(last.ago_s)} before.",)
    return ("No DISCONNECT.",)


def _idle(evidence: Evidence) -> tuple[str, ...]:
    if not idle_both_ways(evidence):
        return ()
    idle = seconds(evidence.idle_s or 0.0)
    return (f"Nothing had passed either way for {idle}, so a box with that idle limit (idle_cut) fits too.",)


def _not_idle(evidence: Evidence) -> tuple[RuledOut, ...]:
    if _perhaps_cut(evidence):
        return ()
    return (beaten(Cause.IDLE_CUT, f"bytes passed {seconds(evidence.idle_s or 0.0)} before"),)


def _perhaps_cut(evidence: Evidence) -> bool:
    """May a box have cut it for being idle, be it one with a limit that nobody knows?"""
    return evidence.idle_s is None or evidence.idle_s >= _PERHAPS_CUT_S


#: No box is set to cut what was idle for less (s).
_PERHAPS_CUT_S = 1.0


def _crowd(evidence: Evidence) -> tuple[str, ...]:
    if evidence.closed_within_1s < _MANY:
        return ()
    return (f"{evidence.closed_within_1s} connections ended in that second, so the broker may have stopped.",)


def _blind(evidence: Evidence) -> tuple[str, ...]:
    if evidence.observer_error is not None:
        return ("The observer failed, so packets before the ending may not have been seen.",)
    if evidence.unreadable is not None:
        side, what = evidence.unreadable.side, evidence.unreadable.what
        return (f"Bytes from the {side} could not be read to the end ({what}).",)
    return ()


def _no_blame(evidence: Evidence) -> tuple[str, ...]:
    if evidence.close_how != Ending.RST:
        return ()
    return ("RST alone is no crash: a close with unread bytes looks the same.",)


def _not_keep_alive(evidence: Evidence) -> tuple[RuledOut, ...]:
    silent_s, low, high = evidence.silence_counted_s, evidence.limit_low_s, evidence.limit_high_s
    if silent_s is None or not readable(evidence, Side.CLIENT) or in_window(evidence):
        return ()
    if low is not None and silent_s < low and _deaf_for(evidence) > silent_s:
        return ()  # the broker may have counted from the last packet that it read
    if not keep_alive_of(evidence):
        return (beaten(Cause.KEEP_ALIVE_TIMEOUT, "Keep Alive 0 sets no limit"),)
    if low is None or high is None:
        return ()
    limit = f"the limit is {seconds(low)}" if silent_s < low else f"it would close by {seconds(high)}"
    return (beaten(Cause.KEEP_ALIVE_TIMEOUT, f"{seconds(silent_s)} of silence; {limit}"),)


def _not_ping(evidence: Evidence) -> tuple[RuledOut, ...]:
    if evidence.pings_open and evidence.ping_wait_s is not None:
        return (beaten(Cause.PING_TIMEOUT, f"its PINGREQ was only {seconds(evidence.ping_wait_s)} old"),)
    if evidence.pingreqs and readable(evidence, Side.BROKER):
        return (beaten(Cause.PING_TIMEOUT, "every PINGREQ had been answered"),)
    return ()


def _deaf_for(evidence: Evidence) -> float:
    """Seconds for which the broker has not answered a PINGREQ that its kernel had: it may not have read since."""
    return evidence.ping_wait_s or 0.0 if evidence.pings_open else 0.0


def _settled_by(evidence: Evidence, who: str) -> str:
    if idle_both_ways(evidence):
        return f"The {who}'s log; for idle_cut, other connections with the same idle time."
    return f"The {who}'s log at this time."

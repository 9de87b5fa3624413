"""What is left when nothing explains an ending: who closed, how, and what could not be ruled out.

These say no more than was seen. An RST alone blames nobody: any close with unread bytes shows as one.
"""

from __future__ import annotations

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Ending, Side
from kaproxy.diagnosis.reading import closed_first, keep_alive_of, own_delay, perhaps_expired_unseen, readable
from kaproxy.diagnosis.rules.answer_roots import EXPIRED_UNSEEN
from kaproxy.diagnosis.rules.keep_alive import in_window
from kaproxy.diagnosis.rules.openings import AT_ONCE_S
from kaproxy.diagnosis.verdict import Cause, Confidence, Finding, Owner, RuledOut
from kaproxy.diagnosis.wording import beaten, seconds

#: A client or broker may lose patience with kaproxy from here on, seconds.
OWN_DELAY_S = 1.0
_LONG_IDLE_S = 10.0
_MANY = 5


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
    cause = Cause.BROKER_RESET if evidence.close_how == Ending.RST else Cause.BROKER_CLOSED
    if own_delay(evidence) >= OWN_DELAY_S:
        return _kaproxy_was_late(evidence, cause)
    return Finding(
        cause,
        (*_last(evidence), *_idle(evidence), *_crowd(evidence), *_blind(evidence), *_no_blame(evidence)),
        Confidence.UNCLEAR,
        ruled_out=(*_not_keep_alive(evidence), *_not_idle(evidence)),
        would_settle=_settled_by(evidence, "broker"),
    )


def client(evidence: Evidence) -> Finding | None:
    """The client ended it without DISCONNECT, and no ping explains it."""
    if not closed_first(evidence, Side.CLIENT):
        return None
    reset = evidence.close_how == Ending.RST
    cause = Cause.CLIENT_RESET if reset else Cause.CLIENT_CLOSED
    if own_delay(evidence) >= OWN_DELAY_S:
        return _kaproxy_was_late(evidence, cause)
    expired = (EXPIRED_UNSEEN,) if perhaps_expired_unseen(evidence) else ()
    return Finding(
        cause,
        (*_last(evidence), *expired, *_idle(evidence), *_blind(evidence), *_no_blame(evidence)),
        Confidence.UNCLEAR if reset or expired or _idle_both(evidence) else Confidence.LIKELY,
        ruled_out=(*_not_ping(evidence), *_not_idle(evidence)),
        would_settle=_settled_by(evidence, "client"),
    )


def _kaproxy_was_late(evidence: Evidence, cause: Cause) -> Finding:
    """kaproxy stood still for so long that the peer may have lost patience with it, and no time here can be trusted."""
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


def _idle_both(evidence: Evidence) -> bool:
    return evidence.idle_s is not None and evidence.idle_s >= _LONG_IDLE_S


def _idle(evidence: Evidence) -> tuple[str, ...]:
    if not _idle_both(evidence):
        return ()
    idle = seconds(evidence.idle_s or 0.0)
    return (f"Nothing had passed either way for {idle}, so a box with that idle limit (idle_cut) fits too.",)


def _not_idle(evidence: Evidence) -> tuple[RuledOut, ...]:
    if evidence.idle_s is None or evidence.idle_s >= 1.0:
        return ()
    return (beaten(Cause.IDLE_CUT, f"bytes passed {seconds(evidence.idle_s)} before"),)


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


def _settled_by(evidence: Evidence, who: str) -> str:
    if _idle_both(evidence):
        return f"The {who}'s log; for idle_cut, other connections with the same idle time."
    return f"The {who}'s log at this time."

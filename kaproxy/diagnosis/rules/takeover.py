"""Takeover: another connection came with the same client identifier (MQTT 5.0 3.1.4-3, 3.1.1 3.1.4-2)."""

from __future__ import annotations

from kaproxy.connection.evidence import Evidence, Rival
from kaproxy.connection.facts import Side
from kaproxy.diagnosis.reading import EARLY_TOLERANCE_S, closed_first
from kaproxy.diagnosis.verdict import Cause, Confidence, Finding, RuledOut
from kaproxy.diagnosis.wording import beaten, seconds

TAKEN_OVER = 0x8E
#: The broker closes the older connection at once; asynchronous ones within this time (s) of the CONNECT.
RIVAL_WITHIN_S = 1.0


def stated(evidence: Evidence) -> Finding | None:
    """DISCONNECT 0x8E from the broker."""
    if evidence.first_disconnect != "broker" or evidence.disconnect_from_broker != TAKEN_OVER:
        return None
    rival = recent_rival(evidence)
    where = _rival(evidence, rival) if rival else "The other CONNECT did not pass through this worker."
    return Finding(
        Cause.TAKEOVER,
        ("It gives the reason 0x8E, Session taken over.", where),
        Confidence.SETTLED,
    )


def silent(evidence: Evidence) -> Finding | None:
    """The broker ended it within a second of a rival's CONNECT, without a code that says otherwise."""
    rival = recent_rival(evidence)
    told = evidence.first_disconnect == "broker" and not evidence.disconnect_from_broker
    if rival is None or not (told or closed_first(evidence, Side.BROKER)):
        return None
    overdue = _overdue(evidence)
    if overdue is None:
        return Finding(
            Cause.TAKEOVER,
            (_rival(evidence, rival),),
            Confidence.SETTLED,
            ruled_out=_not_overdue(evidence),
        )
    return Finding(
        Cause.TAKEOVER,
        (_rival(evidence, rival), f"It was also overdue by then, by {seconds(overdue)}."),
        Confidence.LIKELY,
        would_settle="The broker's log: did it close for the new CONNECT or for the silence?",
    )


def recent_rival(evidence: Evidence) -> Rival | None:
    """The rival whose CONNECT came at most a second before the ending."""
    rival = evidence.taken_over_by
    if rival is None or rival.gap_s is None or not 0 <= rival.gap_s <= RIVAL_WITHIN_S:
        return None
    return rival


def _overdue(evidence: Evidence) -> float | None:
    """Seconds beyond the low end of the broker's window, None where it was not yet reached."""
    silent_s, low = evidence.silence_counted_s, evidence.limit_low_s
    if silent_s is None or low is None or silent_s < low - EARLY_TOLERANCE_S:
        return None
    return max(0.0, silent_s - low)


def _not_overdue(evidence: Evidence) -> tuple[RuledOut, ...]:
    silent_s = evidence.silence_counted_s
    if silent_s is None:
        return ()
    return (beaten(Cause.KEEP_ALIVE_TIMEOUT, f"the client was silent for {seconds(silent_s)} only"),)


def _rival(evidence: Evidence, rival: Rival) -> str:
    same = "the same address" if rival.client_addr == evidence.origin.client_addr else rival.client_addr
    gap = f" {seconds(rival.gap_s)} before" if rival.gap_s is not None else ""
    silent_s = evidence.silence_s
    busy = f"; this one had been silent for {seconds(silent_s)}" if silent_s is not None else ""
    return f"Connection {rival.conn_id} from {same} sent CONNECT with this client identifier{gap}{busy}."

"""Takeover: another connection came with the same client identifier (MQTT 5.0 3.1.4-3, 3.1.1 3.1.4-2).

Whether that were two clients, or one that came back, is found in `takeover_roots.py`.
"""

from __future__ import annotations

from dataclasses import replace

from kaproxy.connection.evidence import Evidence, Rival
from kaproxy.connection.facts import Side
from kaproxy.diagnosis.reading import EARLY_TOLERANCE_S, closed_first, keep_alive_of
from kaproxy.diagnosis.rules.takeover_roots import find_root
from kaproxy.diagnosis.verdict import Cause, Confidence, Finding, RuledOut, weaker
from kaproxy.diagnosis.wording import beaten, moment, seconds

TAKEN_OVER = 0x8E
#: The broker closes the older connection at once; asynchronous ones within this time (s) of the CONNECT.
RIVAL_WITHIN_S = 1.0
_TWO = 2  # this connection's ending, and one more: the rival's own last one, perhaps


def stated(evidence: Evidence) -> Finding | None:
    """DISCONNECT 0x8E from the broker."""
    if evidence.first_disconnect != "broker" or evidence.disconnect_from_broker != TAKEN_OVER:
        return None
    said = "It gives the reason 0x8E, Session taken over."
    rival = recent_rival(evidence)
    if rival is None:
        unseen = "The other CONNECT did not pass through this worker."
        return Finding(Cause.TAKEOVER, (said, unseen), Confidence.SETTLED)
    return _finding(evidence, rival, (said, _rival(evidence, rival)), Confidence.SETTLED)


def silent(evidence: Evidence) -> Finding | None:
    """The broker ended it within a second of a rival's CONNECT, without a code that says otherwise."""
    rival = recent_rival(evidence)
    told = evidence.first_disconnect == "broker" and not evidence.disconnect_from_broker
    if rival is None or not (told or closed_first(evidence, Side.BROKER)):
        return None
    overdue = _overdue(evidence)
    told_overdue = () if overdue is None else (f"It was also overdue by then, by {seconds(overdue)}.",)
    sure = overdue is None and _nothing_else_happened(evidence, rival)
    confidence = Confidence.SETTLED if sure else Confidence.LIKELY
    found = _finding(evidence, rival, (_rival(evidence, rival), *told_overdue), confidence)
    return found if told_overdue else replace(found, ruled_out=(*_not_overdue(evidence), *found.ruled_out))


def _nothing_else_happened(evidence: Evidence, rival: Rival) -> bool:
    """Nothing of this client came after the other CONNECT, and nobody else's connection ended with it."""
    silent_s = evidence.silence_s
    return silent_s is not None and silent_s >= (rival.gap_s or 0.0) and evidence.closed_within_1s <= _TWO


def _finding(evidence: Evidence, rival: Rival, because: tuple[str, ...], confidence: Confidence) -> Finding:
    root = find_root(evidence, rival)
    return Finding(
        Cause.TAKEOVER,
        (*because, *root.because),
        weaker(confidence, root.confidence) if root.name else confidence,
        root=root.name,
        ruled_out=root.ruled_out,
        would_settle=root.would_settle or "The broker's log.",
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
    return (beaten(Cause.KEEP_ALIVE_TIMEOUT, f"silent for {seconds(silent_s)} only"),)


def _rival(evidence: Evidence, rival: Rival) -> str:
    same = "the same address" if rival.client_addr == evidence.origin.client_addr else rival.client_addr
    gap = f" {moment(rival.gap_s)} before" if rival.gap_s is not None else ""
    silent_s = evidence.silence_s
    long = silent_s is not None and silent_s > keep_alive_of(evidence)
    busy = f"; this one had been silent for {seconds(silent_s or 0.0)}" if long else ""
    return f"{rival.conn_id} from {same} sent CONNECT with this client identifier{gap}{busy}."

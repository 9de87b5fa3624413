"""Silences that were none, or within what the client had announced: others are to blame before its loop is.

A long packet was on its way, the broker did not take what the client sent, or the client kept to its own Keep
Alive where the broker had set a shorter one, told or untold.
Read next: `silence_roots.py`, which asks these first.
"""

from __future__ import annotations

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Side
from kaproxy.connection.keepalive import Counts
from kaproxy.diagnosis.profiles import BrokerProfile, cap_matching, profile_named
from kaproxy.diagnosis.reading import (
    EARLY_TOLERANCE_S,
    LATE_TOLERANCE_S,
    Life,
    client_life,
    keep_alive_of,
    not_taking,
    readable,
    version,
)
from kaproxy.diagnosis.rules.root import Root
from kaproxy.diagnosis.verdict import Cause, Confidence
from kaproxy.diagnosis.wording import beaten, held, in_all, seconds

_LIKELY, _UNCLEAR = Confidence.LIKELY, Confidence.UNCLEAR
_HUNG = f"{Cause.KEEP_ALIVE_TIMEOUT}/client_hung"
#: Bytes that came within this part of the Keep Alive show that the packet was still moving.
_MOVING_FACTOR = 0.25
#: A client's own pace may exceed its Keep Alive by so much: a tenth, or a poll loop's second.
_PACE_FACTOR, _PACE_S = 0.1, 1.0
#: A PINGREQ that waits longer (s) shows that the broker does not read.
_LONG_WAIT_S = 2.0


def upload_starved(evidence: Evidence) -> Root | None:
    """A control packet was on its way all the time, and the broker counts complete ones only."""
    partial, since = evidence.partial_from_client, evidence.silence_bytes_s
    keep_alive = keep_alive_of(evidence)
    if partial is None or since is None or evidence.counts == Counts.BYTES or since >= keep_alive:
        return None
    size = f" of {partial.size}" if partial.size is not None else ""
    so_far = f"{partial.seen}{size} bytes of a {partial.packet} had come, the last {seconds(since)} before."
    enough = profile_named(evidence.broker_profile).counts_rest_above
    counted = enough is not None and partial.size is not None and partial.size - partial.seen > enough
    moving = since <= _MOVING_FACTOR * keep_alive and not counted
    return Root(
        "upload_starved",
        (so_far, *((f"This broker should count them, with more than {enough} to come.",) if counted else ())),
        _LIKELY if moving else _UNCLEAR,
        ruled_out=(beaten(_HUNG, "it was sending"),) if moving else (),
        would_settle="The same with a Keep Alive longer than the upload takes.",
    )


def broker_not_reading(evidence: Evidence) -> Root | None:
    """What the client sent was held here, because the broker did not take it, and the client was not read either."""
    leg, silent_s = evidence.broker_leg, evidence.silence_counted_s or 0.0
    if not not_taking(leg) or silent_s - leg.stalled_s > keep_alive_of(evidence):
        return None
    told = f"{held(leg.unsent)} from the client could not be passed on: the broker did not read"
    return Root(
        "broker_not_reading",
        (f"{told}{in_all(leg.stalled_s)}.",),
        _LIKELY if leg.stalled_now else _UNCLEAR,
        ruled_out=(beaten(_HUNG, "what it sent was not taken"),),
        would_settle="The broker's log: what kept it from reading?",
    )


def unanswered_for_long(evidence: Evidence) -> Root | None:
    """The broker's kernel took a PINGREQ that its process never saw."""
    wait = evidence.ping_wait_s
    if not evidence.pings_open or wait is None or wait < _LONG_WAIT_S or not readable(evidence, Side.BROKER):
        return None
    return Root(
        "broker_not_reading",
        (f"A PINGREQ had been unanswered for {seconds(wait)} by then, so the broker was not reading.",),
        would_settle="The broker's log: what kept it from reading?",
    )


def server_keep_alive_ignored(evidence: Evidence) -> Root | None:
    """The broker set a shorter Keep Alive in CONNACK (5.0 3.2.2-21), and the client kept to its own."""
    own, theirs, silent_s = evidence.keep_alive, evidence.effective_keep_alive, evidence.silence_s or 0.0
    if not own or not theirs or theirs >= own or not readable(evidence, Side.CLIENT):
        return None
    pace_s = own + max(_PACE_S, _PACE_FACTOR * own)
    if silent_s > pace_s or (evidence.gap_max_s or 0.0) > pace_s or client_life(evidence) is not Life.REACTED:
        return None
    told = [f"The broker had set {theirs} s in CONNACK; its silence is within its own {own} s."]
    if evidence.late_gaps and evidence.gap_max_s is not None:
        told.append(f"It had been silent for up to {seconds(evidence.gap_max_s)} before.")
    late = evidence.late_from_client
    if late is not None:
        told.append(f"Its {late.packet} came {seconds(silent_s + late.after_s)} after the one before.")
    return Root(
        "server_keep_alive_ignored",
        tuple(told),
        ruled_out=(beaten(_HUNG, "it closed in its turn"),),
        would_settle="Its next PINGREQ, at its own pace.",
    )


def cap(evidence: Evidence) -> BrokerProfile | None:
    """Whose silent cap on Keep Alive the silence fits; 5.0 brokers tell theirs in CONNACK."""
    silent_s = evidence.silence_counted_s
    if silent_s is None or evidence.keep_alive is None or not readable(evidence, Side.CLIENT):
        return None
    found = cap_matching(
        evidence.broker_profile, keep_alive_of(evidence), silent_s, (EARLY_TOLERANCE_S, LATE_TOLERANCE_S)
    )
    told = version(evidence) >= 5 and found is not None and found.name != evidence.broker_profile
    return None if told else found


def capped(evidence: Evidence, whose: BrokerProfile) -> Root:
    """The broker counted a smaller Keep Alive than the one announced."""
    known = whose.name == evidence.broker_profile
    return Root(
        "silent_cap",
        (
            f"That is where {whose.title} expires a client it lowered to {whose.keep_alive_max} s, untold.",
            *(() if known else ("Whether this broker does so is not known.",)),
        ),
        _LIKELY if known else _UNCLEAR,
        would_settle="The broker's maximum Keep Alive, or the same with a Keep Alive below it.",
    )

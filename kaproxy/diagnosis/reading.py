"""What several rules have to read out of the evidence before they can judge.

Small questions with plain answers: could this direction be read, is the client alive, how late was kaproxy
itself. They may not know causes.
Read next: `rules/__init__.py`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from kaproxy.connection.evidence import Evidence, Frame
from kaproxy.connection.facts import Ending, LegFacts, Phase, Side
from kaproxy.diagnosis.profiles import profile_named
from kaproxy.mqtt.codes import PACKET_NAMES, PacketType

#: Network and scheduling between the broker's clock and what is seen here, seconds (both sides of a window).
EARLY_TOLERANCE_S: Final = 0.2
LATE_TOLERANCE_S: Final = 0.3
#: Below this, kaproxy's own delays explain nothing, seconds.
DELAY_MATTERS_S: Final = 0.05

#: What `Unreadable.what` says where the first bytes are another protocol's.
STRANGERS: Final = frozenset({"tls", "http", "ssh", "proxy_header", "mqtt_sn", "zeros", "other"})

_TCP_GAVE_UP: Final[tuple[Ending, ...]] = (Ending.TIMED_OUT, Ending.UNREACHABLE)
_LEVELS: Final = {"3.1": 3, "3.1.1": 4, "5.0": 5}


class Life(StrEnum):
    """What the client showed of itself after the broker's ending."""

    REACTED = "reacted"  # it sent something or closed: its loop runs
    RESET = "reset"  # it reset the leg: it closed with unread bytes, or no longer knows the connection
    KERNEL = "kernel"  # its kernel acknowledged the FIN, its application did nothing
    GONE = "gone"  # not even its kernel answers
    BLOCKED = "blocked"  # it does not take what is held for it, so the FIN could not follow
    UNKNOWN = "unknown"


def version(evidence: Evidence) -> int:
    """The protocol level; 0 where it is not known."""
    return _LEVELS.get(evidence.protocol_version or "", 0)


def established(evidence: Evidence) -> bool:
    """Had CONNACK with success passed, with no DISCONNECT after it?"""
    return evidence.phase is Phase.ESTABLISHED


def readable(evidence: Evidence, side: Side) -> bool:
    """Could all control packets from that side be read to the end?"""
    blind = evidence.unreadable is not None and evidence.unreadable.side == side
    return not blind and evidence.observer_error is None


def leg(evidence: Evidence, side: Side) -> LegFacts:
    """The leg of that side."""
    return evidence.client_leg if side is Side.CLIENT else evidence.broker_leg


def closed_first(evidence: Evidence, side: Side) -> bool:
    """Did that side end the connection, without a word, by closing or resetting its leg?"""
    closers = (Ending.FIN, Ending.RST)
    return evidence.closed_by == side and evidence.close_how in closers


def gave_up_first(evidence: Evidence, side: Side) -> Ending | None:
    """How TCP gave up on that side's leg, where that was the first ending."""
    if evidence.closed_by not in (side, "unknown") or evidence.close_how == "disconnect":
        return None
    ending = leg(evidence, side).ending
    if ending is None and evidence.closed_by == side:
        ending = next((each for each in _TCP_GAVE_UP if each == evidence.close_how), None)
    return ending if ending in _TCP_GAVE_UP else None


def backlogged(facts: LegFacts) -> bool:
    """Are bytes held for this peer because it does not take them? Bytes just on their way are no backlog."""
    return facts.stalled_now or (bool(facts.unsent) and (facts.stalled_s > 0 or facts.window == 0))


def not_taking(facts: LegFacts) -> bool:
    """Is this peer alive and not reading: bytes are held for it, nothing sent is lost?"""
    return backlogged(facts) and not retransmitting(facts)


def retransmitting(facts: LegFacts) -> bool:
    """Are bytes on their way to this peer unacknowledged and sent again?"""
    if facts.retransmits:
        return facts.unacked is None or facts.unacked > 0 or facts.fin_acked is False
    return bool(facts.unacked) and bool(facts.backoff) and facts.window != 0


def perhaps_expired_unseen(evidence: Evidence) -> bool:
    """May the broker have expired the client, its ending still unread behind bytes the client does not take?"""
    silent_s, low, facts = evidence.silence_counted_s, evidence.limit_low_s, evidence.client_leg
    if silent_s is None or low is None or not (backlogged(facts) or facts.stalled_s >= _LONG_STALL_S):
        return False
    return silent_s >= low - EARLY_TOLERANCE_S


_LONG_STALL_S: Final = 1.0


def all_acknowledged(facts: LegFacts) -> bool:
    """Did this peer's kernel acknowledge everything there was for it?"""
    return facts.unsent == 0 and facts.unacked == 0


def client_life(evidence: Evidence) -> Life:
    """What the client showed after the broker's ending, from late packets, its own ending and its kernel."""
    facts = evidence.client_leg
    if evidence.late_from_client is not None or facts.ending is Ending.FIN:
        return Life.REACTED
    if facts.ending is Ending.RST:
        return Life.RESET
    if facts.ending in _TCP_GAVE_UP or retransmitting(facts):
        return Life.GONE
    if not_taking(facts):
        return Life.BLOCKED
    if facts.fin_acked is None:
        return Life.UNKNOWN
    return Life.KERNEL if facts.fin_acked else Life.GONE


def own_delay(evidence: Evidence) -> float:
    """Seconds by which kaproxy itself may have been late, beyond what a peer that did not read explains."""
    relay = evidence.relay
    stalls = max(evidence.client_leg.stalled_s, evidence.broker_leg.stalled_s)
    dwell = relay.dwell_max_s if relay.dwell_max_s > stalls + DELAY_MATTERS_S else 0.0
    return max(relay.lag_recent_s, dwell)


def stated_code(evidence: Evidence) -> tuple[int, str] | None:
    """The return or reason code a peer gave for the ending, and the packet it stood in; None where none did."""
    if evidence.first_disconnect == "client":
        code = evidence.disconnect_from_client
    elif evidence.first_disconnect == "broker":
        code = evidence.disconnect_from_broker
    else:
        return (evidence.connack_code, "CONNACK") if evidence.connack_code else None
    return (code or 0, "DISCONNECT") if version(evidence) >= 5 or code else None


def received_in_silence(evidence: Evidence) -> int:
    """Control packets the broker sent during the client's last silence, PINGRESP and its DISCONNECT left out."""
    return max(0, evidence.downlink_in_silence - (evidence.first_disconnect == "broker"))


def frames_from(evidence: Evidence, side: Side) -> list[Frame]:
    """The flight recorder's entries of that side up to the first ending, oldest first."""
    from_client = side is Side.CLIENT
    return [each for each in evidence.frames if each.from_client == from_client and each.ago_s >= 0]


def came_after(evidence: Evidence, kind: PacketType) -> bool:
    """Did a control packet of this type come from the broker after the first ending?"""
    late = evidence.late_from_broker
    if late is not None and late.packet == PACKET_NAMES[kind]:
        return True
    after = (each for each in evidence.frames if not each.from_client and each.ago_s < 0)
    return any(each.first_byte >> 4 == kind for each in after)


def idle_both_ways(evidence: Evidence) -> bool:
    """Had nothing passed either way for so long that a box may have cut it?"""
    return evidence.idle_s is not None and evidence.idle_s >= LONG_IDLE_S


#: Boxes on the path are not known to cut sooner, seconds.
LONG_IDLE_S: Final = 10.0


def strong_limit_high(evidence: Evidence) -> float | None:
    """Where the part of the window ends in which nearly every broker falls, seconds; the whole, if known."""
    strong = profile_named(evidence.broker_profile).strong
    limits = strong.limits(evidence.effective_keep_alive or 0) if strong else None
    if limits is None or evidence.limit_high_s is None:
        return evidence.limit_high_s
    return min(limits[1], evidence.limit_high_s)


def keep_alive_of(evidence: Evidence) -> int:
    """The Keep Alive in force, seconds; 0 where there is none."""
    return evidence.effective_keep_alive or 0


def moment_after(evidence: Evidence, facts: LegFacts) -> float | None:
    """Seconds from the first ending to this leg's own ending, None where it never ended."""
    return None if facts.ended_s is None else facts.ended_s - evidence.duration_s

"""A peer closed just after a packet of the other: what the packet was, and how likely it is that it was the reason.

Without a code this is never settled. A packet counts as a trigger only where an answer was due and none came,
or where packets are so rare that the moment can hardly be chance. A crowd of endings is no trigger.
"""

from __future__ import annotations

from kaproxy.connection.evidence import Evidence, Frame
from kaproxy.connection.facts import Side
from kaproxy.diagnosis.reading import closed_first, established, frames_from, readable, version
from kaproxy.diagnosis.verdict import Cause, Confidence, Finding, Owner
from kaproxy.diagnosis.wording import beaten, moment, seconds
from kaproxy.mqtt.codes import PACKET_NAMES, PacketType

_LIKELY, _UNCLEAR = Confidence.LIKELY, Confidence.UNCLEAR
#: A broker or client that closes on a packet does so within this time (s).
AT_ONCE_S = 1.0
#: A moment so many times shorter than the usual pause is hardly chance.
_RARE = 10.0
_VERY_RARE = 100.0
#: A connection this young (s) ends by its first packets.
_YOUNG_S = 5.0
#: Packets from here on (bytes) are above some broker's limit.
_LARGE, _VERY_LARGE = 4096, 65_536
_LARGER = 4
#: Brokers allow 20 to 65,535 unacknowledged PUBLISH.
_SMALLEST_RECEIVE_MAXIMUM = 20
#: Oddities that make a PUBLISH or SUBSCRIBE malformed (3.3.1-4, 1.5.4, 2.2.1, 2.1.3, 3.8.3).
_MALFORMED_ODDITIES = frozenset(
    {
        "publish_qos_3",
        "reserved_flags",
        "packet_identifier_0",
        "invalid_utf8",
        "null_in_string",
        "no_topic_filter",
    }
)
_POISON_CONNECTS = 3
_POISON_S = 0.5


def rejected(evidence: Evidence) -> Finding | None:
    """The broker closed within a second of a packet of the client that asks for an answer or is rare."""
    if (
        not closed_first(evidence, Side.BROKER)
        or not established(evidence)
        or not readable(evidence, Side.CLIENT)
    ):
        return None
    others = evidence.neighbours
    if others is not None and (others.ended_by_broker > 1 or others.dials_refused):
        return None
    if evidence.partial_from_client is not None:
        return _too_large(evidence)
    last = evidence.last_from_client
    if last is None or last.ago_s > AT_ONCE_S:
        return None
    if last.packet == "CONNECT" or f"{last.packet.lower()}_from_client" in evidence.oddities:
        return _violation(evidence)
    return _unanswered(evidence) if last.packet in _ANSWERED else None


_ANSWERED = frozenset({"PUBLISH", "SUBSCRIBE", "UNSUBSCRIBE"})


def _too_large(evidence: Evidence) -> Finding | None:
    """It closed while a large packet was coming, larger than any that it had taken."""
    partial, since = evidence.partial_from_client, evidence.silence_bytes_s
    if partial is None or partial.size is None or partial.size < _LARGE or since is None or since > AT_ONCE_S:
        return None
    if partial.size < _LARGER * _largest(frames_from(evidence, Side.CLIENT)):
        return None
    very = partial.size >= _VERY_LARGE
    return Finding(
        Cause.PACKET_REJECTED,
        (f"It did so when {partial.seen} of the {partial.size} bytes of a {partial.packet} had come.",),
        _LIKELY if very else _UNCLEAR,
        root="too_large",
        would_settle="The broker's maximum packet size, or its log.",
    )


def _largest(frames: list[Frame]) -> int:
    return max((each.size for each in frames), default=0)


def _violation(evidence: Evidence) -> Finding | None:
    last = evidence.last_from_client
    if last is None or (last.packet == "CONNECT" and "second_connect" not in evidence.oddities):
        return None
    what = (
        "a second CONNECT (3.1.0-2)"
        if last.packet == "CONNECT"
        else f"a {last.packet}, which clients may not send"
    )
    return Finding(
        Cause.PACKET_REJECTED,
        (f"It did so {moment(last.ago_s)} after {what}.",),
        _LIKELY,
        root="protocol_violation",
        would_settle="The broker's log.",
    )


def _unanswered(evidence: Evidence) -> Finding | None:
    """The last packet is still unanswered; a PUBLISH with QoS 0 never is answered and has to be rare."""
    last, answer = evidence.last_from_client, evidence.last_from_broker
    if last is None or (answer is not None and answer.ago_s <= last.ago_s and last.packet != "PUBLISH"):
        return None
    frames = frames_from(evidence, Side.CLIENT)
    qos = frames[-1].first_byte >> 1 & 3 if frames and last.packet == "PUBLISH" else 0
    due = last.packet != "PUBLISH" or bool(evidence.inflight_from_client)
    first = (
        last.ago_s <= _POISON_S and sum(each.first_byte >> 4 == PacketType.PUBLISH for each in frames) == 1
    )
    young = evidence.duration_s <= _YOUNG_S and (due or first)
    if (qos and not due) or not (young or _is_rare(frames, last.ago_s)):
        return None
    root, why = _kind(evidence, last.packet, frames)
    return Finding(
        Cause.PACKET_REJECTED,
        (
            f"It did so {moment(last.ago_s)} after a {last.packet} of the client, the last it sent"
            f"{', still unanswered' if due else ''}.",
            *why,
        ),
        _LIKELY if due and root is not None and root not in _GUESSES else _UNCLEAR,
        root=root,
        owner=None if root else Owner.CLIENT_APP,
        ruled_out=(beaten(Cause.KEEP_ALIVE_TIMEOUT, f"the client had sent {moment(last.ago_s)} before"),),
        would_settle="The broker's log, or the same packet before each such close.",
    )


_GUESSES = frozenset({"too_large", "receive_maximum"})


def _is_rare(frames: list[Frame], ago_s: float) -> bool:
    """Was the pause before the last packet much longer than the moment after it?"""
    if len(frames) < 2:
        return False
    return frames[-2].ago_s - frames[-1].ago_s >= _RARE * max(ago_s, 0.001)


def _kind(evidence: Evidence, packet: str, frames: list[Frame]) -> tuple[str | None, tuple[str, ...]]:
    """What may be wrong with the packet: a root and its reasons."""
    odd = sorted(_MALFORMED_ODDITIES.intersection(evidence.oddities))
    if odd:
        return "malformed", (f"Something was wrong with it: {', '.join(odd)}.",)
    size = frames[-1].size if frames else 0
    if size >= _LARGE and size >= _LARGER * _largest(frames[:-1]):
        cut = bool(evidence.broker_leg.unsent)
        rest = (
            f" {evidence.broker_leg.unsent} of them were not sent on yet."
            if cut
            else " It may not be allowed, too."
        )
        return "too_large", (f"With {size} bytes it was by far the largest so far.{rest}",)
    if version(evidence) >= 5:
        if packet == "PUBLISH" and evidence.inflight_from_client >= _SMALLEST_RECEIVE_MAXIMUM:
            return "receive_maximum", (f"{evidence.inflight_from_client} PUBLISH were unacknowledged.",)
        return None, ()
    return "not_authorized_suspected", (f"3.x brokers close like this on a {packet} that is not allowed.",)


def unacceptable(evidence: Evidence) -> Finding | None:
    """The client closed at a packet of the broker: one that cannot be read, or is large, or comes once in a while."""
    if not closed_first(evidence, Side.CLIENT) or not established(evidence):
        return None
    quiet = evidence.downlink_idle_s
    if quiet is None or quiet > AT_ONCE_S:
        return None
    found, partial = evidence.unreadable, evidence.partial_from_broker
    odd = _reserved_type(evidence)
    if odd is not None:
        return _not_taken(evidence, odd, _LIKELY)
    if found is not None:
        if found.side != Side.BROKER:
            return None
        told = f"kaproxy cannot read the broker's {found.packet} at byte {found.offset} either: {found.what}."
        return _not_taken(evidence, told, _LIKELY)
    if partial is not None:
        if partial.size is None or partial.size < _VERY_LARGE:
            return None
        return _not_taken(
            evidence, f"{partial.seen} of the {partial.size} bytes of a {partial.packet} had come."
        )
    return _poison(evidence)


def _reserved_type(evidence: Evidence) -> str | None:
    """The broker's last packet has a type that the client's version does not know, or only clients may send."""
    frames = frames_from(evidence, Side.BROKER)
    if not frames:
        return None
    name = PACKET_NAMES[frames[-1].first_byte >> 4]
    if frames[-1].first_byte >> 4 == 0 and "reserved_packet_type" in evidence.oddities:
        return "That was a packet of reserved type 0."
    if f"{name.lower()}_from_broker" in evidence.oddities:
        return f"That was a {name}, which only clients may send."
    return None


def _not_taken(evidence: Evidence, told: str, confidence: Confidence = _UNCLEAR) -> Finding:
    when = f"It did so {moment(evidence.downlink_idle_s or 0.0)} after the broker's last byte."
    settle = "The client's log, or the same packet before each such close."
    return Finding(Cause.PACKET_UNACCEPTABLE, (when, told), confidence, would_settle=settle)


def _poison(evidence: Evidence) -> Finding | None:
    """A PUBLISH after a long pause, or on each of many short connections, and the client is gone at once."""
    frames = frames_from(evidence, Side.BROKER)
    if not frames or frames[-1].first_byte >> 4 != PacketType.PUBLISH or frames[-1].ago_s > _POISON_S:
        return None
    publishes = [each for each in frames if each.first_byte >> 4 == PacketType.PUBLISH]
    ago_s, others = frames[-1].ago_s, evidence.neighbours
    if others is not None and others.connects_1m >= _POISON_CONNECTS and evidence.duration_s <= _YOUNG_S:
        told = f"The last was a PUBLISH of {frames[-1].size} bytes, and it connects again and again."
        return _not_taken(evidence, told)
    before = publishes[-2].ago_s if len(publishes) > 1 else evidence.duration_s
    if before - ago_s < _VERY_RARE * max(ago_s, 0.001) or before - ago_s < _PAUSE_S:
        return None
    return _not_taken(evidence, f"That was the first PUBLISH for {seconds(before - ago_s)}.")


_PAUSE_S = 10.0

"""What a peer said on the wire: CONNACK with a refusal, DISCONNECT with or without a code.

A stated code decides the cause. The codes that have rules of their own (0x8D, 0x8E) are in `keep_alive.py`,
`pings.py` and `takeover.py`.
"""

from __future__ import annotations

from kaproxy.connection.evidence import Evidence
from kaproxy.diagnosis.profiles import BROKER_PROFILES
from kaproxy.diagnosis.reading import keep_alive_of, not_taking, version
from kaproxy.diagnosis.rules.orderly import IN_ORDER
from kaproxy.diagnosis.verdict import Cause, Confidence, Finding, Owner
from kaproxy.diagnosis.wording import beaten, in_all, moment, seconds
from kaproxy.mqtt.codes import reason_name, reason_slug

_ERROR = 0x80
_WITH_WILL = 0x04
_SHUTTING_DOWN = 0x8B
_LIFETIME = 0xA0
_IDENTIFIER_REJECTED = 2
_AEDES_KEEP_ALIVE = 6
#: A Keep Alive from here on (s) may be above a max_keepalive that an operator sets.
_LARGE_KEEP_ALIVE = 600

#: Who has to act on a refusal, by code; the operator on all others.
_REFUSAL_OWNERS = {
    **dict.fromkeys((1, 2, 6, 0x84, 0x85, 0x90, 0x95, 0x99, 0x9A, 0x9B), Owner.CLIENT_APP),
    **dict.fromkeys((0x81, 0x82), Owner.CLIENT_LIBRARY),
    **dict.fromkeys((3, 0x80, 0x83, 0x88, 0x89, 0x8B), Owner.BROKER),
}
#: Roots of packet_rejected by the code that states them (5.0 2.4).
_REJECTION_ROOTS = {
    **dict.fromkeys((0x81, 0x8F, 0x90, 0x99), "malformed"),
    **dict.fromkeys((0x82, 0x94, 0x9A, 0x9B, 0x9E, 0xA1, 0xA2), "protocol_violation"),
    **dict.fromkeys((0x96, 0x97), "quota"),
    0x87: "not_authorized",
    0x93: "receive_maximum",
    0x95: "too_large",
}
#: Codes by which a client says that it cannot take a packet of the broker.
_NAMES_A_PACKET = frozenset({0x81, 0x82, 0x90, 0x93, 0x94, 0x95, 0x99})
#: Who has to act on a DISCONNECT of the broker, by code; the broker on all others.
_DISCONNECT_OWNERS = {
    **dict.fromkeys((0x98, 0x9C, 0x9D, 0x9F), Owner.OPERATOR),
    _LIFETIME: Owner.NOBODY,
}


def connect_refused(evidence: Evidence) -> Finding | None:
    """CONNACK with a return code (3.x) or reason code (5.0) other than 0."""
    code = evidence.connack_code
    if not code:
        return None
    suspected = _keep_alive_refused(evidence, code)
    if suspected is not None:
        return suspected
    name = reason_name(code, version(evidence), "CONNACK")
    unsure = version(evidence) < 5 and code == _IDENTIFIER_REJECTED and _proper_identifier(evidence)
    return Finding(
        Cause.CONNECT_REFUSED,
        (f"The broker answered CONNECT with CONNACK {_number(evidence, code)}, {name}.",),
        Confidence.LIKELY if unsure else Confidence.SETTLED,  # some say this of a Keep Alive
        root=reason_slug(code, version(evidence), "CONNACK"),
        owner=_REFUSAL_OWNERS.get(code, Owner.OPERATOR),
        would_settle="The same client identifier with another Keep Alive." if unsure else None,
    )


def _keep_alive_refused(evidence: Evidence, code: int) -> Finding | None:
    """mosquitto and Aedes refuse a Keep Alive in 3.x, where no code exists for it."""
    if version(evidence) >= 5:
        return None
    announced = evidence.keep_alive or 0
    if code == _AEDES_KEEP_ALIVE:
        why = "which no standard lists; Aedes means by it that the Keep Alive is above its limit"
        confidence = Confidence.LIKELY
    elif code == _IDENTIFIER_REJECTED and _keep_alive_suspected(evidence, announced):
        why = "and nothing is wrong with the client identifier; mosquitto with max_keepalive answers so"
        known = evidence.broker_profile.startswith(_REFUSES_WITH_2)
        confidence = Confidence.LIKELY if known else Confidence.UNCLEAR
    else:
        return None
    return Finding(
        Cause.CONNECT_REFUSED,
        (f"CONNACK {code} to a CONNECT with Keep Alive {announced} s, {why}.",),
        confidence,
        root="keep_alive_above_maximum",
        would_settle="The same client identifier being accepted with another Keep Alive.",
    )


def _keep_alive_suspected(evidence: Evidence, announced: int) -> bool:
    """Is the client identifier fine, and the broker one that says CONNACK 2 of a Keep Alive, or may it be one?"""
    if not _proper_identifier(evidence):
        return False
    if evidence.broker_profile in BROKER_PROFILES and evidence.broker_profile != "unknown":
        return evidence.broker_profile.startswith(_REFUSES_WITH_2)
    name = evidence.client_id or ""
    mandatory = len(name) <= _LONGEST_OF_3_1 and name.isascii() and name.isalnum()
    return mandatory or not announced or announced >= _LARGE_KEEP_ALIVE


def _proper_identifier(evidence: Evidence) -> bool:
    """Is the client identifier one that every broker has to take (3.1.1 3.1.3-5), or at least not empty or long?"""
    name = evidence.client_id or ""
    short = len(name) <= _LONGEST_OF_3_1 if version(evidence) == 3 else len(name) <= _LONGEST_USUAL
    return bool(name) and short and name.isprintable()


#: Characters every 3.1 broker takes (3.1: 1 to 23), and those that brokers of 3.1.1 are not known to refuse.
_LONGEST_OF_3_1, _LONGEST_USUAL = 23, 128
_REFUSES_WITH_2 = "mosquitto"


def client_disconnect(evidence: Evidence) -> Finding | None:
    """DISCONNECT from the client, with the code it gave."""
    if evidence.first_disconnect != "client":
        return None
    code = evidence.disconnect_from_client or 0
    if code >= _ERROR:
        because = f"It gives the reason {_named(evidence, code)}."
        if code in _NAMES_A_PACKET:
            last = evidence.last_from_broker
            after = f"Last from the broker: {last.packet}, {moment(last.ago_s)} before." if last else ""
            return Finding(Cause.PACKET_UNACCEPTABLE, (because, after), Confidence.SETTLED)
        return Finding(Cause.CLIENT_DISCONNECT_ERROR, (because,), Confidence.SETTLED)
    if code == _WITH_WILL:
        return Finding(
            Cause.CLIENT_DISCONNECT_WITH_WILL,
            ("Reason 0x04: the broker shall publish the Will.",),
            Confidence.SETTLED,
        )
    return _left_in_order(evidence)


def _left_in_order(evidence: Evidence) -> Finding:
    wait = evidence.ping_wait_s
    if not evidence.pings_open or wait is None:
        return IN_ORDER
    keep_alive = keep_alive_of(evidence)
    if keep_alive and wait >= keep_alive:
        return Finding(
            Cause.CLIENT_DISCONNECT,
            (f"A PINGREQ had been unanswered for {seconds(wait)} by then, so it may have given up.",),
            Confidence.LIKELY,
            advice="If it left for want of a PINGRESP, look at the broker.",
            would_settle="The client's own log: did it leave because of the missing PINGRESP?",
        )
    because = f"It left in order; its last PINGREQ was {seconds(wait)} old."
    young = f"the PINGREQ had waited {seconds(wait)} only"
    return Finding(
        Cause.CLIENT_DISCONNECT,
        (because,),
        Confidence.SETTLED,
        ruled_out=(beaten(Cause.PING_TIMEOUT, young),),
    )


def packet_rejected(evidence: Evidence) -> Finding | None:
    """DISCONNECT from the broker with a code that speaks of a packet of the client."""
    code = _from_broker(evidence)
    root = _REJECTION_ROOTS.get(code) if code is not None else None
    if code is None or root is None:
        return None
    last = f" Last from the client: {evidence.last_from_client.packet}." if evidence.last_from_client else ""
    because = f"It gives the reason {_named(evidence, code)}.{last}"
    return Finding(Cause.PACKET_REJECTED, (because,), Confidence.SETTLED, root=root)


def broker_disconnect(evidence: Evidence) -> Finding | None:
    """DISCONNECT from the broker with any other code, or with none."""
    code = _from_broker(evidence)
    if code is None:
        return None
    if version(evidence) < 5 and code == 0:
        return _of_3x(evidence)
    cause = Cause.BROKER_SHUTDOWN if code == _SHUTTING_DOWN else Cause.BROKER_DISCONNECT
    root, sure, told = _why_disconnected(evidence, code)
    return Finding(
        cause,
        (f"It gives the reason {_named(evidence, code)}.", told),
        sure,
        root=root,
        owner=None if cause is Cause.BROKER_SHUTDOWN or told else _DISCONNECT_OWNERS.get(code),
        would_settle=None if sure is Confidence.SETTLED else "The broker's log at this time.",
    )


def _why_disconnected(evidence: Evidence, code: int) -> tuple[str | None, Confidence, str]:
    """A root for what the code leaves open, how sure, and why."""
    ended = evidence.closed_within_1s
    if code == _LIFETIME:
        return "lifetime_limit", Confidence.SETTLED, ""
    if code == _SHUTTING_DOWN and ended >= _CROWD:
        return "restart", Confidence.SETTLED, f"{ended} connections ended in that second."
    if code in _GO_ELSEWHERE and ended >= _CROWD:
        return "restart", Confidence.LIKELY, f"{ended} connections ended in that second."
    if code not in _SAYS_NOTHING:
        return None, Confidence.SETTLED, ""
    if not_taking(evidence.client_leg) and evidence.client_leg.stalled_s >= _SLOW_S:
        told = f"The client had not read{in_all(evidence.client_leg.stalled_s)}."
        return "slow_consumer", Confidence.LIKELY, told
    return None, Confidence.SETTLED, ""


_CROWD = 5
_GO_ELSEWHERE = frozenset({0x9C, 0x9D})
_SAYS_NOTHING = frozenset({0x80, 0x83})
_SLOW_S = 1.0


def _of_3x(evidence: Evidence) -> Finding:
    many = evidence.closed_within_1s >= _CROWD
    return Finding(
        Cause.BROKER_DISCONNECT,
        (
            f"MQTT {evidence.protocol_version or '3.x'} has no DISCONNECT from the broker and no code in it; "
            "mochi sends it on a takeover and when it stops.",
            *((f"{evidence.closed_within_1s} connections ended in that second.",) if many else ()),
        ),
        Confidence.LIKELY,
        root="restart" if many else None,
        would_settle="The broker's log at this time.",
    )


def _from_broker(evidence: Evidence) -> int | None:
    return (evidence.disconnect_from_broker or 0) if evidence.first_disconnect == "broker" else None


def _named(evidence: Evidence, code: int) -> str:
    return f"{_number(evidence, code)}, {reason_name(code, version(evidence), 'DISCONNECT')}"


def _number(evidence: Evidence, code: int) -> str:
    """Return codes of 3.x are written in decimal, reason codes in hexadecimal, as the standards do."""
    return f"0x{code:02X}" if version(evidence) >= 5 else str(code)

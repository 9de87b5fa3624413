"""What a peer said on the wire: CONNACK with a refusal, DISCONNECT with or without a code.

A stated code decides the cause. The codes that have rules of their own (0x8D, 0x8E) are in `keep_alive.py`,
`pings.py` and `takeover.py`.
"""

from __future__ import annotations

from kaproxy.connection.evidence import Evidence
from kaproxy.diagnosis.reading import keep_alive_of, version
from kaproxy.diagnosis.verdict import Cause, Confidence, Finding, Owner
from kaproxy.diagnosis.wording import beaten, seconds
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
    return Finding(
        Cause.CONNECT_REFUSED,
        (f"The broker answered CONNECT with CONNACK {_number(evidence, code)}, {name}.",),
        Confidence.SETTLED,
        root=reason_slug(code, version(evidence), "CONNACK"),
        owner=_REFUSAL_OWNERS.get(code, Owner.OPERATOR),
    )


def _keep_alive_refused(evidence: Evidence, code: int) -> Finding | None:
    """mosquitto and Aedes refuse a Keep Alive in 3.x, where no code exists for it."""
    if version(evidence) >= 5:
        return None
    announced = evidence.keep_alive or 0
    proper_id = bool(evidence.client_id)
    large = announced >= _LARGE_KEEP_ALIVE
    if code == _AEDES_KEEP_ALIVE:
        why = "which no standard lists; Aedes means by it that the Keep Alive is above its limit"
        confidence = Confidence.LIKELY
    elif code == _IDENTIFIER_REJECTED and proper_id and (announced == 0 or large):
        why = "and the client identifier is not empty; mosquitto with max_keepalive answers so"
        confidence = Confidence.UNCLEAR if large else Confidence.LIKELY
    else:
        return None
    return Finding(
        Cause.CONNECT_REFUSED,
        (f"CONNACK {code} to a CONNECT with Keep Alive {announced} s, {why}.",),
        confidence,
        root="keep_alive_above_maximum",
        would_settle="The same client identifier being accepted with another Keep Alive.",
    )


def client_disconnect(evidence: Evidence) -> Finding | None:
    """DISCONNECT from the client, with the code it gave."""
    if evidence.first_disconnect != "client":
        return None
    code = evidence.disconnect_from_client or 0
    if code >= _ERROR:
        name = reason_name(code, version(evidence), "DISCONNECT")
        because = f"It gives the reason {_number(evidence, code)}, {name}."
        return Finding(Cause.CLIENT_DISCONNECT_ERROR, (because,), Confidence.SETTLED)
    if code == _WITH_WILL:
        return Finding(
            Cause.CLIENT_DISCONNECT_WITH_WILL,
            ("Reason 0x04: the broker shall publish the Will.",),
            Confidence.SETTLED,
        )
    return _left_in_order(evidence)


def _left_in_order(evidence: Evidence) -> Finding:
    wait, keep_alive = evidence.ping_wait_s, keep_alive_of(evidence)
    if not evidence.pings_open or wait is None:
        return Finding(Cause.CLIENT_DISCONNECT, ("It left in order.",), Confidence.SETTLED)
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
    return Finding(
        cause,
        (f"It gives the reason {_named(evidence, code)}.",),
        Confidence.SETTLED,
        root="lifetime_limit" if code == _LIFETIME else None,
        owner=None if cause is Cause.BROKER_SHUTDOWN else _DISCONNECT_OWNERS.get(code),
    )


def _of_3x(evidence: Evidence) -> Finding:
    return Finding(
        Cause.BROKER_DISCONNECT,
        (
            f"MQTT {evidence.protocol_version or '3.x'} has no DISCONNECT from the broker and no code in it; "
            "mochi sends it on a takeover and when it stops.",
        ),
        Confidence.LIKELY,
        would_settle="The broker's log at this time.",
    )


def _from_broker(evidence: Evidence) -> int | None:
    return (evidence.disconnect_from_broker or 0) if evidence.first_disconnect == "broker" else None


def _named(evidence: Evidence, code: int) -> str:
    return f"{_number(evidence, code)}, {reason_name(code, version(evidence), 'DISCONNECT')}"


def _number(evidence: Evidence, code: int) -> str:
    """Return codes of 3.x are written in decimal, reason codes in hexadecimal, as the standards do."""
    return f"0x{code:02X}" if version(evidence) >= 5 else str(code)

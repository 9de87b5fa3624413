"""Connections that never got as far as CONNACK, and those that were no MQTT at all."""

from __future__ import annotations

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Phase, Side
from kaproxy.diagnosis.profiles import connect_waits
from kaproxy.diagnosis.reading import STRANGERS, closed_first, readable, retransmitting
from kaproxy.diagnosis.roots import ROOTS
from kaproxy.diagnosis.verdict import Cause, Confidence, Finding, Owner
from kaproxy.diagnosis.wording import beaten, counted, seconds

#: A health check does not stay longer, seconds.
PROBE_S = 2.0
#: A broker that closes on bytes it cannot read does so within this time (s) of the last of them.
AT_ONCE_S = 1.0
_WAIT_TOLERANCE_S = 0.5
_TLS = Phase.TLS
_VAGUE = frozenset({"zeros", "other"})


def not_mqtt(evidence: Evidence) -> Finding | None:
    """The client's first bytes are those of another protocol."""
    found = evidence.unreadable
    if found is None or found.side != Side.CLIENT or found.what not in STRANGERS or found.offset:
        return None
    if evidence.client_id is not None:
        return None
    meaning = ROOTS[Cause.NOT_MQTT][found.what].meaning
    vague = found.what in _VAGUE
    return Finding(
        Cause.NOT_MQTT,
        ("Its first bytes are no CONNECT.", meaning),
        Confidence.LIKELY if vague else Confidence.SETTLED,
        root=found.what,
        would_settle="The first bytes in a capture." if vague else None,
    )


def tls_failed(evidence: Evidence) -> Finding | None:
    """A TLS alert, or an ending in the handshake."""
    told = evidence.close_how == "tls_alert"
    if evidence.closed_by == "proxy" or not (told or evidence.phase is _TLS):
        return None
    return Finding(
        Cause.TLS_FAILED,
        ("It sent an alert." if told else "The handshake was not complete.",),
        Confidence.SETTLED if told else Confidence.LIKELY,
        would_settle=None if told else "The peer's log: certificates, names and versions.",
    )


def probe(evidence: Evidence) -> Finding | None:
    """Came, sent nothing, left at once."""
    silent = evidence.client_id is None and not evidence.bytes_from_client
    if not silent or evidence.duration_s > PROBE_S or not closed_first(evidence, Side.CLIENT):
        return None
    return Finding(
        Cause.PROBE,
        ("It sent no byte. Health checks and port scans look like this.",),
        Confidence.LIKELY,
        would_settle="The same from this address at a fixed interval.",
    )


def malformed_connect(evidence: Evidence) -> Finding | None:
    """A CONNECT that kaproxy cannot read either, closed without CONNACK (3.1.4-1)."""
    found = evidence.unreadable
    if evidence.client_id is not None or evidence.connack_code is not None:
        return None
    if found is None or found.side != Side.CLIENT or not closed_first(evidence, Side.BROKER):
        return None
    return Finding(
        Cause.PACKET_REJECTED,
        (f"The client's first packet is malformed ({found.what} in {found.packet}); no CONNACK followed.",),
        Confidence.LIKELY,
        root="malformed",
        would_settle="The broker's log.",
    )


def no_connect(evidence: Evidence) -> Finding | None:
    """No complete CONNECT came."""
    if evidence.client_id is not None or evidence.connack_code is not None or _blind(evidence):
        return None
    if evidence.closed_by not in ("client", "broker"):
        return None
    waited = (_sent(evidence),)
    if not closed_first(evidence, Side.BROKER):
        return Finding(Cause.NO_CONNECT, waited, Confidence.LIKELY, would_settle="The client's log.")
    if _at_connect_wait(evidence):
        patient = f"Brokers that wait {seconds(round(evidence.duration_s))} for CONNECT close like this."
        return Finding(
            Cause.NO_CONNECT,
            (*waited, patient),
            Confidence.LIKELY,
            ruled_out=(beaten(Cause.BROKER_CLOSED, "it closed at a known limit for CONNECT"),),
            would_settle="The broker's log.",
        )
    if evidence.bytes_from_client == 0 and evidence.duration_s < AT_ONCE_S:
        return None  # the broker did not even wait: what is left over says so
    return Finding(Cause.NO_CONNECT, waited, Confidence.UNCLEAR, would_settle="The broker's log.")


def _blind(evidence: Evidence) -> bool:
    """Is the CONNECT missing only because it could not be read?"""
    return not readable(evidence, Side.CLIENT)


def _sent(evidence: Evidence) -> str:
    partial = evidence.partial_from_client
    if partial is not None:
        size = f" of {partial.size}" if partial.size is not None else ""
        return f"Only {partial.seen}{size} bytes of a {partial.packet} had come."
    if evidence.bytes_from_client:
        return f"{counted(evidence.bytes_from_client, 'byte')} had come, no complete CONNECT."
    return "The client had sent no byte."


def _at_connect_wait(evidence: Evidence) -> bool:
    return any(
        low - _WAIT_TOLERANCE_S <= evidence.duration_s <= high + _WAIT_TOLERANCE_S
        for low, high in connect_waits(evidence.broker_profile)
    )


def no_connack(evidence: Evidence) -> Finding | None:
    """CONNECT was seen and no CONNACK came."""
    if evidence.client_id is None or evidence.connack_code is not None or not readable(evidence, Side.BROKER):
        return None
    waited = f"CONNECT had come {seconds(evidence.silence_s or 0.0)} before, no CONNACK."
    if closed_first(evidence, Side.BROKER):
        return Finding(
            Cause.NO_CONNACK,
            (waited, "Credentials, a limit or the CONNECT itself may have displeased the broker."),
            Confidence.LIKELY,
            would_settle="The broker's log.",
        )
    if closed_first(evidence, Side.CLIENT):
        return _client_gave_up(evidence, waited)
    return None


def _client_gave_up(evidence: Evidence, waited: str) -> Finding:
    if evidence.phase is Phase.DIALING:
        why, owner = "The dial to the broker had got no answer by then.", Owner.PATH
    elif retransmitting(evidence.broker_leg):
        why, owner = "The broker's kernel did not acknowledge it.", Owner.PATH
    elif evidence.broker_leg.unacked == 0:
        why, owner = "The broker's kernel had taken it.", Owner.BROKER
    else:
        why, owner = "Whether it reached the broker is not known.", Owner.BROKER
    return Finding(
        Cause.NO_CONNACK,
        (waited, why),
        Confidence.LIKELY,
        owner=owner,
        would_settle="The client's log: how long does it wait for CONNACK?",
    )

"""The properties of MQTT 5.0 (2.2.2.2) as a table: identifier, name, wire type, where allowed, legal values.

Data only. `subscription_identifier` may repeat in PUBLISH, whose properties are never read, so
"user_property" is the one name that may stand twice in what is.
Read next: `wire.py` for the wire types, `bodies.py` for reading a block of them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from kaproxy.mqtt.codes import DISCONNECT_FROM_BROKER, DISCONNECT_FROM_CLIENT

REPEATABLE: Final = "user_property"


class Property(NamedTuple):
    """One property. `kind`: byte, two, four, variable, text, binary, pair; numbers are `low` to `high`."""

    name: str
    kind: str
    packets: frozenset[str]  # WILL stands for the Will Properties of CONNECT
    low: int = 0
    high: int = 0xFFFFFFFF


_ACKS: Final = "PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK"
_ANY_DISCONNECT: Final = f"{DISCONNECT_FROM_CLIENT} {DISCONNECT_FROM_BROKER}"


def _property(name: str, kind: str, packets: str, low: int = 0, high: int = 0xFFFFFFFF) -> Property:
    return Property(name, kind, frozenset(packets.split()), low, high)


PROPERTIES: Final[dict[int, Property]] = {
    0x01: _property("payload_format_indicator", "byte", "PUBLISH WILL", 0, 1),
    0x02: _property("message_expiry_interval", "four", "PUBLISH WILL"),
    0x03: _property("content_type", "text", "PUBLISH WILL"),
    0x08: _property("response_topic", "text", "PUBLISH WILL"),
    0x09: _property("correlation_data", "binary", "PUBLISH WILL"),
    0x0B: _property("subscription_identifier", "variable", "PUBLISH SUBSCRIBE", 1),
    0x11: _property("session_expiry_interval", "four", f"CONNECT CONNACK {DISCONNECT_FROM_CLIENT}"),
    0x12: _property("assigned_client_identifier", "text", "CONNACK"),
    0x13: _property("server_keep_alive", "two", "CONNACK"),
    0x15: _property("authentication_method", "text", "CONNECT CONNACK AUTH"),
    0x16: _property("authentication_data", "binary", "CONNECT CONNACK AUTH"),
    0x17: _property("request_problem_information", "byte", "CONNECT", 0, 1),
    0x18: _property("will_delay_interval", "four", "WILL"),
    0x19: _property("request_response_information", "byte", "CONNECT", 0, 1),
    0x1A: _property("response_information", "text", "CONNACK"),
    0x1C: _property("server_reference", "text", f"CONNACK {DISCONNECT_FROM_BROKER}"),
    0x1F: _property("reason_string", "text", f"CONNACK {_ACKS} AUTH {_ANY_DISCONNECT}"),
    0x21: _property("receive_maximum", "two", "CONNECT CONNACK", 1),
    0x22: _property("topic_alias_maximum", "two", "CONNECT CONNACK"),
    0x23: _property("topic_alias", "two", "PUBLISH", 1),
    0x24: _property("maximum_qos", "byte", "CONNACK", 0, 1),
    0x25: _property("retain_available", "byte", "CONNACK", 0, 1),
    0x26: _property(
        REPEATABLE,
        "pair",
        f"CONNECT CONNACK PUBLISH WILL {_ACKS} SUBSCRIBE UNSUBSCRIBE AUTH {_ANY_DISCONNECT}",
    ),
    0x27: _property("maximum_packet_size", "four", "CONNECT CONNACK", 1),
    0x28: _property("wildcard_subscription_available", "byte", "CONNACK", 0, 1),
    0x29: _property("subscription_identifier_available", "byte", "CONNACK", 0, 1),
    0x2A: _property("shared_subscription_available", "byte", "CONNACK", 0, 1),
}

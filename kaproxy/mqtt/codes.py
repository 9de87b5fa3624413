"""The numbers of the standards: packet types, their flags, return codes and reason codes.

Data with small look-ups, no parsing; it may not know bytes or peers. Names are the standard's words.
Unknown numbers are never an error here: they print themselves.
Read next: `properties.py` for the other table of MQTT 5.0, `bodies.py` for where both are used.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple


class PacketType(IntEnum):
    """Control packet types, the upper four bits of the first byte (2.1.2). 0 is reserved; 15 is of 5.0."""

    RESERVED = 0
    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


PACKET_NAMES: Final[tuple[str, ...]] = tuple(kind.name for kind in PacketType)

# 2.1.3: what the lower four bits have to be; PUBLISH uses them freely
REQUIRED_FLAGS: Final[dict[int, int]] = {
    kind: 2 if kind in (PacketType.PUBREL, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE) else 0
    for kind in PacketType
    if kind is not PacketType.PUBLISH
}
DUP_IN_3_1: Final[frozenset[int]] = frozenset(kind for kind, flags in REQUIRED_FLAGS.items() if flags == 2)

# who may not send what; DISCONNECT from the broker is of 5.0 only
NOT_FROM_CLIENT: Final[frozenset[PacketType]] = frozenset(
    {PacketType.CONNACK, PacketType.SUBACK, PacketType.UNSUBACK, PacketType.PINGRESP}
)
NOT_FROM_BROKER: Final[frozenset[PacketType]] = frozenset(
    {PacketType.CONNECT, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE, PacketType.PINGREQ}
)

# protocol name in CONNECT -> the levels that go with it (3.1.2.1, 3.1.2.2)
PROTOCOL_NAMES: Final[dict[str, tuple[int, ...]]] = {"MQIsdp": (3,), "MQTT": (4, 5)}
LEVELS: Final[dict[int, str]] = {3: "3.1", 4: "3.1.1", 5: "5.0"}

# 3.x 3.2.2.3; 6 is no standard's: Aedes sends it
CONNACK_RETURN_CODES: Final[dict[int, str]] = {
    0: "Connection accepted",
    1: "Unacceptable protocol version",
    2: "Identifier rejected",
    3: "Server unavailable",
    4: "Bad user name or password",
    5: "Not authorized",
    6: "Keep alive limit exceeded",
}
STANDARD_RETURN_CODES: Final[frozenset[int]] = frozenset(range(6))
SUBACK_RETURN_CODES: Final[dict[int, str]] = {
    0x00: "Granted QoS 0",
    0x01: "Granted QoS 1",
    0x02: "Granted QoS 2",
    0x80: "Failure",
}

DISCONNECT_FROM_CLIENT: Final = "DISCONNECT_FROM_CLIENT"
DISCONNECT_FROM_BROKER: Final = "DISCONNECT_FROM_BROKER"


class Reason(NamedTuple):
    """A reason code of 5.0: its name and the packets it may appear in; DISCONNECT by its direction."""

    name: str
    packets: frozenset[str]


# 5.0 2.4, narrowed by the table of each packet; DISCONNECT alone stands for both directions
_REASONS: Final[tuple[tuple[int, str, str], ...]] = (
    (0x00, "Success", "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK AUTH DISCONNECT"),
    (0x01, "Granted QoS 1", "SUBACK"),
    (0x02, "Granted QoS 2", "SUBACK"),
    (0x04, "Disconnect with Will Message", DISCONNECT_FROM_CLIENT),
    (0x10, "No matching subscribers", "PUBACK PUBREC"),
    (0x11, "No subscription existed", "UNSUBACK"),
    (0x18, "Continue authentication", "AUTH"),
    (0x19, "Re-authenticate", "AUTH"),
    (0x80, "Unspecified error", "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT"),
    (0x81, "Malformed Packet", "CONNACK DISCONNECT"),
    (0x82, "Protocol Error", "CONNACK DISCONNECT"),
    (0x83, "Implementation specific error", "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT"),
    (0x84, "Unsupported Protocol Version", "CONNACK"),
    (0x85, "Client Identifier not valid", "CONNACK"),
    (0x86, "Bad User Name or Password", "CONNACK"),
    (0x87, "Not authorized", f"CONNACK PUBACK PUBREC SUBACK UNSUBACK {DISCONNECT_FROM_BROKER}"),
    (0x88, "Server unavailable", "CONNACK"),
    (0x89, "Server busy", f"CONNACK {DISCONNECT_FROM_BROKER}"),
    (0x8A, "Banned", "CONNACK"),
    (0x8B, "Server shutting down", DISCONNECT_FROM_BROKER),
    (0x8C, "Bad authentication method", f"CONNACK {DISCONNECT_FROM_BROKER}"),
    (0x8D, "Keep Alive timeout", DISCONNECT_FROM_BROKER),
    (0x8E, "Session taken over", DISCONNECT_FROM_BROKER),
    (0x8F, "Topic Filter invalid", f"SUBACK UNSUBACK {DISCONNECT_FROM_BROKER}"),
    (0x90, "Topic Name invalid", "CONNACK PUBACK PUBREC DISCONNECT"),
    (0x91, "Packet Identifier in use", "PUBACK PUBREC SUBACK UNSUBACK"),
    (0x92, "Packet Identifier not found", "PUBREL PUBCOMP"),
    (0x93, "Receive Maximum exceeded", "DISCONNECT"),
    (0x94, "Topic Alias invalid", "DISCONNECT"),
    (0x95, "Packet too large", "CONNACK DISCONNECT"),
    (0x96, "Message rate too high", "DISCONNECT"),
    (0x97, "Quota exceeded", "CONNACK PUBACK PUBREC SUBACK DISCONNECT"),
    (0x98, "Administrative action", "DISCONNECT"),
    (0x99, "Payload format invalid", "CONNACK PUBACK PUBREC DISCONNECT"),
    (0x9A, "Retain not supported", f"CONNACK {DISCONNECT_FROM_BROKER}"),
    (0x9B, "QoS not supported", f"CONNACK {DISCONNECT_FROM_BROKER}"),
    (0x9C, "Use another server", f"CONNACK {DISCONNECT_FROM_BROKER}"),
    (0x9D, "Server moved", f"CONNACK {DISCONNECT_FROM_BROKER}"),
    (0x9E, "Shared Subscriptions not supported", f"SUBACK {DISCONNECT_FROM_BROKER}"),
    (0x9F, "Connection rate exceeded", f"CONNACK {DISCONNECT_FROM_BROKER}"),
    (0xA0, "Maximum connect time", DISCONNECT_FROM_BROKER),
    (0xA1, "Subscription Identifiers not supported", f"SUBACK {DISCONNECT_FROM_BROKER}"),
    (0xA2, "Wildcard Subscriptions not supported", f"SUBACK {DISCONNECT_FROM_BROKER}"),
)


def _packets(words: str) -> frozenset[str]:
    names = frozenset(words.split())
    return names | {DISCONNECT_FROM_CLIENT, DISCONNECT_FROM_BROKER} if "DISCONNECT" in names else names


REASON_CODES: Final[dict[int, Reason]] = {
    code: Reason(name, _packets(words)) for code, name, words in _REASONS
}
_NAMES_OF_ZERO: Final = {"DISCONNECT": "Normal disconnection", "SUBACK": "Granted QoS 0"}


def packet_name(first_byte: int) -> str:
    """The packet type's name in the standard, from the first byte of a control packet ("PINGREQ")."""
    return PACKET_NAMES[first_byte >> 4 & 0x0F]


def reason_name(code: int, version: int, packet: int | str) -> str:
    """What a return code (3.x) or reason code (5.0) is called; an unknown number prints itself, "0x5F".

    `version` is the protocol level, `packet` a PacketType or its name. A number that is not of this
    version or packet is named by the other version's table where that knows it, since real peers mix them.
    """
    kind = _kind(packet)
    if kind == "CONNACK" and (version < 5 or code in STANDARD_RETURN_CODES - {0}):
        name = CONNACK_RETURN_CODES.get(code)
    elif kind == "SUBACK" and version < 5:
        name = SUBACK_RETURN_CODES.get(code)
    else:
        name = _NAMES_OF_ZERO.get(kind) if code == 0 else None
    if name is None:
        name = REASON_CODES[code].name if code in REASON_CODES else f"0x{code:02X}"
    return name


def reason_slug(code: int, version: int, packet: int | str) -> str:
    """`reason_name` as one lower-case word for logs and roots: "keep_alive_timeout"."""
    return reason_name(code, version, packet).lower().replace(" ", "_").replace("-", "_")


def _kind(packet: int | str) -> str:
    if isinstance(packet, str):
        return "DISCONNECT" if packet in (DISCONNECT_FROM_CLIENT, DISCONNECT_FROM_BROKER) else packet
    return PACKET_NAMES[packet] if 0 <= packet < len(PACKET_NAMES) else ""

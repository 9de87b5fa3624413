"""Control packets as bytes, written from the standard for the tests only.

Independent of kaproxy on purpose: it imports nothing of it, so that an error in the decoder's tables is
not repeated here. `version` is the protocol level: 3 (3.1), 4 (3.1.1), 5 (5.0). Properties are
`(name, value)` pairs in the order they shall be written; "user_property" takes a pair of strings.
Every builder says only what the standard allows; illegal packets are made with `packet(first_byte, body)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Properties = Sequence[tuple[str, object]]

# 5.0 2.2.2.2: name -> (identifier, how its value is written)
PROPERTY_IDS: dict[str, tuple[int, str]] = {
    "payload_format_indicator": (0x01, "byte"),
    "message_expiry_interval": (0x02, "four"),
    "content_type": (0x03, "text"),
    "response_topic": (0x08, "text"),
    "correlation_data": (0x09, "binary"),
    "subscription_identifier": (0x0B, "variable"),
    "session_expiry_interval": (0x11, "four"),
    "assigned_client_identifier": (0x12, "text"),
    "server_keep_alive": (0x13, "two"),
    "authentication_method": (0x15, "text"),
    "authentication_data": (0x16, "binary"),
    "request_problem_information": (0x17, "byte"),
    "will_delay_interval": (0x18, "four"),
    "request_response_information": (0x19, "byte"),
    "response_information": (0x1A, "text"),
    "server_reference": (0x1C, "text"),
    "reason_string": (0x1F, "text"),
    "receive_maximum": (0x21, "two"),
    "topic_alias_maximum": (0x22, "two"),
    "topic_alias": (0x23, "two"),
    "maximum_qos": (0x24, "byte"),
    "retain_available": (0x25, "byte"),
    "user_property": (0x26, "pair"),
    "maximum_packet_size": (0x27, "four"),
    "wildcard_subscription_available": (0x28, "byte"),
    "subscription_identifier_available": (0x29, "byte"),
    "shared_subscription_available": (0x2A, "byte"),
}


def variable(number: int, width: int = 1) -> bytes:
    """Variable byte integer; a `width` above the shortest form pads it with continuation bytes."""
    out = bytearray()
    while True:
        number, low = divmod(number, 128)
        more = number > 0 or len(out) + 1 < width
        out.append(low | (0x80 if more else 0))
        if not more:
            return bytes(out)


def two(number: int) -> bytes:
    """Two byte integer, big endian."""
    return number.to_bytes(2, "big")


def binary(data: bytes) -> bytes:
    """Binary data with its two byte length."""
    return two(len(data)) + data


def text(string: str | bytes) -> bytes:
    """UTF-8 string with its two byte length; bytes are taken as they are, valid or not."""
    return binary(string if isinstance(string, bytes) else string.encode())


def packet(first_byte: int, body: bytes = b"", width: int = 1) -> bytes:
    """Any control packet: fixed header, Remaining Length (at least `width` bytes wide) and body."""
    return bytes([first_byte]) + variable(len(body), width) + body


def properties(pairs: Properties = ()) -> bytes:
    """A property block with its length (5.0 2.2.2)."""
    body = b"".join(_property(name, value) for name, value in pairs)
    return variable(len(body)) + body


def _property(name: str, value: object) -> bytes:
    identifier, kind = PROPERTY_IDS[name]
    return bytes([identifier]) + _value(kind, value)


def _value(kind: str, value: object) -> bytes:
    if isinstance(value, int):
        widths = {"byte": 1, "two": 2, "four": 4}
        return variable(value) if kind == "variable" else value.to_bytes(widths[kind], "big")
    if isinstance(value, str | bytes):
        return text(value)
    assert isinstance(value, tuple), f"no value of {kind}: {value!r}"
    return b"".join(text(part) for part in value)


def _properties_of(version: int, pairs: Properties) -> bytes:
    return properties(pairs) if version >= 5 else b""


def connect(
    client_id: str = "client-1",
    *,
    version: int = 4,
    keep_alive: int = 60,
    clean_start: bool = True,
    will_topic: str | None = None,
    will_payload: bytes = b"",
    will_qos: int = 0,
    will_retain: bool = False,
    will_properties: Properties = (),
    user_name: str | None = None,
    password: bytes | None = None,
    properties: Properties = (),
    protocol_name: str | bytes | None = None,
    level: int | None = None,
    extra_flags: int = 0,
) -> bytes:
    """CONNECT (3.1). `protocol_name`, `level` and `extra_flags` write what no standard asks for."""
    flags = 0x02 * clean_start | 0x40 * (password is not None) | 0x80 * (user_name is not None) | extra_flags
    body = text(client_id)
    if will_topic is not None:
        flags |= 0x04 | will_qos << 3 | 0x20 * will_retain
        body += _properties_of(version, will_properties) + text(will_topic) + binary(will_payload)
    if user_name is not None:
        body += text(user_name)
    if password is not None:
        body += binary(password)
    name = protocol_name if protocol_name is not None else {3: "MQIsdp"}.get(version, "MQTT")
    head = text(name) + bytes([version if level is None else level, flags]) + two(keep_alive)
    return packet(0x10, head + _properties_of(version, properties) + body)


def connack(
    code: int = 0, *, session_present: bool = False, version: int = 4, properties: Properties = ()
) -> bytes:
    """CONNACK (3.2)."""
    return packet(0x20, bytes([session_present, code]) + _properties_of(version, properties))


def publish(
    topic: str = "t",
    payload: bytes = b"",
    *,
    qos: int = 0,
    packet_id: int | None = None,
    retain: bool = False,
    dup: bool = False,
    version: int = 4,
    properties: Properties = (),
) -> bytes:
    """PUBLISH (3.3). The packet identifier is 1 where QoS needs one and none is given."""
    first = 0x30 | 0x08 * dup | qos << 1 | retain
    identifier = two(1 if packet_id is None else packet_id) if qos else b""
    return packet(first, text(topic) + identifier + _properties_of(version, properties) + payload)


def publish_of_size(remaining: int, *, qos: int = 0, topic: str = "t", packet_id: int = 1) -> bytes:
    """A 3.x PUBLISH whose Remaining Length is exactly `remaining`."""
    head = text(topic) + (two(packet_id) if qos else b"")
    return packet(0x30 | qos << 1, head + bytes(remaining - len(head)))


def _acknowledge(first: int, packet_id: int, code: int | None, pairs: Properties | None) -> bytes:
    body = two(packet_id)
    if code is not None:
        body += bytes([code])
        if pairs is not None:
            body += properties(pairs)
    return packet(first, body)


def puback(packet_id: int = 1, code: int | None = None, properties: Properties | None = None) -> bytes:
    """PUBACK (3.4); reason code and properties are of 5.0, each may be left out."""
    return _acknowledge(0x40, packet_id, code, properties)


def pubrec(packet_id: int = 1, code: int | None = None, properties: Properties | None = None) -> bytes:
    """PUBREC (3.5)."""
    return _acknowledge(0x50, packet_id, code, properties)


def pubrel(packet_id: int = 1, code: int | None = None, properties: Properties | None = None) -> bytes:
    """PUBREL (3.6)."""
    return _acknowledge(0x62, packet_id, code, properties)


def pubcomp(packet_id: int = 1, code: int | None = None, properties: Properties | None = None) -> bytes:
    """PUBCOMP (3.7)."""
    return _acknowledge(0x70, packet_id, code, properties)


def subscribe(
    filters: Iterable[tuple[str, int]] = (("t/#", 0),),
    packet_id: int = 1,
    *,
    version: int = 4,
    properties: Properties = (),
) -> bytes:
    """SUBSCRIBE (3.8): topic filters with their options byte (QoS in 3.x)."""
    body = b"".join(text(name) + bytes([options]) for name, options in filters)
    return packet(0x82, two(packet_id) + _properties_of(version, properties) + body)


def suback(
    codes: Iterable[int] = (0,), packet_id: int = 1, *, version: int = 4, properties: Properties = ()
) -> bytes:
    """SUBACK (3.9)."""
    return packet(0x90, two(packet_id) + _properties_of(version, properties) + bytes(codes))


def unsubscribe(
    filters: Iterable[str] = ("t/#",), packet_id: int = 1, *, version: int = 4, properties: Properties = ()
) -> bytes:
    """UNSUBSCRIBE (3.10)."""
    body = b"".join(text(name) for name in filters)
    return packet(0xA2, two(packet_id) + _properties_of(version, properties) + body)


def unsuback(
    codes: Iterable[int] = (), packet_id: int = 1, *, version: int = 4, properties: Properties = ()
) -> bytes:
    """UNSUBACK (3.11); codes in 5.0 only."""
    return packet(0xB0, two(packet_id) + _properties_of(version, properties) + bytes(codes))


def pingreq() -> bytes:
    """PINGREQ (3.12)."""
    return b"\xc0\x00"


def pingresp() -> bytes:
    """PINGRESP (3.13)."""
    return b"\xd0\x00"


def disconnect(code: int | None = None, properties: Properties | None = None) -> bytes:
    """DISCONNECT (3.14): without a code as in 3.x, with one (and properties, where given) as in 5.0."""
    return _coded(0xE0, code, properties)


def auth(code: int | None = None, properties: Properties | None = None) -> bytes:
    """AUTH (5.0 3.15)."""
    return _coded(0xF0, code, properties)


def _coded(first: int, code: int | None, pairs: Properties | None) -> bytes:
    body = b"" if code is None else bytes([code])
    if code is not None and pairs is not None:
        body += properties(pairs)
    return packet(first, body)

"""Bodies of the control packets that can explain a drop, read into the records of `packets.py`.

One function per packet type, each given a `Reader` at the first byte after the fixed header. PUBLISH and
the pings are not here: a head and a length is all an observer needs of them. User names, passwords and
payloads are passed over. A reader raises `MalformedBodyError`; oddities are left in its list.
Read next: `wire.py` for the reader, `faults.py` for the names, `decoder.py` for the caller.
"""

from __future__ import annotations

from typing import Final

from kaproxy.mqtt.codes import (
    CONNACK_RETURN_CODES,
    DISCONNECT_FROM_BROKER,
    DISCONNECT_FROM_CLIENT,
    LEVELS,
    PACKET_NAMES,
    PROTOCOL_NAMES,
    REASON_CODES,
    STANDARD_RETURN_CODES,
    SUBACK_RETURN_CODES,
    PacketType,
)
from kaproxy.mqtt.packets import (
    Acknowledge,
    Auth,
    Body,
    Connack,
    Connect,
    Disconnect,
    Subscribe,
    SubscribeAck,
    Unsubscribe,
    Will,
)
from kaproxy.mqtt.wire import MalformedBodyError, Reader

_BRIDGE_BIT: Final = 0x80
_CLEAN: Final = 0x02  # the connect flags of most: a clean start, and no Will, user name or password
_SIMPLE_OPTIONS: Final = 0x03  # 3.x: two bits of QoS; 5.0 adds No Local, Retain As Published, Retain Handling
_OPTIONS_RESERVED: Final = 0xC0


#: What is said most, by clients and brokers that are content with each other.
NORMAL_DISCONNECT: Final = Disconnect()
ACCEPTED: Final = Connack(session_present=False, code=0)

_CONNECT: Final = int(PacketType.CONNECT)
_CONNACK: Final = int(PacketType.CONNACK)
_DISCONNECT: Final = int(PacketType.DISCONNECT)
_AUTH: Final = int(PacketType.AUTH)
_RESERVED: Final = int(PacketType.RESERVED)


def read_connect(reader: Reader) -> Connect:
    """CONNECT (3.1). Of an unknown protocol level, as much as can be read."""
    name, raw_level, flags = reader.text(), reader.byte(), reader.byte()
    keep_alive = reader.two()
    level = raw_level & ~_BRIDGE_BIT
    if raw_level & _BRIDGE_BIT:
        reader.note("bridge_level")
    if name != "MQTT" or level < 4 or level > 5:
        _check_protocol(reader, name, level)
    if flags != _CLEAN:
        _check_connect_flags(reader, flags, level)
    try:
        return _connect_payload(reader, name, level, flags, keep_alive)
    except MalformedBodyError:
        if level in LEVELS:
            raise
        return Connect(name, level, bool(flags & 0x02), keep_alive, "", truncated=reader.truncated)


def _check_protocol(reader: Reader, name: str, level: int) -> None:
    levels = PROTOCOL_NAMES.get(name)
    if level not in LEVELS:
        reader.note("unknown_protocol_level")
    if levels is None:
        reader.note("unknown_protocol_name")
    elif level in LEVELS and level not in levels:
        reader.note("protocol_name_mismatch")


def _check_connect_flags(reader: Reader, flags: int, level: int) -> None:
    if flags & 0x01:
        reader.note("connect_reserved_flag")
    if flags & 0x18 == 0x18:
        reader.note("will_qos_3")
    if not flags & 0x04 and flags & 0x38:
        reader.note("will_flags_without_will")
    if flags & 0xC0 == 0x40 and level < 5:
        reader.note("password_without_user_name")


def _connect_payload(reader: Reader, name: str, level: int, flags: int, keep_alive: int) -> Connect:
    properties = reader.properties("CONNECT") if level >= 5 else ()
    client_id = reader.text()
    will = _will(reader, flags, level) if flags & 0x04 else None
    if flags & 0x80:
        reader.binary()
    if flags & 0x40:
        reader.binary()
    reader.finish()
    clean_start, has_user_name, has_password = flags & 0x02 != 0, flags & 0x80 != 0, flags & 0x40 != 0
    return Connect(
        name,
        level,
        clean_start,
        keep_alive,
        client_id,
        will,
        has_user_name,
        has_password,
        properties,
        reader.truncated,
    )


def _will(reader: Reader, flags: int, level: int) -> Will:
    properties = reader.properties("WILL") if level >= 5 else ()
    topic = reader.text()
    payload_size = reader.binary()
    return Will(flags >> 3 & 3, bool(flags & 0x20), topic, payload_size, properties)


def read_connack(reader: Reader, version: int) -> Connack:
    """CONNACK (3.2), in whichever version's form it was written: refusals often come in the other one."""
    flags, code = reader.byte(), reader.byte()
    if flags & 0xFE:
        reader.note("connack_reserved_flags")
    if flags & 1 and code:
        reader.note("session_present_with_error")
    of_5 = reader.left > 0
    properties = _connack_properties(reader, version) if of_5 else ()
    if version == 5 and not of_5:
        reader.note("connack_of_3x")
    _check_connack_code(reader, code, of_5)
    return Connack(bool(flags & 1), code, properties)


def _connack_properties(reader: Reader, version: int) -> tuple[tuple[str, object], ...]:
    left = reader.left
    try:
        properties = reader.properties("CONNACK")
        reader.finish()
    except MalformedBodyError:
        if version in (3, 4):
            raise MalformedBodyError("trailing_bytes", f"{left}") from None
        raise
    if version in (3, 4):
        reader.note("connack_of_5")
    return properties


def _check_connack_code(reader: Reader, code: int, of_5: bool) -> None:
    if of_5:
        _check_reason(reader, code, "CONNACK")
    elif code not in STANDARD_RETURN_CODES:
        reader.note("return_code_nonstandard")


def _check_reason(reader: Reader, code: int, packet: str) -> None:
    reason = REASON_CODES.get(code)
    if packet == "CONNACK" and code and code in CONNACK_RETURN_CODES:
        reader.note("return_code_nonstandard")  # a number of 3.x in the form of 5.0
    elif reason is None:
        reader.note("reason_code_unknown")
    elif packet not in reason.packets:
        reader.note("reason_code_not_allowed")


def _code_and_properties(reader: Reader, packet: str) -> tuple[int, tuple[tuple[str, object], ...]]:
    """What DISCONNECT, AUTH and the acknowledgements of 5.0 end with: all of it may be left out."""
    code = reader.byte() if reader.left else 0
    properties = reader.properties(packet) if reader.left else ()
    reader.finish()
    _check_reason(reader, code, packet)
    return code, properties


def read_disconnect(reader: Reader, version: int, from_client: bool) -> Disconnect:
    """DISCONNECT (3.14)."""
    if version in (3, 4) and not from_client:
        reader.note("disconnect_from_broker_in_3x")
    if version in (3, 4) and reader.left:
        reader.note("disconnect_with_body_in_3x")
    packet = DISCONNECT_FROM_CLIENT if from_client else DISCONNECT_FROM_BROKER
    return Disconnect(*_code_and_properties(reader, packet))


def read_auth(reader: Reader) -> Auth:
    """AUTH (5.0 3.15)."""
    return Auth(*_code_and_properties(reader, "AUTH"))


def read_acknowledge(reader: Reader, version: int, packet: str) -> Acknowledge | None:
    """PUBACK, PUBREC, PUBREL, PUBCOMP after the packet identifier; None where no reason code is carried."""
    if version in (3, 4):
        reader.finish()
    if not reader.left:
        return None
    return Acknowledge(*_code_and_properties(reader, packet))


def read_subscribe(reader: Reader, version: int) -> Subscribe:
    """SUBSCRIBE (3.8) after the packet identifier."""
    properties = reader.properties("SUBSCRIBE") if version == 5 else ()
    filters: list[tuple[str, int]] = []
    while reader.left:
        entry = reader.text(), reader.byte()
        if not reader.cut:
            filters.append(entry)
            _check_options(reader, entry[1], version)
    if not filters and not reader.truncated:
        reader.note("no_topic_filter")
    return Subscribe(tuple(filters), properties, reader.truncated)


def _check_options(reader: Reader, options: int, version: int) -> None:
    reserved = _OPTIONS_RESERVED if version == 5 else ~_SIMPLE_OPTIONS
    if options & reserved or options & 0x03 == 0x03 or options & 0x30 == 0x30:
        reader.note("subscription_options_invalid")


def read_unsubscribe(reader: Reader, version: int) -> Unsubscribe:
    """UNSUBSCRIBE (3.10) after the packet identifier."""
    properties = reader.properties("UNSUBSCRIBE") if version == 5 else ()
    filters: list[str] = []
    while reader.left:
        topic_filter = reader.text()
        if not reader.cut:
            filters.append(topic_filter)
    if not filters and not reader.truncated:
        reader.note("no_topic_filter")
    return Unsubscribe(tuple(filters), properties, reader.truncated)


def read_subscribe_ack(reader: Reader, version: int, packet: str) -> SubscribeAck:
    """SUBACK (3.9) or UNSUBACK (3.11) after the packet identifier; an UNSUBACK of 3.x carries no codes."""
    if packet == "UNSUBACK" and version in (3, 4):
        reader.finish()
        return SubscribeAck(())
    properties = reader.properties(packet) if version == 5 else ()
    codes = reader.rest()
    if not codes and not reader.truncated and (packet == "SUBACK" or version == 5):
        reader.note("no_codes")
    for code in set(codes):
        if version == 5:
            _check_reason(reader, code, packet)
        elif code not in SUBACK_RETURN_CODES:
            reader.note("return_code_nonstandard")
    return SubscribeAck(tuple(codes), properties, reader.truncated)


def _read_identified(reader: Reader, kind: int, version: int) -> Body | None:
    if kind == PacketType.SUBSCRIBE:
        return read_subscribe(reader, version)
    if kind == PacketType.UNSUBSCRIBE:
        return read_unsubscribe(reader, version)
    if kind in (PacketType.SUBACK, PacketType.UNSUBACK):
        return read_subscribe_ack(reader, version, PACKET_NAMES[kind])
    return read_acknowledge(reader, version, PACKET_NAMES[kind])


def read_body(reader: Reader, kind: int, version: int, from_client: bool) -> tuple[int, Body | None]:
    """Packet identifier (0 where there is none) and body of any packet type but PUBLISH and the pings.

    `version` 0 is unknown: what does not show its form by itself keeps no body then.
    """
    if kind == _CONNECT:
        return 0, read_connect(reader)
    if kind == _CONNACK:
        return 0, read_connack(reader, version)
    if kind == _DISCONNECT:
        return 0, read_disconnect(reader, version, from_client)
    if kind == _AUTH and version not in (3, 4):
        return 0, read_auth(reader)
    if kind == _AUTH or kind == _RESERVED:
        reader.note("reserved_packet_type")
        return 0, None
    packet_id = reader.two()
    if packet_id == 0 and not reader.cut:
        reader.note("packet_identifier_0")
    return packet_id, _read_identified(reader, kind, version) if version else None

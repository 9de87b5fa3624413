"""Control packets as bytes, as far as the scripted clients of the demonstration need them (MQTT 3.1.1).

Some scripts need bytes no client library would send, hence this file. It may not know sockets.
"""

from __future__ import annotations

import struct

PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"
ENDLESS_LENGTH = b"\x30\xff\xff\xff\xff\x7f"  # a Remaining Length of five bytes: four are the most (2.2.3)
TLS_CLIENT_HELLO = bytes.fromhex("16030100d5010000d10303") + bytes(range(206))


def text(value: str) -> bytes:
    """A UTF-8 encoded string (1.5.3)."""
    encoded = value.encode()
    return struct.pack("!H", len(encoded)) + encoded


def packet(first_byte: int, body: bytes) -> bytes:
    """A fixed header with its Remaining Length (2.2.3), then the body."""
    length, left = bytearray(), len(body)
    while True:
        left, digit = divmod(left, 128)[0], left % 128
        length.append(digit | (0x80 if left else 0))
        if not left:
            return bytes([first_byte]) + bytes(length) + body


def connect(client_id: str, keep_alive: int, *, clean_session: bool = True) -> bytes:
    """CONNECT (3.1); `keep_alive` in seconds."""
    flags = 0x02 if clean_session else 0x00
    return packet(0x10, text("MQTT") + struct.pack("!BBH", 4, flags, keep_alive) + text(client_id))


def subscribe(topic_filter: str, packet_id: int = 1) -> bytes:
    """SUBSCRIBE (3.8) for QoS 0."""
    return packet(0x82, struct.pack("!H", packet_id) + text(topic_filter) + b"\x00")


def publish(topic: str, size: int = 20) -> bytes:
    """PUBLISH (3.3) of QoS 0 with that many bytes of payload."""
    return packet(0x30, text(topic) + b"." * size)

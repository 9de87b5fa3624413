"""Names for first bytes that are not MQTT: what else is sent to port 1883, or answers where a broker should.

`look` is asked again with every byte until it decides, at most `LOOK` bytes; it never guesses while two
readings are still possible. CONNECT and TLS share their first byte's upper half, and MQTT-SN may begin like
a CONNECT too: the second byte settles both, because no CONNECT is shorter than ten bytes.
Read next: `decoder.py`, which asks before it decodes the first packet of a direction.
"""

from __future__ import annotations

from typing import Final

LOOK: Final = 16  # bytes; the longest mark has 12

MQTT: Final = "mqtt"  # goes on as control packets
UNDECIDED: Final = ""

Mark = tuple[int | None, ...]  # None: any byte
_VERBS: Final[tuple[bytes, ...]] = (
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"CONNECT",
    b"OPTIONS",
    b"TRACE",
    b"PATCH",
)

_TABLE: Final[tuple[tuple[str, Mark], ...]] = (
    ("proxy_header", tuple(b"PROXY ")),
    ("proxy_header", tuple(b"\r\n\r\n\x00\r\nQUIT\n")),
    ("ssh", tuple(b"SSH-")),
    ("http", tuple(b"HTTP/")),
    ("http", tuple(b"PRI * HTTP/2")),
    *(("http", tuple(verb + b" ")) for verb in _VERBS),
    *(("tls", (record, 3)) for record in range(0x14, 0x18)),
    ("zeros", (0, 0, 0, 0)),
    # MQTT-SN 1.2, 5.2 to 5.4: length, message type; CONNECT has protocol identifier 1 after its flags
    ("mqtt_sn", (3, 0x01, None)),  # SEARCHGW
    *(("mqtt_sn", (6 + client_id, 0x04, None, 0x01)) for client_id in range(1, 24)),
    ("mqtt_sn", (0x01, None, None, 0x04, None, 0x01)),  # its length written in three bytes
)


def _by_first_byte() -> dict[int | None, tuple[tuple[str, Mark], ...]]:
    marks: dict[int | None, tuple[tuple[str, Mark], ...]] = {}
    for entry in _TABLE:
        first = entry[1][0]
        marks[first] = (*marks.get(first, ()), entry)
    return marks


_MARKS: Final = _by_first_byte()

# what a client may send after CONNECT: a stream joined in the middle begins with one of these
_LATER_PACKETS: Final = frozenset(
    {*range(0x30, 0x40), 0x40, 0x50, 0x62, 0x70, 0x82, 0xA2, 0xC0, 0xE0, 0xF0},
)
_PRINTABLE: Final = frozenset({*range(0x20, 0x7F), 0x09, 0x0A, 0x0D})
_TEXT: Final = 3  # printable bytes in a row that settle it: a topic's length would stand in the third


def look(head: bytes, from_client: bool) -> str:
    """MQTT, UNDECIDED, or the name of what it is instead; `head` is the direction's first bytes, not empty.

    From the client "other" is a name too; a broker's bytes that bear no mark are taken for MQTT.
    """
    named = _marked(head)
    if named != MQTT or not from_client or head[0] >> 4 == 1:
        return named
    return _later_or_text(head) if head[0] in _LATER_PACKETS else "other"


def _marked(head: bytes) -> str:
    """The name of the mark `head` bears, UNDECIDED while it may yet turn out to bear one, else MQTT."""
    undecided = False
    for name, mark in _MARKS.get(head[0], ()):
        if _fits(mark, head):
            if len(head) >= len(mark):
                return name
            undecided = True
    return UNDECIDED if undecided else MQTT


def _fits(mark: Mark, head: bytes) -> bool:
    """Could a stream that begins with `head` bear the mark?"""
    for at in range(min(len(mark), len(head))):
        want = mark[at]
        if want is not None and want != head[at]:
            return False
    return True


def _later_or_text(head: bytes) -> str:
    readable = 0
    while readable < len(head) and head[readable] in _PRINTABLE:
        readable += 1
    if readable >= _TEXT:
        return "other"
    return UNDECIDED if readable == len(head) else MQTT

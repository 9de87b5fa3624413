"""Control packets as an observer keeps them: a head, and a body only where the body can explain a drop.

This file may not know bytes, peers or time. A `Packet` is a plain tuple because one is made per
control packet on the hot path. Bodies are records that nobody changes; those every connection makes
are not frozen, because a frozen one takes five times as long to make.
Read next: `codes.py` for the tables behind the numbers, `decoder.py` for how bytes become these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Will:
    """The Will announced in CONNECT; its payload is counted, never kept (MQTT 5.0 3.1.2.5)."""

    qos: int
    retain: bool
    topic: str
    payload_size: int
    properties: tuple[tuple[str, object], ...] = ()


@dataclass(unsafe_hash=True, slots=True, init=False)
class Connect:
    """CONNECT (3.1). `level`: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0. User name and password are never kept."""

    protocol_name: str
    level: int
    clean_start: bool
    keep_alive: int
    client_id: str
    will: Will | None = None
    has_user_name: bool = False
    has_password: bool = False
    properties: tuple[tuple[str, object], ...] = ()
    truncated: bool = False  # longer than the decoder keeps; what stands here was in the part kept

    def __init__(
        self,
        protocol_name: str,
        level: int,
        clean_start: bool,
        keep_alive: int,
        client_id: str,
        will: Will | None = None,
        has_user_name: bool = False,
        has_password: bool = False,
        properties: tuple[tuple[str, object], ...] = (),
        truncated: bool = False,
    ) -> None:
        self.protocol_name = protocol_name
        self.level = level
        self.clean_start = clean_start
        self.keep_alive = keep_alive
        self.client_id = client_id
        self.will = will
        self.has_user_name = has_user_name
        self.has_password = has_password
        self.properties = properties
        self.truncated = truncated


@dataclass(unsafe_hash=True, slots=True, init=False)
class Connack:
    """CONNACK (3.2): a return code for 3.x, a reason code for 5.0."""

    session_present: bool
    code: int
    properties: tuple[tuple[str, object], ...] = ()

    def __init__(
        self,
        session_present: bool,
        code: int,
        properties: tuple[tuple[str, object], ...] = (),
    ) -> None:
        self.session_present = session_present
        self.code = code
        self.properties = properties

    @property
    def server_keep_alive(self) -> int | None:
        """Server Keep Alive (5.0 3.2.2.3.14), seconds, where the broker set one."""
        for name, value in self.properties:
            if name == "server_keep_alive" and isinstance(value, int):
                return value
        return None

    @property
    def assigned_client_identifier(self) -> str | None:
        """The client identifier the broker gave a client that sent none (5.0 3.2.2.3.7)."""
        for name, value in self.properties:
            if name == "assigned_client_identifier" and isinstance(value, str):
                return value
        return None


@dataclass(unsafe_hash=True, slots=True, init=False)
class Disconnect:
    """DISCONNECT (3.14). `code` is 0 where the packet carries none (3.x, or 5.0 with Remaining Length 0)."""

    code: int = 0
    properties: tuple[tuple[str, object], ...] = ()

    def __init__(self, code: int = 0, properties: tuple[tuple[str, object], ...] = ()) -> None:
        self.code = code
        self.properties = properties


@dataclass(frozen=True, slots=True)
class Auth:
    """AUTH (5.0 3.15)."""

    code: int = 0
    properties: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """PUBACK, PUBREC, PUBREL or PUBCOMP that carries a reason code (5.0 3.4 to 3.7)."""

    code: int
    properties: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE (3.8): topic filters with their options byte."""

    filters: tuple[tuple[str, int], ...]
    properties: tuple[tuple[str, object], ...] = ()
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """UNSUBSCRIBE (3.10): topic filters."""

    filters: tuple[str, ...]
    properties: tuple[tuple[str, object], ...] = ()
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class SubscribeAck:
    """SUBACK (3.9) or UNSUBACK (3.11): one code per filter; none in an UNSUBACK of 3.x."""

    codes: tuple[int, ...]
    properties: tuple[tuple[str, object], ...] = ()
    truncated: bool = False


Body: TypeAlias = Connect | Connack | Disconnect | Auth | Acknowledge | Subscribe | Unsubscribe | SubscribeAck

# (first byte, size, packet identifier, count, body)
#   first byte         packet type in the upper four bits, flags in the lower four
#   size               bytes on the wire, fixed header included; of a run, all its packets together
#   packet identifier  0 where the packet has none
#   count              1; more for a run of QoS 0 PUBLISH with the same first byte completed by one chunk
#   body               decoded content of the types above, else None (a PUBLISH is its head and its size)
Packet: TypeAlias = tuple[int, int, int, int, Body | None]


@dataclass(frozen=True, slots=True)
class Partial:
    """A control packet still on its way: `size` is None until its Remaining Length is complete."""

    first_byte: int
    size: int | None
    seen: int


@dataclass(frozen=True, slots=True)
class Malformed:
    """Why a direction is no longer understood: `what` is a stable name, `packet` the type it happened in."""

    what: str
    packet: str
    offset: int  # bytes of this direction before the packet that could not be read
    detail: str = ""

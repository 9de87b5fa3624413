"""Bytes of one direction of one connection to control packets, whatever the chunks.

It is an observer: it never raises on what a peer sent, keeps nothing of a payload, and holds at most
`passing.KEEP` bytes of one unfinished packet. What it has found depends on the bytes alone, not on how they
were cut. It may not know time or the other direction; `version` is told to it where it sees no CONNECT.

The common cases come first and are flat on purpose: a chunk that is one small packet, then a chunk of whole
packets, then everything else, which goes through `Passing`. Equal QoS 0 PUBLISH in a row are counted by
columns (`_equal_neighbours`), so a stream of them costs next to nothing.
Read next: `packets.py` for what comes out, `passing.py`, `bodies.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kaproxy.mqtt.bodies import ACCEPTED, NORMAL_DISCONNECT, read_body
from kaproxy.mqtt.codes import (
    DUP_IN_3_1,
    LEVELS,
    NOT_FROM_BROKER,
    NOT_FROM_CLIENT,
    REQUIRED_FLAGS,
    PacketType,
    packet_name,
)
from kaproxy.mqtt.faults import MAX_ODDITIES
from kaproxy.mqtt.packets import Connect, Malformed, Packet, Partial
from kaproxy.mqtt.passing import KEEP, Passing
from kaproxy.mqtt.strangers import LOOK, MQTT, UNDECIDED, look
from kaproxy.mqtt.wire import INCOMPLETE, TOO_LONG, MalformedBodyError, Reader, remaining_length

# what the fast paths make of a first byte; all else is looked at closely
_CLOSELY: Final = 0
_PUBLISH_0: Final = 1
_PUBLISH_12: Final = 2
_ACK: Final = 3
_PING: Final = 4

_LONGEST_SHORT: Final = 129  # bytes of a packet whose Remaining Length is one byte
_RUN_WORTH_COLUMNS: Final = 8  # packets
_RETRY_COLUMNS: Final = 16  # packets


def _kinds(ping: int) -> bytes:
    kinds = bytearray(256)
    for first in (0x30, 0x31):
        kinds[first] = _PUBLISH_0
    for first in (0x32, 0x33, 0x34, 0x35, 0x3A, 0x3B, 0x3C, 0x3D):
        kinds[first] = _PUBLISH_12
    for first in (0x40, 0x50, 0x62, 0x70):
        kinds[first] = _ACK
    kinds[ping] = _PING
    return bytes(kinds)


_FROM_CLIENT: Final = _kinds(ping=0xC0)
_FROM_BROKER: Final = _kinds(ping=0xD0)
_BROKER_BEGINS_WITH: Final = frozenset({PacketType.CONNACK, PacketType.DISCONNECT, PacketType.AUTH})
_CONNECT: Final = int(PacketType.CONNECT)
_PUBLISH: Final = int(PacketType.PUBLISH)
_PINGREQ: Final = int(PacketType.PINGREQ)
_PINGRESP: Final = int(PacketType.PINGRESP)


def _plain(not_from_there: frozenset[PacketType]) -> frozenset[int]:
    """First bytes of that side at which nothing is odd, PUBLISH left out."""
    return frozenset(
        kind << 4 | flags for kind, flags in REQUIRED_FLAGS.items() if kind not in not_from_there
    )


#: Chunks of short lives that are one packet, and what `feed` gives for them.
_DISCONNECT: Final = b"\xe0\0"
_LEAVES: Final[Sequence[Packet]] = ((0xE0, 2, 0, 1, NORMAL_DISCONNECT),)
_CONNACK: Final = b"\x20\2\0\0"
_ACCEPTS: Final[Sequence[Packet]] = ((0x20, 4, 0, 1, ACCEPTED),)
_PLAIN_FROM_CLIENT: Final = _plain(NOT_FROM_CLIENT)
_PLAIN_FROM_BROKER: Final = _plain(NOT_FROM_BROKER)


def _equal_neighbours(data: bytes, at: int, size: int, head: int) -> int:
    """How many whole packets of `size` bytes follow one another from `at` with the same first `head` bytes.

    A column is one byte of each packet; what its own first byte cannot strip ends the run.
    """
    count = (len(data) - at) // size
    for offset in range(at, at + head):
        column = data[offset : at + count * size : size]
        count -= len(column.lstrip(column[:1]))
    return count


def _identifier(data: bytes, at: int, stop: int, kind: int) -> int:
    """The packet identifier of the small packet with the body `data[at:stop]`, or 0 where it is to be looked at."""
    if kind == _PUBLISH_12:
        if stop - at < 4:
            return 0
        at += (data[at] << 8 | data[at + 1]) + 2
        if at + 2 > stop:
            return 0
    elif kind != _ACK or stop - at != 2:
        return 0
    return data[at] << 8 | data[at + 1]


class Decoder:
    """One direction of one connection. `feed` it every chunk; the rest is there to be read at any time."""

    __slots__ = (
        "_connect_seen",
        "_head",
        "_in_step",
        "_kinds",
        "_offset",
        "_passing",
        "_started",
        "bytes",
        "from_client",
        "malformed",
        "oddities",
        "opaque",
        "stranger",
        "version",
    )

    def __init__(self, from_client: bool) -> None:
        self.version = 0  # protocol level 3, 4, 5; 0 unknown
        self.malformed: Malformed | None = None
        self.stranger: str | None = None  # what the first bytes are where they are not MQTT
        self.oddities: tuple[str, ...] = ()  # names of `faults.ODDITIES`, each once, in the order seen
        self._head = b""  # the beginning of a fixed header, or of what may be a stranger
        self._passing: Passing | None = None
        self._offset = 0  # bytes of this direction before the packet looked at closely
        self.from_client = from_client
        self._started = False  # the first bytes were found to be MQTT
        self._connect_seen = False
        self.opaque = False  # no longer observed: malformed, a stranger, or abandoned
        # what every chunk needs stands last, next to what a `Direction` adds: compiled, they share a cache line
        self._in_step = False  # at a packet boundary, nothing pending: the fast paths apply
        self._kinds = _FROM_CLIENT if from_client else _FROM_BROKER
        self.bytes = 0  # fed so far

    @property
    def at_boundary(self) -> bool:
        """Between packets, and nothing was wrong so far: there is no `partial`."""
        return self._in_step

    @property
    def partial(self) -> Partial | None:
        """The control packet still on its way, None at a packet boundary or when no longer observed."""
        passing = self._passing
        if passing is not None:
            return Partial(passing.first_byte, passing.size, passing.seen)
        return Partial(self._head[0], None, len(self._head)) if self._head else None

    def abandon(self) -> None:
        """Stop observing: from now on `feed` finds nothing and costs next to nothing."""
        self.opaque = True
        self._in_step = False
        self._passing = None
        self._head = b""

    def lone(self, data: bytes, size: int) -> int:
        """Whether the chunk is one PUBLISH, bare acknowledgement or ping, whole and between packets.

        `size` is the chunk's, 2 or more. Returns its packet identifier, 0 where it has none: then it is
        counted, and not to be fed. -1 for anything else: then nothing has changed, and `feed` is to look.
        """
        if not self._in_step:
            return -1
        kind = self._kinds[data[0]]
        at = 2
        if size <= _LONGEST_SHORT:
            if data[1] + 2 != size:
                return -1
            if kind == _PUBLISH_0:  # what comes most, the shortest way
                if size < 4 or data[2] or data[3] + 4 > size:
                    return -1
                self.bytes += size
                return 0
        elif data[1] < 128 or data[2] > 127 or (data[1] & 127 | data[2] << 7) + 3 != size:
            return -1
        else:
            at = 3
        packet_id = 0
        if kind == _PUBLISH_0:
            if (data[at] << 8) + data[at + 1] + at + 2 > size:
                return -1
        elif size > 2:
            packet_id = _identifier(data, at, size, kind)
            if packet_id == 0:
                return -1
        elif kind != _PING:
            return -1
        self.bytes += size
        return packet_id

    def feed(self, data: bytes) -> Sequence[Packet]:
        """The control packets completed by this chunk, in order; () where there are none. Never raises."""
        size = len(data)
        self.bytes += size
        if self._in_step:
            if size == 2 and data == _DISCONNECT and self.from_client:
                return _LEAVES
            return self._scan(data, 0, [])
        if self.opaque or not data:
            return ()
        return self._resume(data)

    def _scan(self, data: bytes, at: int, packets: list[Packet]) -> Sequence[Packet]:
        """Everything from a packet boundary at `at` to the end of the chunk, added to `packets`."""
        kinds = self._kinds
        end = len(data)
        while at < end:
            first = data[at]
            kind = kinds[first]
            if kind == _PUBLISH_0:
                after = self._run(data, at, end, packets)
            elif kind and end - at >= 2 and data[at + 1] < 128:
                after = self._short(data, at, at + 2 + data[at + 1], kind, packets)
            else:
                after = at
            if after == at:
                after = self._closely(data, at, end, packets)
                if after == at:
                    break
            at = after
        return packets or ()

    def _run(self, data: bytes, at: int, end: int, packets: list[Packet]) -> int:
        """Whole QoS 0 PUBLISH with one first byte, as one Packet; returns where the first other thing is."""
        first = data[at]
        begin = at
        count = 0
        last = end - 4  # none is shorter than four bytes
        columns_at = 0  # the count at which looking along the columns is worth trying (again)
        while at <= last and data[at] == first:
            length = data[at + 1]
            head = 4
            if length < 128:
                stop = at + 2 + length
                if stop > end or data[at + 2] or data[at + 3] + 2 > length:
                    break
            else:
                high = data[at + 2]
                length += (high - 1) << 7
                stop = at + 3 + length
                head = 5
                if not 0 < high < 128 or stop > end or (data[at + 3] << 8 | data[at + 4]) + 2 > length:
                    break  # not whole, wrong, or a longer or wasteful Remaining Length
            if count >= columns_at:
                columns_at = count + _RETRY_COLUMNS
                size = stop - at
                probe = at + size * _RUN_WORTH_COLUMNS
                if probe + 1 < end and data[probe] == first and data[probe + 1] == data[at + 1]:
                    equal = _equal_neighbours(data, at, size, head)
                    columns_at += equal
                    count += equal
                    at += equal * size
                    continue
            count += 1
            at = stop
        if count:
            size = at - begin
            if packets and packets[-1][0] == first:
                size += packets[-1][1]
                count += packets.pop()[3]
            packets.append((first, size, 0, count, None))
        return at

    def _short(self, data: bytes, at: int, stop: int, kind: int, packets: list[Packet]) -> int:
        """A whole small PUBLISH above QoS 0, bare acknowledgement or ping; returns `at` for anything else."""
        size = stop - at
        if stop > len(data):
            return at
        packet_id = 0
        if kind == _PING:
            if size != 2:
                return at
        else:
            packet_id = _identifier(data, at + 2, stop, kind)
            if packet_id == 0:
                return at
        packets.append((data[at], size, packet_id, 1, None))
        return stop

    def _resume(self, data: bytes) -> Sequence[Packet]:
        """A chunk that does not begin at a packet boundary, or is the first."""
        packets: list[Packet] = []
        passing = self._passing
        if passing is not None:
            at = passing.take(data, 0, len(data))
            return self._scan(data, at, packets) if self._settle(passing, packets) else ()
        if self._head:
            data = self._head + data
            self._head = b""
        if not self._started and not self._start(data):
            return ()
        self._in_step = True
        if data == _CONNACK and 3 <= self.version <= 4 and not self.from_client:
            return _ACCEPTS
        return self._scan(data, 0, packets)

    def _start(self, data: bytes) -> bool:
        """Whether the direction's first bytes are MQTT; keeps them while that is undecided."""
        found = look(data[:LOOK], self.from_client)
        if found == UNDECIDED:
            self._head = data
            return False
        kind = data[0] >> 4
        if found != MQTT:
            self.stranger = found
            self.abandon()
            return False
        if self.from_client and kind != _CONNECT:
            self._fail("first_packet_not_connect", data[0])
            return False
        if not self.from_client and kind not in _BROKER_BEGINS_WITH:
            self._note("first_packet_not_connack")
        self._started = True
        return True

    def _closely(self, data: bytes, at: int, end: int, packets: list[Packet]) -> int:
        """One packet no fast path takes; returns where it ended, or `at` if it did not or cannot be read."""
        first = data[at]
        self._offset = self.bytes - end + at
        length, body = 0, at + 2
        if body <= end and data[at + 1] < 128:
            length = data[at + 1]
        else:
            length, body = remaining_length(data, at + 1, end)
        if body == INCOMPLETE:
            self._head = data[at:end]
            self._in_step = False
            return at
        if body == TOO_LONG:
            self._fail("remaining_length_too_long", first)
            return at
        header = body - at
        if header > 2 and length >> 7 * (header - 2) == 0:
            self._note("remaining_length_not_minimal")
        kind = first >> 4
        if length and (kind == _PINGREQ or kind == _PINGRESP):
            self._fail("body_not_allowed", first, f"{length}")
            return at
        if kind != _PUBLISH and length <= KEEP and body + length <= end:
            packet = self._read(first, Reader(data, body, length), header + length)
            if packet is None:
                return at
            packets.append(packet)
            return body + length
        passing = Passing(first, length + header, header)
        after = passing.take(data, body, end)
        return after if self._settle(passing, packets) else at

    def _settle(self, passing: Passing, packets: list[Packet]) -> bool:
        """Whether the packet is complete and understood; it is in `packets` then."""
        self._in_step = False
        self._passing = passing
        if passing.fault:
            self._fail(passing.fault, passing.first_byte)
        elif passing.seen == passing.size:
            packet = self._finish(passing)
            if packet is not None:
                self._in_step = True
                self._passing = None
                packets.append(packet)
        return self._in_step

    def _finish(self, passing: Passing) -> Packet | None:
        first = passing.first_byte
        if passing.kept is not None:
            reader = Reader(bytes(passing.kept), 0, passing.size - passing.header)
            return self._read(first, reader, passing.size)
        self._check_first_byte(first)
        self._check_publish(first, passing.packet_id)
        return first, passing.size, passing.packet_id, 1, None

    def _read(self, first: int, reader: Reader, size: int) -> Packet | None:
        """A packet other than PUBLISH, all that was kept of it before the reader; None where it cannot be read."""
        if first not in (_PLAIN_FROM_CLIENT if self.from_client else _PLAIN_FROM_BROKER):
            self._check_first_byte(first)
        kind = first >> 4
        if kind == _PINGREQ or kind == _PINGRESP:
            return first, size, 0, 1, None
        try:
            packet_id, body = read_body(reader, kind, self.version, self.from_client)
        except MalformedBodyError as fault:
            self._note_all(reader.oddities)
            self._fail(fault.what, first, fault.detail)
            return None
        if reader.oddities:
            self._note_all(reader.oddities)
        if kind == _CONNECT and isinstance(body, Connect):
            self._connect_read(body)
        return first, size, packet_id, 1, body

    def _connect_read(self, connect: Connect) -> None:
        if not self.from_client:
            return
        if self._connect_seen:
            self._note("second_connect")
            return
        self._connect_seen = True
        self.version = connect.level if connect.level in LEVELS else 0

    def _check_first_byte(self, first: int) -> None:
        kind = first >> 4
        flags = first & 0x0F
        if self.version == 3 and kind in DUP_IN_3_1:
            flags &= ~0x08
        if flags != REQUIRED_FLAGS.get(kind, flags):
            self._note("reserved_flags")
        if kind in (NOT_FROM_CLIENT if self.from_client else NOT_FROM_BROKER):
            side = "client" if self.from_client else "broker"
            self._note(f"{packet_name(first).lower()}_from_{side}")

    def _check_publish(self, first: int, packet_id: int) -> None:
        qos = first >> 1 & 0x03
        if qos == 3:
            self._note("publish_qos_3")
        if qos == 0 and first & 0x08:
            self._note("dup_with_qos_0")
        if qos and packet_id == 0:
            self._note("packet_identifier_0")

    def _note_all(self, oddities: Sequence[str]) -> None:
        for oddity in oddities:
            self._note(oddity)

    def _note(self, oddity: str) -> None:
        if oddity not in self.oddities and len(self.oddities) < MAX_ODDITIES:
            self.oddities = (*self.oddities, oddity)

    def _fail(self, what: str, first: int, detail: str = "") -> None:
        """The direction can no longer be understood; `what` is a name of `faults.MALFORMED`."""
        self.malformed = Malformed(what, packet_name(first), self._offset, detail)
        self.abandon()

"""The flight recorder: the last N control packets of a connection, in a ring of packed numbers.

One entry per control packet (or per run of equal QoS 0 PUBLISH of one instant) in 16 bytes and
without an object each, because it is written for every packet; time and packet stand side by side, to be in one
cache line. It may not know what the packets mean.
Read next: `evidence.py`, whose `Frame` is an entry unpacked.
"""

from __future__ import annotations

from array import array
from typing import Final

from kaproxy.connection.evidence import Frame

# An entry's 53 bits, which a float holds exactly: first byte 8, direction 1, size 28, packet identifier 16. Of a run,
# which has no packet identifier, its count beyond the first is there, and the entry is negative.
FROM_CLIENT: Final = 1 << 8
_SIZE_BIT: Final = 9
_PACKET_ID_BIT: Final = 37
SIZE: Final = 512.0  # 2 to the power of that bit, as the number that a compiler can see
PACKET_ID: Final = 137438953472.0
_SIZE_MAX: Final = (1 << 28) - 1
_COUNT_MAX: Final = 2047

_EMPTY: Final = array("d", bytes(2 * 8 * 256))  # a place that was never written holds an entry of 0


class FlightRecorder:
    """Remembers the last `size` entries, at most 255; `size` 0 remembers nothing."""

    __slots__ = ("_at", "_end", "_entry", "_next", "_ring", "_size")

    def __init__(self, size: int) -> None:
        self._at = 0.0
        self._entry = 0.0  # every other entry waits here for the next one: the ring is seldom in a cache
        self._next = 0
        self._size = size
        self._end = 4 * ((size + 1) // 2)
        self._ring = _EMPTY[: self._end]  # when, entry, when, entry, …

    def note(
        self, now: float, first_byte: int, size: int, packet_id: int, count: int, from_client: bool
    ) -> None:
        """Keep one entry; sizes and counts beyond their bits are kept as the largest that fits."""
        head = first_byte | FROM_CLIENT if from_client else first_byte
        if size > _SIZE_MAX:
            size = _SIZE_MAX
        if count > 1:
            more = (count if count < _COUNT_MAX else _COUNT_MAX) - 1
            self.keep(now, -(head + size * SIZE + more * PACKET_ID))
        else:
            self.keep(now, head + size * SIZE + packet_id * PACKET_ID)

    def keep(self, now: float, entry: float) -> None:
        """Keep one packet: the sum of its first byte, `FROM_CLIENT` where it is the client's, its size times `SIZE`
        and its packet identifier times `PACKET_ID`. Of a run the number is negative.
        """
        if self._entry == 0.0:
            self._at = now
            self._entry = entry
        elif self._end:
            ring, place = self._ring, self._next
            ring[place] = self._at
            ring[place + 1] = self._entry
            ring[place + 2] = now
            ring[place + 3] = entry
            self._entry = 0.0
            self._next = place + 4 if place + 4 < self._end else 0

    def frames(self, reference: float) -> tuple[Frame, ...]:
        """The entries, oldest first, timed back from `reference` (monotonic seconds)."""
        ring, start = self._ring, self._next
        kept = [(ring[place], ring[place + 1]) for place in range(0, start, 2)]
        if self._end and ring[start + 1]:  # it is full: what will be written over next is the oldest
            kept = [(ring[place], ring[place + 1]) for place in range(start, self._end, 2)] + kept
        if self._entry and self._size:
            kept.append((self._at, self._entry))
        return tuple([_unpack(reference - at, int(entry)) for at, entry in kept[-self._size :]])


def _unpack(ago: float, entry: int) -> Frame:
    bits = entry if entry > 0 else -entry
    upper = bits >> _PACKET_ID_BIT
    packet_id, count = (upper, 1) if entry > 0 else (0, upper + 1)
    return Frame(ago, bits & FROM_CLIENT != 0, bits & 0xFF, bits >> _SIZE_BIT & _SIZE_MAX, packet_id, count)

"""The flight recorder: the last N control packets of a connection, in a ring of packed numbers.

One entry per control packet (or per run of equal QoS 0 PUBLISH of one instant) in 16 bytes and
without an object each, because it is written for every packet. It may not know what the packets mean.
Read next: `evidence.py`, whose `Frame` is an entry unpacked.
"""

from __future__ import annotations

from array import array
from typing import Final

from kaproxy.connection.evidence import Frame

# An entry's 64 bits: first byte 8, direction 1, size 28, packet identifier 16, count beyond the first 11. What is
# zero nearly always stands on the left, so that an entry is a small number, which is cheaper to make.
FROM_CLIENT: Final = 1 << 8
_SIZE: Final = 9
_PACKET_ID: Final = 37
_COUNT: Final = 53
_SIZE_MAX: Final = (1 << 28) - 1
_COUNT_MAX: Final = (1 << 11) - 1


class FlightRecorder:
    """Remembers the last `size` entries; `size` 0 remembers nothing."""

    __slots__ = ("_at", "_entries", "_next", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._next = 0
        self._at = array("d")
        self._entries = array("Q")

    def note(
        self, now: float, first_byte: int, size: int, packet_id: int, count: int, from_client: bool
    ) -> None:
        """Keep one entry; sizes and counts beyond their bits are kept as the largest that fits."""
        head = first_byte | FROM_CLIENT if from_client else first_byte
        if count > 1:
            head |= ((count if count < _COUNT_MAX else _COUNT_MAX) - 1) << _COUNT
        self.note_one(now, head, size if size < _SIZE_MAX else _SIZE_MAX, packet_id)

    def note_one(self, now: float, head: int, size: int, packet_id: int) -> None:
        """Keep one packet; `head` is its first byte, with `FROM_CLIENT` where it is the client's."""
        entry = head | size << _SIZE
        if packet_id:
            entry |= packet_id << _PACKET_ID
        place = self._next
        if place < len(self._at):
            self._at[place] = now
            self._entries[place] = entry
        elif self._size:
            self._at.append(now)
            self._entries.append(entry)
        else:
            return
        self._next = place + 1 if place + 1 < self._size else 0

    def frames(self, reference: float) -> tuple[Frame, ...]:
        """The entries, oldest first, timed back from `reference` (monotonic seconds)."""
        filled = len(self._at)
        start = self._next if filled == self._size else 0
        order = [(start + step) % filled for step in range(filled)]
        return tuple(_unpack(reference - self._at[place], self._entries[place]) for place in order)


def _unpack(ago: float, entry: int) -> Frame:
    return Frame(
        ago_s=ago,
        from_client=bool(entry & FROM_CLIENT),
        first_byte=entry & 0xFF,
        size=entry >> _SIZE & _SIZE_MAX,
        packet_id=entry >> _PACKET_ID & 0xFFFF,
        count=(entry >> _COUNT) + 1,
    )

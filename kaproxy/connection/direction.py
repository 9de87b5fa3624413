"""What is counted of one direction: its packets and bytes, and when the last of each came.

It is a decoder with more fields, not one that has a decoder: two of these exist per connection, and each object
more that a chunk touches is a cache line fetched from memory where there are many connections. It may not know
what a packet means for the connection. Read next: `tracker.py`.
"""

from __future__ import annotations

from typing import Final

from kaproxy.connection.evidence import PartialPacket, Sighting, Unreadable
from kaproxy.connection.facts import CLIENT, NAMES, Side
from kaproxy.mqtt.codes import packet_name
from kaproxy.mqtt.decoder import Decoder

#: No first byte.
NEVER: Final = -1


class Direction(Decoder):
    """One direction of a connection, named by the side that sends: its decoder, and counts. Times are monotonic s."""

    __slots__ = (
        "_unsettled", "_waiting", "again", "byte_at", "glanced", "last", "packet_at", "packets", "seen", "side",
    )  # fmt: skip

    def __init__(self, side: Side, now: float) -> None:
        Decoder.__init__(self, side is CLIENT)
        # first what every chunk needs: see `Decoder`
        self.packets = 0
        # another packet like these can be counted at a glance, until the first ending
        self.again = NEVER  # `last`
        self.glanced = 0  # `seen`
        self.packet_at = now
        self.byte_at = now
        self.last = 0  # first byte of the last complete control packet; 0: none yet
        self._waiting = 0  # packet identifier of the only unacknowledged QoS 1 or 2 PUBLISH …
        self._unsettled: set[int] | None = None  # … or of all, where there have been several at once
        self.seen = 0  # bit set of packet types already in the history
        self.side = side

    def sent_publish(self, packet_id: int) -> None:
        """A PUBLISH with QoS 1 or 2 passed (4.3.2, 4.3.3). At most 65,535 identifiers exist."""
        if self._unsettled is not None:
            self._unsettled.add(packet_id)
        elif self._waiting == 0 or self._waiting == packet_id:
            self._waiting = packet_id
        else:
            self._unsettled = {self._waiting, packet_id}
            self._waiting = 0

    def acknowledged(self, packet_id: int) -> None:
        """The other side ended the exchange of this packet identifier."""
        if self._waiting == packet_id:
            self._waiting = 0
        elif self._unsettled is not None:
            self._unsettled.discard(packet_id)

    @property
    def unacknowledged(self) -> int:
        """QoS 1 and 2 PUBLISH of this direction whose exchange is not finished."""
        return len(self._unsettled) if self._unsettled is not None else 1 if self._waiting else 0

    def sighting(self, now: float) -> Sighting | None:
        """The last complete control packet and its age."""
        return Sighting(packet_name(self.last), now - self.packet_at) if self.last else None

    def unfinished(self) -> PartialPacket | None:
        """The control packet still on its way."""
        if self.at_boundary:
            return None
        partial = self.partial
        if partial is None:
            return None
        return PartialPacket(packet_name(partial.first_byte), partial.size, partial.seen)

    def unreadable(self) -> Unreadable | None:
        """Why this direction is no longer understood, if so."""
        if self.stranger is not None:
            return Unreadable(NAMES[self.side], self.stranger, "none", 0)
        malformed = self.malformed
        if malformed is None:
            return None
        return Unreadable(
            NAMES[self.side], malformed.what, malformed.packet, malformed.offset, malformed.detail
        )

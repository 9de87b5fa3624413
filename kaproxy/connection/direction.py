"""What is counted of one direction: its decoder, its packets and bytes, and when the last of each came.

Plain slots, because two of these exist per connection and are touched for every chunk. It may not
know what a packet means for the connection. Read next: `tracker.py`.
"""

from __future__ import annotations

from kaproxy.connection.evidence import PartialPacket, Sighting, Unreadable
from kaproxy.connection.facts import Side
from kaproxy.mqtt.codes import packet_name
from kaproxy.mqtt.decoder import Decoder


class Direction:
    """One direction of a connection, named by the side that sends. Times are monotonic seconds."""

    __slots__ = ("byte_at", "bytes", "decoder", "inflight", "last", "packet_at", "packets", "seen", "side")

    def __init__(self, side: Side, now: float) -> None:
        self.side = side
        self.decoder = Decoder(from_client=side is Side.CLIENT)
        self.bytes = 0
        self.packets = 0
        self.byte_at = now
        self.packet_at = now
        self.last = 0  # first byte of the last complete control packet; 0: none yet
        self.seen = 0  # bit set of packet types already in the history
        self.inflight: set[int] | None = None  # packet identifiers of unacknowledged QoS 1 and 2 PUBLISH

    def sent_publish(self, packet_id: int) -> None:
        """A PUBLISH with QoS 1 or 2 passed (4.3.2, 4.3.3). At most 65,535 identifiers exist."""
        if self.inflight is None:
            self.inflight = set()
        self.inflight.add(packet_id)

    def acknowledged(self, packet_id: int) -> None:
        """The other side ended the exchange of this packet identifier."""
        if self.inflight:
            self.inflight.discard(packet_id)

    @property
    def unacknowledged(self) -> int:
        """QoS 1 and 2 PUBLISH of this direction whose exchange is not finished."""
        return len(self.inflight) if self.inflight else 0

    def sighting(self, now: float) -> Sighting | None:
        """The last complete control packet and its age."""
        return Sighting(packet_name(self.last), now - self.packet_at) if self.last else None

    def partial(self) -> PartialPacket | None:
        """The control packet still on its way."""
        partial = self.decoder.partial
        if partial is None:
            return None
        return PartialPacket(packet_name(partial.first_byte), partial.size, partial.seen)

    def unreadable(self) -> Unreadable | None:
        """Why this direction is no longer understood, if so."""
        decoder = self.decoder
        if decoder.stranger is not None:
            return Unreadable(self.side.value, decoder.stranger, "none", 0)
        malformed = decoder.malformed
        if malformed is None:
            return None
        return Unreadable(
            self.side.value, malformed.what, malformed.packet, malformed.offset, malformed.detail
        )

"""What is counted of one direction: its decoder, its packets and bytes, and when the last of each came.

Plain slots, because two of these exist per connection and are touched for every chunk. It may not
know what a packet means for the connection. Read next: `tracker.py`.
"""

from __future__ import annotations

from typing import Final

from kaproxy.connection.evidence import PartialPacket, Sighting, Unreadable
from kaproxy.connection.facts import Side
from kaproxy.connection.flight_recorder import FROM_CLIENT
from kaproxy.mqtt.codes import packet_name
from kaproxy.mqtt.decoder import Decoder

#: No first byte.
NEVER: Final = -1


class Direction:
    """One direction of a connection, named by the side that sends. Times are monotonic seconds."""

    __slots__ = (
        "again",
        "byte_at",
        "decoder",
        "head",
        "inflight",
        "last",
        "packet_at",
        "packets",
        "seen",
        "side",
    )

    def __init__(self, side: Side, now: float) -> None:
        self.side = side
        self.decoder = Decoder(from_client=side is Side.CLIENT)
        self.packets = 0
        self.byte_at = now
        self.packet_at = now
        self.last = 0  # first byte of the last complete control packet; 0: none yet
        self.again = NEVER  # `last`, where another one like it can be counted at a glance
        self.head = 0  # of such a packet in the flight recorder
        self.seen = 0  # bit set of packet types already in the history
        self.inflight: set[int] | None = None  # packet identifiers of unacknowledged QoS 1 and 2 PUBLISH

    @property
    def bytes(self) -> int:
        """Bytes that came this way."""
        return self.decoder.bytes

    def ended_with(self, first: int) -> None:
        """The last packet of a chunk had this first byte: another one like it can be counted at a glance."""
        self.last = self.again = first
        self.head = first | FROM_CLIENT if self.side is Side.CLIENT else first

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

"""One control packet that needs more than a glance: it spans chunks, or has a body to be read.

A PUBLISH is never kept: its topic's length and packet identifier are picked out as they pass by. Of any
other packet the first `KEEP` bytes of the body are kept. It may not know what a body means.
Read next: `decoder.py`, which makes one where its fast paths end.
"""

from __future__ import annotations

from typing import Final

KEEP: Final = 65536  # bytes of a body


class Passing:
    """A packet whose fixed header is known. Positions are counted from its first byte."""

    __slots__ = ("fault", "first_byte", "header", "kept", "packet_id", "seen", "size", "topic_size", "wanted")

    def __init__(self, first_byte: int, size: int, header: int) -> None:
        publish = first_byte & 0xF0 == 0x30
        self.first_byte = first_byte
        self.size = size  # with the fixed header
        self.header = header  # bytes of the fixed header
        self.seen = header
        self.packet_id = 0  # of a PUBLISH; other packets have it in what is kept
        self.topic_size = 0
        self.wanted = header + 2 if publish else 0  # end of the next two bytes to be picked out
        self.fault = "body_too_short" if size < self.wanted else ""
        self.kept: bytearray | None = None if publish else bytearray()

    def take(self, data: bytes, at: int, end: int) -> int:
        """Count what `data[at:end]` holds of this packet; returns where in `data` that ends."""
        stop = min(end, at + self.size - self.seen)
        kept = self.kept
        if kept is None:
            if self.seen < self.wanted:
                self._pick(data, at, stop)
        elif len(kept) < KEEP:
            kept += data[at : min(stop, at + KEEP - len(kept))]
        self.seen += stop - at
        return stop

    def _pick(self, data: bytes, at: int, stop: int) -> None:
        shift = at - self.seen  # where in `data` the packet's first byte would be
        until = stop - shift
        body = self.header + 2
        if self.seen < body:
            for position in range(self.seen, min(until, body)):
                self.topic_size = self.topic_size << 8 | data[position + shift]
            if until < body:
                return
            self._topic_known(body + self.topic_size)
        for position in range(max(self.seen, self.wanted - 2), min(until, self.wanted)):
            self.packet_id = self.packet_id << 8 | data[position + shift]

    def _topic_known(self, topic_end: int) -> None:
        has_identifier = self.first_byte & 0x06 != 0
        self.wanted = topic_end + 2 if has_identifier else 0
        if topic_end > self.size:
            self.fault = "string_past_end"
        elif self.wanted > self.size:
            self.fault = "body_too_short"

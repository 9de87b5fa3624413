"""Helpers of the decoder's tests: a decoder past its first packet, and all that can be seen of one."""

from __future__ import annotations

from collections.abc import Iterable

from kaproxy.mqtt.decoder import Decoder
from kaproxy.mqtt.packets import Packet
from tests import builders
from tests.strategies import collapsed


def decoder(*, from_client: bool = True, version: int = 4, begun: bool = True) -> Decoder:
    """A decoder that knows the version; `begun`: CONNECT or CONNACK is behind it."""
    made = Decoder(from_client)
    if not from_client:
        made.version = version
    if begun:
        first = builders.connect(version=version) if from_client else builders.connack(version=version)
        assert len(made.feed(first)) == 1
        assert made.oddities == ()
    return made


def fed(one: Decoder, chunks: Iterable[bytes]) -> list[Packet]:
    """All packets of all chunks."""
    return [packet for chunk in chunks for packet in one.feed(chunk)]


def bytewise(data: bytes) -> list[bytes]:
    """Chunks of one byte."""
    return [bytes([byte]) for byte in data]


def seen(one: Decoder, packets: Iterable[Packet]) -> tuple[object, ...]:
    """Everything a decoder shows, in a form no chunking may change."""
    return (
        collapsed(packets),
        one.partial,
        one.malformed,
        one.stranger,
        one.oddities,
        one.opaque,
        one.version,
    )

"""The decoder over legal bytes: what comes out, from every chunking, at every boundary of the length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaproxy.mqtt.decoder import Decoder
from kaproxy.mqtt.packets import Connect, Disconnect, Partial
from tests import builders, strategies
from tests.mqtt.observing import bytewise, decoder, fed, seen
from tests.strategies import Stream, chunkings, collapsed, streams

BOUNDARIES = (127, 128, 16_383, 16_384, 2_097_151, 2_097_152)
LONGEST = 268_435_455


def _begun(stream: Stream) -> Decoder:
    return decoder(from_client=stream.from_client, version=stream.version, begun=False)


@given(streams())
def test_every_legal_packet_is_decoded_to_what_it_was_made_from(stream: Stream) -> None:
    one = _begun(stream)
    found = one.feed(stream.raw)
    assert collapsed(found) == collapsed(sample.packet for sample in stream.samples)
    assert (one.oddities, one.opaque, one.partial, one.version) == ((), False, None, stream.version)


@given(streams(), st.data())
def test_any_chunking_gives_the_same_packets(stream: Stream, data: st.DataObject) -> None:
    whole, cut = _begun(stream), _begun(stream)
    chunks = data.draw(chunkings(stream.raw))
    assert seen(cut, fed(cut, chunks)) == seen(whole, whole.feed(stream.raw))


@given(streams(max_size=3))
def test_byte_by_byte_gives_the_same_packets(stream: Stream) -> None:
    whole, cut = _begun(stream), _begun(stream)
    assert seen(cut, fed(cut, bytewise(stream.raw))) == seen(whole, whole.feed(stream.raw))


@given(st.data(), strategies.VERSIONS, st.booleans())
def test_a_strict_prefix_of_a_packet_gives_no_packet_and_is_shown_as_partial(
    data: st.DataObject, version: int, from_client: bool
) -> None:
    raw = data.draw(strategies.packets(version, from_client)).raw
    header = len(raw) if len(raw) == 2 else next(at for at in range(1, 5) if raw[at] < 0x80) + 1
    prefixes = sorted(set(range(1, min(len(raw), 300))) | {len(raw) - 1})
    for seen_bytes in prefixes:
        one = decoder(version=version, from_client=from_client)
        assert one.feed(raw[:seen_bytes]) == ()
        size = len(raw) if seen_bytes >= header else None
        assert one.partial == Partial(raw[0], size, seen_bytes)
        assert len(one.feed(raw[seen_bytes:])) == 1
        assert one.partial is None


@given(strategies.VERSIONS.flatmap(strategies.connects))
def test_a_strict_prefix_of_a_connect_gives_no_packet(sample: strategies.Sample) -> None:
    for size in range(1, len(sample.raw)):
        one = Decoder(from_client=True)
        assert one.feed(sample.raw[:size]) == ()
        assert one.partial is not None
        assert (one.partial.first_byte, one.partial.seen) == (0x10, size)
        assert list(one.feed(sample.raw[size:])) == [sample.packet]


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("remaining", BOUNDARIES)
def test_a_publish_at_each_boundary_of_remaining_length_is_one_packet(remaining: int, qos: int) -> None:
    raw = builders.publish_of_size(remaining, qos=qos, packet_id=77)
    expected = (0x30 | qos << 1, len(raw), 77 if qos else 0, 1, None)
    assert list(decoder().feed(raw)) == [expected]
    cut = decoder()
    chunks = [raw[at : at + 65_536] for at in range(0, len(raw), 65_536)]
    assert fed(cut, [raw[:1], raw[1:2], raw[2:3], raw[3:4], raw[4:5], raw[5:]]) == [expected]
    assert fed(cut, chunks) == [expected]


def test_remaining_length_0_is_a_packet() -> None:
    assert decoder().feed(builders.pingreq()) == [(0xC0, 2, 0, 1, None)]


@pytest.mark.parametrize("version", [3, 4, 5])
def test_the_shortest_publish_is_a_packet(version: int) -> None:
    assert decoder(version=version).feed(b"\x30\x02\0\0") == [(0x30, 4, 0, 1, None)]


def test_the_longest_packet_the_standard_allows_passes_uncounted_by_memory() -> None:
    one = decoder()
    head = b"\x32" + builders.variable(LONGEST) + builders.text("topic") + builders.two(513)
    assert one.feed(head) == ()
    left = LONGEST + 5 - len(head)
    chunk = bytes(1 << 20)
    while left > len(chunk):
        assert one.feed(chunk) == ()
        left -= len(chunk)
    assert one.partial == Partial(0x32, LONGEST + 5, LONGEST + 5 - left)
    packets = one.feed(chunk[:left] + builders.pingreq())
    assert list(packets) == [(0x32, LONGEST + 5, 513, 1, None), (0xC0, 2, 0, 1, None)]


def test_equal_qos_0_publish_of_one_chunk_are_one_packet_with_a_count() -> None:
    raw = builders.publish("a/b", b"x" * 100)
    assert list(decoder().feed(raw * 500)) == [(0x30, 500 * len(raw), 0, 500, None)]


@pytest.mark.parametrize(
    "sizes", [(20, 21), (200, 201), (20, 200), (120, 121, 122, 123, 124, 125, 126, 127, 128)]
)
def test_qos_0_publish_of_different_sizes_are_one_run(sizes: tuple[int, ...]) -> None:
    raw = b"".join(builders.publish_of_size(size) for size in sizes) * 9
    assert list(decoder().feed(raw)) == [(0x30, len(raw), 0, 9 * len(sizes), None)]


def test_a_run_takes_in_the_packet_that_the_chunk_completed() -> None:
    raw = builders.publish("a", b"xyz")
    one = decoder()
    one.feed(raw[:5])
    assert list(one.feed(raw[5:] + raw * 3)) == [(0x30, 4 * len(raw), 0, 4, None)]


@pytest.mark.parametrize("length", [100, 300])
@pytest.mark.parametrize("at", [0, 1, 7, 8, 9, 30, 39])
def test_a_run_ends_where_a_neighbour_differs(at: int, length: int) -> None:
    """The other one has the same size, but RETAIN; then but a longer topic; then is but shorter."""
    usual = builders.publish_of_size(length)
    for other in (
        builders.publish("t", bytes(length - 3), retain=True),
        builders.publish("tt", bytes(length - 4)),
        builders.publish_of_size(length - 1),
        builders.pingreq(),
    ):
        parts = [usual] * at + [other] + [usual] * (40 - at)
        one = decoder()
        whole = one.feed(b"".join(parts))
        assert collapsed(whole) == collapsed(fed(decoder(), parts))
        assert len(whole) <= 3


def test_different_first_bytes_do_not_make_a_run() -> None:
    kept, plain = builders.publish(retain=True), builders.publish()
    assert [packet[3] for packet in decoder().feed(plain * 3 + kept * 2 + plain)] == [3, 2, 1]


@pytest.mark.parametrize("version", [3, 4, 5])
def test_packet_identifiers_are_found_whole_and_in_pieces(version: int) -> None:
    parts = [
        builders.publish("a/topic", b"payload", qos=1, packet_id=258, version=version),
        builders.publish("a/topic", b"", qos=2, packet_id=65_535, dup=True, version=version),
        builders.publish("t" * 300, b"payload", qos=2, packet_id=1, version=version),
        builders.puback(2),
        builders.pubrec(3),
        builders.pubrel(4),
        builders.pubcomp(5),
    ]
    expected = [258, 65_535, 1, 2, 3, 4, 5]
    raw = b"".join(parts)
    assert [packet[2] for packet in decoder(version=version).feed(raw)] == expected
    assert [packet[2] for packet in fed(decoder(version=version), parts)] == expected
    assert [packet[2] for packet in fed(decoder(version=version), bytewise(raw))] == expected


def test_the_version_comes_with_connect_and_not_before() -> None:
    for version in (3, 4, 5):
        one = Decoder(from_client=True)
        assert one.version == 0
        one.feed(builders.connect(version=version))
        assert one.version == version


def test_connect_and_what_follows_in_one_chunk_are_all_decoded() -> None:
    packets = Decoder(from_client=True).feed(builders.connect() + builders.pingreq() + builders.disconnect())
    assert [packet[0] for packet in packets] == [0x10, 0xC0, 0xE0]
    assert isinstance(packets[0][4], Connect)
    assert packets[2][4] == Disconnect()


def test_a_broker_may_begin_with_auth_or_disconnect_in_5() -> None:
    for first in (builders.auth(0x18, ()), builders.disconnect(0x8B)):
        one = decoder(from_client=False, version=5, begun=False)
        assert len(one.feed(first)) == 1
        assert one.oddities == ()


def test_what_needs_the_version_keeps_no_body_while_it_is_unknown() -> None:
    one = Decoder(from_client=False)
    raw = (
        builders.connack() + builders.suback((0, 1), 9) + builders.puback(3, 0x10) + builders.unsuback((), 4)
    )
    packets = one.feed(raw)
    assert [packet[2] for packet in packets] == [0, 9, 3, 4]
    assert [packet[4] for packet in packets[1:]] == [None, None, None]
    assert not one.opaque


def test_an_empty_chunk_changes_nothing() -> None:
    for one in (Decoder(True), Decoder(False), decoder()):
        before = seen(one, ())
        assert one.feed(b"") == ()
        assert seen(one, ()) == before


def test_an_abandoned_direction_finds_nothing_any_more() -> None:
    one = decoder()
    one.feed(builders.publish()[:3])
    one.abandon()
    assert one.feed(builders.pingreq()) == ()
    assert (one.opaque, one.partial, one.malformed, one.stranger) == (True, None, None, None)


def test_a_chunk_with_nothing_complete_gives_an_empty_tuple() -> None:
    one = decoder()
    assert one.feed(b"\x30") == ()
    assert one.feed(b"\x7f") == ()
    assert one.feed(bytes(100)) == ()


@pytest.mark.parametrize("version", [0, 3, 4, 5])
@pytest.mark.parametrize("from_client", [True, False])
@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize(
    "packet", [b"\xe0\0", b"\x20\2\0\0", b"\x20\2\1\0", b"\x20\2\0\5", b"\x10\0", b"\xc0\0"]
)
def test_what_is_known_at_a_glance_is_what_reading_it_byte_by_byte_gives(
    version: int, from_client: bool, begun: bool, packet: bytes
) -> None:
    whole, bitten = (Decoder(from_client) for _ in range(2))
    for one in (whole, bitten):
        one.version = 0 if from_client else version
        if begun:
            one.feed(
                builders.connect(version=version or 4)
                if from_client
                else builders.connack(version=version or 4)
            )
    assert seen(whole, fed(whole, [packet])) == seen(bitten, fed(bitten, bytewise(packet)))
    assert whole.bytes == bitten.bytes

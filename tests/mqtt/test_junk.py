"""Whatever arrives: nothing is raised, memory stays bounded, and how it was cut makes no difference."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaproxy.mqtt.decoder import Decoder
from kaproxy.mqtt.faults import MALFORMED, ODDITIES
from kaproxy.mqtt.passing import KEEP
from tests import builders, strategies
from tests.mqtt.observing import bytewise, decoder, fed, seen
from tests.strategies import Stream, chunkings, mutations, streams

JUNK = st.binary(max_size=400)
MEGABYTE = 1 << 20


def _sane(one: Decoder) -> None:
    assert set(one.oddities) <= set(ODDITIES)
    assert one.malformed is None or one.malformed.what in MALFORMED
    assert one.opaque == (one.malformed is not None or one.stranger is not None)
    assert not (one.opaque and one.partial)
    partial = one.partial
    assert partial is None or partial.size is None or partial.seen < partial.size


@settings(max_examples=400)
@given(JUNK, st.booleans(), strategies.VERSIONS, st.booleans(), st.data())
def test_any_bytes_raise_nothing_in_any_chunking(
    junk: bytes, from_client: bool, version: int, begun: bool, data: st.DataObject
) -> None:
    makes = [decoder(from_client=from_client, version=version, begun=begun) for _ in range(3)]
    whole, cut, single = makes
    expected = seen(whole, whole.feed(junk))
    _sane(whole)
    assert seen(cut, fed(cut, data.draw(chunkings(junk)))) == expected
    assert seen(single, fed(single, bytewise(junk))) == expected


@settings(max_examples=400)
@given(streams(max_size=4), st.data())
def test_mutated_streams_raise_nothing_in_any_chunking(stream: Stream, data: st.DataObject) -> None:
    raw = data.draw(mutations(stream.raw))
    whole, cut, single = (
        decoder(from_client=stream.from_client, version=stream.version, begun=False) for _ in range(3)
    )
    expected = seen(whole, whole.feed(raw))
    _sane(whole)
    assert seen(cut, fed(cut, data.draw(chunkings(raw)))) == expected
    assert seen(single, fed(single, bytewise(raw))) == expected


@given(st.integers(0, 255), JUNK, strategies.VERSIONS, st.booleans())
def test_any_body_behind_a_true_length_raises_nothing(
    first: int, body: bytes, version: int, from_client: bool
) -> None:
    one = decoder(from_client=from_client, version=version)
    found = one.feed(builders.packet(first, body))
    _sane(one)
    assert len(found) == (not one.opaque)


@settings(max_examples=40)
@given(streams(max_size=4), st.randoms(use_true_random=False))
def test_bytes_before_a_packet_that_cannot_be_read_are_counted(stream: Stream, rng: random.Random) -> None:
    if stream.samples[-1].raw[0] >> 4 == 0 or not stream.raw:
        return
    one = decoder(from_client=stream.from_client, version=stream.version, begun=False)
    raw = stream.raw + b"\x30\xff\xff\xff\xff"
    cut = rng.randrange(len(raw))
    fed(one, [raw[:cut], raw[cut:]])
    assert one.malformed is not None
    assert (one.malformed.what, one.malformed.offset) == ("remaining_length_too_long", len(stream.raw))


def _growth(one: Decoder, chunks: list[bytes]) -> int:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for chunk in chunks:
            one.feed(chunk)
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("head", "bound"),
    [
        (b"\x30" + builders.variable(268_435_455) + b"\0\1t", 2_000),
        (b"\x32" + builders.variable(268_435_455) + b"\xff\xff", 2_000),
        (b"\x10" + builders.variable(268_435_455), KEEP * 9 // 8 + 2_000),
        (b"\x82" + builders.variable(268_435_455), KEEP * 9 // 8 + 2_000),
        (b"\x90" + builders.variable(268_435_455), KEEP * 9 // 8 + 2_000),
        (b"\x00" + builders.variable(268_435_455), KEEP * 9 // 8 + 2_000),
    ],
)
def test_ten_megabytes_of_one_unfinished_packet_hold_bounded_memory(head: bytes, bound: int) -> None:
    one = decoder()
    assert _growth(one, [head, *[bytes(MEGABYTE)] * 10]) <= bound
    assert one.partial is not None
    assert one.partial.seen == len(head) + 10 * MEGABYTE


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("begun", [True, False])
def test_ten_megabytes_of_garbage_hold_bounded_memory(seed: int, begun: bool) -> None:
    rng = random.Random(seed)
    one = decoder(begun=begun)
    assert _growth(one, [rng.randbytes(MEGABYTE) for _ in range(10)]) <= KEEP * 9 // 8 + 4_000


def test_a_length_announced_is_not_a_length_allocated() -> None:
    one = decoder()
    assert _growth(one, [b"\x82" + builders.variable(268_435_455) + b"\0\1"]) < 2_000


def test_an_idle_decoder_is_small() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        idle = [decoder() for _ in range(500)]
        for one in idle:
            one.feed(builders.publish()[:7])
            one.feed(builders.publish()[7:] + builders.pingreq())
        assert (tracemalloc.get_traced_memory()[0] - before) / len(idle) < 300
    finally:
        tracemalloc.stop()

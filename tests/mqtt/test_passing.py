"""A packet on its way: counted exactly, kept within bounds, its identifier picked out wherever it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaproxy.mqtt.passing import KEEP, Passing
from tests import builders


@given(st.integers(0, 2), st.integers(1, 65535), st.text(max_size=30), st.binary(max_size=40), st.data())
def test_topic_and_identifier_are_found_wherever_it_is_cut(
    qos: int, identifier: int, topic: str, payload: bytes, data: st.DataObject
) -> None:
    raw = builders.publish(topic, payload, qos=qos, packet_id=identifier)
    header = 2 if raw[1] < 128 else 3
    passing = Passing(raw[0], len(raw), header)
    at = header
    while at < len(raw):
        stop = data.draw(st.integers(at, len(raw)))
        assert passing.take(raw, at, stop) == stop
        at = max(stop, at + 1) if stop > at else data.draw(st.just(at + passing.take(raw, at, at + 1) - at))
    assert (passing.seen, passing.fault) == (len(raw), "")
    assert passing.topic_size == len(topic.encode())
    assert passing.packet_id == (identifier if qos else 0)
    assert passing.kept is None


def test_nothing_after_the_packet_is_taken() -> None:
    passing = Passing(0x82, 10, 2)
    assert passing.take(b"..12345678next", 2, 14) == 10
    assert bytes(passing.kept or b"") == b"12345678"


def test_a_body_is_kept_up_to_the_limit_and_counted_beyond() -> None:
    passing = Passing(0x10, 10_000_000, 5)
    for _ in range(30):
        passing.take(bytes(50_000), 0, 50_000)
    assert passing.kept is not None
    assert (len(passing.kept), passing.seen) == (KEEP, 5 + 30 * 50_000)


@pytest.mark.parametrize("first", [0x30, 0x32])
def test_a_publish_with_no_room_for_a_topic_is_at_fault_at_once(first: int) -> None:
    assert Passing(first, 3, 2).fault == "body_too_short"

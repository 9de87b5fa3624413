"""What is counted at a glance gives exactly what looking at every packet gives, whatever the chunks."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaproxy.connection import Policy
from kaproxy.connection.direction import NEVER
from kaproxy.connection.facts import Side
from kaproxy.connection.keepalive import Counts, Window
from kaproxy.mqtt.decoder import Decoder
from tests import builders
from tests.playbook import Play

SMALL = [
    builders.publish("t", b"x" * 40),
    builders.publish("", b""),
    builders.publish("t", b"x" * 122),  # the longest with one byte of Remaining Length, and the next
    builders.publish("t", b"x" * 123),
    builders.publish("t", b"x" * 124),
    builders.publish("t", b"x" * 300),
    builders.publish("t" * 260, b""),
    builders.publish("t", b"y" * 200, qos=1, packet_id=9),
    builders.publish("t", b"y", qos=1, packet_id=7),
    builders.publish("t", b"y", qos=1, packet_id=300),
    builders.publish("t", b"z", qos=2, packet_id=8),
    b"\x3a\x05\0\1t\0\7",
    builders.puback(7),
    builders.puback(300),
    b"\x50\2\0\x08",
    b"\x62\2\0\x08",
    b"\x70\2\0\x08",
]
ODD = [
    b"\x30\2\0\1",  # the topic is longer than the packet
    b"\x32\2\0\0",  # no packet identifier
    b"\x32\4\0\0\0\0",  # packet identifier 0
    b"\x40\2\0\0",
    b"\x40\3\0\7\0",
    b"\xc0\1\0",
    b"\x30\x80\1\0\x7f" + bytes(126),  # the topic is longer than the packet
    b"\x30\x80\1\1\0" + bytes(126),
    b"\x30\x82\0\0\0",  # Remaining Length written with more bytes than it needs
    b"\x32\x80\1\0\1t\0\0" + bytes(123),  # packet identifier 0
    b"\x30\0",
    b"\x30",
    b"",
]
CLIENT = st.sampled_from([*SMALL, builders.pingreq(), *ODD])
BROKER = st.sampled_from([*SMALL, builders.pingresp(), *ODD])
#: Mostly the same packet again, in pauses that are none, traffic, and worth a look.
TIMES = st.sampled_from([0.0, 0.001, 0.2, 0.25, 1.0, 7.0])
STEP = st.one_of(
    st.tuples(st.just(Side.CLIENT), CLIENT, TIMES, st.integers(1, 4), st.integers(0, 140)),
    st.tuples(st.just(Side.BROKER), BROKER, TIMES, st.integers(1, 4), st.integers(0, 140)),
)
POLICY = st.builds(
    Policy, window=st.builds(Window, counts=st.sampled_from(Counts)), frames=st.sampled_from([0, 1, 3, 16])
)


@settings(max_examples=600, deadline=None)
@given(POLICY, st.lists(STEP, max_size=30), st.sampled_from(Side), st.booleans())
def test_evidence_and_events_are_those_of_looking_at_everything(
    policy: Policy, script: list[tuple[Side, bytes, float, int, int]], ender: Side, goes_on: bool
) -> None:
    glancing, looking = Play(policy).established("dev", 4), Play(policy).established("dev", 4)
    for side, packet, pause, times, cut in script:
        for chunk in [packet] * times if cut > len(packet) else [packet[:cut], packet[cut:]]:
            for play in (glancing, looking):
                play.at(play.now + pause)
                if play is looking:
                    play.tracker.up.glanced = play.tracker.down.glanced = 0
                    play.tracker.up.again = play.tracker.down.again = NEVER
                play.client(chunk) if side is Side.CLIENT else play.broker(chunk)
    for play in (glancing, looking):
        play.at(play.now + 0.5).ends(ender)
        if goes_on:
            play.client(builders.publish("t", b"x" * 40)).broker(builders.pingresp())
    assert glancing.told == looking.told
    assert glancing.tracker.judged_from() == looking.tracker.judged_from()
    assert glancing.evidence() == looking.evidence()


@pytest.mark.parametrize(
    ("side", "packet"),
    [
        (Side.CLIENT, builders.publish("t", b"x" * 40)),
        (Side.CLIENT, builders.publish("t", b"y", qos=1, packet_id=7)),
        (Side.BROKER, builders.puback(7)),
        (Side.BROKER, builders.pingresp()),
    ],
)
def test_the_same_small_packet_again_is_counted_at_a_glance(side: Side, packet: bytes) -> None:
    play = Play().established("dev", 60)
    say = play.client if side is Side.CLIENT else play.broker
    say(packet)
    direction = play.tracker.up if side is Side.CLIENT else play.tracker.down
    assert direction.again == packet[0]
    assert direction.glanced >> (packet[0] >> 4) & 1
    say(packet)
    assert (direction.packets, direction.last) == (3, packet[0])


@given(st.booleans(), st.sampled_from(SMALL + ODD), st.binary(max_size=3), st.integers(0, 140))
def test_a_lone_packet_is_what_feeding_it_gives(
    from_client: bool, packet: bytes, more: bytes, cut: int
) -> None:
    one, other = (_begun(from_client) for _ in range(2))
    for before in ("", "cut"):
        data = packet[:cut] if before == "cut" else packet + more
        if len(data) < 2:
            continue
        packet_id = one.lone(data, len(data))
        if packet_id < 0:
            assert list(one.feed(data)) == list(other.feed(data))
        else:
            assert list(other.feed(data)) == [(data[0], len(data), packet_id, 1, None)]
        assert (one.bytes, one.partial, one.malformed) == (other.bytes, other.partial, other.malformed)


@given(st.lists(st.sampled_from(SMALL), max_size=12), st.lists(st.integers(0, 2000), max_size=12))
def test_the_offset_of_what_cannot_be_read_is_that_of_its_packet(
    packets: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(packets)
    bad = b"\xc0\1\0"
    one = _begun(from_client=True)
    begun = one.bytes
    edges = sorted({0, len(stream) + 3, *(cut % (len(stream) + 3) for cut in cuts)})
    for start, end in itertools.pairwise(edges):
        data = (stream + bad)[start:end]
        if not (len(data) >= 2 and one.lone(data, len(data)) >= 0):
            one.feed(data)
    assert one.malformed is not None
    assert one.malformed.offset == begun + len(stream)


def _begun(from_client: bool) -> Decoder:
    made = Decoder(from_client)
    made.version = 0 if from_client else 4
    made.feed(builders.connect() if from_client else builders.connack())
    return made

"""What holds for every script: the tracker takes anything, and chunking changes nothing."""

import itertools
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kaproxy.connection import Policy
from kaproxy.connection.facts import Ending, ProxyAction, Side
from kaproxy.connection.keepalive import Counts, Window
from tests import builders
from tests.playbook import Play

PACKETS = [
    builders.connect("dev", keep_alive=2),
    builders.connack(),
    builders.publish("t", b"x" * 40),
    builders.publish("t", b"y", qos=1, packet_id=7),
    builders.puback(7),
    builders.pingreq(),
    builders.pingresp(),
    builders.subscribe(),
    builders.suback(),
    builders.disconnect(),
    builders.disconnect(0x8D),
]
WIRE = st.one_of(st.sampled_from(PACKETS), st.binary(max_size=30))
FACT = st.one_of(
    st.tuples(st.sampled_from(["client", "broker"]), WIRE),
    st.tuples(st.just("ends"), st.tuples(st.sampled_from(Side), st.sampled_from(Ending))),
    st.tuples(st.just("proxy"), st.sampled_from(ProxyAction)),
    st.tuples(st.just("failed"), st.text(max_size=5)),
)
SCRIPT = st.lists(st.tuples(st.floats(0, 40), FACT), max_size=25)
POLICY = st.builds(
    Policy,
    window=st.builds(Window, counts=st.sampled_from(Counts), late_s=st.sampled_from([0.0, 7.0])),
    frames=st.sampled_from([0, 1, 16]),
)


#: Pauses, each with what happens after it: its name, and what it is about.
Script = list[tuple[float, tuple[str, Any]]]


def play_script(policy: Policy, script: Script, established: bool) -> Play:
    play = Play(policy)
    if established:
        play.established("dev", 2)
    for pause, (what, value) in script:
        play.at(play.now + pause)
        if what == "client":
            play.client(value)
        elif what == "broker":
            play.broker(value)
        elif what == "ends":
            play.ends(*value)
        elif what == "proxy":
            play.proxy_ends(value)
        else:
            play.told += play.tracker.observer_failed(str(value), play.now)
    return play


@settings(max_examples=300, deadline=None)
@given(POLICY, SCRIPT, st.booleans())
def test_any_script_ends_in_evidence_that_is_consistent(
    policy: Policy, script: Script, established: bool
) -> None:
    play = play_script(policy, script, established)
    evidence = play.evidence()
    sent = sum(len(fact[1]) for _, fact in script if fact[0] == "client")
    assert evidence.bytes_from_client == sent + (
        len(builders.connect("dev", keep_alive=2)) if established else 0
    )
    assert 0 <= evidence.duration_s <= play.now
    assert evidence.silence_s is None or 0 <= evidence.silence_s <= evidence.duration_s
    assert evidence.gap_max_s is None or evidence.gap_max_s <= evidence.duration_s
    assert (evidence.closed_by == "proxy") == (evidence.proxy_action is not None)
    assert len(evidence.frames) <= policy.frames
    assert len(evidence.history) < 80


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(PACKETS[2:9]), min_size=1, max_size=12),
    st.lists(st.integers(0, 500), max_size=30),
)
def test_the_evidence_does_not_depend_on_how_bytes_were_chunked(
    packets: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(packets)
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    whole, cut = Play().established("dev", 2), Play().established("dev", 2)
    whole.at(1.0).client(stream)
    cut.at(1.0)
    for start, end in itertools.pairwise(edges):
        cut.client(stream[start:end])
    expected = whole.at(3.0).ends(Side.BROKER).evidence()
    got = cut.at(3.0).ends(Side.BROKER).evidence()
    assert replace(got, frames=()) == replace(expected, frames=())
    assert sum(frame.count for frame in got.frames) >= min(16, len(packets) + 2)


def test_memory_of_a_connection_is_bounded_whatever_the_peers_send() -> None:
    play = Play().established("dev", 60)
    for number in range(20_000):
        play.at(play.now + 0.01).client(builders.pingreq()).client(
            builders.publish("t", qos=1, packet_id=number % 500 + 1)
        )
    tracker = play.tracker
    assert tracker.pings is not None
    assert len(tracker.pings.open_at) <= 256
    assert tracker.up.unacknowledged == 500
    assert len(tracker.history) < 20
    assert len(tracker.frames(0.0)) == 16

"""Facts about bytes and endings on their way from one peer to the other."""

from __future__ import annotations

import math
import random
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from kaproxy.connection.events import Event, KeepAliveOverdue
from kaproxy.connection.facts import Ending, Side
from kaproxy.relay.leg import CHUNK, LONG_CHUNK
from kaproxy.relay.pair import FAR_S, LOOKS_PER_S, together
from tests.relay.rig import (
    RecordingTracker,
    Rig,
    fill,
    hold,
    read_all,
    read_exactly,
    relaying,
    reset,
    send_all,
    turns_in,
    unread,
    until,
    widen,
)

BOTH_WAYS = pytest.mark.parametrize("source", [Side.CLIENT, Side.BROKER])
Ends = tuple[trio.socket.SocketType, trio.socket.SocketType]


async def ends(rig: Rig, source: Side) -> Ends:
    """The peer that acts, and the one it acts on."""
    client, broker = await rig.pair()
    return (client, broker) if source is Side.CLIENT else (broker, client)


@BOTH_WAYS
async def test_bytes_arrive_as_sent_and_are_observed_once(source: Side) -> None:
    async with relaying() as rig:
        actor, other = await ends(rig, source)
        await send_all(actor, b"\x10\x02hello")
        assert await read_exactly(other, 7) == b"\x10\x02hello"
        tracker = rig.trackers[0]
        seen = tracker.client_bytes if source is Side.CLIENT else tracker.broker_bytes
        assert bytes(seen) == b"\x10\x02hello"


@BOTH_WAYS
async def test_fin_arrives_as_fin_and_is_the_first_ending(source: Side) -> None:
    async with relaying() as rig:
        actor, other = await ends(rig, source)
        await send_all(actor, b"last words")
        actor.close()
        assert await read_all(other) == (b"last words", "fin")
        other.close()
        line = await rig.line()
        assert (line.closed_by, line.close_how) == (source.value, "fin")
        await rig.gone()


def segments_of(peer: trio.socket.SocketType) -> int:
    """How many segments have come to that peer (tcpi_segs_in)."""
    info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return int(struct.unpack_from("=I", info, 140)[0])


def send_at_once(peer: trio.socket.SocketType, data: bytes, flags: int = 0) -> int:
    """How many bytes the kernel took, with no turn for others in between as trio's own sends give them."""
    below: Any = peer  # the socket below is no part of what trio declares
    return int(below._sock.send(data, flags))


@BOTH_WAYS
async def test_last_bytes_and_fin_arrive_in_one_segment(source: Side) -> None:
    async with relaying() as rig:
        actor, other = await ends(rig, source)
        await send_all(actor, b"hello")
        assert await read_exactly(other, 5) == b"hello"
        before = segments_of(other)
        assert send_at_once(actor, b"last words") == 10  # both at once, as far as the proxy can see
        actor.shutdown(socket.SHUT_WR)
        assert await read_all(other) == (b"last words", "fin")
        assert segments_of(other) == before + 1
        other.close()
        tracker = rig.trackers[0]
        assert (await rig.line()).closed_by == source.value
        assert (
            bytes(tracker.client_bytes if source is Side.CLIENT else tracker.broker_bytes)
            == b"hellolast words"
        )


@BOTH_WAYS
async def test_more_than_a_chunk_before_the_fin_arrives_whole(source: Side) -> None:
    data = random.Random(7).randbytes(200_000)
    async with relaying() as rig:
        actor, other = await ends(rig, source)
        actor.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        assert send_at_once(actor, data) == len(data)
        actor.shutdown(socket.SHUT_WR)
        assert await read_all(other) == (data, "fin")
        other.close()
        await rig.line()


@BOTH_WAYS
@pytest.mark.parametrize(
    "size", [CHUNK - 1, CHUNK, CHUNK + 1, LONG_CHUNK, CHUNK + LONG_CHUNK, 3 * LONG_CHUNK + 5]
)
async def test_what_one_read_leaves_is_read_though_nothing_new_comes(source: Side, size: int) -> None:
    data = random.Random(size).randbytes(size)
    async with relaying() as rig:
        actor, other = await ends(rig, source)
        leg = getattr(rig.living()[0], source.value)
        await until(lambda: leg.through)
        leg.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        actor.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        assert send_at_once(actor, data) == size
        assert await read_exactly(other, size) == data


@BOTH_WAYS
async def test_what_follows_urgent_data_is_read_though_nothing_new_comes(source: Side) -> None:
    async with relaying() as rig:
        actor, other = await ends(rig, source)
        await until(lambda: getattr(rig.living()[0], source.value).through)
        for _ in range(3):
            send_at_once(actor, b"before")
            send_at_once(actor, b"!", socket.MSG_OOB)  # out of band: no part of the stream (tcp(7))
            send_at_once(actor, b"after")
            assert await read_exactly(other, 11) == b"beforeafter"


@BOTH_WAYS
async def test_rst_arrives_as_rst_and_is_the_first_ending(source: Side) -> None:
    async with relaying() as rig:
        actor, other = await ends(rig, source)
        reset(actor)
        assert await read_all(other) == (b"", "rst")
        line = await rig.line()
        assert (line.closed_by, line.close_how) == (source.value, "rst")
        await rig.gone()


@BOTH_WAYS
async def test_half_close_is_kept_and_the_other_direction_goes_on(source: Side) -> None:
    async with relaying() as rig:
        actor, other = await ends(rig, source)
        actor.shutdown(trio.socket.SHUT_WR)
        assert await read_all(other) == (b"", "fin")
        for _ in range(3):
            await send_all(other, b"still here")
            assert await read_exactly(actor, 10) == b"still here"
        other.close()
        assert await read_all(actor) == (b"", "fin")
        await rig.gone()
        assert len(rig.closed) == 1


@BOTH_WAYS
async def test_bytes_before_a_reset_are_delivered_before_it(source: Side) -> None:
    async with relaying() as rig:
        actor, other = await ends(rig, source)
        await send_all(actor, b"\xe0\x02\x8e\x00" * 100)
        reset(actor)
        assert await read_all(other) == (b"\xe0\x02\x8e\x00" * 100, "rst")
        assert (await rig.line()).close_how == "rst"


@BOTH_WAYS
async def test_a_disconnect_before_a_reset_noticed_by_sending_is_still_observed_and_relayed(
    source: Side,
) -> None:
    async with relaying() as rig:
        actor, other = await ends(rig, source)
        await send_all(actor, b"ready")
        assert await read_exactly(other, 5) == b"ready"
        await send_all(other, b"crossing")
        await send_all(actor, b"\xe0\x01\x8e")
        reset(actor)
        assert await read_all(other) == (b"\xe0\x01\x8e", "rst")
        tracker = rig.trackers[0]
        seen = tracker.client_bytes if source is Side.CLIENT else tracker.broker_bytes
        assert bytes(seen) == b"ready\xe0\x01\x8e"
        line = await rig.line()
        assert (line.closed_by, line.close_how) == (source.value, "rst")


async def test_fin_then_data_then_rst_is_a_fin_and_the_late_data_was_seen() -> None:
    async with relaying(post_mortem_s=1.0) as rig:
        client, broker = await rig.pair()
        broker.close()
        assert await read_all(client) == (b"", "fin")
        await send_all(client, b"\xc0\x00")
        assert await read_all(client) == (b"", "fin")  # the reset comes after end of file was told
        line = await rig.line()
        assert (line.closed_by, line.close_how) == ("broker", "fin")
        assert bytes(rig.trackers[0].client_bytes) == b"\xc0\x00"
        await rig.gone()
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            for _ in range(100):
                await client.send(b"\xc0\x00")
                await trio.sleep(0.001)


@BOTH_WAYS
async def test_bytes_are_identical_under_random_chunking_and_a_slow_reader(source: Side) -> None:
    rng = random.Random(11)
    blob = rng.randbytes(6_000_000)
    async with relaying() as rig:
        actor, other = await ends(rig, source)

        async def send() -> None:
            at = 0
            while at < len(blob):
                size = rng.choice([1, 2, 100, 1460, 9000, 65536, 200_000])
                await send_all(actor, blob[at : at + size])
                at += size
            actor.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            received = bytearray()
            while chunk := await other.recv(rng.choice([10, 3000, 65536])):
                received += chunk
        assert bytes(received) == blob
        tracker = rig.trackers[0]
        seen = tracker.client_bytes if source is Side.CLIENT else tracker.broker_bytes
        assert bytes(seen) == blob


async def test_both_directions_at_once_are_identical() -> None:
    blobs = [random.Random(n).randbytes(2_000_000) for n in (1, 2)]
    async with relaying() as rig:
        both = await rig.pair()
        received: dict[int, bytes] = {}

        async def send(n: int) -> None:
            await send_all(both[n], blobs[n])
            both[n].shutdown(trio.socket.SHUT_WR)

        async def receive(n: int) -> None:
            received[n], _ = await read_all(both[n])

        async with trio.open_nursery() as nursery:
            for n in (0, 1):
                nursery.start_soon(send, n)
                nursery.start_soon(receive, n)
        assert (received[1], received[0]) == (blobs[0], blobs[1])
        await rig.gone()


async def test_a_peer_that_does_not_read_stops_the_other_and_is_measured() -> None:
    async with relaying(post_mortem_s=0.3) as rig:
        client, broker = await rig.pair()
        sent = await fill(broker)
        pair = rig.living()[0]
        assert pair.client.held is not None
        assert len(pair.client.held) <= LONG_CHUNK
        client.shutdown(trio.socket.SHUT_WR)
        line = await rig.line()
        assert line.closed_by == "client"
        assert line.client_leg.stalled_now
        assert line.client_leg.stalled_s > 0.1
        assert line.client_leg.unsent is not None
        assert line.client_leg.unsent > 65536
        assert line.relay.dwell_max_s > 0.1
        broker.close()
        data, how = await read_all(client)
        assert (len(data), how) == (sent, "fin")
        await rig.gone()


async def test_the_end_of_a_peer_that_is_not_read_is_noticed_before_its_bytes_are_taken() -> None:
    async with relaying(post_mortem_s=0.3) as rig:
        client, broker = await rig.pair()
        sent = await hold(rig, broker)
        await send_all(broker, b"\xe0\x01\x97")
        broker.close()
        line = await rig.line()
        assert (line.closed_by, line.close_how) == ("broker", "fin")
        assert bytes(rig.trackers[0].broker_bytes[-3:]) == b"\xe0\x01\x97"
        data, how = await read_all(client)
        assert (len(data), how) == (sent + 3, "fin")
        client.close()
        await rig.gone()


async def test_a_reset_by_a_peer_that_is_not_read_is_noticed_at_once() -> None:
    async with relaying(linger_s=5.0, post_mortem_s=0.3) as rig:
        client, broker = await rig.pair()
        await fill(broker)
        reset(broker)
        line = await rig.line()
        assert (line.closed_by, line.close_how) == ("broker", "rst")
        client.close()
        await rig.gone()


async def test_a_reset_is_noticed_however_much_that_peer_left_in_the_kernel(
    require: Callable[..., None],
) -> None:
    require("large receive windows")
    async with relaying(linger_s=5.0, post_mortem_s=0.3) as rig:
        client, broker = await rig.pair()
        roomy = widen(rig)
        await fill(broker)
        left = unread(roomy)
        assert left > 12 << 20
        reset(broker)
        line = await rig.line()
        assert (line.closed_by, line.close_how) == ("broker", "rst")
        seen = bytes(rig.trackers[0].broker_bytes)
        assert len(seen) >= left
        data, how = await read_all(client)
        assert (data == seen, how) == (True, "rst")
        client.close()
        await rig.gone()


async def test_an_idle_half_closed_pair_does_not_spin() -> None:
    async with relaying() as rig:
        client, broker = await rig.pair()
        broker.shutdown(trio.socket.SHUT_WR)
        assert await read_all(client) == (b"", "fin")
        assert await turns_in(rig, 0.2) < 20
        await fill(client)
        reset(client)
        await until(lambda: bool(rig.closed))
        assert await turns_in(rig, 0.2) < 400  # it looks, at growing intervals, whether the bytes arrived


@BOTH_WAYS
async def test_the_relay_outlives_its_observer(source: Side) -> None:
    async with relaying() as rig:
        rig.prepare = lambda tracker: tracker.fail_on.update({"from_client", "from_broker"})
        actor, other = await ends(rig, source)
        for _ in range(5):
            await send_all(actor, b"abc")
            assert await read_exactly(other, 3) == b"abc"
        assert len(rig.trackers[0].named("observer_failed")) == 1
        actor.close()
        assert await read_all(other) == (b"", "fin")
        other.close()
        await rig.gone()
        assert len(rig.closed) == 1


EVERY_CALL = {
    "from_client",
    "from_broker",
    "broker_connected",
    "leg_ended",
    "observer_failed",
    "next_look",
    "close",
}


async def test_a_tracker_that_fails_in_everything_costs_only_the_story() -> None:
    async with relaying() as rig:
        rig.prepare = lambda tracker: tracker.fail_on.update(EVERY_CALL)
        client, broker = await rig.pair()
        await send_all(client, b"abc")
        assert await read_exactly(broker, 3) == b"abc"
        broker.close()
        assert await read_all(client) == (b"", "fin")
        client.close()
        line = await rig.line()
        await rig.gone()
        assert (line.closed_by, line.close_how) == ("broker", "fin")
        assert line.observer_error is not None
        assert "RuntimeError" in line.observer_error
        assert len(rig.closed) == 1


async def test_a_tracker_that_cannot_be_made_does_not_stop_the_relay() -> None:
    async with relaying() as rig:

        def fail(_tracker: RecordingTracker) -> None:
            raise ValueError("no tracker")

        rig.prepare = fail
        client, broker = await rig.pair()
        await send_all(client, b"abc")
        assert await read_exactly(broker, 3) == b"abc"
        client.close()
        broker.close()
        line = await rig.line()
        assert line.observer_error == "ValueError: no tracker"
        await rig.gone()
        assert len(rig.closed) == 1


class BrokenSocket:
    """A socket whose every send is a fault of ours; all else is the real one's."""

    def __init__(self, sock: socket.SocketType) -> None:
        self._sock = sock

    def send(self, _data: bytes, _flags: int) -> int:
        raise ZeroDivisionError("broken")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


async def test_a_fault_in_one_connection_ends_that_one_only() -> None:
    async with relaying() as rig:
        client, _broker = await rig.pair()
        other_client, other_broker = await rig.pair()
        pair = next(p for p in rig.living() if p.witness.origin is rig.accepted[0])
        pair.broker.sock = cast("socket.socket", BrokenSocket(pair.broker.sock))
        pair.client.through = False
        await send_all(client, b"never sent on")
        line = await rig.line()
        assert line.closed_by == "proxy"
        assert line.proxy_action == "error"
        assert "ZeroDivisionError" in (line.proxy_detail or "")
        await send_all(other_client, b"fine")
        assert await read_exactly(other_broker, 4) == b"fine"
        assert rig.relay.live == 1


async def test_a_suspicion_carries_what_the_kernel_says_of_both_legs() -> None:
    async with relaying() as rig:

        def suspicious(tracker: RecordingTracker) -> None:
            tracker.look_at = tracker.opened + 0.02
            tracker.suspicions = (KeepAliveOverdue(tracker.origin, "c1", 1.6, 1, 1.5, 1.5, "PINGREQ"),)

        rig.prepare = suspicious
        await rig.pair()
        await until(lambda: any(isinstance(event, KeepAliveOverdue) for event in rig.events))
        overdue = next(event for event in rig.events if isinstance(event, KeepAliveOverdue))
        assert overdue.client_leg is not None
        assert overdue.client_leg.unacked == 0
        assert overdue.client_leg.last_ack_s is not None
        assert overdue.broker_leg is not None
        assert overdue.broker_leg.rtt_ms is not None


async def test_a_tracker_stuck_at_its_deadline_does_not_keep_the_timer_busy() -> None:
    async with relaying() as rig:

        def stuck(tracker: RecordingTracker) -> None:
            tracker.look_at = tracker.opened
            tracker.suspicions = ()

            def look(now: float) -> Sequence[Event]:
                tracker.calls.append(("look",))
                return ()

            tracker.look = look  # type: ignore[method-assign]

        rig.prepare = stuck
        await rig.pair()
        tracker = rig.trackers[0]
        await until(lambda: len(tracker.named("look")) >= 3)
        assert tracker.look_at != math.inf
        looks = len(tracker.named("look"))
        await trio.sleep(0.1)
        assert len(tracker.named("look")) - looks <= 12


async def test_the_order_of_endings_is_the_order_they_are_told_in() -> None:
    async with relaying() as rig:
        client, broker = await rig.pair()
        broker.close()
        assert await read_all(client) == (b"", "fin")
        client.close()
        line = await rig.line()
        told = [call[1:] for call in rig.trackers[0].named("leg_ended")]
        assert told == [(Side.BROKER, Ending.FIN), (Side.CLIENT, Ending.FIN)]
        assert line.broker_leg.ended_s is not None
        assert line.client_leg.ended_s is not None
        assert line.broker_leg.ended_s <= line.client_leg.ended_s
        assert line.client_leg.fin_acked is True


@given(st.floats(0.0, 1e6), st.floats(0.0, 1e4))
def test_a_look_far_away_comes_up_to_an_eighth_of_a_second_early_and_never_late(
    now: float, away: float
) -> None:
    wanted = now + away
    when = together(wanted, now)
    assert now <= when <= wanted
    assert wanted - when < 1 / LOOKS_PER_S + 1e-9
    if wanted - now < FAR_S:
        assert when == wanted


def test_a_look_that_is_never_due_stays_so() -> None:
    assert together(math.inf, 5.0) == math.inf

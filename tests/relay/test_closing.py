"""Facts about the closing line: when it comes, what it carries, and that there is exactly one."""

from __future__ import annotations

import random

import pytest
import trio

from kaproxy.connection.facts import Ending
from kaproxy.relay.closing import fault_text
from tests.relay.rig import Rig, fill, hold, read_all, relaying, reset, send_all, until


async def test_the_line_comes_at_once_when_both_legs_have_ended() -> None:
    async with relaying(post_mortem_s=60.0) as rig:
        client, broker = await rig.pair()
        client.close()
        assert await read_all(broker) == (b"", "fin")
        broker.close()
        await rig.line()
        await rig.gone()


async def test_a_peer_whose_kernel_is_alive_acknowledges_the_fin_though_it_does_nothing() -> None:
    async with relaying(post_mortem_s=0.3) as rig:
        client, broker = await rig.pair()
        broker.close()
        line = await rig.line()
        assert line.client_leg.fin_acked is True
        assert line.client_leg.ending is None
        assert line.broker_leg.ending is Ending.FIN
        assert line.broker_leg.fin_acked is None
        assert line.client_leg.retransmits == 0
        assert rig.relay.live == 1  # the line is out, the half-closed connection goes on
        client.close()
        await rig.gone()
        assert len(rig.closed) == 1


async def test_bytes_after_the_first_ending_put_the_line_off() -> None:
    async with relaying(post_mortem_s=0.2) as rig:
        client, broker = await rig.pair()
        broker.shutdown(trio.socket.SHUT_WR)
        for _ in range(8):
            await send_all(client, b"\xc0\x00")
            assert await broker.recv(2) == b"\xc0\x00"
            await trio.sleep(0.05)
            assert rig.closed == []
        await rig.line()
        client.close()
        await rig.gone()


async def test_a_lingering_connection_is_closed_once_it_has_been_idle_too_long() -> None:
    async with relaying(post_mortem_s=0.05, linger_s=0.3) as rig:
        client, broker = await rig.pair()
        broker.shutdown(trio.socket.SHUT_WR)
        await rig.line()
        await send_all(client, b"late")
        assert await broker.recv(4) == b"late"
        assert rig.relay.live == 1
        await rig.gone()
        assert await read_all(broker) == (b"", "fin")


async def test_queue_sizes_are_those_of_the_first_ending() -> None:
    async with relaying(post_mortem_s=0.1, linger_s=1.0) as rig:
        client, broker = await rig.pair()
        await hold(rig, broker)
        broker.shutdown(trio.socket.SHUT_WR)
        line = await rig.line()
        assert (line.client_leg.unsent or 0) > 65536
        assert line.client_leg.fin_acked is None  # it could not be sent yet
        assert line.client_leg.window is not None
        assert line.broker_leg.unsent == 0
        assert line.broker_leg.unacked == 0
        await read_all(client)
        client.close()
        await rig.gone()


async def test_what_was_queued_for_a_peer_that_resets_is_still_told() -> None:
    async with relaying(post_mortem_s=0.1) as rig:
        client, broker = await rig.pair()
        await fill(broker)
        reset(client)
        line = await rig.line()
        assert (line.closed_by, line.close_how) == ("client", "rst")
        assert (line.client_leg.unsent or 0) > 65536
        assert line.client_leg.stalled_s > 0
        reset(broker)
        await rig.gone()


@pytest.mark.parametrize("seed", range(40))
async def test_exactly_one_line_per_connection_whatever_the_peers_do(seed: int) -> None:
    rng = random.Random(seed)
    async with relaying(post_mortem_s=0.02, linger_s=0.2) as rig:
        for _ in range(5):
            if rng.random() < 0.1:
                await short_lived(rig, rng)
            else:
                await script(rig, rng)
        await rig.gone()
        ids = [evidence.origin.conn_id for evidence in rig.closed]
        assert sorted(ids) == sorted(origin.conn_id for origin in rig.accepted)
        assert len(set(ids)) == len(ids) == 5
        assert all(tracker.closes == 1 for tracker in rig.trackers)
        assert all(evidence.closed_by in ("client", "broker") for evidence in rig.closed)


async def short_lived(rig: Rig, rng: random.Random) -> None:
    """A client that is gone before the broker has accepted."""
    client = await rig.dial()
    if rng.random() < 0.5:
        reset(client)
    else:
        client.close()
    (await rig.accept()).close()


async def script(rig: Rig, rng: random.Random) -> None:
    """Both peers do a few things in random order, then both leave."""
    peers = list(await rig.pair())
    for _ in range(rng.randrange(8)):
        peer = rng.choice(peers)
        act = rng.choice(["send", "burst", "shut", "read", "pause"])
        try:
            with trio.move_on_after(0.01):
                if act == "send":
                    await peer.send(rng.randbytes(rng.randrange(1, 200)))
                elif act == "burst":
                    await send_all(peer, bytes(3_000_000))
                elif act == "shut":
                    peer.shutdown(trio.socket.SHUT_WR)
                elif act == "read":
                    await peer.recv(100_000)
        except OSError:
            pass
    rng.shuffle(peers)
    for peer in peers:
        if rng.random() < 0.5:
            reset(peer)
        else:
            peer.close()
        if rng.random() < 0.5:
            await trio.sleep(0.002)


async def test_the_sink_may_raise() -> None:
    async with relaying() as rig:
        told = []

        def sink(event: object) -> None:
            told.append(type(event).__name__)
            raise RuntimeError("sink")

        rig.relay._on_event = sink
        client, broker = await rig.pair()
        client.close()
        broker.close()
        await until(lambda: told == ["Accepted", "Closed"])
        await rig.gone()


def test_a_fault_is_told_with_the_place_it_was_raised_at() -> None:
    try:
        raise KeyError("gone")
    except KeyError as fault:
        text = fault_text(fault)
    assert text.startswith("KeyError: 'gone' (test_a_fault_is_told")

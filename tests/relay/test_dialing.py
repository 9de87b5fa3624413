"""Facts about reaching the broker."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import trio

from kaproxy.connection.facts import Ending, Side
from kaproxy.relay.dialing import Address, Dial, ResolveError, Upstream
from kaproxy.relay.server import Relay, RelayConfig
from tests.relay.rig import RecordingTracker, read_all, read_exactly, relaying, reset, send_all, until


def free_port() -> tuple[str, int]:
    """An address nobody listens on."""
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        host, port = sock.getsockname()
        return host, port


@contextmanager
def full_listener() -> Iterator[socket.socket]:
    """A listener whose queue is full, so that a SYN to it is dropped and a dial gets no answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for sock in fillers:
            sock.setblocking(False)
            assert sock.connect_ex(listener.getsockname()) in (0, errno.EINPROGRESS)
        try:
            yield listener
        finally:
            for sock in fillers:
                sock.close()


async def test_a_refused_dial_resets_the_client_once_it_has_said_its_name() -> None:
    async with relaying(upstream=free_port()) as rig:
        client = await rig.dial()
        await send_all(client, b"\x10CONNECT")
        assert await read_all(client) == (b"", "rst")
        line = await rig.line()
        assert (line.closed_by, line.close_how) == ("broker", "refused")
        assert bytes(rig.trackers[0].client_bytes) == b"\x10CONNECT"
        assert line.duration_s < 0.9
        assert line.broker_leg.ending is Ending.REFUSED
        await rig.gone()


async def test_a_client_that_says_nothing_is_reset_within_a_second_of_the_failed_dial() -> None:
    async with relaying(upstream=free_port()) as rig:
        client = await rig.dial()
        assert await read_all(client) == (b"", "rst")
        line = await rig.line()
        assert 0.9 < line.duration_s < 5.0
        assert line.broker_leg.ended_s is not None
        assert line.broker_leg.ended_s < 0.5
        await rig.gone()


async def test_a_client_that_leaves_while_it_is_waited_for_ends_the_connection() -> None:
    async with relaying(upstream=free_port()) as rig:
        client = await rig.dial()
        client.close()
        line = await rig.line()
        assert line.close_how in ("refused", "fin")  # whichever came first
        assert line.duration_s < 0.9
        await rig.gone()


async def test_a_dial_without_an_answer_times_out() -> None:
    with full_listener() as silent:
        async with relaying(upstream=silent.getsockname(), dial_timeout_s=0.2) as rig:
            client = await rig.dial()
            await send_all(client, b"\x10")
            assert await read_all(client) == (b"", "rst")
            line = await rig.line()
            assert (line.closed_by, line.close_how) == ("broker", "timed_out")
            assert line.broker_leg.ended_s is not None
            assert line.broker_leg.ended_s >= 0.2
            await rig.gone()


async def test_the_next_address_is_dialed_with_what_the_client_said_meanwhile() -> None:
    with full_listener() as silent:
        async with relaying(dial_timeout_s=0.6) as rig:
            good = rig.broker.getsockname()
            rig.relay._upstream.addresses = tuple(
                (socket.AF_INET, address) for address in (free_port(), silent.getsockname(), good)
            )
            client = await rig.dial()
            await send_all(client, b"\x10CONNECT")
            broker = await rig.accept()
            assert await read_exactly(broker, 8) == b"\x10CONNECT"
            assert rig.trackers[0].named("leg_ended") == []
            client.close()
            broker.close()
            await rig.gone()


async def test_a_client_that_half_closes_while_the_broker_is_dialed_is_heard_to_the_end() -> None:
    with full_listener() as silent:
        async with relaying(dial_timeout_s=0.4, post_mortem_s=5.0) as rig:
            rig.relay._upstream.addresses = tuple(
                (socket.AF_INET, address) for address in (silent.getsockname(), rig.broker.getsockname())
            )
            client = await rig.dial()
            await send_all(client, b"a" * 100)
            await until(lambda: len(rig.trackers[0].client_bytes) == 100)
            await send_all(client, b"b" * 100)
            client.shutdown(trio.socket.SHUT_WR)
            await until(lambda: bool(rig.trackers[0].named("leg_ended")))
            broker = await rig.accept()
            assert await read_all(broker) == (b"a" * 100 + b"b" * 100, "fin")
            await send_all(broker, b"answer")
            broker.close()
            assert await read_all(client) == (b"answer", "fin")
            line = await rig.line()
            assert (line.closed_by, line.close_how) == ("client", "fin")
            assert line.broker_leg.stalled_s == 0.0
            assert line.relay.dwell_max_s > 0.05
            await rig.gone()


async def test_a_client_that_resets_while_the_broker_is_dialed_ends_the_dial() -> None:
    with full_listener() as silent:
        async with relaying(upstream=silent.getsockname()) as rig:
            client = await rig.dial()
            await until(lambda: rig.relay.live == 1)
            reset(client)
            line = await rig.line()
            assert (line.closed_by, line.close_how) == ("client", "rst")
            await rig.gone()


async def test_no_more_than_one_chunk_is_held_while_the_broker_is_dialed() -> None:
    with full_listener() as silent:
        async with relaying(upstream=silent.getsockname(), dial_timeout_s=0.5) as rig:
            client = await rig.dial()
            with trio.move_on_after(0.2):
                await send_all(client, bytes(8_000_000))
            held = rig.living()[0].broker.held
            assert held is not None
            assert len(held) < 2 * 65536
            await rig.line()


async def test_a_broker_on_this_host_is_connected_in_the_same_batch() -> None:
    async with relaying() as rig:
        poller = rig.relay._poller
        assert poller is not None
        before = poller.turns
        await rig.pair()
        await until(lambda: rig.living()[0].client.through)
        assert poller.turns == before + 1  # the one in which the client was accepted


async def test_a_broker_that_accepts_and_resets_at_once_did_not_refuse() -> None:
    async with relaying() as rig:
        client, broker = await rig.pair()
        reset(broker)
        assert await read_all(client) == (b"", "rst")
        line = await rig.line()
        assert (line.closed_by, line.close_how) == ("broker", "rst")
        tracker = rig.trackers[0]
        assert tracker.named("leg_ended")[0] == ("leg_ended", Side.BROKER, Ending.RST)
        await rig.gone()


def test_every_address_gets_an_equal_share_of_the_time_left() -> None:
    with full_listener() as silent:
        address: Address = (socket.AF_INET, silent.getsockname())
        dial = Dial((address, address), now=100.0, timeout_s=10.0)
        first = dial.attempt(100.0)
        assert first is not None
        assert dial.deadline == 105.0
        first.close()
        second = dial.attempt(102.0)
        assert second is not None
        assert dial.deadline == 110.0
        second.close()
        assert dial.attempt(103.0) is None


def test_no_attempt_begins_after_the_time_is_up() -> None:
    dial = Dial(((socket.AF_INET, free_port()),), now=0.0, timeout_s=1.0)
    assert dial.attempt(1.0) is None


def test_an_address_that_cannot_be_reached_is_skipped_and_remembered() -> None:
    dial = Dial(((socket.AF_INET, ("255.255.255.255", 1)),), now=0.0, timeout_s=1.0)
    assert dial.attempt(0.0) is None
    assert dial.failure is Ending.UNREACHABLE


async def test_a_name_without_an_address_is_an_error_at_the_start() -> None:
    config = RelayConfig(listen=("127.0.0.1", 0), upstream=("no-such-host.invalid", 1883))
    with pytest.raises(ResolveError, match=r"upstream no-such-host.invalid:1883: "):
        await Relay(config, RecordingTracker, lambda _event: None).run()


async def test_a_name_is_asked_for_again_and_the_last_good_answer_kept() -> None:
    upstream = Upstream("localhost", 1883, resolve_interval_s=0.01)
    await upstream.resolve()
    good = upstream.addresses
    assert good
    async with trio.open_nursery() as nursery:
        nursery.start_soon(upstream.keep_resolved)
        upstream.addresses = ()
        with trio.fail_after(5):
            await until(lambda: upstream.addresses == good)
        upstream.host = "no-such-host.invalid"
        await trio.sleep(0.1)
        assert upstream.addresses == good
        nursery.cancel_scope.cancel()


async def test_an_address_literal_is_never_asked_for_again() -> None:
    with trio.fail_after(1):
        await Upstream("::1", 1883, resolve_interval_s=0.0).keep_resolved()
    assert Upstream("::1", 1883, 1.0).label == "[::1]:1883"
    assert Upstream("fe80::1%lo", 1883, 1.0).literal
    assert not Upstream("localhost", 1883, 1.0).literal

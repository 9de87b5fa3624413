"""Listening sockets of another worker: accepted from while they are lent, left alone before and after."""

from __future__ import annotations

import socket
from contextlib import closing

import trio

from kaproxy.connection.facts import ProxyAction
from tests.relay.rig import read_all, read_exactly, relaying, send_all, turns_in, until


async def test_clients_of_a_lent_socket_are_served_until_it_is_taken_back() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as lent:
        lent.setblocking(False)
        async with relaying() as rig:
            waiting = await trio.open_tcp_stream(*lent.getsockname())  # in its queue before anybody accepts
            rig.relay.accept_also([lent, lent])
            upstream, _ = await rig.broker.accept()
            await waiting.send_all(b"hi")
            assert await read_exactly(upstream, 2) == b"hi"
            rig.relay.accept_no_more([lent])
            rig.relay.accept_no_more([lent])
            await trio.testing.wait_all_tasks_blocked()
            async with await trio.open_tcp_stream(*lent.getsockname()):
                own, broker = await rig.pair()
                await send_all(own, b"mine")
                assert await read_exactly(broker, 4) == b"mine"
                assert len(rig.accepted) == 2
            await waiting.aclose()
            upstream.close()


async def test_nothing_is_accepted_for_others_once_draining() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as lent:
        lent.setblocking(False)
        async with relaying(drain_s=0.0) as rig:
            rig.relay.drain()
            rig.relay.accept_also([lent])
            async with await trio.open_tcp_stream(*lent.getsockname()):
                await trio.sleep(0.05)
                assert not rig.accepted


async def test_clients_that_wait_for_others_do_not_wake_a_relay_that_is_draining() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as lent, closing(lent.dup()):
        lent.setblocking(False)
        async with relaying(drain_s=10.0) as rig:
            client, broker = await rig.pair()
            rig.relay.accept_also([lent])
            rig.relay.drain()
            async with await trio.open_tcp_stream(*lent.getsockname()):
                await until(lambda: rig.living()[0].client.through)
                assert await turns_in(rig, 0.2) == 0
            client.close()
            broker.close()
            await rig.line()


async def test_connections_of_other_workers_count_against_the_limit() -> None:
    async with relaying(max_connections=2) as rig:
        await rig.pair()
        rig.relay.live_elsewhere = lambda: 1
        assert await read_all(await rig.dial()) == (b"", "fin")
        assert (await rig.line()).proxy_action is ProxyAction.LIMIT
        rig.relay.live_elsewhere = lambda: 0
        await rig.pair()
        await until(lambda: rig.relay.live == 2)

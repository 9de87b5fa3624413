"""Facts about accepting, limits, draining and stopping."""

from __future__ import annotations

import errno
import json
import selectors
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from kaproxy.connection.events import Closed, Event
from kaproxy.connection.facts import ProxyAction
from kaproxy.relay.server import Relay, RelayConfig
from tests.relay.rig import (
    RecordingTracker,
    fill,
    hold,
    read_all,
    read_exactly,
    relaying,
    reset,
    send_all,
    unacknowledged,
    unread,
    until,
    widen,
)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_connection_is_accepted_with_who_and_where() -> None:
    async with relaying(listener="plain") as rig:
        client, _ = await rig.pair()
        origin = rig.accepted[0]
        assert (origin.client_addr, origin.client_port) == client.getsockname()
        assert origin.broker_addr == f"127.0.0.1:{rig.broker.getsockname()[1]}"
        assert origin.listener == "plain"
        assert len(origin.conn_id) == 16
        assert int(origin.conn_id, 16) >= 0


async def test_connections_have_different_ids() -> None:
    async with relaying() as rig:
        for _ in range(20):
            await rig.pair()
        assert len({origin.conn_id for origin in rig.accepted}) == 20


async def test_connections_beyond_the_limit_are_turned_away_with_a_line() -> None:
    async with relaying(max_connections=2) as rig:
        first = await rig.pair()
        await rig.pair()
        third = await rig.dial()
        assert await read_all(third) == (b"", "fin")
        line = await rig.line()
        assert line.proxy_action is ProxyAction.LIMIT
        assert line.proxy_detail == "max_connections: 2"
        assert line.origin == rig.accepted[2]
        for sock in first:
            sock.close()
        await until(lambda: rig.relay.live == 1)
        fourth, broker = await rig.pair()
        await send_all(fourth, b"room again")
        assert await read_exactly(broker, 10) == b"room again"


async def test_a_name_is_listened_on_at_all_its_addresses_with_one_port() -> None:
    async with relaying(listen=("localhost", 0)) as rig:
        client, broker = await rig.pair()
        await send_all(client, b"hi")
        assert await read_exactly(broker, 2) == b"hi"


async def test_a_taken_address_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()
        relay = Relay(RelayConfig(listen=address), RecordingTracker, lambda _event: None)
        before = open_descriptors()
        with pytest.raises(OSError, match=f"listening on 127.0.0.1:{address[1]}: ") as caught:
            await relay.run()
        assert caught.value.errno == errno.EADDRINUSE
        assert open_descriptors() == before


async def test_draining_lets_connections_end_by_themselves() -> None:
    async with relaying(drain_s=30.0) as rig:
        client, broker = await rig.pair()
        rig.relay.drain()
        await until(lambda: not listening(rig.relay.bound[1]))
        await send_all(client, b"still served")
        assert await read_exactly(broker, 12) == b"still served"
        client.close()
        broker.close()
        line = await rig.line()
        assert line.closed_by != "proxy"
        await rig.gone()


def listening(port: int) -> bool:
    """The kernel has a socket in LISTEN (0A) on that port of 127.0.0.1."""
    return f"0100007F:{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text()


async def test_draining_ends_the_rest_in_order_when_the_time_is_up() -> None:
    broker_listener = trio.socket.socket()
    await broker_listener.bind(("127.0.0.1", 0))
    broker_listener.listen()
    events: list[Event] = []
    config = RelayConfig(listen=("127.0.0.1", 0), upstream=broker_listener.getsockname(), drain_s=0.1)
    relay = Relay(config, RecordingTracker, events.append)
    before = open_descriptors()
    with trio.fail_after(20), broker_listener:
        async with trio.open_nursery() as nursery:
            await nursery.start(relay.run)
            sockets = []
            for _ in range(5):
                client = trio.socket.socket()
                await client.connect(relay.bound)
                broker, _ = await broker_listener.accept()
                sockets += [client, broker]
            await send_all(sockets[0], b"unread by nobody")
            relay.drain()
            relay.drain()
            for sock in sockets:
                assert (await read_all(sock))[1] == "fin"
                sock.close()
        closed = [event.evidence for event in events if isinstance(event, Closed)]
        assert len(closed) == 5
        assert {line.proxy_action for line in closed} == {ProxyAction.SHUTDOWN}
        assert relay.live == 0
        assert open_descriptors() == before


async def test_draining_does_not_wait_for_peers_that_never_answer() -> None:
    async with relaying(drain_s=0.05) as rig:
        _client, broker = await rig.pair()
        await fill(broker)
        rig.relay.drain()
        line = await rig.line()
        assert line.proxy_action is ProxyAction.SHUTDOWN
        await rig.gone()


async def test_draining_ends_in_order_also_what_a_peer_sent_that_nobody_can_take(
    require: Callable[..., None],
) -> None:
    require("large receive windows")
    async with relaying(drain_s=0.05) as rig:
        _client, broker = await rig.pair()
        roomy = widen(rig)
        await hold(rig, broker)
        while unread(roomy) < 12 << 20:
            await broker.send(b"x" * 65536)
        await until(lambda: unacknowledged(broker) == 0)
        rig.relay.drain()
        await rig.gone()
        assert await read_all(broker) == (b"", "fin")
        assert (
            broker.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        )  # EPIPE, had there been a RST after it


async def test_draining_in_the_look_after_an_ending_does_not_become_the_cause() -> None:
    async with relaying(drain_s=0.05, post_mortem_s=30.0) as rig:
        client, broker = await rig.pair()
        broker.shutdown(trio.socket.SHUT_WR)
        assert await read_all(client) == (b"", "fin")
        rig.relay.drain()
        line = await rig.line()
        assert (line.closed_by, line.proxy_action) == ("broker", None)
        await rig.gone()


async def test_cancelling_still_writes_every_line() -> None:
    before = open_descriptors()
    async with relaying() as rig:
        for _ in range(5):
            await rig.pair()
        client, broker = await rig.pair()
        broker.shutdown(trio.socket.SHUT_WR)
        assert await read_all(client) == (b"", "fin")
    assert len(rig.closed) == 6
    assert sorted(line.closed_by for line in rig.closed) == ["broker"] + ["proxy"] * 5
    assert open_descriptors() == before


async def test_no_descriptor_is_left_behind() -> None:
    async with relaying(post_mortem_s=0.05, linger_s=0.1) as rig:
        before = open_descriptors()
        for ending in ("fin", "rst") * 10:
            client, broker = await rig.pair()
            await send_all(client, b"hello")
            if ending == "fin":
                client.close()
            else:
                reset(client)
            await read_all(broker)
            broker.close()
        await rig.gone()
        assert open_descriptors() == before
        assert len(rig.closed) == 20


EXHAUSTION = """
import json, resource, sys, trio
from kaproxy.connection.events import Closed
from kaproxy.relay.server import Relay, RelayConfig
from tests.relay.rig import RecordingTracker

lines = []
def sink(event):
    if isinstance(event, Closed):
        lines.append(event.evidence)

async def main():
    config = RelayConfig(listen=("127.0.0.1", 0), upstream=("127.0.0.1", int(sys.argv[1])))
    relay = Relay(config, RecordingTracker, sink)
    async with trio.open_nursery() as nursery:
        await nursery.start(relay.run)
        in_use = len(__import__("os").listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 8, in_use + 8))
        print(relay.bound[1], flush=True)
        await trio.to_thread.run_sync(sys.stdin.readline)
        relay.drain()
    print(json.dumps([[line.proxy_action, line.proxy_detail] for line in lines]), flush=True)

trio.run(main)
"""


def test_without_descriptors_clients_are_turned_away_with_a_line_and_later_served_again() -> None:
    root = Path(__file__).parents[2]
    with (
        socket.create_server(("127.0.0.1", 0)) as broker,
        subprocess.Popen(
            [sys.executable, "-c", EXHAUSTION, str(broker.getsockname()[1])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=root,
            text=True,
        ) as proxy,
    ):
        assert proxy.stdout is not None
        port = int(proxy.stdout.readline())
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
        turned_away, accepted = sort_out(clients, broker)
        assert 20 <= turned_away < 30
        for sock in clients + accepted:
            sock.close()
        turned_away += turned_away_until_served(port, broker)
        out, _ = proxy.communicate("\n", timeout=30)
    lines = json.loads(out)
    limited = [detail for action, detail in lines if action == "limit"]
    assert len(limited) == turned_away
    assert all("Too many open files" in detail for detail in limited)


def sort_out(clients: list[socket.socket], broker: socket.socket) -> tuple[int, list[socket.socket]]:
    """How many clients were turned away, and the broker's ends of all others, once all are one or the other."""
    turned_away = 0
    accepted: list[socket.socket] = []
    with selectors.DefaultSelector() as ready:
        for sock in [*clients, broker]:
            ready.register(sock, selectors.EVENT_READ)
        while turned_away + len(accepted) < len(clients):
            found = ready.select(20)
            assert found
            for key, _ in found:
                if key.fileobj is broker:
                    accepted.append(broker.accept()[0])
                else:
                    ready.unregister(key.fileobj)
                    turned_away += 1
    return turned_away, accepted


def turned_away_until_served(port: int, broker: socket.socket) -> int:
    """A client gets through once the proxy has noticed that others are gone; how many did not before it."""
    for tries in range(1000):
        with socket.create_connection(("127.0.0.1", port)) as client, selectors.DefaultSelector() as ready:
            client.sendall(b"hello")
            ready.register(client, selectors.EVENT_READ)
            ready.register(broker, selectors.EVENT_READ)
            if any(key.fileobj is broker for key, _ in ready.select(20)):
                with broker.accept()[0] as upstream:
                    assert upstream.recv(5, socket.MSG_WAITALL) == b"hello"
                    return tries
    raise AssertionError("nobody is served any more")

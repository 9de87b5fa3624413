"""All the ways a connection can end, from both sides, and a broker that takes part in them.

A way is what the client does once everybody is connected, what the broker does, and whom the closing
line may name. The broker learns the way from the client identifier (`way-number`).
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio
from trio.socket import SocketType

from tests import builders
from tests.load.wire import client_id_of, dial, drain, read, read_packet, reset, send

PUBLISH = builders.publish("t", b"x" * 20)
HALF_A_PUBLISH = builders.publish("t", b"x" * 500)[:100]
TLS_HELLO = bytes.fromhex("1603010200010001fc0303") + b"\x5a" * 200

Act = Callable[[SocketType], Awaitable[None]]


@dataclass(frozen=True)
class Way:
    """One way to drop. `client` None: it waits for the broker's doing; `broker` likewise.

    Where there is no client identifier the line cannot be found again, and `told` is left open.
    """

    client: Act | None = None
    broker: Act | None = None
    told: frozenset[str] = frozenset()  # `closed_by close_how` of the closing line, any of these
    opening: bytes | None = None  # instead of CONNECT
    first_answer: bytes = builders.connack()
    version: int = 4


def close(sock: SocketType) -> None:
    """FIN."""
    sock.close()


def sends(*data: bytes, then: Callable[[SocketType], None] = close) -> Act:
    """Sends the bytes, then ends as told."""

    async def act(sock: SocketType) -> None:
        for part in data:
            await send(sock, part)
        then(sock)

    return act


async def half_close(sock: SocketType) -> None:
    """FIN, and then reads what still comes."""
    sock.shutdown(socket.SHUT_WR)
    await drain(sock)


def only(told: str) -> frozenset[str]:
    """A way of which nothing else may be told."""
    return frozenset({told})


WAYS: dict[str, Way] = {
    "client_disconnect": Way(sends(builders.disconnect()), told=only("client disconnect")),
    "client_disconnect_rst": Way(
        sends(builders.disconnect(4), then=reset), version=5, told=only("client disconnect")
    ),
    "client_fin": Way(sends(), told=only("client fin")),
    "client_rst": Way(sends(then=reset), told=only("client rst")),
    "client_half_close": Way(half_close, told=only("client fin")),
    "client_fin_mid_packet": Way(sends(PUBLISH, HALF_A_PUBLISH), told=only("client fin")),
    "client_rst_mid_packet": Way(sends(PUBLISH, HALF_A_PUBLISH, then=reset), told=only("client rst")),
    "client_no_connect": Way(sends(), opening=b""),
    "client_no_connect_rst": Way(sends(then=reset), opening=b""),
    "client_half_a_connect": Way(sends(), opening=builders.connect("x" * 60)[:30]),
    "client_garbage": Way(sends(), opening=b"\xf5\xff\xff\xff\xff\x00" * 20),
    "client_tls": Way(sends(), opening=TLS_HELLO),
    "broker_fin": Way(broker=sends(), told=only("broker fin")),
    "broker_rst": Way(broker=sends(then=reset), told=only("broker rst")),
    "broker_fin_mid_packet": Way(broker=sends(PUBLISH, HALF_A_PUBLISH), told=only("broker fin")),
    "broker_rst_mid_packet": Way(broker=sends(PUBLISH, HALF_A_PUBLISH, then=reset), told=only("broker rst")),
    "broker_disconnect": Way(
        broker=sends(builders.disconnect(0x8B)),
        first_answer=builders.connack(version=5),
        version=5,
        told=only("broker disconnect"),
    ),
    "broker_refuses": Way(broker=sends(), first_answer=builders.connack(5), told=only("broker fin")),
    "broker_silent_fin": Way(broker=sends(), first_answer=b"", told=only("broker fin")),
    "both_rst": Way(sends(then=reset), sends(then=reset), told=frozenset({"client rst", "broker rst"})),
}


@dataclass
class Crowd:
    """The clients and the broker of one run, and the moment at which all of them drop."""

    port: int
    go: trio.Event
    up: int = 0

    def all_up(self, count: int) -> Callable[[], bool]:
        """Tells whether so many clients are connected and have used their connection."""
        return lambda: self.up >= count

    async def client(self, name: str, number: int) -> None:
        """Connects, uses the connection, waits for the moment, and drops in its way."""
        way = WAYS[name]
        connect = builders.connect(f"{name}-{number}", version=way.version)
        with await dial(self.port) as sock:
            await send(sock, connect if way.opening is None else way.opening)
            if way.opening is None and way.first_answer:
                await self.use(sock, way)
            self.up += 1
            await self.go.wait()
            await drop(sock, way.client)

    async def use(self, sock: SocketType, way: Way) -> None:
        """Waits for CONNACK, and where it is a good one has one PUBLISH sent back."""
        assert await read(sock, len(way.first_answer)) == way.first_answer
        if way.first_answer[3] == 0:
            await send(sock, PUBLISH if way.version == 4 else builders.publish("t", b"x" * 19, version=5))
            assert await read(sock, len(PUBLISH)) == PUBLISH

    async def broker(self, listening: SocketType) -> None:
        """Accepts for ever, with one task per connection."""
        async with trio.open_nursery() as nursery:
            while True:
                sock, _ = await listening.accept()
                nursery.start_soon(self.broker_side, sock)

    async def broker_side(self, sock: SocketType) -> None:
        """Reads CONNECT, answers as the way says, and drops when its moment has come."""
        with sock:
            try:
                first = await read_packet(sock)
                if not first or first[0] != 0x10:
                    return
                way = WAYS[client_id_of(first).rpartition("-")[0]]
                await send(sock, way.first_answer)
                await self.echo_until_dropped(sock, way)
            except OSError:
                return

    async def echo_until_dropped(self, sock: SocketType, way: Way) -> None:
        """Sends every first PUBLISH back; then waits for the client's end or brings its own about."""
        if way.first_answer[3:4] == b"\x00":
            await read(sock, len(PUBLISH))
            await send(sock, PUBLISH)
        if way.broker is not None:
            await self.go.wait()
        await drop(sock, way.broker)


async def drop(sock: SocketType, act: Act | None) -> None:
    """Does it, or lets the other side; whoever comes second finds the connection gone already."""
    try:
        await (act or drain)(sock)
    except OSError:
        return

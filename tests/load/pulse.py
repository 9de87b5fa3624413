"""A healthy connection that must not notice what goes on beside it: round trips, and the slowest of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio
from trio.socket import SocketType

from tests import builders
from tests.load.wire import client_id_of, dial, drain, read, read_packet, send

PUBLISH = builders.publish("pulse", b"x" * 90)
NAME = "pulse"
PAUSE_S = 0.002


@dataclass
class Pulse:
    """What the healthy connection saw so far."""

    round_trips: int = 0
    slowest_s: float = 0.0

    async def beat(self, sock: SocketType) -> None:
        """One round trip after the other, with a breath between."""
        while True:
            start = trio.current_time()
            await send(sock, PUBLISH)
            assert await read(sock, len(PUBLISH)) == PUBLISH
            self.slowest_s = max(self.slowest_s, trio.current_time() - start)
            self.round_trips += 1
            await trio.sleep(PAUSE_S)


async def broker(listening: SocketType) -> None:
    """Accepts for ever. A pulse gets its packets back; all others get CONNACK and are read to the end."""
    async with trio.open_nursery() as nursery:
        while True:
            sock, _ = await listening.accept()
            nursery.start_soon(broker_side, sock)


async def broker_side(sock: SocketType) -> None:
    """One connection of the broker."""
    with sock:
        try:
            first = await read_packet(sock)
            if first[:1] != b"\x10":
                return await drain(sock)
            await send(sock, builders.connack())
            if not client_id_of(first).startswith(NAME):
                return await drain(sock)
            while data := await sock.recv(65536):
                await send(sock, data)
        except OSError:
            return None


@asynccontextmanager
async def beating(port: int) -> AsyncIterator[Pulse]:
    """A pulse through the proxy at `port` for as long as the block runs."""
    pulse = Pulse()
    with await dial(port) as sock:
        await send(sock, builders.connect(NAME))
        assert await read(sock, 4) == builders.connack()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pulse.beat, sock)
            yield pulse
            nursery.cancel_scope.cancel()


async def come_and_go(port: int, count: int) -> None:
    """Clients that connect, are accepted and disconnect, one after the other."""
    for number in range(count):
        with await dial(port) as sock:
            await send(sock, builders.connect(f"passer-by-{number}"))
            assert await read(sock, 4) == builders.connack()
            await send(sock, builders.disconnect())

"""SIGTERM under load: nobody new, a line for everybody, exit code 0."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import trio
from trio.socket import SocketType

from tests import builders
from tests.load import proxy, pulse
from tests.load.proxy import until
from tests.load.wire import dial, drain, listener, read, send

COUNT = 1000
STREAMING = 20
FRAMES = builders.publish("stream", b"x" * 100) * 500

pytestmark = [pytest.mark.load, pytest.mark.timeout(120)]


class Load:
    """Clients of which some stream, some have round trips, and most are idle."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.up = 0

    async def client(self, number: int) -> None:
        """One client, until the proxy ends it."""
        with suppress(OSError), await dial(self.port) as sock:
            await send(sock, builders.connect(f"{pulse.NAME if number % 10 == 0 else 'idle'}-{number}"))
            assert await read(sock, 4) == builders.connack()
            self.up += 1
            await self.work(sock, number)

    async def work(self, sock: SocketType, number: int) -> None:
        """What this client does while it is connected."""
        if number < STREAMING:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(drain, sock)
                await stream(sock)
        await drain(sock)


async def stream(sock: SocketType) -> None:
    """Sends PUBLISH frames for as long as they are taken."""
    with suppress(OSError):
        while True:
            await send(sock, FRAMES)


async def test_sigterm_under_load_drains_and_writes_a_line_for_every_connection(tmp_path: Path) -> None:
    with (
        await listener() as broker,
        proxy.start(
            tmp_path, broker.getsockname()[1], drain="1s", linger="1s", post_mortem="500ms"
        ) as running,
    ):
        load = Load(running.port)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pulse.broker, broker)
            async with trio.open_nursery() as clients:
                for number in range(COUNT):
                    clients.start_soon(load.client, number)
                assert await until(lambda: load.up == COUNT, 30)
                assert await running.stopped() == 0
            nursery.cancel_scope.cancel()
        lines = running.lines()
        assert len({line["conn_id"] for line in lines}) == len(lines) == COUNT
        assert {line["cause"] for line in lines} == {"proxy_shutdown"}
        assert {line["closed_by"] for line in lines} == {"proxy"}
        assert running.stderr == ""

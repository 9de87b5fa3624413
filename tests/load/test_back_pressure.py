"""A peer that does not read is not read for: the sender waits, and the proxy keeps next to nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import trio
from trio.socket import SocketType

from tests import builders
from tests.load import proxy
from tests.load.wire import dial, listener, read, read_packet, send

STREAM = builders.publish("t", bytes(range(256)) * 256) * 3000  # about 200 MB
STALL_S = 1.5
KERNEL_MB = 40  # what the socket buffers of both legs may take between them
PROXY_MB = 4

pytestmark = [pytest.mark.load, pytest.mark.timeout(90)]


class Sender:
    """Sends the stream, and knows how much of it was taken so far."""

    def __init__(self) -> None:
        self.taken = 0

    async def run(self, sock: SocketType) -> None:
        """All of it, then FIN."""
        view = memoryview(STREAM)
        while self.taken < len(STREAM):
            self.taken += await sock.send(view[self.taken : self.taken + 65536])
        sock.close()


async def digest_of_rest(sock: SocketType) -> str:
    """A hash of everything to the end."""
    digest = hashlib.sha1(usedforsecurity=False)
    while data := await sock.recv(1 << 18):
        digest.update(data)
    return digest.hexdigest()


@pytest.mark.parametrize("reader_is", ["client", "broker"])
async def test_a_peer_that_does_not_read_stops_the_sender_and_costs_no_memory(
    tmp_path: Path, reader_is: str
) -> None:
    with (
        await listener() as listening,
        proxy.start(tmp_path, listening.getsockname()[1], linger="60s", post_mortem="200ms") as running,
        await dial(running.port) as client,
    ):
        await send(client, builders.connect("stalling"))
        broker, _ = await listening.accept()
        with broker:
            await read_packet(broker)
            await send(broker, builders.connack())
            assert await read(client, 4) == builders.connack()
            reader, writer = (client, broker) if reader_is == "client" else (broker, client)
            before_mb, sender = running.peak_mb, Sender()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sender.run, writer)
                await trio.sleep(STALL_S)
                stopped_at = sender.taken
                assert stopped_at < KERNEL_MB << 20
                assert running.peak_mb < before_mb + PROXY_MB
                digest = await digest_of_rest(reader)
            assert digest == hashlib.sha1(STREAM, usedforsecurity=False).hexdigest()
        (line,) = await running.closed(1)
        assert line[f"{reader_is}_leg"]["stalled_s"] >= STALL_S - 0.5

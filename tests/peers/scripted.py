"""A client and a broker that do exactly what a test tells them, for what no real one does on command.

Both are a `Wire`: one TCP connection with sends, reads packet by packet, and every way to end. Bytes come
from `tests/builders.py`, which shares nothing with the proxy's decoder. Times are monotonic seconds.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from tests import builders
from tests.peers import places
from tests.peers.netns import entered

Address = tuple[str, int]
Frame = tuple[int, bytes]

CONNACK, PINGREQ, PINGRESP, DISCONNECT = 0x20, 0xC0, 0xD0, 0xE0


class EndedError(Exception):
    """The other side ended the connection; `how` is "fin", "rst" or "timed_out"."""

    def __init__(self, how: str) -> None:
        """How it ended."""
        super().__init__(how)
        self.how = how


class Wire:
    """One side of a TCP connection that speaks MQTT as far as it is told."""

    def __init__(self, sock: trio.socket.SocketType) -> None:
        """Takes over the connected socket."""
        self.sock = sock
        self.sends = [time.monotonic()]  # when each send was handed to the kernel
        self.ended_at: float | None = None
        self._buffer = bytearray()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        view = memoryview(data)
        while view:
            try:
                view = view[await self.sock.send(view) :]
            except OSError as error:
                raise EndedError("rst") from error
        self.sends.append(time.monotonic())

    @property
    def sent_at(self) -> float:
        """When the last bytes were handed to the kernel."""
        return self.sends[-1]

    async def read(self, timeout_s: float = 10.0) -> Frame:
        """The next control packet as (first byte, body). Raises EndedError, or TooSlowError."""
        with trio.fail_after(timeout_s):
            while (frame := self._take()) is None:
                await self._more()
        return frame

    async def expect(self, first_byte: int, timeout_s: float = 10.0) -> Frame:
        """Read until a packet of this type comes; others are passed over."""
        with trio.fail_after(timeout_s):
            while True:
                frame = await self.read(timeout_s)
                if frame[0] & 0xF0 == first_byte & 0xF0:
                    return frame

    async def ended(self, timeout_s: float = 30.0) -> str:
        """Read until the other side ends; how it did."""
        try:
            with trio.fail_after(timeout_s):
                while True:
                    await self._more()
                    self._buffer.clear()
        except EndedError as end:
            return end.how

    def _take(self) -> Frame | None:
        length, shift, at = 0, 0, 1
        while True:
            if len(self._buffer) <= at:
                return None
            byte = self._buffer[at]
            length |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not byte & 0x80:
                break
        if len(self._buffer) < at + length:
            return None
        frame = (self._buffer[0], bytes(self._buffer[at : at + length]))
        del self._buffer[: at + length]
        return frame

    async def _more(self) -> None:
        try:
            data = await self.sock.recv(65536)
        except OSError as error:
            self.ended_at = time.monotonic()
            raise EndedError("timed_out" if isinstance(error, TimeoutError) else "rst") from error
        if not data:
            self.ended_at = time.monotonic()
            raise EndedError("fin")
        self._buffer += data

    async def ping(self) -> float:
        """PINGREQ and its PINGRESP; the round trip in seconds."""
        await self.send(builders.pingreq())
        sent_at = self.sent_at
        await self.expect(PINGRESP)
        return time.monotonic() - sent_at

    def finish(self) -> None:
        """End in order: FIN, and no more sending; reading goes on."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close, as a process end does: FIN, or a reset where something was left unread."""
        self.sock.close()

    def reset(self) -> None:
        """Close with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


@asynccontextmanager
async def connected(
    address: Address,
    *,
    namespace: str | None = None,
    receive_buffer: int | None = None,
    source: str | None = None,
) -> AsyncIterator[Wire]:
    """A TCP connection to `address`, from inside a namespace, from the address `source`; nothing is sent yet."""
    with entered(namespace):
        sock = trio.socket.socket()
    with sock:
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source is not None:
            await sock.bind((source, 0))
        await sock.connect(address)
        yield Wire(sock)


@asynccontextmanager
async def client(
    address: Address,
    client_id: str,
    keep_alive: int = 60,
    *,
    namespace: str | None = None,
    receive_buffer: int | None = None,
    source: str | None = None,
    **connect: object,
) -> AsyncIterator[Wire]:
    """A client whose CONNECT was accepted. It sends nothing by itself, not even PINGREQ."""
    where = {"namespace": namespace, "source": source}
    async with connected(address, receive_buffer=receive_buffer, **where) as wire:
        await wire.send(builders.connect(client_id, keep_alive=keep_alive, **connect))  # type: ignore[arg-type]
        frame = await wire.expect(CONNACK)
        assert frame[1][1] == 0, f"refused with {frame[1][1]}"
        yield wire


async def ping_every(wire: Wire, period_s: float, start: float | None = None) -> None:
    """PINGREQ every `period_s`, to an absolute beat; PINGRESP is read and passed over. Raises EndedError."""
    beat = trio.current_time() if start is None else start
    while True:
        beat += period_s
        with trio.move_on_at(beat):
            while True:
                await wire.read(period_s * 10)
        await wire.send(builders.pingreq())


Behaviour = Callable[[Wire], Awaitable[None]]


@dataclass
class Script:
    """A scripted broker: what it does with each connection, and which it has seen."""

    port: int
    host: str = "127.0.0.1"
    wires: list[Wire] = field(default_factory=list)

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self.host, self.port


@asynccontextmanager
async def broker(
    behaviour: Behaviour, *, host: str = "127.0.0.1", namespace: str | None = None
) -> AsyncIterator[Script]:
    """A broker that runs `behaviour` on every connection it accepts."""
    script = Script(places.free_port(), host)
    with entered(namespace):
        listener = trio.socket.socket()
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        await listener.bind(script.address)
        listener.listen(64)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_accept, listener, behaviour, script, nursery)
            yield script
            nursery.cancel_scope.cancel()


async def _accept(
    listener: trio.socket.SocketType, behaviour: Behaviour, script: Script, nursery: trio.Nursery
) -> None:
    while True:
        sock, _ = await listener.accept()
        wire = Wire(sock)
        script.wires.append(wire)
        nursery.start_soon(_serve, wire, behaviour)


async def _serve(wire: Wire, behaviour: Behaviour) -> None:
    with wire.sock:
        try:
            await behaviour(wire)
        except EndedError:
            return


async def welcome(wire: Wire, code: int = 0, version: int = 4, **connack: object) -> Frame:
    """Read CONNECT and answer it; the CONNECT."""
    frame = await wire.expect(0x10)
    await wire.send(builders.connack(code, version=version, **connack))  # type: ignore[arg-type]
    return frame


async def answer_pings(wire: Wire, for_s: float = float("inf")) -> None:
    """Answer every PINGREQ with PINGRESP, pass everything else over."""
    with trio.move_on_after(for_s):
        while True:
            first, _ = await wire.read(3600)
            if first == PINGREQ:
                await wire.send(builders.pingresp())

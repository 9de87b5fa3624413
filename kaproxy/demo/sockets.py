"""Scripted clients: a socket that does exactly what a script says, also what no library would do.

`vanish` and `lose_what_comes` make the kernel drop segments that arrive for the socket before TCP sees them: to the
other end the device, or its line, is gone. They are socket filters (classic BPF) and need no root (Linux).
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from kaproxy.demo import wire
from kaproxy.demo.children import Proxy

SO_ATTACH_FILTER = getattr(socket, "SO_ATTACH_FILTER", 26)
SMALL_BUFFER = 4096

# (code, jump if true, jump if false, operand); the packet starts at its TCP header
DROP_ALL = ((0x06, 0, 0, 0),)  # return 0
DROP_PAYLOAD = (
    (0x30, 0, 0, 12),  # A = the byte of the data offset
    (0x74, 0, 0, 2),  # A >>= 2
    (0x54, 0, 0, 0x3C),  # A &= 0x3c: the length of the TCP header
    (0x07, 0, 0, 0),  # X = A
    (0x80, 0, 0, 0),  # A = the length of the segment
    (0x2D, 0, 1, 0),  # if A > X
    (0x06, 0, 0, 0),  # return 0: it carries payload
    (0x06, 0, 0, 0xFFFFFFFF),  # else return all of it
)


class Scripted:
    """One TCP connection to the proxy."""

    def __init__(self, stream: trio.SocketStream) -> None:
        """Takes over a connected stream."""
        self.stream = stream
        self.port: int = stream.socket.getsockname()[1]

    async def send(self, data: bytes) -> None:
        """All of these bytes."""
        await self.stream.send_all(data)

    async def receive(self, limit: int = 65536) -> bytes:
        """Whatever comes next; empty when the other side has ended."""
        return bytes(await self.stream.receive_some(limit))

    async def connect(self, client_id: str, keep_alive: int) -> None:
        """CONNECT, and wait for the answer."""
        await self.send(wire.connect(client_id, keep_alive))
        await self.receive()

    async def ping(self) -> None:
        """PINGREQ, and wait for PINGRESP."""
        await self.send(wire.PINGREQ)
        await self.receive()

    async def ended(self) -> None:
        """Read until the other side ends the connection, in order or not."""
        try:
            while await self.receive():
                pass
        except trio.BrokenResourceError:
            pass

    def vanish(self) -> None:
        """From now on nothing arrives, so nothing is acknowledged: the device is gone."""
        self._filter(DROP_ALL)

    def lose_what_comes(self) -> None:
        """From now on no byte arrives, while acknowledgements still pass: one direction of the line is lost."""
        self._filter(DROP_PAYLOAD)

    def _filter(self, instructions: Sequence[tuple[int, int, int, int]]) -> None:
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *item) for item in instructions))
        program = struct.pack("HP", len(instructions), ctypes.addressof(code))
        self.stream.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


@asynccontextmanager
async def scripted(target: Proxy, *, small_buffer: bool = False) -> AsyncIterator[Scripted]:
    """A TCP connection to the proxy; `small_buffer`: its kernel holds only some KiB that are not read."""
    plain = trio.socket.socket()
    if small_buffer:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    await plain.connect(target.address)
    async with trio.SocketStream(plain) as stream:
        yield Scripted(stream)

"""Scripted clients: a socket that does exactly what a script says, also what no library would do.

`Scripted.vanish` makes the kernel drop what arrives for the socket before TCP sees it: to the other end the device is
gone. It is a socket filter and needs no root (Linux).
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from kaproxy.demo import wire
from kaproxy.demo.children import Proxy

SO_ATTACH_FILTER = getattr(socket, "SO_ATTACH_FILTER", 26)
SMALL_BUFFER = 4096

DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)  # classic BPF: return 0 bytes of every segment


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
        code = ctypes.create_string_buffer(DROP_ALL)
        program = struct.pack("HP", 1, ctypes.addressof(code))  # one instruction, and where it is
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

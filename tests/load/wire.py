"""Sockets on loopback, for peers that misbehave on purpose. `tests/builders.py` makes their packets."""

from __future__ import annotations

import socket
import struct

import trio
from trio.socket import SocketType

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def client_id_of(packet: bytes) -> str:
    """The client identifier of a short CONNECT: 3.1.1, or 5.0 without properties."""
    at = 13 if packet[8] == 5 else 12
    return packet[at + 2 : at + 2 + struct.unpack(">H", packet[at : at + 2])[0]].decode()


def reset(sock: SocketType) -> None:
    """Closes with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    sock.close()


async def dial(port: int) -> SocketType:
    """A connected loopback socket."""
    sock = trio.socket.socket()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        await sock.connect(("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    return sock


async def listener(backlog: int = 4096) -> SocketType:
    """A listening loopback socket on a free port."""
    sock = trio.socket.socket()
    await sock.bind(("127.0.0.1", 0))
    sock.listen(backlog)
    return sock


async def send(sock: SocketType, data: bytes) -> None:
    """Sends all of it."""
    view = memoryview(data)
    while view:
        view = view[await sock.send(view) :]


async def read(sock: SocketType, size: int) -> bytes:
    """Exactly `size` bytes, or fewer where the peer ended before."""
    out = b""
    while len(out) < size:
        chunk = await sock.recv(size - len(out))
        if not chunk:
            break
        out += chunk
    return out


async def read_packet(sock: SocketType) -> bytes:
    """One whole control packet of at most 127 bytes, or nothing where the peer ended or it is none."""
    head = await read(sock, 2)
    if len(head) < 2 or head[1] > 127:
        return b""
    body = await read(sock, head[1])
    return head + body if len(body) == head[1] else b""


async def drain(sock: SocketType) -> None:
    """Reads until the peer ends, in whatever way."""
    try:
        while await sock.recv(65536):
            pass
    except OSError:
        pass

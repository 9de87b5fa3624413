"""System calls that every chunk or every connection needs, without Python's way to each of them where there is another.

Each is there twice and does the same: here (and in `tcp_info.py`) in plain Python, and in `_syscalls.c`, which the
compiled build has and which is taken where it is. Half of what passing 100 bytes on costs beside the kernel is Python's
way to two calls. It may not know what a leg is, nor what an error means.
Read next: `leg.py`, `listening.py` and `tcp_info.py`, which call.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any, Final, TypeAlias

STREAM: Final = int(socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
"""The type of a connection's sockets, which never block."""
Unsent: TypeAlias = tuple[bytes, int, int]
"""Bytes that were read and not all sent: the bytes, how many of them were, and the errno of the send or 0."""


def plain_transfer(source: int, target: int, room: int) -> bytes | Unsent:
    """Read at most `room` bytes from one socket and send them to the other; neither may block.

    Returns the bytes where all were sent, none of them at end of file, or else what `Unsent` says.
    Raises OSError where reading fails, with nothing sent.
    """
    data = os.read(source, room)
    if not data:
        return data
    try:
        sent = os.write(target, data)
    except OSError as error:
        return data, 0, error.errno or 0
    return data if sent == len(data) else (data, sent, 0)


def plain_receive(source: int, room: int) -> bytes:
    """Read at most `room` bytes from a socket that does not block; none of them at end of file.

    Raises OSError as recv(2) does.
    """
    return os.read(source, room)


def plain_accept(listener: socket.socket) -> tuple[int, str, int]:
    """Take a client that waits: the descriptor of its socket, which does not block, its address and its port.

    Raises OSError as accept(2) does.
    """
    sock, address = listener.accept()
    sock.setblocking(False)
    return sock.detach(), address[0], address[1]


def plain_dial(family: int, address: tuple[str | int, ...]) -> tuple[int, int]:
    """Begin to connect to an address as getaddrinfo(3) gives it, a number and not a name.

    Returns the descriptor of the socket, which does not block and sends without delay, with 0 where it is connected
    already, as to a broker on this host, or EINPROGRESS; or else -1 and the errno of the failure. Raises OSError where
    there is no socket to be had.
    """
    with ExitStack() as unless_begun:
        sock = unless_begun.enter_context(socket.socket(family, STREAM))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(address)
        if code not in (0, errno.EINPROGRESS):
            return -1, code
        with suppress(OSError):
            sock.getpeername()
            code = 0
        unless_begun.pop_all()
        return sock.detach(), code


def in_c(name: str) -> Any:
    """A function of `_syscalls.c`; None in the pure build."""
    try:
        from kaproxy.relay import _syscalls
    except ImportError:
        return None
    return getattr(_syscalls, name)


transfer: Final[Callable[[int, int, int], bytes | Unsent]] = in_c("transfer") or plain_transfer
"""`plain_transfer`, or the same in C."""
receive: Final[Callable[[int, int], bytes]] = in_c("receive") or plain_receive
"""`plain_receive`, or the same in C."""
dial: Final[Callable[[int, tuple[str | int, ...]], tuple[int, int]]] = in_c("dial") or plain_dial
"""`plain_dial`, or the same in C."""
accept: Final[Callable[[socket.socket], tuple[int, str, int]]] = in_c("accept") or plain_accept
"""`plain_accept`, or the same in C."""

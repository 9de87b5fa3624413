"""Where clients come in: listening sockets, and the spare descriptor for when there are none left.

It may not know what becomes of an accepted socket. A listener is never lost to an error of one
connection, and never spins on one: accept(2) reports the network errors of the connection it takes, and
EMFILE leaves it in the queue, where it would be reported as readable again at once.
Read next: `server.py`, which accepts.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, cast

import trio

from kaproxy.relay.dialing import Address
from kaproxy.relay.endings import AGAIN, EXHAUSTED
from kaproxy.relay.syscalls import STREAM, accept

ACCEPTS: Final = 64
"""Most connections accepted before others get their turn."""
RESPITE_S: Final = 0.05
"""Pause after an accept failed for a reason that will not go away at once."""


async def open_listeners(host: str, port: int, backlog: int, reuse_port: bool) -> list[socket.socket]:
    """A listening socket for every address of `host`, all on one port. Raises OSError, saying where."""
    found = await trio.socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    addresses = list(dict.fromkeys(cast(Address, (entry[0], entry[4])) for entry in found))
    listeners: list[socket.socket] = []
    try:
        for family, address in addresses:
            if listeners and not port:
                address = (address[0], listeners[0].getsockname()[1], *address[2:])
            listeners.append(_listener(family, address, backlog, reuse_port, alone=len(addresses) == 1))
    except OSError as error:
        for sock in listeners:
            sock.close()
        raise OSError(error.errno, f"listening on {host}:{port}: {error.strerror}") from error
    return listeners


def _listener(
    family: socket.AddressFamily,
    address: tuple[str | int, ...],
    backlog: int,
    reuse_port: bool,
    alone: bool,
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited by what is accepted
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:  # "::" alone takes IPv4 as well; beside "0.0.0.0" it must not
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if alone else 1)
        sock.bind(address)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


class Reserve:
    """A descriptor kept back, given up for a moment to take a connection that must be turned away."""

    __slots__ = ("_fd",)

    def __init__(self) -> None:
        self._fd: int | None = None
        self.take()

    def take(self) -> None:
        """Get hold of a spare descriptor again, if there is one."""
        if self._fd is None:
            with suppress(OSError):
                self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def give_up(self) -> bool:
        """Free the descriptor; False if there was none."""
        if self._fd is None:
            return False
        os.close(self._fd)
        self._fd = None
        return True


Arrival = tuple[socket.SocketType, tuple[str, int], str]
"""Socket, client address and port, and why it must be turned away ("" if it need not)."""


def arrivals(listener: socket.socket, reserve: Reserve) -> Iterator[Arrival]:
    """Connections waiting in the queue, up to ACCEPTS. Raises OSError where accepting itself fails.

    With no descriptor left the reserve is used for one at a time: whoever is handed it must close the
    socket before asking for the next.
    """
    for _ in range(ACCEPTS):
        refusal = ""
        try:
            accepted = accept(listener)
        except OSError as error:
            if error.errno in AGAIN:
                return
            if error.errno not in EXHAUSTED or not reserve.give_up():
                raise
            refusal = f"accepting: {error.strerror}"
            try:
                accepted = accept(listener)
            except OSError as again:
                reserve.take()
                if again.errno in AGAIN:
                    return
                raise
        fd, host, port = accepted
        sock = socket.SocketType(-1, STREAM, 0, fd)  # what `socket` adds to it in Python is not needed
        yield sock, (host.removeprefix("::ffff:"), port), refusal
        if refusal:
            reserve.take()

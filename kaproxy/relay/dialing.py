"""Reaching the broker: its name kept resolved in the background, its addresses tried one after the other.

A dial never waits here: connects are non-blocking and finish in the poller. Meanwhile the client is
read, observed and held back. Read next: `endings.py` for how a refusal is told, `pair.py` for the rest.
"""

from __future__ import annotations

import errno
import ipaddress
import math
import os
import socket
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import trio

from kaproxy.connection.facts import Ending, ProxyAction
from kaproxy.relay import closing
from kaproxy.relay.endings import EXHAUSTED, ending_of
from kaproxy.relay.leg import NOTHING_DUE, OUT, RST_DUE
from kaproxy.relay.syscalls import STREAM, dial

if TYPE_CHECKING:
    from kaproxy.relay.pair import Pair

Address: TypeAlias = tuple[socket.AddressFamily, tuple[str | int, ...]]

NAMING_S: Final = 1.0
"""How long after a failed dial the client may still say who it is."""


class ResolveError(Exception):
    """The upstream's host name has no address; raised at start only, later answers may fail."""


class Upstream:
    """The broker as configured, and the addresses it has at present."""

    def __init__(self, host: str, port: int, resolve_interval_s: float) -> None:
        self.host = host
        self.port = port
        self.label = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.addresses: tuple[Address, ...] = ()
        self._interval = resolve_interval_s

    @property
    def literal(self) -> bool:
        """The host is an IP address, which never needs asking for."""
        try:
            ipaddress.ip_address(self.host.partition("%")[0])
        except ValueError:
            return False
        return True

    async def resolve(self) -> None:
        """Ask for the addresses once. Raises ResolveError where there is no answer."""
        try:
            found = await trio.socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ResolveError(f"upstream {self.label}: {error.strerror or error}") from error
        self.addresses = tuple(dict.fromkeys(cast(Address, (entry[0], entry[4])) for entry in found))

    async def keep_resolved(self) -> None:
        """Ask again every interval; while there is no answer the last good one stays in use."""
        while not self.literal:
            await trio.sleep(self._interval)
            try:
                await self.resolve()
            except ResolveError:
                continue


class Dial:
    """One connection's way through the addresses, within one time for all of them."""

    __slots__ = ("_left", "connected", "deadline", "failure", "over")

    def __init__(self, addresses: tuple[Address, ...], now: float, timeout_s: float) -> None:
        self._left = addresses
        self.over = now + timeout_s  # no attempt goes on beyond this moment
        self.deadline = now  # of the attempt under way
        self.failure = Ending.UNREACHABLE  # how the last attempt failed
        self.connected = False  # the attempt has succeeded at once

    def attempt(self, now: float) -> socket.SocketType | None:
        """Start on the next address; None when there is none left, or no time: `failure` says how it went.

        Every attempt gets an equal share of the time left, so that one dead address does not use up the
        others'. Raises OSError with an errno of EXHAUSTED where this host cannot dial at all.
        """
        while self._left and now < self.over:
            self.deadline = now + (self.over - now) / len(self._left)
            family, address = self._left[0]
            self._left = self._left[1:]
            fd, code = dial(family, address)
            if fd >= 0:
                self.connected = code == 0
                return socket.SocketType(family, STREAM, 0, fd)
            error = OSError(code, os.strerror(code))
            if code in EXHAUSTED:
                raise error
            self.failure = ending_of(error)
        return None


def outcome(sock: socket.SocketType) -> tuple[bool, OSError | None]:
    """How a connect that the poller woke us for went: connected or not, and the error if there was one.

    Neither means: not yet. Both mean: connected, and reset since (a dial refused would say so instead);
    asking has taken that error from the socket, so the caller has to remember it.
    """
    try:
        sock.getpeername()
    except OSError:
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return (code == errno.ECONNRESET, OSError(code, os.strerror(code))) if code else (False, None)
    return True, None


def go_on(pair: Pair, now: float) -> None:
    """Try the next address; without one the dial has failed, and the client gets a moment to say its name."""
    way, broker = pair.dial, pair.broker
    if way is None:
        return
    if broker.open:  # not `close`: what is held for the broker is for the next address too
        pair.poller.drop(broker)
        broker.let_go()
    try:
        sock = way.attempt(now)
    except OSError as error:
        if error.errno not in EXHAUSTED:
            raise
        closing.cut(pair, ProxyAction.LIMIT, f"dialing the broker: {error.strerror}", now)
        return
    if sock is not None:
        pair.attach(broker, sock)
        broker.connecting = True
        if way.connected:  # a broker on this host has answered by now
            _connected(pair, None, now)
        return
    pair.named_by = now + NAMING_S
    pair.ended(broker, way.failure, now)
    pair.client.due = NOTHING_DUE


def progress(pair: Pair, mask: int, now: float) -> None:
    """See how a connect under way goes; woken for it as writable and nothing else, it is a success without asking."""
    connected, error = (True, None) if mask == OUT else outcome(pair.broker.sock)
    if connected:
        _connected(pair, error, now)
    elif error is not None and pair.dial is not None:
        pair.dial.failure = ending_of(error)
        go_on(pair, now)


def name_or_abort(pair: Pair, now: float) -> None:
    """After a failed dial the client is heard until it has said its name, then told."""
    if now >= pair.named_by or pair.witness.connect_seen or pair.client.ending is not None:
        pair.named_by, pair.dial = math.inf, None
        pair.client.due = RST_DUE


def _connected(pair: Pair, error: OSError | None, now: float) -> None:
    broker = pair.broker
    pair.dial = None
    broker.connecting, broker.reading, broker.writing = False, True, True
    pair.witness.broker_connected(now)
    if error is not None:
        pair.not_sent(broker, b"", error, now)
    else:
        pair.flush(broker, now)

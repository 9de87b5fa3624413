"""A relay between real sockets, with a tracker that writes down what it is told. Not a test itself."""

from __future__ import annotations

import fcntl
import math
import socket
import struct
import termios
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.lowlevel

from kaproxy.connection.events import Accepted, Closed, Event
from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Ending, LegFacts, Origin, Phase, ProxyAction, RelayFacts, Side
from kaproxy.relay.pair import Pair
from kaproxy.relay.server import Relay, RelayConfig

FUSE_S = 20.0
"""No condition takes this long unless something is broken."""


class RecordingTracker:
    """Keeps every call; `looks` and `fail_*` make it behave."""

    def __init__(self, origin: Origin, now: float) -> None:
        self.origin = origin
        self.opened = now
        self.calls: list[tuple[Any, ...]] = []
        self.client_bytes = bytearray()
        self.broker_bytes = bytearray()
        self.connect_seen = False
        self.look_at = math.inf
        self.suspicions: Sequence[Event] = ()
        self.fail_on: set[str] = set()
        self.closes = 0

    def _called(self, name: str, *args: Any) -> None:
        assert self.closes == 0, f"{name} after close"
        self.calls.append((name, *args))
        if name in self.fail_on:
            raise RuntimeError(f"{name} fails")

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [call for call in self.calls if call[0] == name]

    def from_client(self, data: bytes, now: float) -> Sequence[Event]:
        self.client_bytes += data
        self.connect_seen = True
        if "from_client" in self.fail_on:
            self._called("from_client")
        return ()

    def from_broker(self, data: bytes, now: float) -> Sequence[Event]:
        self.broker_bytes += data
        if "from_broker" in self.fail_on:
            self._called("from_broker")
        return ()

    def broker_connected(self, now: float) -> None:
        self._called("broker_connected")

    def leg_ended(self, side: Side, ending: Ending, now: float) -> None:
        self._called("leg_ended", side, ending)

    def proxy_ended(self, action: ProxyAction, detail: str, now: float) -> None:
        self._called("proxy_ended", action, detail)

    def observer_failed(self, error: str, now: float) -> Sequence[Event]:
        self._called("observer_failed", error)
        return ()

    def next_look(self, now: float) -> float:
        if "next_look" in self.fail_on:
            self._called("next_look")
        return self.look_at

    def look(self, now: float) -> Sequence[Event]:
        self._called("look")
        self.look_at = math.inf
        return self.suspicions

    def judge_at(self) -> float:
        return -math.inf

    def judged_from(self) -> float:
        return self.opened

    def stalled(self, side: Side, stalled_s: float, now: float) -> Sequence[Event]:
        self._called("stalled", side)
        return ()

    def close(self, now: float, client_leg: LegFacts, broker_leg: LegFacts, relay: RelayFacts) -> Closed:
        self._called("close")
        self.closes += 1
        ended = [call for call in self.calls if call[0] in ("leg_ended", "proxy_ended")]
        by, how = "unknown", "local"
        if ended:
            proxy = ended[0][0] == "proxy_ended"
            by, how = ("proxy", "local") if proxy else (ended[0][1].value, ended[0][2].value)
        action = self.named("proxy_ended")
        return Closed(
            Evidence(
                origin=self.origin,
                duration_s=now - self.opened,
                phase=Phase.ESTABLISHED,
                closed_by=by,
                close_how=how,
                proxy_action=action[0][1] if action else None,
                proxy_detail=action[0][2] if action else None,
                client_leg=client_leg,
                broker_leg=broker_leg,
                relay=relay,
            )
        )


class Rig:
    """A running relay, the broker's listening socket, and what was told."""

    def __init__(self, broker: trio.socket.SocketType, config: RelayConfig) -> None:
        self.broker = broker
        self.events: list[Event] = []
        self.trackers: list[RecordingTracker] = []
        self.sockets = [broker]
        self.prepare: Callable[[RecordingTracker], None] = lambda _tracker: None
        self.relay = Relay(config, self._make_tracker, self.events.append)

    def _make_tracker(self, origin: Origin, now: float) -> Any:
        tracker = RecordingTracker(origin, now)
        self.trackers.append(tracker)
        self.prepare(tracker)
        return tracker

    @property
    def closed(self) -> list[Evidence]:
        return [event.evidence for event in self.events if isinstance(event, Closed)]

    @property
    def accepted(self) -> list[Origin]:
        return [event.origin for event in self.events if isinstance(event, Accepted)]

    async def dial(self) -> trio.socket.SocketType:
        """A client, connected to the relay."""
        client = trio.socket.socket()
        self.sockets.append(client)
        await client.connect(self.relay.bound)
        return client

    async def pair(self) -> tuple[trio.socket.SocketType, trio.socket.SocketType]:
        """A client and the broker's end of its connection."""
        return await self.dial(), await self.accept()

    async def accept(self) -> trio.socket.SocketType:
        """The broker's end of the next connection."""
        broker, _ = await self.broker.accept()
        self.sockets.append(broker)
        return broker

    def living(self) -> list[Pair]:
        """The relay's own view of its connections."""
        assert self.relay._poller is not None
        return list(self.relay._poller.pairs())

    async def line(self, number: int = 1) -> Evidence:
        """The closing line, once it is there."""
        await until(lambda: len(self.closed) >= number)
        return self.closed[number - 1]

    async def gone(self) -> None:
        """No connection is left."""
        await until(lambda: self.relay.live == 0)


@asynccontextmanager
async def relaying(**settings: Any) -> AsyncIterator[Rig]:
    """A relay on a free port; `settings` override its configuration."""
    broker = trio.socket.socket()
    await broker.bind(("127.0.0.1", 0))
    broker.listen(128)
    defaults: dict[str, Any] = {
        "listen": ("127.0.0.1", 0),
        "upstream": broker.getsockname(),
        "post_mortem_s": 10.0,  # longer than a busy machine keeps a test from doing what comes next
        "drain_s": 0.2,
    }
    rig = Rig(broker, RelayConfig(**(defaults | settings)))
    try:
        with trio.fail_after(FUSE_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(rig.relay.run)
                yield rig
                nursery.cancel_scope.cancel()
    finally:
        for sock in rig.sockets:
            sock.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the rig's fuse bounds it."""
    while not condition():  # noqa: ASYNC110  kernel state sets no event
        await trio.sleep(0.001)


def reset(sock: trio.socket.SocketType) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


async def read_all(sock: trio.socket.SocketType) -> tuple[bytes, str]:
    """Everything up to the ending, and which it was: "fin" or "rst"."""
    data = bytearray()
    while True:
        try:
            chunk = await sock.recv(65536)
        except ConnectionResetError:
            return bytes(data), "rst"
        if not chunk:
            return bytes(data), "fin"
        data += chunk


async def read_exactly(sock: trio.socket.SocketType, size: int) -> bytes:
    """That many bytes, or fewer at an end of file."""
    data = bytearray()
    while len(data) < size and (chunk := await sock.recv(size - len(data))):
        data += chunk
    return bytes(data)


async def send_all(sock: trio.socket.SocketType, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[await sock.send(view) :]


async def fill(sock: trio.socket.SocketType) -> int:
    """Send until nothing more is taken for a good while; returns how many bytes were."""
    sent = 0
    while True:
        with trio.move_on_after(0.3) as scope:
            sent += await sock.send(b"x" * 65536)
        if scope.cancelled_caught:
            return sent


async def hold(rig: Rig, broker: trio.socket.SocketType) -> int:
    """Send from the broker until the proxy has to hold something for the client; returns how much went."""
    sent = 0
    while rig.living()[0].client.held is None:
        sent += await broker.send(b"x" * 16384)
        await trio.lowlevel.checkpoint()
    return sent


def widen(rig: Rig) -> socket.SocketType:
    """Let the kernel keep many megabytes of the broker's that the relay does not read; returns the relay's socket.

    Needs "large receive windows", see `tests/peers/places.py`.
    """
    force = 33  # SO_RCVBUFFORCE, which Python has no name for: socket(7)
    sock = rig.living()[0].broker.sock
    sock.setsockopt(socket.SOL_SOCKET, force, 32 << 20)
    return sock


def unread(sock: socket.SocketType) -> int:
    """Bytes that came and were not read (SIOCINQ)."""
    size: int = struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, b"\0" * 4))[0]
    return size


def unacknowledged(sock: trio.socket.SocketType) -> int:
    """Bytes that the other side's kernel has not taken (SIOCOUTQ)."""
    size: int = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]
    return size


async def turns_in(rig: Rig, seconds: float) -> int:
    """How many batches the poller serves in that time."""
    poller = rig.relay._poller
    assert poller is not None
    before = poller.turns
    await trio.sleep(seconds)
    return poller.turns - before

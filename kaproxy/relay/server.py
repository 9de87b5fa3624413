"""The relay as a whole: what it is told, how it starts, accepts, drains and stops.

It hands trackers and a sink to every connection and knows nothing of what they do. All bytes and all
deadlines of the connections go through one `Poller`; trio's tasks are only those started here.
Read next: `poller.py`, `pair.py`.
"""

from __future__ import annotations

import errno
import math
import os
import random
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import trio

from kaproxy.connection.events import Accepted, ProxyLagging
from kaproxy.connection.facts import Origin, ProxyAction
from kaproxy.relay import closing
from kaproxy.relay.dialing import Upstream
from kaproxy.relay.listening import RESPITE_S, Arrival, Reserve, arrivals, open_listeners
from kaproxy.relay.pair import Pair
from kaproxy.relay.poller import Poller, Timing
from kaproxy.relay.witness import MakeTracker, Sink, Witness


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """One listener and the broker behind it. Durations are seconds."""

    listener: str = "default"  # its name in the log
    listen: tuple[str, int] = ("127.0.0.1", 1883)  # port 0: any free one
    upstream: tuple[str, int] = ("127.0.0.1", 1884)
    backlog: int = 1024
    max_connections: int = 0  # 0: no limit
    dial_timeout_s: float = 10.0  # for all addresses of the broker together
    linger_s: float = 60.0  # how long a connection that has begun to end may be idle
    post_mortem_s: float = 3.0  # quiet time after the first ending before the closing line
    drain_s: float = 10.0  # how long live connections may go on once draining
    resolve_interval_s: float = 30.0  # between two look-ups of the broker's name
    lagging_s: float = 0.1  # tell when the loop was late by more
    lagging_interval_s: float = 60.0  # at most so often
    reuse_port: bool = False  # several workers on one port
    workers: int = 1  # processes that share the cores, this one included


class Relay:
    """Accepts clients, dials the broker for each, relays, and tells what happened."""

    def __init__(
        self,
        config: RelayConfig,
        make_tracker: MakeTracker,
        on_event: Sink,
        listeners: Sequence[socket.socket] = (),
    ) -> None:
        """`listeners`: sockets that listen already; without any, one is opened where `config` says."""
        self.config = config
        self.bound: tuple[str, int] = config.listen
        #: How many connections other workers have, which count against `max_connections` too.
        self.live_elsewhere: Callable[[], int] = int
        self._given = tuple(listeners)
        self._reserve: Reserve | None = None
        self._accepting: trio.Nursery | None = None
        self._answered: set[socket.socket] = set()  # listeners of ours, and those lent to us
        self._ids = random.Random(os.urandom(32))  # one seed a process: names, not secrets, and no call each
        self._make_tracker = make_tracker
        self._on_event = on_event
        self._upstream = Upstream(*config.upstream, config.resolve_interval_s)
        self._poller: Poller | None = None
        self._draining = trio.Event()
        self._lag_told = -math.inf
        self._lags_untold = 0

    @property
    def live(self) -> int:
        """Connections that still have a socket."""
        return self._poller.live if self._poller else 0

    def lag_since(self, since: float) -> float:
        """How late the loop was at most since then (monotonic s), in seconds."""
        return self._poller.lag_since(since, time.monotonic()) if self._poller else 0.0

    def give_way(self) -> None:
        """A task beside the relay has something to do, and should not wait for busy sockets."""
        if self._poller is not None:
            self._poller.give_way()

    def accept_also(self, listeners: Sequence[socket.socket]) -> None:
        """Accept from another worker's sockets too, until `accept_no_more`: nobody else does at present."""
        if self._accepting is not None and not self._draining.is_set():
            for listener in listeners:
                self._answer(listener)

    def accept_no_more(self, listeners: Sequence[socket.socket]) -> None:
        """Leave these to the worker they belong to."""
        for listener in listeners:
            self._answered.discard(listener)
            if self._poller is not None:
                self._poller.ignore(listener)

    def drain(self) -> None:
        """Stop accepting, let live connections end for `drain_s`, then end the rest; `run` returns."""
        self._draining.set()

    async def run(self, task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until drained or cancelled; every accepted connection has had its closing line then.

        Raises ResolveError or OSError at the start where the broker's name has no address or the
        listening address cannot be had.
        """
        await self._upstream.resolve()
        config = self.config
        listeners = list(self._given) or await open_listeners(
            *config.listen, config.backlog, config.reuse_port
        )
        self.bound = listeners[0].getsockname()[:2]
        self._reserve = reserve = Reserve()
        timing = Timing(config.dial_timeout_s, config.linger_s, config.post_mortem_s)
        self._poller = poller = Poller(timing, self._late, config.workers)
        try:
            async with trio.open_nursery() as nursery:
                for task in (poller.pump, poller.keep_time, poller.heartbeat, self._upstream.keep_resolved):
                    nursery.start_soon(task)
                await self._accept_until_drained(listeners, task_status)
                await self._drain(poller)
                nursery.cancel_scope.cancel()
        finally:
            now = time.monotonic()
            for pair in poller.pairs():
                closing.cut(pair, ProxyAction.SHUTDOWN, "stopped", now)
            for listener in listeners:
                listener.close()
            reserve.give_up()
            poller.close()

    def _late(self, late: float, now: float) -> None:
        """The loop was late by `late` seconds: worth telling, but not at every heartbeat."""
        if late < self.config.lagging_s:
            return
        if now - self._lag_told < self.config.lagging_interval_s:
            self._lags_untold += 1
            return
        untold, self._lags_untold, self._lag_told = self._lags_untold, 0, now
        with suppress(Exception):
            self._on_event(ProxyLagging(late * 1000, self.live, untold))

    async def _accept_until_drained(
        self, listeners: list[socket.socket], task_status: trio.TaskStatus[tuple[str, int]]
    ) -> None:
        async with trio.open_nursery() as accepting:
            self._accepting = accepting
            for listener in listeners:
                self._answer(listener)
            task_status.started(self.bound)
            await self._draining.wait()
            self._accepting = None
            self.accept_no_more(tuple(self._answered))
            accepting.cancel_scope.cancel()
        for listener in listeners:
            listener.close()

    def _answer(self, listener: socket.socket) -> None:
        if self._poller is not None and listener not in self._answered:
            self._answered.add(listener)
            self._poller.answer(listener, partial(self._accept, listener))

    def _accept(self, listener: socket.socket) -> None:
        """Clients wait in its queue: take them, as many as fit between others' turns."""
        poller, reserve = self._poller, self._reserve
        if poller is None or reserve is None:
            return
        try:
            for arrival in arrivals(listener, reserve):
                self._admit(arrival, poller)
        except OSError as error:
            if error.errno != errno.ECONNABORTED and self._accepting is not None:
                poller.ignore(listener)  # anything else may last: do not spin on it
                self._accepting.start_soon(self._answer_again, listener)

    async def _answer_again(self, listener: socket.socket) -> None:
        await trio.sleep(RESPITE_S)
        if listener in self._answered:
            self._answered.discard(listener)
            self._answer(listener)

    def _admit(self, arrival: Arrival, poller: Poller) -> None:
        """Begin a connection; one that cannot be served begins and ends here, with its closing line."""
        sock, (client_addr, client_port), refusal = arrival
        now = time.monotonic()
        origin = Origin(
            conn_id=f"{self._ids.getrandbits(64):016x}",
            listener=self.config.listener,
            client_addr=client_addr,
            client_port=client_port,
            broker_addr=self._upstream.label,
            opened_at=time.time(),
        )
        witness = Witness(origin, self._make_tracker, self._on_event, now)
        witness.emit((Accepted(origin),))
        pair = Pair(poller, witness, now)
        most = self.config.max_connections
        if most and poller.live + self.live_elsewhere() >= most:
            refusal = refusal or f"max_connections: {most}"
        poller.live += 1
        try:
            if refusal:
                pair.attach(pair.client, sock)
                closing.cut(pair, ProxyAction.LIMIT, refusal, now)
            else:
                pair.start(sock, self._upstream.addresses, now)
        except Exception as fault:
            pair.fault(fault, now)

    async def _drain(self, poller: Poller) -> None:
        """Wait for the last connection, first for its own end, then for ours."""
        await self._until_quiet(poller, self.config.drain_s)
        now = time.monotonic()
        for pair in poller.pairs():
            try:
                closing.part(pair, ProxyAction.SHUTDOWN, "drained", now)
            except Exception as fault:
                pair.fault(fault, now)
        await self._until_quiet(poller, closing.PARTING_S * 2)

    async def _until_quiet(self, poller: Poller, seconds: float) -> None:
        with trio.move_on_after(seconds):
            while poller.live or poller.unjudged:
                await poller.quiet.wait()

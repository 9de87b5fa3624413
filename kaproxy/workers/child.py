"""One of several workers: a process that relays, and does as its supervisor says.

It is handed its configuration, its listening sockets and the slates, tells others what concerns them, and hears what
concerns it. It drains when it is told to, on SIGTERM, and when the supervisor is gone. It may not write a line about
the proxy as a whole: the supervisor does. Read next: `supervisor.py`, which starts it; `channel.py`.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import time
import tomllib
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import trio

from kaproxy.config import Config
from kaproxy.connection.elsewhere import Exchange
from kaproxy.connection.neighbourhood import TOGETHER_PER_S
from kaproxy.connection.slate import Slate
from kaproxy.proxy import Proxy, open_log, why_not
from kaproxy.relay.dialing import ResolveError
from kaproxy.telemetry.log import Log
from kaproxy.workers.channel import Channel, line_of, message_of
from kaproxy.workers.ledger import slate_of

#: News is gathered, and told this often a second: waking every other worker for each piece would cost more. All of
#: them tell at the same moments, when closing lines that waited are due too: then each is woken once for everything.
TELLINGS_PER_S = TOGETHER_PER_S
#: How often (s) counts are sent without being asked for.
UNASKED_S = 5.0
#: How long (s) the last messages may take.
PARTING_S = 1.0


@dataclass(frozen=True, slots=True)
class Handover:
    """What a worker is given: its name, configuration, and descriptors it was started with."""

    name: str
    config: str  # TOML, every key
    listeners: dict[str, list[int]]  # of every worker, by name
    slates: dict[str, int]  # of every worker too
    lock: int  # on which writers of the log agree

    def send(self, sock: socket.socket) -> None:
        """Hand it over; it fits the socket's buffer, so this does not wait."""
        sock.sendall(line_of("handover", asdict(self)))

    @classmethod
    def receive(cls, sock: socket.socket) -> Handover:
        """The first message. Raises EOFError where the supervisor is gone already."""
        line = bytearray()
        while not line.endswith(b"\n"):
            byte = sock.recv(1)  # no more than this line: the next ones are the channel's
            if not byte:
                raise EOFError("the supervisor is gone")
            line += byte
        return cls(**message_of(bytes(line)).content)


def config_of(text: str) -> Config:
    """The configuration out of TOML as `effective_toml` writes it."""
    return Config.model_validate(tomllib.loads(text))


def taken_over(descriptors: dict[str, int]) -> dict[str, Slate]:
    """The slates behind these descriptors, which are closed. Raises OSError where there is no memory."""
    slates = {name: slate_of(descriptor) for name, descriptor in descriptors.items()}
    for descriptor in descriptors.values():
        os.close(descriptor)
    return slates


def until_next(now: float) -> float:
    """How long (s) it is from `now` (monotonic s) to the next moment of telling."""
    return math.floor(now * TELLINGS_PER_S + 1.0) / TELLINGS_PER_S - now


class Worker:
    """A worker's process, from its handover to its last line."""

    def __init__(self, sock: socket.socket) -> None:
        """Take the handover. Raises OSError where the log cannot be opened, EOFError without a supervisor."""
        sock.setblocking(True)
        given = Handover.receive(sock)
        config = config_of(given.config)
        self._sock = sock
        self._name = given.name
        self._listeners = {
            name: [socket.socket(fileno=fd) for fd in fds] for name, fds in given.listeners.items()
        }
        self.log: Log = open_log(config, given.name, given.lock)
        self._proxy = Proxy(config, self.log, self._listeners[given.name])
        self._news = trio.Event()
        slates = taken_over(given.slates)
        own, directory = slates.pop(given.name), self._proxy.directory
        directory.exchange = self._exchange = Exchange(directory, self._wake, own, list(slates.values()))
        self._proxy.relay.live_elsewhere = self._exchange.live_there

    async def run(self) -> None:
        """Serve until drained. Raises StartError."""
        failure: OSError | ResolveError | None = None
        self._channel = channel = Channel(self._sock)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(channel.pump)
                try:
                    await nursery.start(self._relay_until_drained, nursery.cancel_scope)
                except (OSError, ResolveError) as error:
                    failure = error
                    nursery.cancel_scope.cancel()
                else:
                    channel.say("ready")
                    nursery.start_soon(self._follow_signals, received)
                    nursery.start_soon(self._follow_orders, nursery.cancel_scope)
                    nursery.start_soon(self._tell_news)
                    nursery.start_soon(self._tell_counts)
        if failure is not None:
            raise why_not(self._proxy.config.listen, failure) from failure

    async def _relay_until_drained(
        self, scope: trio.CancelScope, task_status: trio.TaskStatus[tuple[str, int]]
    ) -> None:
        await self._proxy.run(task_status)
        self._say_news()
        self._say_counts()
        await self._channel.sent(PARTING_S)
        scope.cancel()

    async def _follow_signals(self, received: AsyncIterator[int]) -> None:
        """A signal to the whole process group reaches the supervisor too; a second one is only its to follow."""
        async for number in received:
            if number != signal.SIGHUP:
                self._drain()

    async def _follow_orders(self, scope: trio.CancelScope) -> None:
        async for message in self._channel.messages():
            if message.word == "end":
                scope.cancel()
            elif message.word == "news":
                self._hear(message.content)
            else:
                self._follow(message.word, message.content)
        self.log.write("error", "worker.orphaned", {"connections_live": self._proxy.relay.live})
        self._drain()

    def _follow(self, word: str, content: Any) -> None:
        if word == "count":
            self._say_counts()
        elif word == "drain":
            self._drain()
        elif word == "config":
            self._proxy.take_over(config_of(content))
        elif word == "reopen":
            self.log.reopen()
        elif word == "accept_for":
            self._proxy.relay.accept_also(self._listeners[content])
        elif word == "back":
            self._proxy.relay.accept_no_more(self._listeners[content])

    def _drain(self) -> None:
        """Stop accepting: the kernel must not go on queueing clients for sockets that are only kept."""
        self._proxy.relay.drain()
        for name, listeners in self._listeners.items():
            self._proxy.relay.accept_no_more(listeners)
            if name != self._name:
                for listener in listeners:
                    listener.close()

    # -- news ------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if not self._news.is_set():
            self._news.set()
            self._proxy.relay.give_way()

    async def _tell_news(self) -> None:
        """Stays awake as long as there is something to tell every time: being woken anew would cost another turn."""
        while True:
            await self._news.wait()
            while True:
                await trio.sleep(until_next(time.monotonic()))
                if not self._exchange.untold:
                    break
                self._say_news()
            self._news = trio.Event()

    def _say_news(self) -> None:
        news = self._exchange.take()
        self._channel.pass_on(line_of("news", news, len(news)), len(news))

    def _hear(self, news: list[list[Any]]) -> None:
        events, failed = self._exchange.hear_all(news, time.monotonic())
        self._channel.dropped += failed
        for event in events:
            self._proxy.record(event)

    # -- counts ----------------------------------------------------------------------------------------

    async def _tell_counts(self) -> None:
        while True:
            await trio.sleep(UNASKED_S)
            self._say_counts()

    def _say_counts(self) -> None:
        snapshot = replace(self._proxy.snapshot(), news_dropped=self._channel.dropped)
        self._channel.say("counts", snapshot.to_data())

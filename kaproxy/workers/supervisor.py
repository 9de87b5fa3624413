"""Keeps the workers: starts them, starts dead ones again, passes on signals and news, adds up what they count.

It opens every worker's listening sockets and keeps them, so that a death loses nobody who waits in a queue; while a
place is empty the other workers accept for it. It relays no byte, and where it dies the workers drain by themselves.
It writes the lines about the proxy as a whole. Read next: `slot.py`, `child.py`; `serve.py` for one process alone.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import trio

from kaproxy.build import build
from kaproxy.errors import StartError
from kaproxy.proxy import target_of, what_changed, why_not, with_reloaded
from kaproxy.relay.dialing import ResolveError, Upstream
from kaproxy.relay.listening import open_listeners
from kaproxy.settings.kinds import Address
from kaproxy.settings.sample import effective_toml
from kaproxy.settings.sources import ConfigError, Loaded
from kaproxy.telemetry.log import Log
from kaproxy.telemetry.overview import Overview
from kaproxy.telemetry.tally import Snapshot
from kaproxy.workers import telling
from kaproxy.workers.channel import Channel, Message
from kaproxy.workers.slot import SILENT_S, Slot

#: How long (s) workers are waited for when their counts are asked for.
ASK_S = 0.3
#: Beyond the time to drain, how long (s) a worker may take to end before it is killed.
INSIST_S = 10.0
#: The same after a second signal.
AT_ONCE_S = 5.0
#: How often (s) it is seen whether every worker still says something.
WATCH_S = 1.0


class Supervisor:
    """All workers of one proxy, from the listening sockets to the last line."""

    def __init__(self, loaded: Loaded, log: Log, lock: int, load_again: Callable[[], Loaded]) -> None:
        self._path = loaded.path
        self._config = loaded.config  # what is in force
        self._log = log
        self._lock = lock
        self._load_again = load_again
        self._slots: dict[str, Slot] = {}
        self._listen = ""
        self._started_at = time.monotonic()
        self._up = trio.Event()  # every worker has been up once
        self._stopping = trio.Event()
        self._start_failed = ""
        self._retired = Snapshot()
        self._restarts = 0
        self._lost = 0
        self._forced = False  # a worker did not end as it was asked to

    async def run(self) -> int:
        """Serve until a signal has drained every worker; returns the exit code. Raises StartError."""
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
            try:
                await self._open()
                admin = await self._open_admin()
            except (OSError, ResolveError) as error:
                raise why_not(self._config.listen, error) from error
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                if admin is not None:
                    nursery.start_soon(admin.serve)
                nursery.start_soon(self._follow_signals, received)
                nursery.start_soon(self._watch)
                nursery.start_soon(self._tell_started, None if admin is None else str(admin.bound))
                await self._keep_all()
                nursery.cancel_scope.cancel()
        if self._start_failed:
            raise StartError(self._start_failed)
        self._log.write("info", "proxy.stopped", self._target() | self._counts())
        return 1 if self._forced else 0

    # -- starting --------------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Every worker's listening sockets, all on one port. Raises OSError or ResolveError."""
        config = self._config
        await Upstream(*config.upstream, config.timeouts.resolve).resolve()
        host, port = config.listen
        if port:  # two proxies would both be let in with SO_REUSEPORT, and share the clients
            for sock in await open_listeners(host, port, 1, reuse_port=False):
                sock.close()
        for number in range(1, config.workers + 1):
            listeners = await open_listeners(host, port, config.limits.backlog, reuse_port=True)
            port = listeners[0].getsockname()[1]
            name = f"{config.worker}-{number}"
            self._slots[name] = Slot(name, listeners)
        self._listen = str(Address(*listeners[0].getsockname()[:2]))

    async def _open_admin(self) -> Any:
        if self._config.admin is None:
            return None
        from kaproxy.admin.server import Admin

        return await Admin.open(self._config.admin, self.look)

    async def _tell_started(self, admin: str | None) -> None:
        await self._up.wait()
        self._started_at = time.monotonic()
        process = {
            "config_file": self._path,
            "pid": os.getpid(),
            "build": build(),
            "workers": len(self._slots),
        }
        self._log.write(
            "info", "proxy.started", self._target() | process | ({} if admin is None else {"admin": admin})
        )

    # -- keeping ---------------------------------------------------------------------------------------

    async def _keep_all(self) -> None:
        async with trio.open_nursery() as nursery:
            for slot in self._slots.values():
                nursery.start_soon(self._keep, slot)

    async def _keep(self, slot: Slot) -> None:
        """Have a process in this place until it is time to stop."""
        while not self._stopping.is_set():
            code = await self._live(slot)
            expected = self._stopping.is_set() and (code == 0 or slot.state == "starting")
            wait_s = None if self._stopping.is_set() else slot.back_off_s()
            if not expected:
                self._tell_died(slot, code, wait_s)
            self._retired += slot.leave()
            if wait_s is None:
                return
            if not self._up.is_set():
                self._give_up(slot)
                return
            self._lend(slot)
            with trio.move_on_after(wait_s):
                await self._stopping.wait()
            self._restarts += not self._stopping.is_set()

    async def _live(self, slot: Slot) -> int:
        """One process, from its start to its exit code."""
        try:
            channel = await slot.start(
                effective_toml(Loaded(self._config, {}, None)), self._slots, self._lock
            )
        except OSError as error:
            self._log.write("error", "worker.not_started", {"worker_name": slot.name, "error": str(error)})
            return 1
        process = slot.process
        assert process is not None
        if self._stopping.is_set():
            channel.say("drain")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(channel.pump)
            await self._listen_to(slot, channel)  # to the end of what it said, dead or alive
            code = await process.wait()
            nursery.cancel_scope.cancel()
        await channel.close()
        return code

    async def _listen_to(self, slot: Slot, channel: Channel) -> None:
        async for message in channel.messages():
            if silent_s := slot.hear():
                self._heard_again(slot, silent_s)
            if message.word == "news":
                self._pass_on(slot, message)
            elif message.word == "counts":
                slot.count(message.content)
            elif message.word == "ready":
                self._ready(slot)

    def _pass_on(self, slot: Slot, message: Message) -> None:
        (pieces,) = message.numbers
        for other in self._others(slot):
            if other.channel is not None:
                other.channel.pass_on(message.line, pieces)

    def _ready(self, slot: Slot) -> None:
        slot.state = "up"
        process = slot.process
        record = {
            "worker_name": slot.name,
            "worker_pid": process.pid if process else None,
            "starts": slot.starts,
        }
        self._log.write("info", "worker.started", record)
        for other in self._others(slot):
            other.say("back", slot.name)
            if other.state != "up":
                slot.say("accept_for", other.name)
        if all(each.state == "up" for each in self._slots.values()):
            self._up.set()

    async def _watch(self) -> None:
        """Tell of a worker that has stopped without ending. It is left alive: its connections may yet go on."""
        while True:
            asleep_at = time.monotonic()
            await trio.sleep(WATCH_S)
            late_s = max(0.0, time.monotonic() - asleep_at - WATCH_S)
            for slot in self._slots.values():
                if slot.falls_silent(late_s) and not self._stopping.is_set():
                    self._log.write("error", "worker.silent", telling.silence(slot, SILENT_S))
                    self._lend(slot)

    def _heard_again(self, slot: Slot, silent_s: float) -> None:
        self._log.write("warning", "worker.answers", telling.silence(slot, silent_s))
        for other in self._others(slot):
            other.say("back", slot.name)

    def _lend(self, slot: Slot) -> None:
        """Have the others accept what comes to a place that is empty, or to a worker that does not run."""
        for other in self._others(slot):
            if other.state == "up":
                other.say("accept_for", slot.name)

    def _others(self, slot: Slot) -> list[Slot]:
        return [other for other in self._slots.values() if other is not slot]

    def _give_up(self, slot: Slot) -> None:
        """A worker that dies before all have been up once will not do better: end, as one process would."""
        self._start_failed = self._start_failed or f"worker {slot.name} could not start"
        self._end(AT_ONCE_S)

    def _tell_died(self, slot: Slot, code: int, wait_s: float | None) -> None:
        """The process in this place is gone, and nobody had asked it to."""
        self._forced = self._forced or self._stopping.is_set()
        named = slot.ledger.named
        lost = telling.lost(slot.ledger.live, named)
        self._lost += lost
        level = "warning" if code == 0 else "error"
        self._log.write(level, "worker.died", telling.died(slot, code, named, lost, wait_s))
        for record in telling.cut(slot.name, named):
            self._log.write("warning", "connection.lost", record)

    # -- signals ---------------------------------------------------------------------------------------

    async def _follow_signals(self, received: AsyncIterator[int]) -> None:
        async for number in received:
            if number == signal.SIGHUP:
                await self._reload()
            elif self._stopping.is_set():
                self._end(AT_ONCE_S)
            else:
                self._stop(signal.Signals(number).name)

    def _stop(self, name: str) -> None:
        drain_s = self._config.timeouts.drain
        live = sum(slot.ledger.live for slot in self._slots.values())
        record = {"signal": name, "connections_live": live, "drain_s": drain_s}
        self._log.write("info", "proxy.stopping", record)
        self._stopping.set()
        self._close_listeners()
        for slot in self._slots.values():
            slot.say("drain")
        self._nursery.start_soon(self._insist, drain_s + INSIST_S)

    def _end(self, patience_s: float) -> None:
        """Have every worker end at once, or be killed after that patience."""
        self._stopping.set()
        self._close_listeners()
        for slot in self._slots.values():
            slot.say("end")
        self._nursery.start_soon(self._insist, patience_s)

    def _close_listeners(self) -> None:
        for slot in self._slots.values():
            for sock in slot.listeners:
                sock.close()

    async def _insist(self, after_s: float) -> None:
        """Kill what has not ended by then."""
        await trio.sleep(after_s)
        for slot in self._slots.values():
            if slot.process is not None:
                slot.process.kill()

    async def _reload(self) -> None:
        """As `Service._reload`, read once for all: workers get what is in force."""
        self._log.reopen()
        for slot in self._slots.values():
            slot.say("reopen")
        try:
            after = await trio.to_thread.run_sync(self._load_again)
        except ConfigError as error:
            problems = [str(problem) for problem in error.problems]
            self._log.write("error", "proxy.reload_failed", {"problems": problems})
            return
        before, self._config = self._config, with_reloaded(self._config, after.config)
        self._log.set_level(self._config.log.level)
        text = effective_toml(Loaded(self._config, {}, None))
        for slot in self._slots.values():
            slot.say("config", text)
        self._log.write("info", "proxy.reloaded", what_changed(before, after.config))

    # -- telling ---------------------------------------------------------------------------------------

    async def look(self) -> Overview:
        """The proxy now: every worker is asked for its counts; those of one that does not answer are older."""
        with trio.move_on_after(ASK_S):
            async with trio.open_nursery() as nursery:
                for slot in self._slots.values():
                    if slot.state == "up":
                        nursery.start_soon(slot.counted.wait)
                        slot.say("count")
        return self._overview()

    def _overview(self) -> Overview:
        channels = [slot.channel for slot in self._slots.values() if slot.channel is not None]
        own = Snapshot(
            log_lines_dropped=self._log.sink.dropped_lines,
            news_dropped=sum(channel.dropped for channel in channels),
            cpu_s=time.process_time(),
        )
        return Overview(
            **self._target(),
            uptime_s=time.monotonic() - self._started_at,
            draining=self._stopping.is_set(),
            workers=tuple(slot.view() for slot in self._slots.values()),
            retired=self._retired,
            own=own,
            restarts=self._restarts,
            lost=self._lost,
        )

    def _target(self) -> dict[str, Any]:
        return target_of(self._config, self._listen)

    def _counts(self) -> dict[str, Any]:
        total = self._overview().total
        return {
            "uptime_s": round(time.monotonic() - self._started_at, 3),
            "connections_accepted": total.accepted,
            "connections_closed": total.closed,
            "connections_lost": self._lost,
            "causes": total.causes,
            "log_lines_dropped": total.log_lines_dropped,
        }

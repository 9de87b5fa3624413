"""The proxy as one process: what signals do to it, and the lines about the proxy as a whole.

SIGTERM and SIGINT drain, a second one ends at once; SIGHUP reopens the log and reads the configuration again.
With several workers `kaproxy/workers/supervisor.py` is in this place. It may not read a flag nor print.
Read next: `kaproxy/proxy.py` for what is served.
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
from kaproxy.proxy import Proxy, target_of, what_changed, why_not, with_reloaded
from kaproxy.relay.dialing import ResolveError
from kaproxy.settings.kinds import Address
from kaproxy.settings.sources import ConfigError, Loaded
from kaproxy.telemetry.log import Log
from kaproxy.telemetry.overview import Overview, WorkerView


class Service:
    """One proxy process, from the bound socket to its last line."""

    def __init__(self, loaded: Loaded, log: Log, load_again: Callable[[], Loaded]) -> None:
        self._path = loaded.path
        self._log = log
        self._load_again = load_again
        self._proxy = Proxy(loaded.config, log)
        self._listen = ""
        self._started_at = time.monotonic()
        self._stopping = False

    async def run(self) -> None:
        """Serve until a signal has drained it. Raises StartError."""
        failure: OSError | ResolveError | StartError | None = None
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
            async with trio.open_nursery() as nursery:
                try:
                    admin = await self._start_admin(nursery)
                    bound = await nursery.start(self._relay_until_drained, nursery.cancel_scope)
                except (OSError, ResolveError, StartError) as error:
                    failure = error
                    nursery.cancel_scope.cancel()
                else:
                    self._started(bound, admin)
                    nursery.start_soon(self._follow_signals, received, nursery.cancel_scope)
        if failure is not None:
            raise why_not(self._proxy.config.listen, failure) from failure
        self._log.write("info", "proxy.stopped", self._target() | self._counts())

    async def look(self) -> Overview:
        """The proxy at this moment."""
        return self._overview()

    async def _start_admin(self, nursery: trio.Nursery) -> str | None:
        """Serve the admin side where one is wanted; where it is bound to. Raises StartError."""
        if self._proxy.config.admin is None:
            return None
        from kaproxy.admin.server import Admin

        admin = await Admin.open(self._proxy.config.admin, self.look)
        nursery.start_soon(admin.serve)
        return str(admin.bound)

    async def _relay_until_drained(
        self,
        scope: trio.CancelScope,
        task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        await self._proxy.run(task_status)
        scope.cancel()

    def _started(self, bound: tuple[str, int], admin: str | None) -> None:
        self._listen = str(Address(*bound))
        self._started_at = time.monotonic()
        process: dict[str, Any] = {"config_file": self._path, "pid": os.getpid(), "build": build()}
        if admin is not None:
            process["admin"] = admin
        self._log.write("info", "proxy.started", self._target() | process)

    async def _follow_signals(self, received: AsyncIterator[int], scope: trio.CancelScope) -> None:
        async for number in received:
            if number == signal.SIGHUP:
                await self._reload()
            elif self._stopping:
                scope.cancel()
            else:
                self._stop(signal.Signals(number).name)

    def _stop(self, name: str) -> None:
        self._stopping = True
        record = {
            "signal": name,
            "connections_live": self._proxy.relay.live,
            "drain_s": self._proxy.config.timeouts.drain,
        }
        self._log.write("info", "proxy.stopping", record)
        self._proxy.relay.drain()

    async def _reload(self) -> None:
        """Reopen the log; take over what can be changed, say what cannot; errors leave all as it was."""
        self._log.reopen()
        try:
            after = await trio.to_thread.run_sync(self._load_again)
        except ConfigError as error:
            problems = [str(problem) for problem in error.problems]
            self._log.write("error", "proxy.reload_failed", {"problems": problems})
            return
        before = self._proxy.config
        self._proxy.take_over(with_reloaded(before, after.config))
        self._log.write("info", "proxy.reloaded", what_changed(before, after.config))

    def _target(self) -> dict[str, Any]:
        return target_of(self._proxy.config, self._listen)

    def _counts(self) -> dict[str, Any]:
        counted = self._proxy.snapshot()
        return {
            "uptime_s": round(time.monotonic() - self._started_at, 3),
            "connections_accepted": counted.accepted,
            "connections_closed": counted.closed,
            "causes": counted.causes,
            "log_lines_dropped": counted.log_lines_dropped,
        }

    def _overview(self) -> Overview:
        uptime_s = time.monotonic() - self._started_at
        name, up = self._proxy.config.worker, "up" if self._listen else "starting"
        return Overview(
            **self._target(),
            uptime_s=uptime_s,
            draining=self._stopping,
            workers=(WorkerView(name, os.getpid(), up, 1, uptime_s, self._proxy.snapshot(), 0.0),),
        )

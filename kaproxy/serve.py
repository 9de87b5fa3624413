"""The running proxy: relay, trackers, recorder and log wired together, and what signals do to them.

SIGTERM and SIGINT drain, a second one ends at once; SIGHUP reopens the log and reads the configuration again.
It may not read a flag nor print; it knows every layer and decides nothing about a connection.
Read next: `kaproxy/relay/server.py` for the life of the relay, `telemetry/recorder.py` for the lines.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import trio

from kaproxy import __version__
from kaproxy.config import Config
from kaproxy.connection.directory import Directory
from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Origin
from kaproxy.connection.policy import Policy
from kaproxy.connection.tracker import ConnectionTracker
from kaproxy.diagnosis.learning import Learner
from kaproxy.diagnosis.profiles import BROKER_PROFILES, UNKNOWN_BROKER
from kaproxy.diagnosis.verdict import Verdict
from kaproxy.relay.dialing import ResolveError
from kaproxy.relay.server import Relay, RelayConfig
from kaproxy.settings.kinds import Address
from kaproxy.settings.sample import changed_keys
from kaproxy.settings.sources import ConfigError, Loaded
from kaproxy.telemetry.log import Log
from kaproxy.telemetry.recorder import Recorder

#: What SIGHUP can change. The policy's keys hold for connections accepted from then on.
RELOADABLE = frozenset(
    {
        "log.level",
        "log.frames",
        "broker_profile",
        "warnings.keep_alive_late",
        "warnings.ping_unanswered",
        "warnings.ping_slow",
        "warnings.not_reading",
        "warnings.path_idle_limit",
        "warnings.interval",
    }
)


def with_reloaded(before: Config, after: Config) -> Config:
    """The configuration in force after a reload: `before` but for what SIGHUP can change."""
    log = before.log.model_copy(update={"level": after.log.level, "frames": after.log.frames})
    warnings = after.warnings.model_copy(update={"lagging": before.warnings.lagging})
    update = {"broker_profile": after.broker_profile, "warnings": warnings, "log": log}
    return before.model_copy(update=update)


class StartError(Exception):
    """The proxy could not start; the message is one line for the person at the terminal."""


def policy_of(config: Config) -> Policy:
    """The numbers connections are measured against."""
    return Policy(
        window=BROKER_PROFILES[config.broker_profile].window,
        profile=config.broker_profile,
        frames=config.log.frames,
        late_factor=config.warnings.keep_alive_late,
        ping_unanswered_s=config.warnings.ping_unanswered,
        ping_slow_s=config.warnings.ping_slow,
        not_reading_s=config.warnings.not_reading,
        path_idle_limit_s=config.warnings.path_idle_limit or None,
        keep_alive_max=BROKER_PROFILES[config.broker_profile].keep_alive_max,
        warning_interval_s=config.warnings.interval,
    )


def relay_config_of(config: Config) -> RelayConfig:
    """The relay's share of the configuration."""
    return RelayConfig(
        listener=config.listener,
        listen=config.listen,
        upstream=config.upstream,
        backlog=config.limits.backlog,
        max_connections=config.limits.max_connections,
        dial_timeout_s=config.timeouts.dial,
        linger_s=config.timeouts.linger,
        post_mortem_s=config.timeouts.post_mortem,
        drain_s=config.timeouts.drain,
        resolve_interval_s=config.timeouts.resolve,
        lagging_s=config.warnings.lagging,
        lagging_interval_s=config.warnings.interval,
    )


def open_log(config: Config) -> Log:
    """The log as configured. Raises OSError where the file cannot be opened."""
    return Log(
        path=config.log.file,
        form=config.log.format,
        level=config.log.level,
        buffer=config.log.buffer,
        worker=config.worker,
    )


class Service:
    """One proxy process, from the bound socket to its last line."""

    def __init__(self, loaded: Loaded, log: Log, load_again: Callable[[], Loaded]) -> None:
        self._path = loaded.path
        self._config = loaded.config  # what is in force
        self._log = log
        self._load_again = load_again
        self._policy = policy_of(loaded.config)
        self._directory = Directory()
        self._learner = Learner()
        self._recorder = Recorder(log, self._learn)
        self._relay = Relay(relay_config_of(loaded.config), self._make_tracker, self._recorder.record)
        self._listen = ""
        self._started_at = time.monotonic()

    async def run(self) -> None:
        """Serve until a signal has drained it. Raises StartError."""
        failure: OSError | ResolveError | None = None
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
            async with trio.open_nursery() as nursery:
                try:
                    bound = await nursery.start(self._relay_until_drained, nursery.cancel_scope)
                except (OSError, ResolveError) as error:
                    failure = error
                else:
                    self._started(bound)
                    nursery.start_soon(self._follow_signals, received, nursery.cancel_scope)
        if failure is not None:
            raise StartError(self._what_failed(failure)) from failure
        self._log.write("info", "proxy.stopped", self._target() | self._counts())

    def _make_tracker(self, origin: Origin, now: float) -> ConnectionTracker:
        return ConnectionTracker(origin, self._policy, self._directory, now)

    def _learn(self, evidence: Evidence, verdict: Verdict) -> None:
        """An unknown broker's own expiries narrow down what it is; later connections are judged by that."""
        if self._learner.learn(evidence, verdict) and self._config.broker_profile == UNKNOWN_BROKER.name:
            name = self._learner.name or UNKNOWN_BROKER.name
            self._policy = replace(self._policy, profile=name)
            self._log.write("info", "broker_profile.learned", {"broker_profile": name})

    async def _relay_until_drained(
        self,
        scope: trio.CancelScope,
        task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        await self._relay.run(task_status)
        scope.cancel()

    def _started(self, bound: tuple[str, int]) -> None:
        self._listen = str(Address(*bound))
        self._started_at = time.monotonic()
        process: dict[str, Any] = {"config_file": self._path, "pid": os.getpid()}
        self._log.write("info", "proxy.started", self._target() | process)

    def _what_failed(self, error: OSError | ResolveError) -> str:
        """One line for the person at the terminal."""
        if isinstance(error, ResolveError):
            return str(error)
        number = error.errno or 0  # below 0 where a name does not resolve
        why = os.strerror(number) if number > 0 else error.strerror
        return f"cannot listen on {self._config.listen}: {why}"

    async def _follow_signals(self, received: AsyncIterator[int], scope: trio.CancelScope) -> None:
        stopping = False
        async for number in received:
            if number == signal.SIGHUP:
                await self._reload()
            elif stopping:
                scope.cancel()
            else:
                stopping = True
                self._stop(signal.Signals(number).name)

    def _stop(self, name: str) -> None:
        record = {
            "signal": name,
            "connections_live": self._relay.live,
            "drain_s": self._config.timeouts.drain,
        }
        self._log.write("info", "proxy.stopping", record)
        self._relay.drain()

    async def _reload(self) -> None:
        """Reopen the log; take over what can be changed, say what cannot; errors leave all as it was."""
        self._log.reopen()
        try:
            after = await trio.to_thread.run_sync(self._load_again)
        except ConfigError as error:
            problems = [str(problem) for problem in error.problems]
            self._log.write("error", "proxy.reload_failed", {"problems": problems})
            return
        changed = changed_keys(self._config, after.config)
        self._config = with_reloaded(self._config, after.config)
        self._log.set_level(self._config.log.level)
        self._policy = policy_of(self._config)
        if self._learner.name and self._config.broker_profile == UNKNOWN_BROKER.name:
            self._policy = replace(self._policy, profile=self._learner.name)
        record = {
            "changed": [key for key in changed if key in RELOADABLE],
            "needs_restart": [key for key in changed if key not in RELOADABLE],
        }
        self._log.write("info", "proxy.reloaded", record)

    def _target(self) -> dict[str, Any]:
        config = self._config
        return {
            "version": __version__,
            "listen": self._listen,
            "upstream": str(config.upstream),
            "broker_profile": config.broker_profile,
        }

    def _counts(self) -> dict[str, Any]:
        recorder = self._recorder
        return {
            "uptime_s": round(time.monotonic() - self._started_at, 3),
            "connections_accepted": recorder.accepted,
            "connections_closed": recorder.causes.total(),
            "causes": dict(recorder.causes.most_common()),
            "log_lines_dropped": self._log.sink.dropped_lines,
        }

"""What one process relays, watches and tells: relay, trackers, recorder and log wired together.

A process that serves alone (`serve.py`) and one of several workers (`workers/child.py`) both are one of these;
who tells it to drain or to take over a new configuration is theirs. It decides nothing about a connection.
Read next: `kaproxy/relay/server.py` for the life of the relay, `telemetry/recorder.py` for the lines.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
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
from kaproxy.errors import StartError
from kaproxy.relay.dialing import ResolveError
from kaproxy.relay.server import Relay, RelayConfig
from kaproxy.settings.sample import changed_keys
from kaproxy.telemetry.log import Log
from kaproxy.telemetry.recorder import Recorder
from kaproxy.telemetry.tally import Histogram, Snapshot

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
#: How far back (s) the lateness told in the metrics reaches.
LAG_WITHIN_S = 60.0


def why_not(listen: object, error: OSError | ResolveError | StartError) -> StartError:
    """Why it could not start, in one line for the person at the terminal."""
    if isinstance(error, StartError):
        return error
    if isinstance(error, ResolveError):
        return StartError(str(error))
    number = error.errno or 0  # below 0 where a name does not resolve
    why = os.strerror(number) if number > 0 else error.strerror
    return StartError(f"cannot listen on {listen}: {why}")


def with_reloaded(before: Config, after: Config) -> Config:
    """The configuration in force after a reload: `before` but for what SIGHUP can change."""
    log = before.log.model_copy(update={"level": after.log.level, "frames": after.log.frames})
    warnings = after.warnings.model_copy(update={"lagging": before.warnings.lagging})
    update = {"broker_profile": after.broker_profile, "warnings": warnings, "log": log}
    return before.model_copy(update=update)


def what_changed(before: Config, after: Config) -> dict[str, Any]:
    """The keys that differ, those SIGHUP can change and the others, as `proxy.reloaded` tells them."""
    changed = changed_keys(before, after)
    return {
        "changed": [key for key in changed if key in RELOADABLE],
        "needs_restart": [key for key in changed if key not in RELOADABLE],
    }


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
        workers=config.workers,
    )


def target_of(config: Config, listen: str) -> dict[str, Any]:
    """What this proxy is and whom it serves, as its own lines and pages tell it; `listen`: where it is bound."""
    return {
        "version": __version__,
        "listen": listen,
        "upstream": str(config.upstream),
        "broker_profile": config.broker_profile,
    }


def open_log(config: Config, worker: str | None = None, lock: int | None = None) -> Log:
    """The log as configured, in the name of `worker`. Raises OSError where the file cannot be opened."""
    return Log(
        path=config.log.file,
        form=config.log.format,
        level=config.log.level,
        buffer=config.log.buffer,
        worker=worker or config.worker,
        lock=lock,
    )


class Proxy:
    """The connections of one process, from the listening socket to their lines."""

    def __init__(self, config: Config, log: Log, listeners: Sequence[socket.socket] = ()) -> None:
        self.config = config  # what is in force
        self.log = log
        self.directory = Directory()
        self._policy = policy_of(config)
        self._learner = Learner()
        self._recorder = Recorder(log, self._learn)
        self.record = (
            self._recorder.record
        )  # as it is: one more way to it is a hundredth of a short connection's Python
        self.relay = Relay(relay_config_of(config), self._make_tracker, self.record, listeners)

    async def run(self, task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED) -> None:
        """Relay until drained or cancelled. Raises ResolveError or OSError where it cannot begin."""
        await self.relay.run(task_status)

    def take_over(self, config: Config) -> None:
        """Have a configuration in force; of what cannot be changed while running it has the old values."""
        self.config = config
        self.log.set_level(config.log.level)
        self._policy = policy_of(config)
        if self._learner.name and config.broker_profile == UNKNOWN_BROKER.name:
            self._policy = replace(self._policy, profile=self._learner.name)

    def snapshot(self) -> Snapshot:
        """What has been counted until now."""
        recorder = self._recorder
        up, down = recorder.traffic.both_ways()
        return Snapshot(
            live=self.relay.live,
            accepted=recorder.accepted,
            verdicts=dict(recorder.verdicts),
            warnings=dict(recorder.warnings),
            bytes_from_client=up[0],
            packets_from_client=up[1],
            bytes_from_broker=down[0],
            packets_from_broker=down[1],
            ping_rtts=Histogram.of(self.directory.ping_rtts),
            pauses=Histogram.of(self.directory.pauses),
            log_lines_dropped=self.log.sink.dropped_lines,
            loop_lag_s=self.relay.lag_since(time.monotonic() - LAG_WITHIN_S),
            cpu_s=time.process_time(),
        )

    def _make_tracker(self, origin: Origin, now: float) -> ConnectionTracker:
        tracker = ConnectionTracker(origin, self._policy, self.directory, now)
        self._recorder.traffic.opened(origin.conn_id, tracker)
        return tracker

    def _learn(self, evidence: Evidence, verdict: Verdict) -> None:
        """An unknown broker's own expiries narrow down what it is; later connections are judged by that."""
        if self._learner.learn(evidence, verdict) and self.config.broker_profile == UNKNOWN_BROKER.name:
            name = self._learner.name or UNKNOWN_BROKER.name
            self._policy = replace(self._policy, profile=name)
            self.log.write("info", "broker_profile.learned", {"broker_profile": name})

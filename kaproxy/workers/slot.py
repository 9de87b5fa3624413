"""One worker's place: its listening sockets, the process in it at present, and what that has told of itself.

The supervisor keeps the place when the process dies. It may not decide when one is started again.
Read next: `supervisor.py`, which does; `child.py` for what is started.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trio

from kaproxy.telemetry.overview import WorkerView
from kaproxy.telemetry.tally import Snapshot
from kaproxy.workers.channel import Channel
from kaproxy.workers.child import Handover
from kaproxy.workers.ledger import Ledger

#: Waits (s) before a process is started again: the first at once, the later ones longer, up to the last.
BACK_OFF_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
#: A process that has lived this long (s) had no trouble starting: the next one is started at once.
SETTLED_S = 60.0
#: A worker says its counts every `child.UNASKED_S`; one that has said nothing for so long (s) does not run.
SILENT_S = 8.0


class Slot:
    """The place of one worker."""

    def __init__(self, name: str, listeners: list[socket.socket]) -> None:
        self.name = name
        self.listeners = listeners
        self.process: trio.Process | None = None
        self.channel: Channel | None = None
        self.state = "down"
        self.starts = 0
        self.ledger = Ledger()
        self.snapshot = Snapshot()
        self.counted_at = self.started_at = self.heard_at = time.monotonic()
        self.counted = trio.Event()
        self._quick_deaths = 0

    async def start(self, config: str, slots: Mapping[str, Slot], lock: int) -> Channel:
        """Start a process in this place and hand it what it needs. Raises OSError where that fails."""
        ours, theirs = socket.socketpair()
        with theirs:
            listeners = {name: [sock.fileno() for sock in slot.listeners] for name, slot in slots.items()}
            slates = {name: slot.ledger.descriptor for name, slot in slots.items()}
            handed = [
                theirs.fileno(),
                lock,
                *slates.values(),
                *(fd for fds in listeners.values() for fd in fds),
            ]
            try:
                Handover(self.name, config, listeners, slates, lock).send(ours)
                self.process = await trio.lowlevel.open_process(
                    command(self.name, theirs.fileno()), stdin=subprocess.DEVNULL, pass_fds=handed
                )
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        self.channel = Channel(ours)
        self.state = "starting"
        self.starts += 1
        self.started_at = time.monotonic()
        return self.channel

    def say(self, word: str, content: object = None) -> None:
        """An order, where there is somebody to follow it."""
        if self.channel is not None:
            self.channel.say(word, content)

    def hear(self) -> float:
        """The process has said something; returns how long (s) it had not, where that was told, else 0.0."""
        before, self.heard_at = self.heard_at, time.monotonic()
        if self.state != "silent":
            return 0.0
        self.state = "up"
        return self.heard_at - before

    def falls_silent(self, late_s: float) -> bool:
        """Whether it is only now that the process has said nothing for too long; `late_s`: who asks did not run."""
        self.heard_at += late_s
        if self.state != "up" or time.monotonic() - self.heard_at < SILENT_S:
            return False
        self.state = "silent"
        return True

    def count(self, data: Mapping[str, Any]) -> None:
        """The process has told its counts."""
        self.snapshot = Snapshot.from_data(data)
        self.counted_at = time.monotonic()
        self.counted.set()
        self.counted = trio.Event()

    def leave(self) -> Snapshot:
        """The process is gone; returns what stays of its counts."""
        self.ledger.wipe()
        retired, self.snapshot = self.snapshot.retired(), Snapshot()
        self.process = self.channel = None
        self.state = "down"
        self.counted.set()
        self.counted = trio.Event()
        return retired

    def back_off_s(self) -> float:
        """How long to wait before the next start, now that a process has died."""
        if time.monotonic() - self.started_at >= SETTLED_S:
            self._quick_deaths = 0
        wait_s = BACK_OFF_S[min(self._quick_deaths, len(BACK_OFF_S) - 1)]
        self._quick_deaths += 1
        return wait_s

    def view(self) -> WorkerView:
        """What is shown of it."""
        now = time.monotonic()
        return WorkerView(
            name=self.name,
            pid=None if self.process is None else self.process.pid,
            state=self.state,
            starts=self.starts,
            uptime_s=None if self.process is None else now - self.started_at,
            snapshot=self.snapshot,
            age_s=now - self.counted_at,
        )


def command(name: str, channel: int) -> list[str]:
    """How a worker is started: this program again, found where this one was found."""
    here = sys.path[0] in ("", str(Path.cwd()))
    return [
        sys.executable,
        *([] if here else ["-P"]),
        "-m",
        "kaproxy",
        "worker",
        name,
        "--channel",
        str(channel),
    ]

"""A child process as a test part: its output in a file, signals by its own id, always gone at the end.

Commands may run inside a network namespace; `ip netns exec` becomes the command, so the process id is the
command's own and SIGSTOP stops exactly that.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import trio

from tests.peers import places

POLL_S = 0.02


class TookTooLongError(AssertionError):
    """What was waited for did not happen in time; the text tells what was seen instead."""


async def until(what: str, happened: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """Wait until `happened()` is true and return its value; looks every few hundredths of a second."""
    deadline = trio.current_time() + timeout_s
    while not (value := happened()):
        if trio.current_time() > deadline:
            raise TookTooLongError(f"{what}: not within {timeout_s} s")
        await trio.sleep(POLL_S)
    return value


class Child:
    """A running child process with its output in a file."""

    def __init__(self, command: Sequence[str], log: Path, namespace: str | None, env: dict[str, str]) -> None:
        """Start `command`, inside `namespace` where one is named."""
        prefix = [str(places.program("ip")), "netns", "exec", namespace] if namespace else []
        self.log = log
        self.errors = log.with_suffix(".err")
        self.started_at = time.time()
        self.told_to_end = False
        self._parsed: tuple[int, list[dict[str, Any]]] = (-1, [])  # lines of so many bytes of the log
        with log.open("wb") as out, self.errors.open("wb") as err:
            self._process = subprocess.Popen(
                [*prefix, *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=places.ROOT,
                env={**os.environ, "PEERS_NODE": str(places.NODE_PACKAGES), **env},
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code, None while it runs; negative for the signal that ended it."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended already."""
        if self.exit_code is None:
            self._process.send_signal(number)

    def stop(self) -> None:
        """SIGSTOP: the process hangs, its kernel does not."""
        self.send(signal.SIGSTOP)

    def cont(self) -> None:
        """SIGCONT after `stop`."""
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL: its kernel closes every socket for it."""
        self.send(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self.told_to_end = True
        self.send(signal.SIGTERM)

    async def ended(self, timeout_s: float = 15.0) -> int:
        """Wait for it to end by itself; its exit code."""
        await until(f"end of {self.log.stem}", lambda: self.exit_code is not None, timeout_s)
        assert self.exit_code is not None
        return self.exit_code

    def text(self) -> str:
        """All it has written to standard output so far."""
        return self.log.read_text(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        """Its complete lines so far that are JSON objects; read again only when there is more."""
        if self.log.stat().st_size != self._parsed[0]:
            data = self.log.read_bytes()
            self._parsed = len(data), list(_objects(data))
        return list(self._parsed[1])

    async def said(self, event: str, timeout_s: float = 10.0, **fields: object) -> dict[str, Any]:
        """Wait for a line with this event (and these fields), and return it."""
        try:
            found: dict[str, Any] = await until(event, lambda: self.find(event, **fields), timeout_s)
        except TookTooLongError as failure:
            raise TookTooLongError(f"{failure}; {self.log.stem} said {self.text()[-1500:]!r}") from None
        return found

    def find(self, event: str, **fields: object) -> dict[str, Any] | None:
        """The first line with this event and these fields."""
        return next(iter(self.all(event, **fields)), None)

    def all(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Every line with this event and these fields."""
        wanted = {"event": event, **fields}
        return [line for line in self.lines() if wanted.items() <= line.items()]

    def end(self) -> None:
        """End it whatever state it is in."""
        if self.exit_code is None:
            self._process.kill()
        self._process.wait(timeout=10)

    def __enter__(self) -> Self:
        """The child itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.end()


def _objects(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.split(b"\n")[:-1]:
        if line.startswith(b"{"):
            yield json.loads(line)


@contextmanager
def child(
    command: Sequence[str], log: Path, *, namespace: str | None = None, env: dict[str, str] | None = None
) -> Iterator[Child]:
    """Run a command for as long as the block lasts."""
    with Child(command, log, namespace, env or {}) as running:
        yield running

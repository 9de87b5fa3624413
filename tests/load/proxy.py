"""The real proxy in a process of its own, and what can be seen of it from outside.

Its log, its descriptors, its memory, its exit code; nothing of its inside. `start` yields it listening.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import trio

from benchmarks.relays import free_port, is_listening

START_LIMIT_S = 20.0
CONFIG = """
listen = "127.0.0.1:{port}"
upstream = "127.0.0.1:{broker_port}"
[limits]
backlog = 4096
[timeouts]
{timeouts}
[log]
{log}
"""


@dataclass
class Proxy:
    """A running proxy."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    errors: Path

    @property
    def descriptors(self) -> int:
        """How many files and sockets it holds open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    @property
    def peak_mb(self) -> float:
        """The most memory it ever had resident, megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024

    @property
    def stderr(self) -> str:
        """What it wrote to standard error."""
        return self.errors.read_text()

    @property
    def stdout(self) -> IO[bytes]:
        """Its standard output, where it was started with a pipe there."""
        assert self.process.stdout is not None
        return self.process.stdout

    def lines(self, event: str = "connection.closed") -> list[dict[str, Any]]:
        """The complete log lines of one event so far."""
        return lines_of(self.log.read_bytes(), event)

    async def closed(self, count: int, limit_s: float = 30.0) -> list[dict[str, Any]]:
        """The closing lines once there are `count` of them, or as many as came within the limit."""
        await until(lambda: self.log.read_bytes().count(b'"connection.closed"') >= count, limit_s)
        return self.lines()

    async def stopped(self, limit_s: float = 20.0) -> int:
        """Asks it to stop and returns its exit code; fails where it does not stop in time."""
        self.process.send_signal(signal.SIGTERM)
        assert await until(lambda: self.process.poll() is not None, limit_s), "it does not stop"
        return self.process.returncode

    async def back_to(self, descriptors: int, limit_s: float = 20.0) -> int:
        """How many descriptors it holds once they are down to that many, or at the limit."""
        await until(lambda: self.descriptors <= descriptors, limit_s)
        return self.descriptors


async def until(condition: Callable[[], bool], limit_s: float) -> bool:
    """Looks ten times a second; whether the condition came true within the limit."""
    with trio.move_on_after(limit_s):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await trio.sleep(0.1)
    return condition()


def lines_of(log: bytes, event: str) -> list[dict[str, Any]]:
    """The complete JSON lines of one event."""
    complete = log[: log.rfind(b"\n") + 1]
    return [line for line in map(json.loads, complete.splitlines()) if line["event"] == event]


@contextmanager
def start(
    folder: Path, broker_port: int, pipe: bool = False, buffer: str = "64MiB", **timeouts: str
) -> Iterator[Proxy]:
    """Starts it in front of `broker_port`; its log goes to a file, or with `pipe` to its standard output."""
    port = free_port()
    log, errors, config = folder / "proxy.log", folder / "proxy.err", folder / "proxy.toml"
    config.write_text(
        CONFIG.format(
            port=port,
            broker_port=broker_port,
            timeouts="\n".join(f'{name} = "{value}"' for name, value in timeouts.items()),
            log=f'file = "{"-" if pipe else log}"\nbuffer = "{buffer}"',
        )
    )
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "kaproxy", "run", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipe else subprocess.DEVNULL,
            stderr=stderr,
        )
    proxy = Proxy(process, port, log, errors)
    try:
        wait_until_listening(proxy)
        yield proxy
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def wait_until_listening(proxy: Proxy) -> None:
    """Waits for its port without connecting, for that would be a connection of its own."""
    deadline = time.monotonic() + START_LIMIT_S
    while not is_listening(proxy.port):
        if proxy.process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"the proxy does not listen: {proxy.stderr}")
        time.sleep(0.02)

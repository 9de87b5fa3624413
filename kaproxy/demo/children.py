"""Child processes of the demonstration: the broker, the proxy, and clients; each ends with its `async with`.

A child can be stopped, continued and killed; what it prints is kept as lines that can be waited for.
Read next: `scenarios.py`, which plays with them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import IO, Any, TypeAlias

import trio

Address: TypeAlias = tuple[str, int]
Line: TypeAlias = dict[str, Any]  # a log line of kaproxy
HOST = "127.0.0.1"
PROFILES = {"rumqttd": "rumqttd", "mosquitto": "mosquitto_2.0"}  # whose patience connections are judged by
STARTING_S = 20.0  # the most any child may take until it is ready; a fuse, not a wait
ENDING_S = 5.0


class Child:
    """A running process, its standard output as lines."""

    def __init__(self, name: str, process: trio.Process, errors: IO[bytes]) -> None:
        """Takes over a process started with pipes for standard input and output, and a file for its errors."""
        self.name = name
        self.process = process
        self.errors = errors
        self.lines: list[str] = []
        self._news = trio.Condition()
        self._over = False

    async def read(self) -> None:
        """Keep what it prints, until it ends."""
        assert self.process.stdout is not None
        held = b""
        async for chunk in self.process.stdout:
            *whole, held = (held + chunk).split(b"\n")
            async with self._news:
                self.lines += [line.decode(errors="replace") for line in whole]
                self._news.notify_all()
        await self.process.wait()
        async with self._news:
            self._over = True
            self._news.notify_all()

    async def line(self, wanted: Callable[[str], bool]) -> str:
        """The first line that is wanted, as soon as it is there."""
        seen = 0
        async with self._news:
            while True:
                for text in self.lines[seen:]:
                    if wanted(text):
                        return text
                seen = len(self.lines)
                if self._over:
                    raise RuntimeError(f"{self.name} ended too early: {self.last_words()}")
                await self._news.wait()

    def last_words(self) -> str:
        """Its exit code and the last line it wrote to standard error."""
        self.errors.seek(0)
        words = self.errors.read().decode(errors="replace").strip().splitlines()
        return f"exit code {self.process.returncode}, {words[-1] if words else 'without a word'}"

    async def say(self, text: str) -> None:
        """A line for its standard input."""
        assert self.process.stdin is not None
        await self.process.stdin.send_all(text.encode() + b"\n")

    def stop(self) -> None:
        """Freeze it: its kernel goes on answering, it does not (SIGSTOP)."""
        self.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End it without a chance to say good-bye (SIGKILL)."""
        self.process.kill()

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        self.process.terminate()

    async def gone(self) -> None:
        """Stopped or not, it ends: politely, then not."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            with trio.move_on_after(ENDING_S):
                await self.process.wait()
        if self.process.poll() is None:
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def child(nursery: trio.Nursery, *command: str, **environment: str) -> AsyncIterator[Child]:
    """A process in a group of its own, so that Ctrl-C reaches only the demonstration; `nursery` reads its output."""
    with tempfile.TemporaryFile() as errors:
        process = await trio.lowlevel.open_process(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            env=clean_environment() | environment,
        )
        started = Child(" ".join(command[1:4]), process, errors)
        nursery.start_soon(started.read)
        try:
            yield started
        finally:
            with trio.CancelScope(shield=True):
                await started.gone()


def clean_environment() -> dict[str, str]:
    """This process's environment without a configuration of kaproxy in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KAPROXY_")}


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def mosquitto() -> str | None:
    """Where mosquitto is, also where only root's path has it."""
    return shutil.which(
        "mosquitto", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    )


class Broker:
    """A broker that listens, and the process it is."""

    def __init__(self, running: Child, address: Address) -> None:
        """`address` is where it listens."""
        self.child = running
        self.address = address


@asynccontextmanager
async def broker(nursery: trio.Nursery, kind: str) -> AsyncIterator[Broker]:
    """A broker of its own on a free port; `kind` is "rumqttd" or "mosquitto"."""
    port = free_port()
    command = [sys.executable, "-m", "kaproxy.demo.rumqttd", str(port)]
    if kind == "mosquitto":
        command = [mosquitto() or "mosquitto", "-p", str(port)]  # without a file it listens on loopback only
    async with child(nursery, *command) as running:
        with trio.fail_after(STARTING_S):
            await _until_it_listens(port)
        yield Broker(running, (HOST, port))


async def _until_it_listens(port: int) -> None:
    while True:
        try:
            stream = await trio.open_tcp_stream(HOST, port)
        except OSError:
            await trio.sleep(0.05)
        else:
            await stream.aclose()
            return


class Proxy:
    """A running `kaproxy run`, and what it logs."""

    def __init__(self, running: Child, address: Address) -> None:
        """`address` is where clients connect."""
        self.child = running
        self.address = address

    async def closing_line(self, **wanted: object) -> Line:
        """The first `connection.closed` line whose fields are as wanted."""

        def matches(text: str) -> bool:
            line: Line = json.loads(text)
            return bool(line["event"] == "connection.closed" and wanted.items() <= line.items())

        found: Line = json.loads(await self.child.line(matches))
        return found

    def warnings(self, conn_id: str) -> list[Line]:
        """The warnings of a connection before it ended."""
        lines = [json.loads(text) for text in self.child.lines]
        mine = [
            line for line in lines if line.get("conn_id") == conn_id and line["event"] != "connection.closed"
        ]
        return [line for line in mine if line["level"] == "warning"]


@asynccontextmanager
async def proxy(nursery: trio.Nursery, upstream: Address, kind: str) -> AsyncIterator[Proxy]:
    """kaproxy as anybody would start it, in front of `upstream`, a broker of this kind."""
    settings = {"KAPROXY_TIMEOUTS_DRAIN": "1s", "KAPROXY_WARNINGS_PING_UNANSWERED": "1s"}
    command = [
        sys.executable,
        "-m",
        "kaproxy",
        "run",
        "--listen",
        f"{HOST}:0",
        "--upstream",
        f"{HOST}:{upstream[1]}",
    ]
    async with child(
        nursery, *command, "--broker-profile", PROFILES[kind], "--log-format", "json", **settings
    ) as running:
        with trio.fail_after(STARTING_S):
            started = json.loads(
                await running.line(lambda text: json.loads(text)["event"] == "proxy.started")
            )
        host, _, port = started["listen"].rpartition(":")
        yield Proxy(running, (host, int(port)))


@asynccontextmanager
async def paho(nursery: trio.Nursery, target: Proxy, client_id: str, keep_alive: int) -> AsyncIterator[Child]:
    """A paho-python client in its own process, connected."""
    host, port = target.address
    async with child(
        nursery, sys.executable, "-m", "kaproxy.demo.paho_client", host, str(port), client_id, str(keep_alive)
    ) as running:
        with trio.fail_after(STARTING_S):
            await running.line(lambda text: text == "connected")
        yield running

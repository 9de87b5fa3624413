"""`kaproxy run --workers 2` as real processes, a broker that answers and takes over, and clients by worker.

The broker is a thread of the test's own process: CONNECT is answered, PINGREQ is answered, and a second CONNECT with
a client identifier ends the first connection, as the standard wants (3.1.4-3). Nothing of kaproxy's inside is seen.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.builders import connack, connect, disconnect, pingreq, pingresp

COMMAND = [sys.executable, "-m", "kaproxy", "run"]
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("KAPROXY_")}
LIMIT_S = 90.0  # for what happens at once on a machine with time to spare
Line = dict[str, Any]


def until(fact: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    """Wait for something another process does."""
    deadline = time.monotonic() + limit_s
    while not fact():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


class Broker:
    """Answers on a loopback port until closed. `stated`: a takeover is told with DISCONNECT 0x8E (5.0)."""

    def __init__(self, stated: bool = False) -> None:
        self._stated = stated
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._holders: dict[bytes, socket.socket] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and close everything."""
        self._closing = True
        self._thread.join(10)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _serve(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(0.05):
                if key.fileobj is self._listener:
                    self._selector.register(self._listener.accept()[0], selectors.EVENT_READ)
                else:
                    with suppress(OSError):
                        self._answer(key.fileobj)  # type: ignore[arg-type]

    def _answer(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._end(sock)
        elif data[0] == 0x10:
            version = data[data.index(b"MQTT") + 4]
            self._take_over(data, sock)
            sock.sendall(connack(version=version))
        elif data == pingreq():
            sock.sendall(pingresp())

    def _take_over(self, packet: bytes, sock: socket.socket) -> None:
        client_id = packet[packet.index(b"MQTT") + 8 :]
        older, self._holders[client_id] = self._holders.get(client_id), sock
        if older is not None and older.fileno() >= 0:
            if self._stated:
                older.sendall(disconnect(0x8E))
            self._end(older)

    def _end(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        sock.close()


@dataclass
class Client:
    """An established connection."""

    sock: socket.socket
    client_id: str

    def ping(self) -> bool:
        """Whether PINGREQ is answered."""
        try:
            self.sock.sendall(pingreq())
            return self.sock.recv(16) == pingresp()
        except OSError:
            return False

    def leave(self) -> None:
        """DISCONNECT and close."""
        with suppress(OSError):
            self.sock.sendall(b"\xe0\x00")
        self.sock.close()


@dataclass
class Fleet:
    """The proxy with its workers."""

    process: subprocess.Popen[bytes]
    log: Path
    clients: list[Client] = field(default_factory=list)

    def lines(self, event: str = "") -> list[Line]:
        """The complete lines so far, of one event."""
        text = self.log.read_bytes() if self.log.exists() else b""
        complete = text[: text.rfind(b"\n") + 1].splitlines()
        return [line for line in map(json.loads, complete) if event in ("", line["event"])]

    def said(self, event: str, count: int = 1, limit_s: float = LIMIT_S) -> list[Line]:
        """All lines of this event, once there are so many."""
        until(lambda: len(self.lines(event)) >= count, limit_s)
        return self.lines(event)

    @property
    def port(self) -> int:
        """Where clients connect."""
        return int(self.said("proxy.started")[0]["listen"].rpartition(":")[2])

    @property
    def admin(self) -> str:
        """Where the admin side is."""
        return str(self.said("proxy.started")[0]["admin"])

    def get(self, path: str) -> str:
        """A page of the admin side."""
        with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def pids(self) -> dict[str, int]:
        """The worker processes started last, by worker."""
        return {line["worker_name"]: line["worker_pid"] for line in self.lines("worker.started")}

    def client(self, client_id: str, port: int = 0, **settings: Any) -> Client:
        """One more client, established."""
        sock = socket.create_connection(("127.0.0.1", port or self.port), timeout=20)
        client = Client(sock, client_id)
        self.clients.append(client)
        sock.sendall(connect(client_id, **settings))
        assert sock.recv(16)[:1] == b"\x20"
        return client

    def by_worker(self, each: int, prefix: str = "c") -> dict[str, list[Client]]:
        """At least so many clients in each worker."""
        port = self.port
        made: dict[str, Client] = {}
        while True:
            for _ in range(each):
                client_id = f"{prefix}-{len(made)}"
                made[client_id] = self.client(client_id, port)
            until(lambda: set(made) <= {line["client_id"] for line in self.lines("connection.established")})
            placed: dict[str, list[Client]] = {name: [] for name in self.pids()}
            for line in self.lines("connection.established"):
                if line["client_id"] in made:
                    placed[line["worker"]].append(made[line["client_id"]])
            if all(len(clients) >= each for clients in placed.values()):
                return placed

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the exit code."""
        self.process.send_signal(number)
        return self.process.wait(LIMIT_S)


def alive(pid: int) -> bool:
    """Whether that process runs (one that has ended and is not waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def fleet(
    folder: Path,
    config: str = "",
    workers: int = 2,
    stated: bool = False,
    environ: dict[str, str] | None = None,
    **popen: Any,
) -> Iterator[Fleet]:
    """Two workers in front of a broker; killed at the end, whatever is left of them."""
    broker = Broker(stated)
    path, log = folder / "kaproxy.toml", folder / "log"
    path.write_text(
        f'listen = "127.0.0.1:0"\nupstream = "127.0.0.1:{broker.port}"\nworkers = {workers}\n{config}'
    )
    command = [*COMMAND, "--config", str(path)] + ([] if "stdout" in popen else ["--log-file", str(log)])
    process = subprocess.Popen(command, env=ENVIRON | (environ or {}), **popen)
    running = Fleet(process, log)
    try:
        yield running
    finally:
        process.kill()
        process.wait()
        for pid in running.pids().values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for client in running.clients:
            client.sock.close()
        broker.close()

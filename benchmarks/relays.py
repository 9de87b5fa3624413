"""What stands between the clients and the broker in a sample: nothing, HAProxy, or kaproxy.

Each is one process on one core, in front of one broker, started for one sample and ended after it.
HAProxy: one thread, TCP mode, no logging (or, in the variant, its TCP log line to a file). kaproxy: one
worker, the full diagnosis on, its log to a file.
Read next: `experiments.py`.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

START_LIMIT_S = 20.0
END_LIMIT_S = 20.0
LISTENING = "0A"  # the state column of /proc/net/tcp

HAPROXY = """
global
  nbthread 1
  maxconn 9500
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  {log}
listen mqtt
  bind 127.0.0.1:{port}
  server broker 127.0.0.1:{broker_port}
"""


@dataclass(frozen=True)
class Running:
    """A relay ready for clients. `pid` 0: no relay, clients and broker meet directly."""

    name: str
    port: int
    broker_port: int
    pid: int

    @property
    def rss_kb(self) -> int:
        """Resident memory of the relay and what it started, kilobytes."""
        return sum(resident_kb(pid) for pid in [self.pid, *children(self.pid)])


@contextmanager
def direct(folder: Path, core: int | None) -> Iterator[Running]:
    """No relay: what the generator itself can do."""
    port = free_port()
    yield Running("direct", port, port, 0)


@contextmanager
def haproxy(folder: Path, core: int | None, log: bool = False) -> Iterator[Running]:
    """HAProxy in TCP mode with one thread."""
    port, broker_port = free_port(), free_port()
    config = folder / "haproxy.cfg"
    line = "log stdout format raw daemon\n  option tcplog" if log else ""
    config.write_text(HAPROXY.format(port=port, broker_port=broker_port, log=line))
    with started(["haproxy", "-db", "-f", str(config)], core, port, folder / "haproxy.log") as pid:
        yield Running("haproxy", port, broker_port, pid)


@contextmanager
def haproxy_log(folder: Path, core: int | None) -> Iterator[Running]:
    """HAProxy with its one log line per connection."""
    with haproxy(folder, core, log=True) as running:
        yield running


@contextmanager
def kaproxy(folder: Path, core: int | None) -> Iterator[Running]:
    """kaproxy as a user runs it, its log to a file."""
    port, broker_port = free_port(), free_port()
    log = folder / "kaproxy.log"
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "kaproxy", "run", "--listen", f"127.0.0.1:{port}"]
    command += ["--upstream", f"127.0.0.1:{broker_port}", "--log-file", str(log)]
    with started(command, core, port, folder / "kaproxy.err") as pid:
        yield Running("kaproxy", port, broker_port, pid)


RELAYS: dict[str, Callable[[Path, int | None], AbstractContextManager[Running]]] = {
    "direct": direct,
    "haproxy": haproxy,
    "haproxy_log": haproxy_log,
    "kaproxy": kaproxy,
}


@contextmanager
def started(command: list[str], core: int | None, port: int, output: Path) -> Iterator[int]:
    """Starts a relay on `core`, waits until it listens, yields its process id, and ends it."""
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    with output.open("wb") as sink:
        process = subprocess.Popen([*pinned, *command], stdout=sink, stderr=subprocess.STDOUT)
    try:
        wait_until_listening(process, port, output)
        yield process.pid
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Asks once, waits, then insists: what is measured is over by now."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(1.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(END_LIMIT_S)


def wait_until_listening(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    """Waits for the port without touching it: a probe would be a connection of its own."""
    deadline = time.monotonic() + START_LIMIT_S
    while not is_listening(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} does not listen: {output.read_text()[-2000:]}")
        time.sleep(0.02)


def is_listening(port: int) -> bool:
    """Whether anybody on this machine listens on that TCP port (IPv4)."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(row[3] == LISTENING and int(row[1].rsplit(":", 1)[1], 16) == port for row in rows)


def free_port() -> int:
    """A loopback port nobody uses now, outside the range outgoing connections take theirs from."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


def resident_kb(pid: int) -> int:
    """Resident set of one process, kilobytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def children(pid: int) -> list[int]:
    """The processes started by `pid`, at any depth."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(child) for task in tasks for child in task.read_text().split()]
    return found + [deeper for child in found for deeper in children(child)]

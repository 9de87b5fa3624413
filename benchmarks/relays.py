"""What stands between the clients and the broker in a sample: nothing, a peer, or kaproxy in one of its builds.

Each is in front of one broker, started for one sample and ended after it, on one core. HAProxy: one thread, TCP mode,
no log (or, in the variant, its TCP log line). nginx: one worker, stream module, no log. kaproxy: the full diagnosis
on, its log to a file; `compiled` is the wheel that `.ci/compiled` builds, unpacked; where it has several workers, each
has a small core of its own (`quota.py`). mitmproxy, a plain relay of trio's streams and one of bare sockets are there
for context. What is written in Python runs on the one that `python.py` chooses.
Read next: `experiments.py`.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from benchmarks import quota
from benchmarks.python import ROOT, chosen

WANTED_CONNECTIONS = 9000
DESCRIPTORS_BESIDE = 800  # HAProxy's own among them, which it wants to have in advance
START_LIMIT_S = 20.0
END_LIMIT_S = 20.0
LISTENING = "0A"  # the state column of /proc/net/tcp

HAPROXY = """
global
  nbthread 1
  maxconn {most}
  maxpipes 50
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


NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.err;
{module}
events {{ worker_connections 20000; }}
stream {{
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    proxy_pass 127.0.0.1:{broker_port};
    proxy_timeout 1h;
    proxy_buffer_size 64k;
  }}
}}
"""
NGINX_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
PYTHON = chosen()
MITMDUMP = ROOT / ".peers/mitmproxy/bin/mitmdump"


def most_connections() -> int:
    """How many connections descriptors allow one process to hold both legs of, at most what is wanted."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(WANTED_CONNECTIONS, (soft - DESCRIPTORS_BESIDE) // 2)


@dataclass(frozen=True)
class Running:
    """A relay ready for clients. `pid` 0: no relay, clients and broker meet directly."""

    name: str
    port: int
    broker_port: int
    pid: int
    beside: tuple[int, ...] = ()  # other processes of it, whose CPU counts too
    log: Path | None = None  # where its lines about connections go, if it writes any
    line: bytes = b""  # what each line about a closed connection has in it
    place: Path | None = None  # kaproxy only: the tree it runs from

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
def haproxy(folder: Path, core: int | None, log: bool = False, options: str = "") -> Iterator[Running]:
    """HAProxy in TCP mode with one thread."""
    port, broker_port = free_port(), free_port()
    config, output = folder / "haproxy.cfg", folder / "haproxy.log"
    line = "log stdout format raw daemon\n  option tcplog" if log else ""
    text = HAPROXY.format(
        port=port, broker_port=broker_port, most=most_connections() + 100, log=f"{line}\n  {options}"
    )
    config.write_text(text)
    with started(["haproxy", "-db", "-f", str(config)], core, port, output) as pid:
        yield Running("haproxy", port, broker_port, pid, (), output if log else None, b" mqtt mqtt/broker ")


@contextmanager
def nginx(folder: Path, core: int | None) -> Iterator[Running]:
    """nginx's stream module with one worker process, which is the process that is measured."""
    port, broker_port = free_port(), free_port()
    config = folder / "nginx.conf"
    module = f"load_module {NGINX_MODULE};" if NGINX_MODULE.exists() else ""
    config.write_text(NGINX.format(folder=folder, port=port, broker_port=broker_port, module=module))
    command = ["nginx", "-c", str(config), "-e", str(folder / "nginx.err")]
    with started(command, core, port, folder / "nginx.out") as pid:
        yield Running("nginx", port, broker_port, first_child(pid))


@contextmanager
def kaproxy(folder: Path, core: int | None, build: str = "pure", workers: int = 1) -> Iterator[Running]:
    """kaproxy as a user runs it, its log to a file. Raises where it is not the build it should be."""
    port, broker_port = free_port(), free_port()
    log = folder / "kaproxy.log"
    log.unlink(missing_ok=True)
    command = [str(PYTHON.program), "-m", "kaproxy", "run", "--listen", f"127.0.0.1:{port}"]
    command += ["--upstream", f"127.0.0.1:{broker_port}", "--log-file", str(log)]
    command += ["--workers", str(workers)] if workers > 1 else []
    place = PYTHON.compiled if build == "compiled" else ROOT
    with started(command, core, port, folder / "kaproxy.err", place) as pid:
        says_build(log, build)
        beside = tuple(children(pid))
        yield Running("kaproxy", port, broker_port, pid, beside, log, b'"connection.closed"', place)


@contextmanager
def small_cores(folder: Path, core: int | None, build: str, workers: int) -> Iterator[Running]:
    """kaproxy whose every worker has a share of `core`, where there are quotas, and all cores where there are not."""
    place = core if quota.kind() else None
    with quota.awake(place), quota.limited(workers) as limit, kaproxy(folder, place, build, workers) as relay:
        if workers == 1:
            limit([relay.pid], ())
        else:
            limit(relay.beside, [relay.pid])
        yield relay


def says_build(log: Path, build: str) -> None:
    """Waits for `proxy.started` and holds kaproxy to what that says it is."""
    deadline = time.monotonic() + START_LIMIT_S
    while not (lines := [line for line in read_lines(log) if b'"proxy.started"' in line]):
        if time.monotonic() > deadline:
            raise RuntimeError("kaproxy does not say that it has started")
        time.sleep(0.02)
    if (found := json.loads(lines[0])["build"]) != build:
        raise RuntimeError(f"measuring the {build} build, but this is the {found} one")


def read_lines(path: Path) -> list[bytes]:
    """The whole lines of a file so far; none where there is no file yet."""
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


@contextmanager
def plain(folder: Path, core: int | None, name: str) -> Iterator[Running]:
    """A relay of this package: the one that one would write first, or the least there can be."""
    port, broker_port = free_port(), free_port()
    command = [str(PYTHON.program), "-m", f"benchmarks.{name}", str(port), str(broker_port)]
    with started(command, core, port, folder / f"{name}.err", ROOT) as pid:
        yield Running(name, port, broker_port, pid)


@contextmanager
def mitmproxy(folder: Path, core: int | None) -> Iterator[Running]:
    """mitmproxy as a reverse TCP proxy, quiet."""
    port, broker_port = free_port(), free_port()
    command = [str(MITMDUMP), "-q", "--set", f"confdir={folder}", "--listen-host", "127.0.0.1"]
    command += ["--mode", f"reverse:tcp://127.0.0.1:{broker_port}@{port}"]
    with started(command, core, port, folder / "mitmproxy.err") as pid:
        yield Running("mitmproxy", port, broker_port, pid)


Relay: TypeAlias = Callable[[Path, int | None], AbstractContextManager[Running]]

RELAYS: dict[str, Relay] = {
    "direct": direct,
    "haproxy": haproxy,
    "haproxy_log": partial(haproxy, log=True),
    "nginx": nginx,
    "kaproxy": kaproxy,
    "compiled": partial(kaproxy, build="compiled"),
    "kaproxy_1": partial(small_cores, build="pure", workers=1),
    "compiled_1": partial(small_cores, build="compiled", workers=1),
    "kaproxy_2": partial(small_cores, build="pure", workers=2),
    "compiled_2": partial(small_cores, build="compiled", workers=2),
    "bare": partial(plain, name="bare"),
    "trio_streams": partial(plain, name="trio_streams"),
    "mitmproxy": mitmproxy,
}
SMALL_CORES = frozenset({"kaproxy_1", "compiled_1", "kaproxy_2", "compiled_2"})


def on_all_cores(name: str) -> bool:
    """Whether that relay takes what the scheduler gives it, and the generator beside it too."""
    return name in SMALL_CORES and not quota.kind()


def available() -> frozenset[str]:
    """The relays that this machine has; what is missing is left out, and told."""
    wanted = {
        "haproxy": shutil.which("haproxy"),
        "haproxy_log": shutil.which("haproxy"),
        "nginx": shutil.which("nginx"),
        "compiled": PYTHON.compiled.is_dir(),
        "compiled_1": PYTHON.compiled.is_dir(),
        "compiled_2": PYTHON.compiled.is_dir(),
        "mitmproxy": MITMDUMP.exists(),
    }
    return frozenset(name for name in RELAYS if wanted.get(name, True))


@contextmanager
def started(
    command: list[str], core: int | None, port: int, output: Path, place: Path | None = None
) -> Iterator[int]:
    """Starts a relay on `core`, waits until it listens, yields its process id, and ends it."""
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    with output.open("wb") as sink:
        process = subprocess.Popen([*pinned, *command], stdout=sink, stderr=subprocess.STDOUT, cwd=place)
    try:
        wait_until_listening(process, port, output)
        yield process.pid
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Asks once, waits, then insists: what is measured is over by now."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(0.2)
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


def first_child(pid: int) -> int:
    """The process that does the work where the one started only looks after it."""
    deadline = time.monotonic() + START_LIMIT_S
    while not (found := children(pid)):
        if time.monotonic() > deadline:
            raise RuntimeError(f"process {pid} starts none of its own")
        time.sleep(0.02)
    return found[0]


def resident_kb(pid: int) -> int:
    """Resident set of one process, kilobytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def children(pid: int) -> list[int]:
    """The processes started by `pid`, at any depth."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(child) for task in tasks for child in task.read_text().split()]
    return found + [deeper for child in found for deeper in children(child)]

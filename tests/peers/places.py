"""Where the parts lie, which of them this machine has, and ports nobody else takes.

A missing part skips the tests that need it, loudly; with CI set it fails them instead. Ports come from
below the kernel's ephemeral range, so that no outgoing connection of a neighbour can sit on one.
"""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ROOT / ".peers"
HERE = Path(__file__).resolve().parent
NODE_PACKAGES = PARTS / "node"
GO_CLIENT = PARTS / "go" / "paho-golang"
PYTHON_PEERS = PARTS / "python" / "bin"
MOCHI = PARTS / "mochi" / "mochi"
PAHO_C = PARTS / "c" / "paho-c"
RUMQTTC = PARTS / "rumqttc" / "release" / "rumqttc-part"
CLICKHOUSE = PARTS / "clickhouse"
DEBIAN_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
SYSLOG_NG = PARTS / "syslog-ng"
CHDB = PARTS / "libraries" / "chdb"
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

FIRST_PORT, LAST_PORT = 20_000, 31_000


def program(name: str) -> str | None:
    """Full path of a system program, also where only root's PATH has it."""
    return shutil.which(name, path=SEARCH)


def node_package(name: str) -> bool:
    """Is this Node package (or alias) installed under the parts, and Node there to run it?"""
    return program("node") is not None and (NODE_PACKAGES / "node_modules" / name).is_dir()


@functools.cache
def ejabberd_code() -> Path | None:
    """The folder of ejabberd's compiled modules, where Debian keeps it."""
    return next(iter(Path("/usr/lib").glob("*/ejabberd-*/ebin")), None)


def java_jars(name: str) -> bool:
    """Are the jars of this broker there, and a Java to run them?"""
    return program("java") is not None and any((PARTS / "java" / name).glob("*.jar"))


@functools.cache
def namespaces() -> bool:
    """May this process make network namespaces and firewall rules in them?"""
    return os.geteuid() == 0 and program("ip") is not None and program("nft") is not None and _made_one()


def _made_one() -> bool:
    ip, name = program("ip"), f"kaproxy-try-{os.getpid()}"
    made = os.spawnv(os.P_WAIT, str(ip), ["ip", "netns", "add", name]) == 0
    return made and os.spawnv(os.P_WAIT, str(ip), ["ip", "netns", "del", name]) == 0


def large_windows() -> bool:
    """May this process have the kernel take 16 MB for a connection before they are read?"""
    most = int(
        Path("/proc/sys/net/ipv4/tcp_rmem").read_text().split()[2]
    )  # what a SYN's window scale is made for
    return os.geteuid() == 0 and most >= 16 << 20


PARTS_NEEDED: dict[str, Callable[[], bool]] = {
    "mosquitto": lambda: program("mosquitto") is not None,
    "haproxy": lambda: program("haproxy") is not None,
    "lnav": lambda: program("lnav") is not None,
    "jq": lambda: program("jq") is not None,
    "aedes": lambda: node_package("aedes"),
    "mqttjs": lambda: node_package("mqtt"),
    "mqttjs 5.8.0": lambda: node_package("mqtt580"),
    "mqttjs 5.5.5": lambda: node_package("mqtt555"),
    "paho.mqtt.golang": GO_CLIENT.is_file,
    "clickhouse-server": (CLICKHOUSE / "usr" / "sbin" / "clickhouse-server").is_file,
    "syslog-ng": (SYSLOG_NG / "usr" / "sbin" / "syslog-ng").is_file,
    "chdb": (CHDB / "_chdb.abi3.so").is_file,
    "vrl": (PARTS / "libraries" / "vrl_python").is_dir,
    "network namespaces": namespaces,
    "large receive windows": large_windows,
    # The rest is for the laboratory: `tests/peers/install lab`.
    "rabbitmq": lambda: RABBITMQ.is_file() and program("epmd") is not None,
    "ejabberd": lambda: program("erl") is not None and ejabberd_code() is not None,
    "mochi": MOCHI.is_file,
    "amqtt": (PYTHON_PEERS / "amqtt").is_file,
    "hivemq": lambda: java_jars("hivemq"),
    "moquette": lambda: java_jars("moquette"),
    "mosquitto_sub": lambda: program("mosquitto_sub") is not None,
    "paho.mqtt.golang 1.1.1": GO_CLIENT.with_name("paho-golang-1.1.1").is_file,
    "paho.mqtt.golang 1.5.1": GO_CLIENT.with_name("paho-golang-1.5.1").is_file,
    "paho-c": PAHO_C.is_file,
    "rumqttc": RUMQTTC.is_file,
    "asyncio clients": (PYTHON_PEERS / "amqtt").is_file,
}


def lacking(needs: frozenset[str]) -> list[str]:
    """Which of the named parts this machine does not have."""
    return sorted(need for need in needs if not PARTS_NEEDED[need]())


def _ports() -> Iterator[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw") or 0)
    span = 500
    base = FIRST_PORT + (worker * span) % (LAST_PORT - FIRST_PORT)
    return itertools.cycle(range(base + os.getpid() % 100, base + span))


_next_port = _ports()


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that could be bound a moment ago and that the kernel gives to nobody by itself."""
    for _ in range(1000):
        port = next(_next_port)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


def listening() -> str:
    """The kernel's table of IPv4 TCP sockets; a port can be found listening without connecting to it."""
    return Path("/proc/net/tcp").read_text()


def python() -> list[str]:
    """The interpreter of this test run, as the start of a command."""
    return [sys.executable, "-u"]

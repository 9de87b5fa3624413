"""mosquitto, rumqttd, aedes and those of `more_brokers.py`, each in a process of its own on a port of its own.

`async with broker("mosquitto", folder) as running:` waits until it accepts. Inside a network namespace the
wait looks at the log instead of the port, since the port cannot be reached from here.
"""

from __future__ import annotations

import functools
import json
import os
import re
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers import more_brokers, places
from tests.peers.children import Child, child, until
from tests.peers.netns import entered

NAMES = ("mosquitto", "rumqttd", "aedes")


@dataclass(frozen=True)
class Broker:
    """A running broker: where it listens, and its process."""

    name: str
    host: str
    port: int
    process: Child
    namespace: str | None = None

    @property
    def profile(self) -> str:
        """The name of the broker profile that describes it."""
        return mosquitto_profile() if self.name == "mosquitto" else self.name

    def accepts(self) -> bool:
        """Does it accept a connection right now?"""
        with entered(self.namespace):
            probe = socket.socket()
        with probe:
            probe.settimeout(0.2)
            return probe.connect_ex((self.host, self.port)) == 0


@functools.cache
def mosquitto_profile() -> str:
    """The era of the mosquitto installed here, as the profiles name it."""
    told = subprocess.run(
        [str(places.program("mosquitto")), "-h"], capture_output=True, text=True, check=False
    )
    found = re.search(r"version (\d+)\.(\d+)\.(\d+)", told.stdout)
    version = tuple(int(part) for part in found.groups()) if found else (2, 0, 11)
    if version < (2, 0, 0):
        return "mosquitto_1.6"
    return "mosquitto_2.0" if version < (2, 0, 21) else "mosquitto_2.0.21"


def _mosquitto(host: str, port: int, folder: Path, options: dict[str, object]) -> list[str]:
    lines = [f"listener {port} {host}", "allow_anonymous true", "log_dest stdout", "log_type all"]
    lines += [f"{name} {value}" for name, value in options.items()]
    if os.geteuid() == 0:
        lines.append("user root")
    config = folder / f"mosquitto-{port}.conf"
    config.write_text("\n".join(lines) + "\n")
    return [str(places.program("mosquitto")), "-c", str(config)]


def _rumqttd(host: str, port: int, folder: Path, options: dict[str, object]) -> list[str]:
    wanted = {"port": port, "listen": host, **options}
    if options.get("v5"):
        del wanted["v5"]
        wanted["config_path"] = str(_rumqttd_v5(host, port, folder))
    return [*places.python(), "-m", "tests.peers.rumqttd", json.dumps(wanted)]


def _rumqttd_v5(host: str, port: int, folder: Path) -> Path:
    config = folder / f"rumqttd-{port}.toml"
    config.write_text(
        f"""id = 0
[router]
id = 0
max_connections = 10000
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v5.1]
name = "v5"
listen = "{host}:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 20480
max_inflight_count = 100
"""
    )
    return config


def _aedes(host: str, port: int, folder: Path, options: dict[str, object]) -> list[str]:
    del folder
    timeout, limit = options.get("connect_timeout_ms", 30_000), options.get("keepalive_limit", 0)
    script = str(places.HERE / "node" / "aedes.mjs")
    return [str(places.program("node")), script, str(port), str(timeout), str(limit), host]


COMMANDS = {"mosquitto": _mosquitto, "rumqttd": _rumqttd, "aedes": _aedes, **more_brokers.COMMANDS}


@asynccontextmanager
async def broker(
    name: str,
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    namespace: str | None = None,
    **options: object,
) -> AsyncIterator[Broker]:
    """Start a broker and wait until it accepts. `options` are the broker's own settings."""
    port = port or places.free_port()
    command = COMMANDS[name](host, port, folder, options)
    with ExitStack() as beside:
        for helper in more_brokers.helpers(command):
            beside.enter_context(child(helper, folder / f"{name}-{port}-helper.log", namespace=namespace))
        log = folder / f"{name}-{port}.log"
        process = beside.enter_context(child(command, log, namespace=namespace))
        running = Broker(name, host, port, process, namespace)
        await until(f"{name} on port {port}", running.accepts, more_brokers.PATIENCE_S.get(name, 40))
        yield running

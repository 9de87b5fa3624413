"""Clients of the laboratory: mosquitto_sub, paho C, rumqttc, aiomqtt, gmqtt and more releases of paho.mqtt.golang.

Each is a child process that can be stopped and killed. What they say differs; `up` waits until one has
connected, whichever it is. Read next: `clients.py` for those of the test suite.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.peers import places
from tests.peers.children import Child, child, until

Address = tuple[str, int]
GO = {"golang 1.1.1": "paho-golang-1.1.1", "golang 1.5.1": "paho-golang-1.5.1"}


def _mosquitto_sub(address: Address, client_id: str, keep_alive: int) -> list[str]:
    # Its words come when they are said, not when a buffer is full; `stdbuf` becomes the program.
    command = [
        "stdbuf",
        "-oL",
        str(places.program("mosquitto_sub")),
        "-d",
        "-h",
        address[0],
        "-p",
        str(address[1]),
    ]
    return [*command, "-i", client_id, "-k", str(keep_alive), "-t", "anything"]


def _paho_c(address: Address, client_id: str, keep_alive: int) -> list[str]:
    return [str(places.PAHO_C), address[0], str(address[1]), client_id, str(keep_alive)]


def _rumqttc(address: Address, client_id: str, keep_alive: int) -> list[str]:
    return [str(places.RUMQTTC), address[0], str(address[1]), client_id, str(keep_alive)]


def _asyncio(library: str) -> Callable[[Address, str, int], list[str]]:
    def command(address: Address, client_id: str, keep_alive: int) -> list[str]:
        wanted = {"host": address[0], "port": address[1], "client_id": client_id, "keep_alive": keep_alive}
        script = str(places.HERE / "asyncio_client.py")
        return [str(places.PYTHON_PEERS / "python"), "-u", script, library, json.dumps(wanted)]

    return command


def _golang(release: str) -> Callable[[Address, str, int], list[str]]:
    def command(address: Address, client_id: str, keep_alive: int) -> list[str]:
        program = str(places.GO_CLIENT.with_name(GO[release]))
        command = [program, "-host", address[0], "-port", str(address[1]), "-client-id", client_id]
        return [*command, "-keepalive", f"{keep_alive}s", "-ping-timeout", f"{keep_alive}s"]

    return command


COMMANDS: dict[str, Callable[[Address, str, int], list[str]]] = {
    "mosquitto_sub": _mosquitto_sub,
    "paho-c": _paho_c,
    "rumqttc": _rumqttc,
    "aiomqtt": _asyncio("aiomqtt"),
    "gmqtt": _asyncio("gmqtt"),
    **{release: _golang(release) for release in GO},
}
NEEDS = {
    "aiomqtt": "asyncio clients",
    "gmqtt": "asyncio clients",
    "golang 1.1.1": "paho.mqtt.golang 1.1.1",
    "golang 1.5.1": "paho.mqtt.golang 1.5.1",
}


@asynccontextmanager
async def client(
    name: str,
    address: Address,
    folder: Path,
    client_id: str,
    keep_alive: int,
    *,
    namespace: str | None = None,
) -> AsyncIterator[Child]:
    """A client that has connected, idle from now on."""
    command = COMMANDS[name](address, client_id, keep_alive)
    log = folder / f"{client_id}.{name.replace(' ', '-')}.log"
    with child(command, log, namespace=namespace) as process:
        await until(f"{name} connects", lambda: up(process), 20)
        yield process


def up(process: Child) -> bool:
    """Has it connected? mosquitto_sub says so in words of its own."""
    return process.find("connected") is not None or "received CONNACK (0)" in process.text()

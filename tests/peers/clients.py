"""Real clients as child processes: paho-python, MQTT.js (three releases) and paho.mqtt.golang.

Each tells in its log what it saw ("connected", "lost" with its own words for the reason), which is what a
verdict is held against.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.peers import places
from tests.peers.children import Child, child

Address = tuple[str, int]

MQTTJS = {"mqttjs": "mqtt", "mqttjs 5.8.0": "mqtt580", "mqttjs 5.5.5": "mqtt555"}


@asynccontextmanager
async def paho_python(
    address: Address, folder: Path, client_id: str, *, namespace: str | None = None, **options: object
) -> AsyncIterator[Child]:
    """A connected paho-python client; `options` as `tests/peers/paho_client.py` names them."""
    wanted = {"host": address[0], "port": address[1], "client_id": client_id, **options}
    command = [*places.python(), "-m", "tests.peers.paho_client", json.dumps(wanted)]
    with child(command, folder / f"{client_id}.paho.log", namespace=namespace) as process:
        yield process


@asynccontextmanager
async def mqttjs(
    address: Address,
    folder: Path,
    client_id: str,
    keep_alive: int,
    *,
    release: str = "mqttjs",
    namespace: str | None = None,
    options: dict[str, object] | None = None,
    **wanted: object,
) -> AsyncIterator[Child]:
    """An MQTT.js client of the release named in `MQTTJS`; `options` are MQTT.js's own connect options."""
    config = {
        "library": MQTTJS[release],
        "url": f"mqtt://{address[0]}:{address[1]}",
        "options": {"clientId": client_id, "keepalive": keep_alive, **(options or {})},
        **wanted,
    }
    command = [str(places.program("node")), str(places.HERE / "node" / "mqttjs.mjs"), json.dumps(config)]
    with child(command, folder / f"{client_id}.mqttjs.log", namespace=namespace) as process:
        yield process


@asynccontextmanager
async def paho_golang(
    address: Address,
    folder: Path,
    client_id: str,
    keep_alive_s: int,
    *,
    namespace: str | None = None,
    **flags: object,
) -> AsyncIterator[Child]:
    """A paho.mqtt.golang client; `flags` as `tests/peers/go/main.go` names them, with underscores."""
    command = [str(places.GO_CLIENT), "-host", address[0], "-port", str(address[1])]
    command += ["-client-id", client_id, "-keepalive", f"{keep_alive_s}s"]
    for name, value in flags.items():
        command += [f"-{name.replace('_', '-')}", str(value)]
    with child(command, folder / f"{client_id}.go.log", namespace=namespace) as process:
        yield process


@asynccontextmanager
async def tickers(address: Address, folder: Path, **options: object) -> AsyncIterator[Child]:
    """Idle clients with a ticker of their own; `options` as `tests/peers/ticker.py` names them."""
    wanted = {"host": address[0], "port": address[1], **options}
    command = [*places.python(), "-m", "tests.peers.ticker", json.dumps(wanted)]
    with child(command, folder / "tickers.log") as process:
        yield process

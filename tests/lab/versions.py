"""Which release of every broker and client a run was played with, as they say themselves."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from tests.peers import places

#: Part: the command that tells its version.
ASKED = {
    "mosquitto": ["mosquitto", "-h"],
    "mosquitto_sub": ["mosquitto_sub", "--help"],
    "HAProxy": ["haproxy", "-v"],
    "Linux": ["uname", "-r"],
    "Node": ["node", "--version"],
    "Java": ["java", "-version"],
}
DEBIAN = {"RabbitMQ": "rabbitmq-server", "ejabberd": "ejabberd", "paho C": "libpaho-mqtt1.3"}
NODE = {
    "aedes": "aedes",
    "MQTT.js": "mqtt",
    "MQTT.js (timer fault)": "mqtt580",
    "MQTT.js (postpones)": "mqtt555",
}
PYTHON = {"paho-python": "paho-mqtt", "rumqttd (in iotcore)": "iotcore"}
PYTHON_PARTS = {"amqtt": "amqtt", "aiomqtt": "aiomqtt", "gmqtt": "gmqtt"}
JARS = {
    "HiveMQ CE": ("hivemq", "hivemq-community-edition-embedded-*.jar"),
    "Moquette": ("moquette", "moquette-broker-*.jar"),
}


def versions() -> dict[str, str]:
    """Part: version, for every part that is there."""
    found = {"Python": sys.version.split()[0], "paho.mqtt.golang": "1.1.1, 1.4.1, 1.5.1"}
    ways: list[tuple[dict[str, object], Callable[[object], str | None]]] = [
        (dict(ASKED), _asked),
        (dict(DEBIAN), _debian),
        (dict(NODE), _node),
        (dict(PYTHON), _python),
        (dict(PYTHON_PARTS), _python_part),
        (dict(JARS), _jar),
    ]
    for parts, way in ways:
        for name, where in parts.items():
            if (version := way(where)) is not None:
                found[name] = version
    found["mochi-mqtt"] = _pinned("go-mochi/go.mod", r"server/v2 v(\S+)")
    found["rumqttc"] = _pinned("rumqttc/Cargo.toml", r'version = "=([^"]+)"')
    return found


def _run(command: list[str]) -> str:
    program = places.program(command[0])
    if program is None:
        return ""
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _asked(command: object) -> str | None:
    assert isinstance(command, list)
    found = re.search(r"\d+\.\d+(\.\d+)?", _run(command))
    return found.group() if found else None


def _debian(package: object) -> str | None:
    return _run(["dpkg-query", "-W", "-f", "${Version}", str(package)]).partition("-")[0] or None


def _node(package: object) -> str | None:
    manifest = places.NODE_PACKAGES / "node_modules" / str(package) / "package.json"
    return str(json.loads(manifest.read_text())["version"]) if manifest.is_file() else None


def _python(package: object) -> str | None:
    try:
        return metadata.version(str(package))
    except metadata.PackageNotFoundError:
        return None


def _python_part(package: object) -> str | None:
    pattern = f"lib/python*/site-packages/{package}-*.dist-info"
    return _of_file(places.PYTHON_PEERS.parent, pattern)


def _jar(where: object) -> str | None:
    assert isinstance(where, tuple)
    return _of_file(places.PARTS / "java" / where[0], where[1])


def _of_file(folder: Path, pattern: str) -> str | None:
    found = next(iter(folder.glob(pattern)), None)
    match = found and re.search(r"-(\d[\d.]*\d)", found.name)
    return match.group(1) if match else None


def _pinned(path: str, pattern: str) -> str:
    found = re.search(pattern, (places.HERE / path).read_text())
    return found.group(1) if found else "?"

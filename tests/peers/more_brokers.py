"""Brokers of the laboratory: RabbitMQ, ejabberd, HiveMQ CE, Moquette, mochi-mqtt and amqtt, as commands.

Each runs by hand, without a service manager: data and settings in the scenario's folder, one port on one
address. `options` are lines of the broker's own settings. Read next: `brokers.py`, which runs the commands.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.peers import places

#: How long a broker may take until it accepts, in seconds, on a machine that plays a dozen scenarios at once.
PATIENCE_S = {"rabbitmq": 100.0, "ejabberd": 90.0, "hivemq": 90.0, "moquette": 60.0, "amqtt": 40.0}

#: The user that ejabberd lets in; it takes no client without one.
EJABBERD_USER = {"user": "device@localhost", "password": "any"}

Options = dict[str, object]
JAVA = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx192m"]


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _rabbitmq(host: str, port: int, folder: Path, options: Options) -> list[str]:
    home = folder / f"rabbitmq-{port}"
    lines = ["listeners.tcp = none", f"mqtt.listeners.tcp.1 = {host}:{port}", "mqtt.allow_anonymous = true"]
    lines += ["loopback_users = none", *(f"{name} = {value}" for name, value in options.items())]
    config = _written(home / "rabbitmq.conf", "\n".join(lines) + "\n")
    settings = {
        "HOME": home,
        "RABBITMQ_NODENAME": f"lab{port}@localhost",
        "RABBITMQ_MNESIA_BASE": home,
        "RABBITMQ_CONFIG_FILE": config.with_suffix(""),
        "RABBITMQ_ENABLED_PLUGINS_FILE": _written(home / "plugins", "[rabbitmq_mqtt].\n"),
        "RABBITMQ_LOG_BASE": home,
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_DIST_PORT": places.free_port(),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": places.free_port(),
        # So that the script becomes the broker: its process id is the one to stop and to kill.
        "RABBITMQ_ALLOW_INPUT": 1,
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput",
    }
    return ["env", *(f"{name}={value}" for name, value in settings.items()), str(places.RABBITMQ)]


def _ejabberd(host: str, port: int, folder: Path, options: Options) -> list[str]:
    home = folder / f"ejabberd-{port}"
    text = f"""hosts: [localhost]
loglevel: info
listen:
  - port: {port}
    ip: "{host}"
    module: mod_mqtt
auth_method: [anonymous]
anonymous_protocol: login_anon
modules:
  mod_mqtt:
    access_publish: {{}}
"""
    text += "".join(f"    {name}: {value}\n" for name, value in options.items())
    settings = {
        "HOME": home,
        "EJABBERD_CONFIG_PATH": _written(home / "ejabberd.yml", text),
        "EJABBERD_LOG_PATH": home / "ejabberd.log",
        "ERL_CRASH_DUMP": home / "crash.dump",
    }
    erl = ["erl", "-noinput", "-start_epmd", "false", "-pa", str(places.ejabberd_code())]
    erl += ["-mnesia", "dir", f'"{home}/mnesia"', "-s", "ejabberd"]
    return ["env", *(f"{name}={value}" for name, value in settings.items()), *erl]


def _hivemq(host: str, port: int, folder: Path, options: Options) -> list[str]:
    home = folder / f"hivemq-{port}"
    listener = f"<tcp-listener><port>{port}</port><bind-address>{host}</bind-address></tcp-listener>"
    text = f"""<?xml version="1.0"?>
<hivemq><listeners>{listener}</listeners>
<anonymous-usage-statistics><enabled>false</enabled></anonymous-usage-statistics>
{options.get("settings", "")}</hivemq>
"""
    _written(home / "conf" / "config.xml", text)
    for name in ("data", "extensions"):
        (home / name).mkdir()
    jars = places.PARTS / "java" / "hivemq"
    return ["java", *JAVA, "-cp", f"{jars}:{jars}/*", "HiveMq", str(home)]


def _moquette(host: str, port: int, folder: Path, options: Options) -> list[str]:
    home = folder / f"moquette-{port}"
    wanted = {"port": port, "host": host, "allow_anonymous": "true", "persistence_enabled": "false"}
    wanted |= {"telemetry_enabled": "false", "data_path": home, **options}
    lines = "".join(f"{name} {value}\n" for name, value in wanted.items())
    _written(home / "config" / "moquette.conf", lines)
    jars = places.PARTS / "java" / "moquette"
    return ["java", *JAVA, f"-Dmoquette.path={home}", "-cp", f"{jars}/*", "io.moquette.broker.Server"]


def _mochi(host: str, port: int, folder: Path, options: Options) -> list[str]:
    del folder
    flags = [f"-{name.replace('_', '-')}={value}" for name, value in options.items()]
    return [str(places.MOCHI), "-listen", f"{host}:{port}", *flags]


def _amqtt(host: str, port: int, folder: Path, options: Options) -> list[str]:
    del options
    text = f"""listeners:
  default:
    type: tcp
    bind: {host}:{port}
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin:
    allow_anonymous: true
"""
    config = _written(folder / f"amqtt-{port}.yaml", text)
    return [str(places.PYTHON_PEERS / "amqtt"), "-c", str(config)]


COMMANDS: dict[str, Callable[[str, int, Path, Options], list[str]]] = {
    "rabbitmq": _rabbitmq,
    "ejabberd": _ejabberd,
    "hivemq": _hivemq,
    "moquette": _moquette,
    "mochi": _mochi,
    "amqtt": _amqtt,
}


def helpers(command: list[str]) -> list[list[str]]:
    """What must run beside a broker, in the foreground so that it ends with it: Erlang's port mapper."""
    ports = [part.partition("=")[2] for part in command if part.startswith("ERL_EPMD_PORT=")]
    return [[str(places.program("epmd")), "-address", "127.0.0.1", "-port", port] for port in ports]

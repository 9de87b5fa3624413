"""The configuration: every error at once, each with its source; file < environment < flags; one reference file."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from kaproxy.config import KEYS, Config
from kaproxy.settings.sample import changed_keys, effective_toml, sample_toml
from kaproxy.settings.sources import ConfigError, load

ROOT = Path(__file__).resolve().parents[1]

BAD_FILE = """\
listen = "here"
upstream = "127.0.0.1:99999"
borker_profile = "mosquitto_2.0"

[limits]
backlog = 0

[timeouts]
dial = 10
dail = "10s"
drain = "2h"

[log]
format = "jsn"
buffer = "8"

[warning]
interval = "1m"
"""

BAD_FILE_PROBLEMS = """\
F:3: borker_profile: unknown key; did you mean broker_profile?
F:10: timeouts.dail: unknown key; did you mean timeouts.dial?
F:17: warning: unknown table; did you mean warnings?
F:1: listen = "here": not HOST:PORT: the port is missing or not a number \
(allowed: HOST:PORT or [IPV6]:PORT, PORT 0 to 65535 (0: any free port))
F:2: upstream = "127.0.0.1:99999": port too large (allowed: HOST:PORT or [IPV6]:PORT, PORT 1 to 65535)
F:6: limits.backlog = 0: too small (allowed: 1 to 65535)
F:9: timeouts.dial = 10: not a duration: a number with its unit, as in "90s", "500ms", "2m" or "1h" \
(allowed: 100ms to 10m)
F:11: timeouts.drain = "2h": too large (allowed: 0s to 1h)
F:14: log.format = "jsn": not one of them; did you mean json? (allowed: json, console, logfmt)
F:15: log.buffer = "8": not a size: a number with its unit, as in "512KiB" or "8MiB" (allowed: 64KiB to 1GiB)
environment: KAPROXY_LISTENN: unknown variable; did you mean KAPROXY_LISTEN?
environment: KAPROXY_LOG_LEVEL = "loud": not one of them (allowed: debug, info, warning, error)
flag: --log-format = "xml": not one of them (allowed: json, console, logfmt)"""


def problems_of(path: str | None, environ: dict[str, str], flags: dict[str, str | None]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, environ, flags)
    return [str(problem) for problem in caught.value.problems]


def written(folder: Path, text: str) -> str:
    path = folder / "kaproxy.toml"
    path.write_text(text)
    return str(path)


def test_every_error_is_told_at_once_with_its_source_its_value_and_what_is_allowed(tmp_path: Path) -> None:
    path = written(tmp_path, BAD_FILE)
    environ = {"KAPROXY_LOG_LEVEL": "loud", "KAPROXY_LISTENN": "x:1", "PATH": "/bin"}
    told = problems_of(path, environ, {"log.format": "xml"})
    assert sorted(line.replace(path, "F") for line in told) == sorted(BAD_FILE_PROBLEMS.splitlines())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("listen = ", "F: not TOML: Invalid value"),
        ("limits = 5", "F:1: limits is a table: write [limits] and its keys below it"),
        (
            "[log.format]\nx = 1",
            "F:1: log.format = {'x': 1}: not one of them (allowed: json, console, logfmt)",
        ),
        (
            '"listen" = 1883',
            "F:1: listen = 1883: not HOST:PORT (allowed: HOST:PORT or [IPV6]:PORT, PORT 0 to 65535",
        ),
        ("[timeouts]\nbacklog = 1", "F:2: timeouts.backlog: unknown key; did you mean limits.backlog?"),
        ("zzz = 1", "F:1: zzz: unknown key"),
    ],
)
def test_a_file_error_has_its_line(tmp_path: Path, text: str, problem: str) -> None:
    path = written(tmp_path, text)
    told = [line.replace(path, "F") for line in problems_of(path, {}, {})]
    assert len(told) == 1
    assert told[0].startswith(problem)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.toml")
    assert problems_of(missing, {}, {}) == [f"{missing}: cannot be read: No such file or directory"]
    path = tmp_path / "latin.toml"
    path.write_bytes(b'worker = "\xe9"')
    assert problems_of(str(path), {}, {}) == [f"{path}: not UTF-8 at byte 10"]


def test_the_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    path = written(tmp_path, 'worker = "file"\nlistener = "file"\nlisten = "file:1"\n')
    loaded = load(
        path, {"KAPROXY_WORKER": "env", "KAPROXY_LISTEN": "env:2"}, {"listen": "flag:3", "upstream": None}
    )
    config = loaded.config
    assert (config.worker, config.listener, str(config.listen)) == ("env", "file", "flag:3")
    assert [loaded.origin(key) for key in ("worker", "listener", "listen", "upstream")] == [
        "environment KAPROXY_WORKER",
        f"{path}:2",
        "flag --listen",
        "default",
    ]


def test_the_environment_names_the_file_and_reaches_every_key(tmp_path: Path) -> None:
    path = written(tmp_path, 'worker = "file"\n')
    assert load(None, {"KAPROXY_CONFIG": path}, {}).config.worker == "file"
    every = {key.variable: key.kind.show(key.default).strip('"') for key in KEYS.values()}
    assert load(None, every, {}).config == Config()


def test_an_empty_variable_is_one_that_was_not_given() -> None:
    assert load(None, {"KAPROXY_WORKER": "", "KAPROXY_CONFIG": ""}, {}).config == Config()


def test_what_an_orchestrator_sets_for_a_service_called_kaproxy_is_no_error() -> None:
    environ = {
        "KAPROXY_SERVICE_HOST": "10.0.0.1",
        "KAPROXY_SERVICE_PORT_MQTT": "1883",
        "KAPROXY_PORT": "tcp://10.0.0.1:1883",
        "KAPROXY_PORT_1883_TCP_ADDR": "10.0.0.1",
    }
    assert load(None, environ, {}).config == Config()
    assert problems_of(None, {"KAPROXY_PORT_NUMBER": "1"}, {}) == [
        "environment: KAPROXY_PORT_NUMBER: unknown variable"
    ]


@pytest.mark.parametrize(
    ("listen", "upstream"),
    [
        ("127.0.0.1:1883", "127.0.0.1:1883"),
        ("0.0.0.0:1883", "127.0.0.1:1883"),
        ("[::]:1883", "localhost:1883"),
        ("127.0.0.1:1883", "LOCALHOST:1883"),
        ("broker:1883", "broker.:1883"),
    ],
)
def test_a_proxy_that_would_connect_to_itself_is_an_error(listen: str, upstream: str) -> None:
    (told,) = problems_of(None, {"KAPROXY_UPSTREAM": upstream}, {"listen": listen})
    assert told == (
        f'listen = "{listen}" (flag --listen) and upstream = "{upstream}" (environment KAPROXY_UPSTREAM): '
        "the proxy would connect to itself, a loop"
    )


@pytest.mark.parametrize("listen", ["127.0.0.1:1884", "192.0.2.1:1883", "0.0.0.0:0"])
def test_other_addresses_are_no_loop(listen: str) -> None:
    load(None, {"KAPROXY_UPSTREAM": "127.0.0.1:1883"}, {"listen": listen})


def test_the_reference_file_is_generated_from_the_model_and_holds_its_defaults() -> None:
    path = ROOT / "config" / "kaproxy.toml"
    assert path.read_text() == sample_toml()
    loaded = load(str(path), {}, {})
    assert loaded.config == Config()
    assert set(loaded.origins) == set(KEYS)


def test_the_reference_file_tells_the_variable_and_the_limits_of_every_key() -> None:
    text = " ".join(sample_toml().replace("\n#", "").split())
    for key in KEYS.values():
        assert f"Variable: {key.variable}." in text
        assert f"Allowed: {key.kind.allowed}." in text
        assert key.meaning in text


def test_the_effective_configuration_is_toml_that_gives_the_same_configuration(tmp_path: Path) -> None:
    loaded = load(None, {"KAPROXY_TIMEOUTS_DIAL": "1500ms"}, {"listen": "[::1]:7"})
    text = effective_toml(loaded)
    assert 'listen = "[::1]:7"' in text
    assert text.split('dial = "1500ms"')[1].splitlines()[0].strip() == "# environment KAPROXY_TIMEOUTS_DIAL"
    assert load(written(tmp_path, text), {}, {}).config == loaded.config
    assert tomllib.loads(text)["log"]["format"] == "json"


def test_the_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Config().limits.backlog = 5


def test_changed_keys_names_what_differs() -> None:
    before = Config()
    after = load(None, {"KAPROXY_LOG_LEVEL": "debug", "KAPROXY_WORKER": "2"}, {}).config
    assert changed_keys(before, after) == ["worker", "log.level"]

"""The command as a person starts it: exit codes, errors in one line each, signals, and the lines of a life."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import kaproxy
from kaproxy.diagnosis.causes import CAUSE_ROWS
from kaproxy.diagnosis.roots import ROOTS
from tests.analysis.scene import SCENES, as_text
from tests.builders import connack, connect, publish

COMMAND = [sys.executable, "-m", "kaproxy"]
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("KAPROXY_")}
Line = dict[str, Any]


def kaproxy_(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], env=ENVIRON | environ, capture_output=True, text=True, timeout=30, check=False
    )


@dataclass
class Running:
    """`kaproxy run` with its log in a file, and a broker that a test speaks for."""

    process: subprocess.Popen[bytes]
    log: Path
    broker: socket.socket

    def lines(self) -> list[Line]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def said(self, event: str, count: int = 1) -> Line:
        """The `count`th line of this event, waited for."""
        deadline = time.monotonic() + 20
        while True:
            found = [line for line in self.lines() if line["event"] == event] if self.log.exists() else []
            if len(found) >= count:
                return found[count - 1]
            assert self.process.poll() is None, f"it ended before {event}"
            assert time.monotonic() < deadline, f"no {event} in {self.lines()}"
            time.sleep(0.01)

    def connected(self) -> tuple[socket.socket, socket.socket]:
        """An established connection: the client's socket and the broker's."""
        host, _, port = self.said("proxy.started")["listen"].rpartition(":")
        client = socket.create_connection((host, int(port)), timeout=10)
        upstream, _ = self.broker.accept()
        upstream.settimeout(10)
        client.sendall(connect("press-7", user_name="operator", password=b"hunter2", will_topic="w"))
        assert upstream.recv(100)
        upstream.sendall(connack())
        assert client.recv(100) == connack()
        return client, upstream

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)


@contextmanager
def running(folder: Path, config: str = "", **environ: str) -> Iterator[Running]:
    with closing(socket.create_server(("127.0.0.1", 0))) as broker:
        broker.settimeout(10)
        path = folder / "kaproxy.toml"
        address = f"127.0.0.1:{broker.getsockname()[1]}"
        path.write_text(f'listen = "127.0.0.1:0"\nupstream = "{address}"\n{config}')
        log = folder / "log"
        command = [*COMMAND, "run", "--config", str(path), "--log-file", str(log)]
        with subprocess.Popen(command, env=ENVIRON | environ, stderr=subprocess.PIPE) as process:
            try:
                yield Running(process, log, broker)
            finally:
                process.kill()


def test_version_and_help_are_told() -> None:
    assert kaproxy_("--version").stdout == f"kaproxy, version {kaproxy.__version__}\n"
    for command in ("run", "check", "explain", "demo"):
        assert command in kaproxy_("--help").stdout
        assert kaproxy_(command, "--help").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [(("run", "--lisen", "x"), "--listen"), (("chekc",), "check"), (("explain",), "CAUSE")],
)
def test_a_mistyped_command_is_exit_code_2_with_a_hint(arguments: tuple[str, ...], hint: str) -> None:
    result = kaproxy_(*arguments)
    assert result.returncode == 2
    assert hint in result.stderr


@pytest.mark.parametrize("command", ["run", "check"])
def test_every_configuration_error_is_told_at_once_on_standard_error_with_exit_code_2(command: str) -> None:
    result = kaproxy_(
        command,
        "--listen",
        "1883",
        "--broker-profile",
        "moskito",
        KAPROXY_LOG_FROMAT="json",
        KAPROXY_LOG_BUFFER="1",
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert [line.partition(" = ")[0] for line in result.stderr.splitlines()] == [
        "environment: KAPROXY_LOG_FROMAT: unknown variable; did you mean KAPROXY_LOG_FORMAT?",
        "environment: KAPROXY_LOG_BUFFER",
        "flag: --listen",
        "flag: --broker-profile",
        "kaproxy: 4 configuration errors",
    ]


def test_check_prints_the_effective_configuration_and_the_source_of_each_value(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('worker = "7"\n')
    result = kaproxy_("check", "--config", str(path), "--log-format", "console", KAPROXY_TIMEOUTS_DIAL="5s")
    assert (result.returncode, result.stderr) == (0, "")
    told = {
        line.split(" = ")[0]: line.rpartition("# ")[2] for line in result.stdout.splitlines() if " = " in line
    }
    assert told["worker"] == f"{path}:1"
    assert told["format"] == "flag --log-format"
    assert told["dial"] == "environment KAPROXY_TIMEOUTS_DIAL"
    assert told["linger"] == "default"


@pytest.mark.parametrize("cause", CAUSE_ROWS)
def test_explain_knows_every_cause_and_names_its_roots(cause: str) -> None:
    from kaproxy.explain import explain

    text = explain(cause)
    words = " ".join(text.split())
    assert CAUSE_ROWS[cause].meaning in words
    assert CAUSE_ROWS[cause].advice in words
    for root, row in ROOTS.get(cause, {}).items():
        assert root in text
        assert row.meaning in words
        assert row.meaning in " ".join(explain(f"{cause}/{root}").split())


def test_explain_tells_a_root_under_each_cause_that_has_it() -> None:
    result = kaproxy_("explain", "proxy_delayed")
    assert result.returncode == 0
    assert "keep_alive_timeout/proxy_delayed" in result.stdout
    assert "ping_timeout/proxy_delayed" in result.stdout


@pytest.mark.parametrize("name", ["keepalive_timeout", "keep_alive_timeout/pinged_lat", "", "/"])
def test_explain_of_what_is_unknown_is_exit_code_2_with_the_list(name: str) -> None:
    result = kaproxy_("explain", name)
    assert result.returncode == 2
    assert f"no cause, root or code is called {name}" in result.stderr
    assert "broker_closed" in result.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cE", "the client's silence ran out"),
        ("banned", 'CONNACK: "Banned".'),
        ("connect_refused/bad_user_name_or_password", "Wrong credentials."),
    ],
)
def test_explain_knows_codes_and_the_reasons_of_a_refusal(name: str, words: str) -> None:
    assert words in kaproxy_("explain", name).stdout


def test_explain_suggests_the_nearest_name() -> None:
    assert "did you mean keep_alive_timeout?" in kaproxy_("explain", "keepalive_timeout").stderr


def explain_log(tmp_path: Path) -> str:
    path = tmp_path / "kaproxy.log"
    path.write_bytes(as_text(*SCENES["pinged_late"]()) + b"noise\n")
    return str(path)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--log", "LOG"),
        ("--log", "LOG", "--client", "a", "--conn", "b"),
        ("--client", "a"),
        ("keep_alive_timeout", "--log", "LOG"),
        ("keep_alive_timeout", "--conn", "b"),
    ],
)
def test_explain_of_a_log_needs_one_of_client_and_conn_and_no_cause(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    log = explain_log(tmp_path)
    result = kaproxy_("explain", *(log if each == "LOG" else each for each in arguments))
    assert result.returncode == 2
    assert "Usage: " in result.stderr


def test_explain_tells_the_story_of_a_client_out_of_a_log(tmp_path: Path) -> None:
    result = kaproxy_("explain", "--log", explain_log(tmp_path), "--client", "sensor-17", COLUMNS="120")
    assert result.returncode == 0
    assert result.stdout.startswith('\nClient "sensor-17": 2 connections in this log, newest last\n')
    assert "keep_alive_timeout / pinged_late" in result.stdout
    assert "1 not JSON (line 7)" in result.stdout
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) in range(100, 121)


def test_explain_reads_standard_input_and_one_connection(tmp_path: Path) -> None:
    with Path(explain_log(tmp_path)).open("rb") as log:
        result = subprocess.run(
            [*COMMAND, "explain", "--log", "-", "--conn", "0c51e9"],
            stdin=log,
            env=ENVIRON | {"PYTHONIOENCODING": "ascii"},
            capture_output=True,
            timeout=30,
            check=False,
        )
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"Connection 0c51e9" in result.stdout
    assert result.stdout.isascii()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--client", "sensor-71"), 'no client identifier "sensor-71" in LOG; did you mean sensor-17?'),
        (("--conn", "0c51e8"), 'no connection "0c51e8" in LOG; did you mean 0c51e9?'),
        (("--conn", "zzz"), 'no connection "zzz" in LOG; it has 2 others'),
    ],
)
def test_explain_of_an_unknown_client_or_connection_is_exit_code_2_with_the_nearest(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    log = explain_log(tmp_path)
    result = kaproxy_("explain", "--log", log, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"kaproxy: {words.replace('LOG', log)}\n"


def test_explain_of_a_log_that_cannot_be_read_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    result = kaproxy_("explain", "--log", str(tmp_path / "none"), "--client", "a")
    assert result.returncode == 2
    assert result.stderr == f"kaproxy: cannot read the log {tmp_path / 'none'}: No such file or directory\n"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_taken_address_is_one_line_and_exit_code_1(tmp_path: Path, workers: str) -> None:
    with closing(socket.socket()) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as another proxy with workers has it
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = kaproxy_(
            "run", "--listen", address, "--log-file", str(tmp_path / "log"), "--workers", workers
        )
    assert result.returncode == 1
    assert result.stderr == f"kaproxy: cannot listen on {address}: Address already in use\n"
    assert (tmp_path / "log").read_text() == ""


def test_a_broker_name_without_an_address_is_one_line_and_exit_code_1() -> None:
    result = kaproxy_("run", "--listen", "127.0.0.1:0", "--upstream", "no-such-broker.invalid:1883")
    assert result.returncode == 1
    assert "no-such-broker.invalid" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_log_file_that_cannot_be_opened_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    path = tmp_path / "none" / "log"
    result = kaproxy_("run", "--listen", "127.0.0.1:0", "--log-file", str(path))
    assert result.returncode == 1
    assert result.stderr == f"kaproxy: cannot open the log file {path}: No such file or directory\n"


def test_a_life_from_start_to_stop(tmp_path: Path) -> None:
    with running(tmp_path, '[timeouts]\npost_mortem = "100ms"\n') as proxy:
        started = proxy.said("proxy.started")
        assert started["version"] == kaproxy.__version__
        assert started["upstream"] == f"127.0.0.1:{proxy.broker.getsockname()[1]}"
        assert (started["broker_profile"], started["pid"]) == ("unknown", proxy.process.pid)
        client, upstream = proxy.connected()
        client.sendall(publish("plant/secret", b"the payload"))
        upstream.recv(100)
        assert proxy.said("connection.established")["client_id"] == "press-7"
        client.sendall(b"\xe0\x00")
        client.close()
        assert upstream.recv(100) == b"\xe0\x00"
        upstream.close()
        closed = proxy.said("connection.closed")
        assert (closed["cause"], closed["level"], closed["closed_by"]) == (
            "client_disconnect",
            "info",
            "client",
        )
        assert proxy.end(signal.SIGTERM) == 0
        stopping, stopped = proxy.lines()[-2:]
        assert (stopping["event"], stopping["signal"], stopping["connections_live"]) == (
            "proxy.stopping",
            "SIGTERM",
            0,
        )
        assert (stopped["event"], stopped["causes"]) == ("proxy.stopped", {"client_disconnect": 1})
        assert (stopped["connections_accepted"], stopped["connections_closed"]) == (1, 1)
        assert proxy.process.stderr is not None
        assert proxy.process.stderr.read() == b""
        text = proxy.log.read_text()
        assert not any(secret in text for secret in ("hunter2", "operator", "the payload", "plant/secret"))


def test_sigint_drains_and_closes_what_is_left_as_the_proxys_doing(tmp_path: Path) -> None:
    with running(tmp_path, '[timeouts]\ndrain = "200ms"\npost_mortem = "100ms"\n') as proxy:
        client, upstream = proxy.connected()
        assert proxy.end(signal.SIGINT) == 0
        events = [line["event"] for line in proxy.lines()[-3:]]
        assert events == ["proxy.stopping", "connection.closed", "proxy.stopped"]
        closed = proxy.said("connection.closed")
        assert (closed["cause"], closed["closed_by"], closed["level"]) == ("proxy_shutdown", "proxy", "info")
        client.close()
        upstream.close()


def test_a_second_signal_ends_at_once_and_still_writes_every_closing_line(tmp_path: Path) -> None:
    with running(tmp_path, '[timeouts]\ndrain = "1h"\n') as proxy:
        client, upstream = proxy.connected()
        proxy.process.send_signal(signal.SIGTERM)
        proxy.said("proxy.stopping")
        started = time.monotonic()
        assert proxy.end(signal.SIGTERM) == 0
        assert time.monotonic() - started < 10
        assert [line["event"] for line in proxy.lines()[-2:]] == ["connection.closed", "proxy.stopped"]
        assert proxy.lines()[-2]["cause"] == "proxy_shutdown"
        client.close()
        upstream.close()


def test_sighup_reopens_the_log_and_reads_the_configuration_again(tmp_path: Path) -> None:
    with running(tmp_path) as proxy:
        client, upstream = proxy.connected()
        assert proxy.said("connection.established")["limit_high_s"] > 90
        proxy.log.rename(tmp_path / "log.1")
        config = tmp_path / "kaproxy.toml"
        config.write_text(
            config.read_text() + 'broker_profile = "aedes"\n[log]\nlevel = "debug"\n[limits]\nbacklog = 5\n'
        )
        proxy.process.send_signal(signal.SIGHUP)
        reloaded = proxy.said("proxy.reloaded")
        assert reloaded["changed"] == ["broker_profile", "log.level"]
        assert reloaded["needs_restart"] == ["limits.backlog"]
        address = json.loads((tmp_path / "log.1").read_text().splitlines()[0])["listen"].rpartition(":")
        with socket.create_connection((address[0], int(address[2])), timeout=10):
            assert proxy.said("connection.accepted")["level"] == "debug"
        client.close()
        upstream.close()
        config.write_text(config.read_text().replace('"debug"', '"info"'))
        proxy.process.send_signal(signal.SIGHUP)
        again = proxy.said("proxy.reloaded", 2)
        assert (again["changed"], again["needs_restart"]) == (["log.level"], ["limits.backlog"])


def test_what_sighup_takes_over_is_exactly_what_is_told_to_be_reloadable() -> None:
    from kaproxy.config import KEYS, Config
    from kaproxy.proxy import RELOADABLE, with_reloaded
    from kaproxy.settings.sample import changed_keys
    from kaproxy.settings.sources import load

    other = {"KAPROXY_LISTEN": "h:1", "KAPROXY_UPSTREAM": "h:2", "KAPROXY_BROKER_PROFILE": "aedes"}
    other |= {"KAPROXY_ADMIN": "h:3", "KAPROXY_WORKERS": "2"}
    other |= {"KAPROXY_LOG_FORMAT": "logfmt", "KAPROXY_LOG_LEVEL": "error", "KAPROXY_LOG_BUFFER": "1MiB"}
    for key in KEYS.values():
        shown = {"0": "1", "10s": "11s", "60s": "61s", "1m": "61s", "1.0": "2.0", "default": "x", "1": "x"}
        default = key.kind.show(key.default).strip('"')
        other.setdefault(key.variable, shown.get(default, "7s" if default.endswith("s") else "7"))
    after = load(None, other, {}).config
    assert changed_keys(Config(), after) == list(KEYS)
    assert set(changed_keys(Config(), with_reloaded(Config(), after))) == RELOADABLE


def test_sighup_with_errors_keeps_the_old_configuration_and_tells_them(tmp_path: Path) -> None:
    with running(tmp_path) as proxy:
        proxy.said("proxy.started")
        config = tmp_path / "kaproxy.toml"
        config.write_text(config.read_text() + "nonsense = 1\n")
        proxy.process.send_signal(signal.SIGHUP)
        assert proxy.said("proxy.reload_failed")["problems"] == [f"{config}:3: nonsense: unknown key"]
        assert proxy.end(signal.SIGTERM) == 0


def test_lines_go_to_standard_output_by_default_and_flushed_at_exit(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "run", "--listen", "127.0.0.1:0"],
        env=ENVIRON,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "proxy.started"
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=20)
    assert [json.loads(line)["event"] for line in rest.splitlines()] == ["proxy.stopping", "proxy.stopped"]
    assert (process.returncode, errors) == (0, b"")


def test_a_reader_that_goes_away_does_not_end_the_proxy(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "run", "--listen", "127.0.0.1:0"],
        env=ENVIRON,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        host, _, port = json.loads(process.stdout.readline())["listen"].rpartition(":")
        process.stdout.close()
        for _ in range(3):
            with socket.create_connection((host, int(port)), timeout=10):
                time.sleep(0.1)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def admin_of(proxy: Running, path: str) -> tuple[int, str]:
    """A page of the admin side: status and body."""
    try:
        with urllib.request.urlopen(
            f"http://{proxy.said('proxy.started')['admin']}{path}", timeout=10
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_one_process_serves_its_admin_side_itself_and_is_not_ready_while_it_drains(tmp_path: Path) -> None:
    config = 'admin = "127.0.0.1:0"\n[timeouts]\ndrain = "1s"\npost_mortem = "100ms"\n'
    with running(tmp_path, config) as proxy:
        client, upstream = proxy.connected()
        assert admin_of(proxy, "/readyz") == (200, "ready\n")
        status = json.loads(admin_of(proxy, "/status")[1])
        assert (status["total"]["connections_live"], len(status["workers"])) == (1, 1)
        assert status["workers"][0]["pid"] == proxy.process.pid
        assert "\nkaproxy_connections_live 1.0\n" in admin_of(proxy, "/metrics")[1]
        proxy.process.send_signal(signal.SIGTERM)
        proxy.said("proxy.stopping")
        assert admin_of(proxy, "/readyz") == (503, "draining\n")
        assert admin_of(proxy, "/healthz") == (200, "ok\n")
        assert proxy.process.wait(20) == 0
        client.close()
        upstream.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_taken_admin_address_is_one_line_and_exit_code_1(workers: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = kaproxy_("run", "--listen", "127.0.0.1:0", "--admin", address, "--workers", workers)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"kaproxy: cannot serve the admin side on {address}: Address already in use\n"


WITHOUT_THE_EXTRA = """
import importlib.util as util
found = util.find_spec
util.find_spec = lambda name, *rest: None if name == "starlette" else found(name, *rest)
from kaproxy.cli import main
main()
"""


def test_an_admin_side_without_its_packages_is_one_line_and_exit_code_2() -> None:
    command = [
        sys.executable,
        "-c",
        WITHOUT_THE_EXTRA,
        "run",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ]
    result = subprocess.run(command, env=ENVIRON, capture_output=True, text=True, timeout=30, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "kaproxy: the admin side needs more packages: pip install 'kaproxy[admin]'\n"


def test_an_admin_address_that_is_the_listening_one_is_a_configuration_error() -> None:
    result = kaproxy_("check", "--listen", "0.0.0.0:1885", "--admin", "127.0.0.1:1885")
    assert result.returncode == 2
    assert "two things cannot listen on one address" in result.stderr


def test_a_worker_without_a_supervisor_is_one_line_and_exit_code_1() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        result = subprocess.run(
            [*COMMAND, "worker", "1-1", "--channel", str(theirs.fileno())],
            env=ENVIRON, pass_fds=[theirs.fileno()], capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert (result.returncode, result.stderr) == (1, "kaproxy: worker 1-1: the supervisor is gone\n")


def closed_descriptors() -> None:
    for number in (0, 1, 2):
        os.close(number)


@pytest.mark.parametrize("before", [closed_descriptors])
def test_closed_standard_descriptors_are_not_given_to_a_connection(
    before: Callable[[], None], tmp_path: Path
) -> None:
    config = tmp_path / "kaproxy.toml"
    with closing(socket.create_server(("127.0.0.1", 0))) as spare:
        port = spare.getsockname()[1]
    config.write_text(f'listen = "127.0.0.1:{port}"\n')
    with subprocess.Popen(
        [*COMMAND, "run", "--config", str(config)], env=ENVIRON, preexec_fn=before
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + 60
            targets: list[str] = []
            while len(targets) < 3 or not any("socket" in name for name in targets):
                assert time.monotonic() < deadline
                assert process.poll() is None
                targets = list(open_files(process.pid))
                time.sleep(0.05)
            assert targets[:3] == ["/dev/null"] * 3
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()


def open_files(pid: int) -> Iterator[str]:
    """What each descriptor of the process points to, lowest first; one closed while it is listed is left out."""
    for item in sorted(Path(f"/proc/{pid}/fd").iterdir(), key=lambda item: int(item.name)):
        with suppress(FileNotFoundError):
            yield str(item.readlink())

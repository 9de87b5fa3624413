"""Two workers and their supervisor as real processes: deaths, drains, signals, takeovers, limits."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kaproxy.telemetry.schema import events, head
from tests.builders import connect
from tests.peers.priority import first_in_line
from tests.telemetry.test_schema import check
from tests.workers.rig import Client, Fleet, alive, fleet, until

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300), pytest.mark.usefixtures("ahead")]
of_one_story = pytest.mark.xdist_group("a killed worker")
QUICK = '[timeouts]\npost_mortem = "100ms"\ndrain = "300ms"\n'


def metrics(running: Fleet) -> dict[str, float]:
    """Every sample by name and labels."""
    return {
        sample.name + str(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(running.get("/metrics"))
        for sample in family.samples
    }


def counters(samples: dict[str, float]) -> dict[str, float]:
    """Those that may only grow."""
    return {name: value for name, value in samples.items() if "_total" in name or "_bucket" in name}


@dataclass
class Story:
    """What a worker's death looked like from outside."""

    placed: dict[str, list[Client]]
    killed: str
    pids: dict[str, int]
    before: dict[str, float]
    after: dict[str, float]
    statuses: list[dict[str, Any]]
    others_answered: list[bool]
    served_meanwhile: int
    lines: list[dict[str, Any]]
    exit_code: int

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """kill -9 of one of two workers that have clients."""
    folder = tmp_path_factory.mktemp("killed")
    with first_in_line(), fleet(folder, f'admin = "127.0.0.1:0"\n{QUICK}') as running:
        placed = running.by_worker(5)
        for client in running.clients:
            assert client.ping()
        killed, other = running.pids()
        pids = running.pids()
        before, status = metrics(running), json.loads(running.get("/status"))
        silent = socket.create_connection(("127.0.0.1", running.port))  # says nothing, and may be in either
        until(
            lambda: (
                json.loads(running.get("/status"))["total"]["connections_live"] == len(running.clients) + 1
            )
        )
        os.kill(pids[killed], signal.SIGKILL)
        running.said("worker.died")
        answered = [client.ping() for client in placed[other]]
        during = metrics(running)
        port = running.port
        meanwhile = [running.client(f"m-{number}", port) for number in range(20)]
        running.said("worker.started", 3)
        until(
            lambda: json.loads(running.get("/status"))["total"]["connections_live"] >= len(placed[other]) + 20
        )
        for name, value in counters(before).items():
            assert during[name] >= value, name
        after, status_after = metrics(running), json.loads(running.get("/status"))
        silent.close()
        for client in placed[other] + meanwhile:
            client.leave()
        exit_code = running.end()
        yield Story(
            placed, killed, pids, before, after, [status, status_after], answered, len(meanwhile),
            running.lines(), exit_code,
        )  # fmt: skip


@of_one_story
def test_both_workers_get_clients_and_every_line_names_its_worker(story: Story) -> None:
    assert sorted(story.placed) == ["1-1", "1-2"]
    assert {line["worker"] for line in story.of("connection.established")} == {"1-1", "1-2"}
    assert {line["worker"] for line in story.of("proxy.started")} == {"1"}


@of_one_story
def test_a_killed_worker_is_told_with_its_signal_and_started_again_at_once(story: Story) -> None:
    (died,) = story.of("worker.died")
    assert (died["worker_name"], died["worker_pid"]) == (story.killed, story.pids[story.killed])
    assert (died["exit_signal"], died["level"], died["restart_in_s"]) == ("SIGKILL", "error", 0.0)
    assert "exit_status" not in died
    again = story.of("worker.started")[-1]
    assert (again["worker_name"], again["starts"]) == (story.killed, 2)
    assert again["worker_pid"] != died["worker_pid"]


@of_one_story
def test_the_connections_a_killed_worker_could_not_close_are_told_by_name(story: Story) -> None:
    (died,) = story.of("worker.died")
    cut = {client.client_id for client in story.placed[story.killed]}
    lost = story.of("connection.lost")
    assert {line["client_id"] for line in lost} == cut
    opened = {line["client_id"]: line["conn_id"] for line in story.of("connection.established")}
    assert {line["client_id"]: line["conn_id"] for line in lost} == {name: opened[name] for name in cut}
    assert died["connections_lost"] - len(cut) in (0, 1)  # the one that said nothing may have been there
    assert f"the {len(cut)} that had sent CONNECT" in died["explanation"]


@of_one_story
def test_clients_of_the_other_worker_notice_nothing_and_new_ones_are_served_meanwhile(story: Story) -> None:
    assert all(story.others_answered)
    assert story.served_meanwhile == 20


@of_one_story
def test_every_connection_has_one_closing_line_or_is_told_as_lost(story: Story) -> None:
    closed = [line["conn_id"] for line in story.of("connection.closed")]
    lost = [line["conn_id"] for line in story.of("connection.lost")]
    opened = {line["conn_id"] for line in story.of("connection.established")}
    assert len(closed) == len(set(closed))
    assert not set(closed) & set(lost)
    assert opened <= set(closed) | set(lost)


@of_one_story
def test_metrics_sum_both_workers_and_no_counter_goes_back_when_one_dies(story: Story) -> None:
    established = sum(len(clients) for clients in story.placed.values())
    assert story.before["kaproxy_connections_accepted_total[]"] == established
    assert story.before["kaproxy_connections_live[]"] == established
    assert story.before["kaproxy_ping_rtt_seconds_count[]"] == established
    assert story.before["kaproxy_workers[('state', 'up')]"] == 2
    packets = "kaproxy_control_packets_total[('direction', 'from_client')]"
    assert story.before[packets] == 2 * established  # CONNECT and PINGREQ each
    for name, value in counters(story.before).items():
        assert story.after[name] >= value, name
    assert story.after["kaproxy_worker_restarts_total[]"] == 1
    assert story.after["kaproxy_connections_lost_total[]"] >= len(story.placed[story.killed])
    assert story.after[packets] >= 2 * established + story.served_meanwhile


@of_one_story
def test_status_shows_the_sum_and_each_worker(story: Story) -> None:
    before, after = story.statuses
    assert [worker["worker"] for worker in before["workers"]] == ["1-1", "1-2"]
    for worker in before["workers"]:
        assert worker["connections_live"] == len(story.placed[worker["worker"]])
        assert worker["pid"] == story.pids[worker["worker"]]
    assert before["total"]["connections_live"] == sum(w["connections_live"] for w in before["workers"])
    assert after["worker_restarts"] == 1
    assert {worker["worker"]: worker["starts"] for worker in after["workers"]}[story.killed] == 2


@of_one_story
def test_every_line_has_the_fields_of_its_table(story: Story) -> None:
    for line in story.lines:
        check(line, head() + events()[line["event"]].fields)


@of_one_story
def test_the_last_line_sums_what_all_workers_did(story: Story) -> None:
    stopped = story.lines[-1]
    assert (stopped["event"], story.exit_code) == ("proxy.stopped", 0)
    (died,) = story.of("worker.died")
    assert stopped["connections_lost"] == died["connections_lost"]
    assert stopped["connections_closed"] == len(story.of("connection.closed"))


def test_a_drain_of_two_workers_writes_a_closing_line_for_every_connection(tmp_path: Path) -> None:
    with fleet(tmp_path, QUICK) as running:
        running.by_worker(50)
        count = len(running.clients)
        assert running.end() == 0
        closed = running.lines("connection.closed")
        assert len({line["conn_id"] for line in closed}) == len(closed) == count >= 100
        assert {(line["cause"], line["closed_by"]) for line in closed} == {("proxy_shutdown", "proxy")}
        stopping, stopped = running.lines("proxy.stopping")[0], running.lines()[-1]
        assert (stopping["connections_live"], stopping["signal"]) == (count, "SIGTERM")
        assert (stopped["event"], stopped["connections_accepted"]) == ("proxy.stopped", count)
        assert stopped["connections_closed"] == count
        assert not running.lines("worker.died")
        assert not any(alive(pid) for pid in running.pids().values())


def test_a_second_signal_ends_at_once_with_every_closing_line(tmp_path: Path) -> None:
    with fleet(tmp_path, '[timeouts]\ndrain = "1h"\n') as running:
        running.by_worker(3)
        running.process.send_signal(signal.SIGINT)
        running.said("proxy.stopping")
        started = time.monotonic()
        assert running.end(signal.SIGINT) == 0
        assert time.monotonic() - started < 10
        assert len(running.lines("connection.closed")) == len(running.clients)


def test_a_signal_to_the_whole_process_group_drains_once(tmp_path: Path) -> None:
    with fleet(
        tmp_path, '[timeouts]\ndrain = "1s"\npost_mortem = "100ms"\n', start_new_session=True
    ) as running:
        placed = running.by_worker(1)
        os.killpg(running.process.pid, signal.SIGTERM)
        running.said("proxy.stopping")
        assert all(clients[0].ping() for clients in placed.values())
        assert running.process.wait(20) == 0
        assert len(running.lines("connection.closed")) == len(running.clients)


@pytest.mark.parametrize("stated", [False, True])
def test_a_takeover_in_another_worker_is_named_in_both_lines(tmp_path: Path, stated: bool) -> None:
    with fleet(tmp_path, QUICK, stated=stated) as running:
        version = 5 if stated else 4
        pairs: dict[str, tuple[str, str]] = {}
        number = 0
        while not any(older != newer for older, newer in pairs.values()):
            name, number = f"press-{number}", number + 1
            running.client(name, version=version, keep_alive=60)
            time.sleep(0.05)
            running.client(name, version=version, keep_alive=30)
            until(partial(_both_came, running, name))
            older, newer = (line for line in running.lines("connection.established") if _is(line, name))
            pairs[name] = (older["worker"], newer["worker"])
        name = next(name for name, (older, newer) in pairs.items() if older != newer)
        first, second = (
            line["conn_id"] for line in running.lines("connection.established") if _is(line, name)
        )
        assert running.end() == 0
        lines = {line["conn_id"]: line for line in running.lines("connection.closed")}
        taken, took = lines[first], lines[second]
        assert taken["worker"] != took["worker"]
        assert (taken["cause"], taken["taken_over_by"]["conn_id"]) == ("takeover", second)
        assert took["took_over"]["conn_id"] == first
        assert taken["taken_over_by"]["client_addr"] == took["took_over"]["client_addr"] == "127.0.0.1"
        assert 0 <= taken["taken_over_by"]["gap_s"] < 0.5
        assert took["took_over"]["gap_s"] == pytest.approx(taken["taken_over_by"]["gap_s"], abs=0.01)
        contested = [line for line in running.lines("client_id.contested") if line["conn_id"] == second]
        assert [line["holder_conn_id"] for line in contested] == [first]


def _is(line: dict[str, Any], client_id: str) -> bool:
    return bool(line["client_id"] == client_id)


def _both_came(running: Fleet, client_id: str) -> bool:
    return sum(_is(line, client_id) for line in running.lines("connection.established")) == 2


def test_of_identifiers_that_wander_between_workers_every_takeover_names_both(tmp_path: Path) -> None:
    with fleet(tmp_path, QUICK) as running:
        names = [f"wanders-{number}" for number in range(25)]
        for name in names * 5:
            running.client(name)
        until(lambda: len(running.lines("connection.closed")) == 100)
        assert running.end() == 0
        lines = {line["conn_id"]: line for line in running.lines("connection.closed")}
        came = [line["conn_id"] for line in sorted(lines.values(), key=lambda line: line["opened_at"])]
        between = 0
        for name in names:
            mine = [lines[conn_id] for conn_id in came if lines[conn_id]["client_id"] == name]
            assert [line["cause"] for line in mine] == ["takeover"] * 4 + ["proxy_shutdown"]
            for older, newer in pairwise(mine):
                assert older["taken_over_by"]["conn_id"] == newer["conn_id"]
                assert newer["took_over"]["conn_id"] == older["conn_id"]
                between += older["worker"] != newer["worker"]
        assert between > 10


def test_clients_waiting_in_the_queue_of_a_worker_that_dies_are_served_by_the_other(tmp_path: Path) -> None:
    with fleet(tmp_path, QUICK) as running:
        running.by_worker(1)
        frozen = running.pids()["1-1"]
        os.kill(frozen, signal.SIGSTOP)
        waiting = []
        for number in range(12):
            sock = socket.create_connection(("127.0.0.1", running.port), timeout=20)
            sock.sendall(connect(f"w-{number}"))
            waiting.append(sock)
        time.sleep(0.3)
        os.kill(frozen, signal.SIGKILL)
        assert [sock.recv(4)[:1] for sock in waiting] == [b"\x20"] * 12
        for sock in waiting:
            sock.close()


def test_where_the_supervisor_is_killed_the_workers_drain_and_end(tmp_path: Path) -> None:
    with fleet(tmp_path, QUICK) as running:
        running.by_worker(3)
        pids = running.pids()
        running.process.kill()
        running.process.wait()
        until(lambda: not any(alive(pid) for pid in pids.values()), 20)
        assert {line["worker"] for line in running.lines("worker.orphaned")} == set(pids)
        closed = running.lines("connection.closed")
        assert len({line["conn_id"] for line in closed}) == len(closed) == len(running.clients)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", running.port), timeout=5)


def test_a_worker_that_is_asked_to_end_drains_and_another_takes_its_place(tmp_path: Path) -> None:
    with fleet(tmp_path, QUICK) as running:
        placed = running.by_worker(2)
        os.kill(running.pids()["1-1"], signal.SIGTERM)
        (died,) = running.said("worker.died")
        assert (died["exit_status"], died["level"], died["connections_lost"]) == (0, "warning", 0)
        running.said("worker.started", 3)
        closed = {line["client_id"] for line in running.lines("connection.closed")}
        assert closed == {client.client_id for client in placed["1-1"]}
        assert all(client.ping() for client in placed["1-2"])


def test_sighup_reaches_every_worker_and_one_that_comes_later(tmp_path: Path) -> None:
    with fleet(tmp_path, QUICK) as running:
        running.by_worker(1)
        config = tmp_path / "kaproxy.toml"
        config.write_text(config.read_text() + '[log]\nlevel = "debug"\n[limits]\nbacklog = 5\n')
        running.log.rename(tmp_path / "log.1")
        running.process.send_signal(signal.SIGHUP)
        (reloaded,) = running.said("proxy.reloaded")
        assert (reloaded["changed"], reloaded["needs_restart"]) == (["log.level"], ["limits.backlog"])
        old = [json.loads(line) for line in (tmp_path / "log.1").read_text().splitlines()]
        pids = {line["worker_name"]: line["worker_pid"] for line in old if line["event"] == "worker.started"}
        port = int(
            next(line["listen"] for line in old if line["event"] == "proxy.started").rpartition(":")[2]
        )
        for number in range(200):
            running.client(f"d-{number}", port).leave()
            if {line["worker"] for line in running.lines("connection.accepted")} == {"1-1", "1-2"}:
                break
        assert {line["worker"] for line in running.lines("connection.accepted")} == {"1-1", "1-2"}
        os.kill(pids["1-2"], signal.SIGKILL)
        running.said("worker.started")
        seen = len(running.lines("connection.accepted"))
        for number in range(200):
            running.client(f"e-{number}", port).leave()
            if "1-2" in {line["worker"] for line in running.lines("connection.accepted")[seen:]}:
                break
        assert "1-2" in {line["worker"] for line in running.lines("connection.accepted")[seen:]}


def test_a_limit_of_connections_holds_for_all_workers_together(tmp_path: Path) -> None:
    with fleet(tmp_path, f"{QUICK}[limits]\nmax_connections = 20\n") as running:
        port, served = running.port, 0
        for number in range(30):
            with suppress(AssertionError, ConnectionResetError, BrokenPipeError):
                running.client(f"l-{number}", port)
                served += 1
        assert served == 20
        refused = [line for line in running.said("connection.closed", 10) if line["cause"] == "proxy_limit"]
        assert len(refused) == 10
        assert {line["proxy_detail"] for line in refused} == {"max_connections: 20"}


def descriptors(pid: int) -> set[str]:
    """What a process has open, by name."""
    found = set()
    for item in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(item.readlink()))
    return found


def test_no_socket_of_the_admin_side_is_handed_down_to_workers(tmp_path: Path) -> None:
    with fleet(tmp_path, f'admin = "127.0.0.1:0"\n{QUICK}') as running:
        assert running.get("/healthz") == "ok\n"
        port = int(running.admin.rpartition(":")[2])
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        inodes = {f"socket:[{row[9]}]" for row in rows if int(row[1].rpartition(":")[2], 16) == port}
        assert inodes & descriptors(running.process.pid)
        for pid in running.pids().values():
            assert not inodes & descriptors(pid)


LONG = "x" * 6000  # a line of more than a pipe keeps together


def check_whole(text: bytes, count: int) -> None:
    lines = [json.loads(line) for line in text.splitlines()]
    closed = [line for line in lines if line["event"] == "connection.closed"]
    assert len({line["conn_id"] for line in closed}) == len(closed) == count
    assert {line["worker"] for line in closed} == {"1-1", "1-2"}
    assert any(len(line["client_id"]) > 6000 for line in closed)


def come_and_go(running: Fleet, port: int, count: int) -> None:
    for number in range(0, count, 20):
        some = [running.client(f"{LONG if n % 2 else 'y'}-{n}", port) for n in range(number, number + 20)]
        for client in some:
            client.leave()


def test_lines_of_two_workers_are_whole_in_one_file(tmp_path: Path) -> None:
    with fleet(tmp_path, QUICK) as running:
        come_and_go(running, running.port, 200)
        assert running.end() == 0
        check_whole(running.log.read_bytes(), 200)


def test_lines_of_two_workers_are_whole_in_one_pipe_whose_reader_is_slow(tmp_path: Path) -> None:
    # Without a buffer here, so that what was read with a line is not kept from what reads on.
    with fleet(tmp_path, QUICK, stdout=subprocess.PIPE, bufsize=0) as running:
        out = running.process.stdout
        assert out is not None
        text = bytearray()
        while b'"proxy.started"' not in text:
            text += out.readline()
        port = int(json.loads(text.splitlines()[-1])["listen"].rpartition(":")[2])
        come_and_go(running, port, 200)  # more than the pipe holds, and nobody reads
        running.process.send_signal(signal.SIGTERM)
        slow_until = time.monotonic() + 0.5  # lines are not kept much longer than that after the end
        while chunk := os.read(out.fileno(), 3000):
            text += chunk
            if time.monotonic() < slow_until:
                time.sleep(0.0005)
        assert running.process.wait(20) == 0
        out.close()
        check_whole(bytes(text), 200)


def failing_workers(folder: Path, when: Path) -> dict[str, str]:
    """The environment of a proxy whose workers fail at their start as long as the file `when` exists."""
    module = folder / "sitecustomize.py"
    module.write_text(
        f"import os, sys\nif 'worker' in sys.orig_argv and os.path.exists({str(when)!r}):\n    os._exit(3)\n"
    )
    return {"PYTHONPATH": str(folder)}


def test_workers_that_cannot_start_at_all_end_the_proxy_with_one_line_and_exit_code_1(tmp_path: Path) -> None:
    environ = failing_workers(tmp_path, tmp_path)
    with fleet(tmp_path, environ=environ, stderr=subprocess.PIPE) as running:
        _, errors = running.process.communicate(timeout=30)
        assert running.process.returncode == 1
        assert errors.decode().startswith("kaproxy: worker 1-")
        assert errors.decode().endswith(" could not start\n")
        assert len(errors.splitlines()) == 1
        assert not running.lines("proxy.started")


def test_a_worker_that_keeps_failing_is_started_less_and_less_often_and_nobody_waits_for_it(
    tmp_path: Path,
) -> None:
    failing = tmp_path / "failing"
    with fleet(tmp_path, QUICK, environ=failing_workers(tmp_path, failing)) as running:
        port = running.port
        failing.touch()
        os.kill(running.pids()["1-1"], signal.SIGKILL)
        died = running.said("worker.died", 3)
        assert [line["restart_in_s"] for line in died[:3]] == [0.0, 0.5, 1.0]
        assert [line.get("exit_status") for line in died[:3]] == [None, 3, 3]
        for number in range(20):
            assert running.client(f"f-{number}", port).ping()
        failing.unlink()
        running.said("worker.started", 3)
        assert running.end() == 0


def test_a_signal_while_workers_are_still_starting_ends_them_too(tmp_path: Path) -> None:
    with fleet(tmp_path, QUICK, start_new_session=True) as running:
        until(lambda: b"--channel" in b"".join(command_lines(running.process.pid)))
        os.killpg(running.process.pid, signal.SIGTERM)
        assert running.process.wait(20) == 0
        assert [line["event"] for line in running.lines()][-1] == "proxy.stopped"
        assert not running.lines("worker.died")


def command_lines(parent: int) -> Iterator[bytes]:
    """Of the processes a process has started."""
    with suppress(FileNotFoundError):
        for task in Path(f"/proc/{parent}/task").iterdir():
            for child in (task / "children").read_text().split():
                with suppress(FileNotFoundError):
                    yield Path(f"/proc/{child}/cmdline").read_bytes()

"""The load generator: that what it answers is what was done."""

from __future__ import annotations

import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from benchmarks.generator import Generator
from benchmarks.relays import free_port

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="the generator is built with cc")


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return Generator.build(tmp_path_factory.mktemp("load"))


SLOW_S = 0.01  # what a slow relay takes over each chunk


@contextmanager
def slow_relay(broker_port: int) -> Iterator[int]:
    """A relay of one connection that mostly keeps its peers waiting; yields its port."""

    def carry(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with (
            client,
            socket.create_connection(("127.0.0.1", broker_port)) as broker,
            suppress(ConnectionError),
        ):
            other = {client: broker, broker: client}
            while True:
                for sock in select.select([client, broker], [], [])[0]:
                    if not (data := sock.recv(4096)):
                        return
                    time.sleep(SLOW_S)
                    other[sock].sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = Thread(target=carry, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def slowly(generator: Generator, **more: object) -> dict[str, Any]:
    """What the generator answers where that relay is between."""
    broker_port = free_port()
    with slow_relay(broker_port) as port:
        places = {"connect": f"127.0.0.1:{port}", "listen": f"127.0.0.1:{broker_port}"}
        return generator.run(load(conns=1, seconds=0.4, **places, **more), None)


def busy(answer: dict[str, Any]) -> float:
    return float(1 - answer["idle_s"] / answer["seconds"])


def load(**more: object) -> dict[str, object]:
    port = free_port()
    return {
        "mode": "pingpong",
        "conns": 5,
        "seconds": 0.1,
        "warmup": 0,
        "connect": f"127.0.0.1:{port}",
        "listen": f"127.0.0.1:{port}",
        **more,
    }


@pytest.mark.parametrize("qos", [0, 1])
def test_round_trips_without_a_relay_are_done_and_cost_no_relays_cpu(generator: Generator, qos: int) -> None:
    answer = generator.run(load(qos=qos, **{"relay-pid": 0}), None)
    assert answer["done"] > 100
    assert answer["relay_cpu_s"] == 0.0
    assert 0 < answer["p50_us"] <= answer["p99_us"] <= answer["max_us"]


def test_paced_round_trips_keep_their_pace_or_tell_how_many_were_skipped(generator: Generator) -> None:
    answer = generator.run(load(rate=2000, seconds=0.2), None)
    assert answer["done"] + answer["skipped"] == pytest.approx(400, rel=0.4)


def test_a_slow_relay_leaves_the_generator_with_nothing_to_do_though_it_does_not_sleep(
    generator: Generator,
) -> None:
    answer = slowly(generator, sleep=0)
    assert 0 < answer["done"] < 0.5 / (2 * SLOW_S)
    assert 0 <= busy(answer) < 0.2
    assert answer["generator_cpu_s"] > 2 * busy(answer) * answer["seconds"]


def test_without_a_relay_the_generator_always_has_something_to_do(generator: Generator) -> None:
    assert 0.8 < busy(generator.run(load(seconds=0.4, sleep=0), None)) <= 1


def test_a_pace_is_work_where_something_is_due_and_none_between(generator: Generator) -> None:
    seldom, often = (busy(generator.run(load(rate=rate, seconds=0.4), None)) for rate in (50, 20_000))
    assert 0 <= seldom < 0.2
    assert often > 2 * seldom


def test_a_generator_that_may_sleep_leaves_its_core_to_others(generator: Generator) -> None:
    answer = slowly(generator, sleep=1)
    assert answer["done"] > 0
    assert answer["generator_cpu_s"] < 0.2
    assert busy(answer) == pytest.approx(answer["generator_cpu_s"] / answer["seconds"], abs=0.01)


def test_a_generator_sleeps_where_it_has_no_core_of_its_own_or_is_told_to() -> None:
    def sleeps(arguments: dict[str, object], core: int | None) -> str:
        command = Generator(Path("load")).command(arguments, core)
        assert command.count("--sleep") == 1
        return command[command.index("--sleep") + 1]

    assert (sleeps({}, 0), sleeps({}, None)) == ("0", "1")
    assert (sleeps({"sleep": 1}, 0), sleeps({"sleep": 0}, None)) == ("1", "0")


def test_quantiles_are_the_medians_of_those_of_the_windows(generator: Generator) -> None:
    quiet = {"conns": 1, "rate": 2000, "warmup": 0, "seconds": 0.4}
    in_one, in_twenty = (generator.run(load(**quiet, windows=count), None) for count in (1, 20))
    for answer in (in_one, in_twenty):
        assert 0 < answer["p50_us"] <= answer["p99_us"] <= answer["p999_us"] <= answer["max_us"]
    # 40 samples a window: its last percent and its last per mille are the same sample, of 800 they are not
    assert in_twenty["p99_us"] == in_twenty["p999_us"]
    assert in_one["p99_us"] < in_one["p999_us"]


def test_the_cpu_of_a_relay_is_that_of_all_its_processes(generator: Generator) -> None:
    still, spinning = (
        subprocess.Popen([sys.executable, "-c", what], stdin=subprocess.PIPE)
        for what in ("input()", "while True: pass")
    )
    try:
        both = generator.run(load(seconds=0.3, **{"relay-pid": f"{still.pid},{spinning.pid}"}), None)
        assert both["relay_cpu_s"] > 0.01
    finally:
        for process in (still, spinning):
            process.kill()
            process.communicate()


def test_a_relay_that_is_gone_fails_the_sample(generator: Generator) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    with pytest.raises(RuntimeError, match=f"process {gone.pid} of the relay is gone"):
        generator.run(load(**{"relay-pid": gone.pid}), None)


def test_large_bodies_are_whole_control_packets_and_counted_in_bytes(generator: Generator) -> None:
    answer = generator.run(load(mode="stream", frame=1 << 20), None)
    assert answer["bytes"] > 1 << 20

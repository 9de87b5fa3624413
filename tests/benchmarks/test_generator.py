"""The load generator: that what it answers is what was done."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from benchmarks.generator import Generator
from benchmarks.relays import free_port

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="the generator is built with cc")


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return Generator.build(tmp_path_factory.mktemp("load"))


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

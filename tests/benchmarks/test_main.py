"""A run: what is chosen, what fails once, and what the machine has no descriptors for."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as run
from benchmarks.experiments import EXPERIMENTS
from benchmarks.generator import Generator
from benchmarks.relays import RELAYS, Running

CHURN = next(e for e in EXPERIMENTS if e.key == "churn")
ANSWER = {"done": 300, "seconds": 2.0, "relay_cpu_s": 0.03, "idle_s": 0.5, "bytes": 0}


class Answering(Generator):
    """A generator that says what it is told to say."""

    def run(self, arguments: dict[str, object], core: int | None) -> dict[str, Any]:
        return dict(ANSWER)


def relay_that_fails(monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    started: list[int] = []

    @contextmanager
    def relay(folder: Path, core: int | None) -> Iterator[Running]:
        started.append(1)
        if len(started) <= times:
            raise RuntimeError("does not listen")
        yield Running("direct", 1, 1, 0)

    monkeypatch.setitem(RELAYS, "direct", relay)
    return started


def take() -> dict[str, float]:
    return run.take(CHURN, "direct", {}, Answering(Path("load")), Path(), argparse.Namespace(cores="0,1"))


def test_a_sample_that_fails_is_tried_again_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started = relay_that_fails(monkeypatch, 2)
    assert take() == {"rate": 150.0, "cpu": pytest.approx(100.0), "generator_busy": 0.75}
    assert len(started) == 3
    assert capsys.readouterr().err.count("churn, direct, once more: does not listen") == 2


def test_a_sample_that_always_fails_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    relay_that_fails(monkeypatch, 9)
    with pytest.raises(RuntimeError, match="does not listen"):
        take()


def test_an_experiment_with_more_connections_than_descriptors_is_left_out_but_for_idle_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "most_connections", lambda: 800)
    left_out = [e.key for e in EXPERIMENTS if not run.fits(e)]
    assert left_out == ["round_trips_1000", "round_trips_4000", "round_trips_qos1_1000"]
    assert "round_trips_1000 left out" in capsys.readouterr().err

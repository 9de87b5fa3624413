"""A worker that stops without ending: told, stood in for, and taken back. A signal really stops it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.workers.rig import fleet

pytestmark = pytest.mark.end_to_end


def test_a_stopped_worker_is_told_and_stood_in_for_until_it_runs_again(tmp_path: Path) -> None:
    with fleet(tmp_path) as running:
        placed = running.by_worker(2)
        stopped, other = running.pids()
        pid = running.pids()[stopped]
        os.kill(pid, signal.SIGSTOP)
        try:
            (told,) = running.said("worker.silent")
            assert (told["worker_name"], told["worker_pid"], told["level"]) == (stopped, pid, "error")
            assert told["silent_s"] == 8.0
            assert told["connections_live"] <= len(placed[stopped])  # as of its last news
            meanwhile = [
                running.client(f"m-{number}") for number in range(20)
            ]  # the kernel deals them to both
            assert all(client.ping() for client in placed[other] + meanwhile)
        finally:
            os.kill(pid, signal.SIGCONT)
        (again,) = running.said("worker.answers")
        assert again["worker_name"] == stopped
        assert again["silent_s"] >= 8.0
        assert all(client.ping() for client in placed[stopped])  # they had only waited
        running.by_worker(1, "after")  # both accept
        assert not running.lines("worker.died")
        assert running.end() == 0

"""Real-time priority: every thread of a relay has it, and where it may not be given nothing happens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import priority

TWO_THREADS = """
import threading, sys
threading.Thread(target=sys.stdin.read).start()
print("two", flush=True)
"""


@pytest.fixture
def pid() -> Iterator[int]:
    command = [sys.executable, "-c", TWO_THREADS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid


def policies(pid: int) -> list[int]:
    return [os.sched_getscheduler(int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()]


@pytest.mark.root
def test_every_thread_has_it_and_who_gave_it_does_not(pid: int) -> None:
    if not priority.possible():
        pytest.skip("not even for root here")
    own = os.sched_getscheduler(0)
    priority.put_first([pid])
    assert policies(pid) == [os.SCHED_RR, os.SCHED_RR]
    assert os.sched_getscheduler(0) == own


def test_where_it_may_not_be_given_nothing_happens(monkeypatch: pytest.MonkeyPatch, pid: int) -> None:
    monkeypatch.setattr(priority, "possible", lambda: False)
    before = policies(pid)
    priority.put_first([pid])
    assert policies(pid) == before

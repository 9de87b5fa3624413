"""Shares of a core for workers: what is written where, and that the kernel holds a process to it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import quota
from benchmarks.idle import cpu_s

SPIN = "while True: pass"


def group_with(place: Path, *files: str) -> Path:
    place.mkdir()
    for name in files:
        (place / name).touch()
    return place


def test_version_1_is_given_a_period_and_a_quota(tmp_path: Path) -> None:
    group = group_with(tmp_path / "g", "cpu.cfs_period_us", "cpu.cfs_quota_us")
    quota.set_quota(group, 0.5)
    assert (group / "cpu.cfs_period_us").read_text() == "20000"
    assert (group / "cpu.cfs_quota_us").read_text() == "10000"


def test_version_2_is_given_both_in_one_line(tmp_path: Path) -> None:
    group = group_with(tmp_path / "g", "cpu.max")
    quota.set_quota(group, 0.25)
    assert (group / "cpu.max").read_text() == "5000 20000"


def test_version_2_is_told_to_pass_the_cpu_controller_on_once(tmp_path: Path) -> None:
    group = group_with(tmp_path / "g", "cgroup.subtree_control")
    quota.enable(group)
    assert (group / "cgroup.subtree_control").read_text() == "+cpu"
    (group / "cgroup.subtree_control").write_text("cpuset cpu io\n")
    quota.enable(group)
    assert (group / "cgroup.subtree_control").read_text() == "cpuset cpu io\n"


def test_a_place_without_the_kernels_files_is_not_usable_and_nothing_is_left_there(tmp_path: Path) -> None:
    assert not quota.usable(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def spinning() -> Iterator[list[int]]:
    processes = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(3)]
    yield [process.pid for process in processes]
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.root
def test_workers_and_who_is_beside_them_get_no_more_than_the_workers_shares(spinning: list[int]) -> None:
    place = quota.root()
    if place is None:
        pytest.skip("no CPU quotas here")
    groups = set(place.iterdir())
    with quota.limited(2) as limit:
        limit(spinning[:2], spinning[2:])
        before, started = [cpu_s(pid) for pid in spinning], time.monotonic()
        time.sleep(0.4)
        used = [cpu_s(pid) - then for pid, then in zip(spinning, before, strict=True)]
        share = quota.SHARE * (time.monotonic() - started + 2 * quota.PERIOD_US / 1e6)
        for pid in spinning:
            subprocess.run(["kill", "-9", str(pid)], check=True)
    assert max(used[:2]) < share * 1.1
    assert 0 < sum(used) < 2 * share * 1.1
    assert set(place.iterdir()) == groups

"""A share of a core for each worker, by the kernel's CPU bandwidth control: cgroup v1 or v2, where root may.

On a machine whose cores the load generator needs too, workers can only be compared where each has the same, smaller
core: one of `SHARE`. A group holds them together at as many shares as there are workers, so that a process beside them
(the supervisor) is paid out of their shares. The core is kept awake: a lone worker would pay for waking it up again and
again, and two of them look more than twice as fast. It may not know what the processes do. Where there is no way to a
quota, `kind()` is empty and `limited` does nothing.
Read next: `relays.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TypeAlias

SHARE = 0.25  # of a core
PERIOD_US = 20_000  # short, so that a worker is never held for long
EMPTY_LIMIT_S = 5.0

#: Puts the workers' processes under their quotas: (workers, whoever is beside them).
Limit: TypeAlias = Callable[[Sequence[int], Sequence[int]], None]


SPIN = """
import os
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while True:
    pass
"""


@cache
def root() -> Path | None:
    """Where groups with a CPU quota can be made; None where they cannot."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup" and "cpu" in options.split(",") and usable(Path(place)):
            return Path(place)
        if kind == "cgroup2" and usable(Path(place)):
            return Path(place)
    return None


def kind() -> str:
    """Which sort of quota there is, in words; empty: none."""
    place = root()
    return "" if place is None else "cgroup v2" if unified(place) else "cgroup v1"


def unified(place: Path) -> bool:
    """Whether that is version 2's hierarchy."""
    return (place / "cgroup.controllers").exists()


def usable(place: Path) -> bool:
    """Whether a group can be made there and given a quota and a group of its own."""
    try:
        with groups(place, "probe", 1):
            return True
    except OSError:
        return False


@contextmanager
def limited(workers: int) -> Iterator[Limit]:
    """Groups for that many workers, removed once their processes are gone."""
    place = root()
    if place is None:
        yield lambda _workers, _beside: None
        return
    with groups(place, "workers", workers) as (beside_all, each):

        def limit(pids: Sequence[int], beside: Sequence[int]) -> None:
            for pid in beside:
                write(beside_all / "cgroup.procs", pid)
            for pid, group in zip(pids, each, strict=True):
                write(group / "cgroup.procs", pid)

        yield limit


@contextmanager
def awake(core: int | None) -> Iterator[None]:
    """Keeps a core from sleeping, with what gives way to everything else."""
    if core is None:
        yield
        return
    with subprocess.Popen(["taskset", "-c", str(core), sys.executable, "-c", SPIN]) as spinning:
        try:
            yield
        finally:
            spinning.kill()


@contextmanager
def groups(place: Path, name: str, workers: int) -> Iterator[tuple[Path, list[Path]]]:
    """One group of `workers` shares, and in it one for what is beside the workers and one share for each of them."""
    v2 = unified(place)
    with ExitStack() as undo:
        if v2:
            enable(place)
        whole = made(place / f"kaproxy-bench-{os.getpid()}-{name}", undo)
        if v2:
            enable(whole)
        set_quota(whole, workers * SHARE)
        beside = made(whole / "beside", undo)
        each = [made(whole / f"worker-{number}", undo) for number in range(workers)]
        for group in each:
            set_quota(group, SHARE)
        yield beside, each


def made(group: Path, undo: ExitStack) -> Path:
    """A new group, removed at the end."""
    group.mkdir()
    undo.callback(remove, group)
    return group


def enable(group: Path) -> None:
    """Version 2 only: lets groups below this one have CPU quotas."""
    if "cpu" not in (group / "cgroup.subtree_control").read_text().split():
        write(group / "cgroup.subtree_control", "+cpu")


def set_quota(group: Path, cores: float) -> None:
    """So many cores' worth of CPU time in every period."""
    quota = round(cores * PERIOD_US)
    if (group / "cpu.max").exists():
        write(group / "cpu.max", f"{quota} {PERIOD_US}")
    else:
        write(group / "cpu.cfs_period_us", PERIOD_US)
        write(group / "cpu.cfs_quota_us", quota)


def write(file: Path, value: object) -> None:
    """One write(2), as the kernel wants it; raises where it does not like the value."""
    with file.open("r+b", buffering=0) as opened:
        opened.write(str(value).encode())


def remove(group: Path) -> None:
    """Removes a group as soon as the last process in it is reaped."""
    deadline = time.monotonic() + EMPTY_LIMIT_S
    while time.monotonic() < deadline:
        with suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.02)

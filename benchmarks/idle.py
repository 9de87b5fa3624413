"""Idle connections: their memory, the CPU of letting them be, and the lines when all are dropped at once.

The generator's process is killed for the drop, so that the kernel ends every leg of every connection in the
same moment. It may not know which relay it looks at: only where its lines go, if anywhere.
Read next: `relays.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.generator import Generator
from benchmarks.python import ROOT
from benchmarks.relays import PYTHON, Running

IDLE_S = 5.0  # over which CPU is measured
SETTLE_S = 1.0  # from the last CONNACK until then
DROP_LIMIT_S = 60.0


def sample(generator: Generator, relay: Running, load: dict[str, object], core: int | None) -> dict[str, Any]:
    """Memory before and after the connections are established, their CPU, then what the drop costs."""
    count = int(str(load["conns"]))
    before, slab = relay.rss_kb, slab_kb()
    with generator.hold({**load, "seconds": 600}, core) as held:
        time.sleep(SETTLE_S)
        grown, slab = relay.rss_kb - before, slab_kb() - slab
        used = cpu_s(relay.pid)
        time.sleep(IDLE_S)
        used = cpu_s(relay.pid) - used
        if held.poll() is not None:
            raise RuntimeError("the generator did not hold its connections")
        told = drop(held.kill, relay, count) if relay.log else {}
        if relay.place is not None:
            told["judged_us"] = judged_us(relay)
    return {
        "count": count,
        "kb": grown / count,
        "kernel_kb": max(0.0, slab / count / 2),  # the other half is the generator's
        "cpu": 100 * used / IDLE_S * 9000 / count,
        "idle_s": IDLE_S,
        "seconds": IDLE_S,
        **told,
    }


def drop(kill: Callable[[], None], relay: Running, count: int) -> dict[str, float]:
    """Kills the peers of all connections, and waits for the last closing line."""
    assert relay.log is not None
    with relay.log.open("rb") as lines:
        lines.seek(0, os.SEEK_END)
        used, started = cpu_s(relay.pid), time.monotonic()
        kill()
        written, rest, size = 0, b"", 0
        while written < count:
            if time.monotonic() - started > DROP_LIMIT_S:
                raise RuntimeError(f"only {written} closing lines of {count}")
            time.sleep(0.05)
            *whole, rest = (rest + lines.read()).split(b"\n")
            closed = [line for line in whole if relay.line in line]
            written += len(closed)
            size += sum(map(len, closed))
    took = time.monotonic() - started
    used = cpu_s(relay.pid) - used
    return {"lines_per_s": count / took, "line_us": 1e6 * used / count, "line_bytes": size / written}


def judged_us(relay: Running) -> float:
    """What judging and writing one of those lines costs that build by itself, microseconds."""
    beside = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [str(PYTHON.program), "-m", "benchmarks.closing", str(relay.log)]
    ran = subprocess.run(
        command, cwd=relay.place, env=beside, capture_output=True, text=True, timeout=DROP_LIMIT_S, check=True
    )
    return float(json.loads(ran.stdout)["us"])


def slab_kb() -> int:
    """The kernel's own memory, kilobytes: sockets and what belongs to them are in it, their buffers are not."""
    rows = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return next(int(row[1]) for row in rows if row[0] == "Slab:")


def cpu_s(pid: int) -> float:
    """CPU time a process has used, seconds, by its own clock."""
    return time.clock_gettime(process_clock(pid))


def process_clock(pid: int) -> int:
    """The kernel's CPU clock of another process (what clock_getcpuclockid(3) returns)."""
    return (~pid << 3) | 2

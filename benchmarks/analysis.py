"""`python -m benchmarks.analysis`: how long `kaproxy analyze` takes over a million closing lines, step by step.

The log is a made-up fleet's (`tests/fleets`): the proxy's own lines, with what it writes between the closing ones and
with other programs' noise; a second log has its closing lines alone. Each step runs in a fresh process, several
times, and its quickest run counts. `--write` puts the table into docs/analysis.md.
Read next: `tests/fleets/bulk.py`, whose mix of lines it is.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fleets import fleet
from tests.fleets.table import put

_MARKERS = (
    "<!-- speed: written by `python -m benchmarks.analysis --write` -->",
    "<!-- end of the speed -->",
)
_CLOSING = b'"event":"connection.closed"'
_LOAD = "import sys; from kaproxy.analysis.store import load; load(sys.argv[1:]).close()"
_FIND = (
    "import sys, time; from kaproxy.analysis.store import load; from kaproxy.analysis.findings import find_all\n"
    "engine = load(sys.argv[1:]); began = time.perf_counter(), time.process_time()\n"
    "find_all(engine); print(time.perf_counter() - began[0], time.process_time() - began[1])"
)


@dataclass(frozen=True)
class Took:
    """What a step took: seconds by the clock and of all cores together, and the most memory it had, MiB."""

    wall_s: float
    cpu_s: float
    mib: float


@dataclass(frozen=True)
class Log:
    """A log to measure with: what it is in words, its lines, the closing ones among them."""

    path: Path
    what: str
    lines: int
    closing: int


def run(command: Sequence[str]) -> tuple[Took, str]:
    """Run a command to its end. Raises CalledProcessError."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Took(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024), said


def steps(log: Log, repeats: int) -> Iterator[tuple[str, Took]]:
    """Every step over a log: its name, and its quickest run."""
    python, name, saved = [sys.executable, "-c"], str(log.path), str(log.path.with_suffix(".parquet"))
    analyze = [sys.executable, "-m", "kaproxy", "analyze"]
    yield "load it", _best([*python, _LOAD, name], repeats)
    yield (
        "find, once it is loaded",
        min((_finding([*python, _FIND, name]) for _ in range(repeats)), key=_clock),
    )
    yield "`kaproxy analyze LOG`", _best([*analyze, name], repeats)
    yield "`kaproxy analyze LOG --save F.parquet`", _best([*analyze, name, "--save", saved], repeats)
    yield (
        f"`kaproxy analyze F.parquet` ({Path(saved).stat().st_size / 1e6:.0f} MB)",
        _best([*analyze, saved], repeats),
    )
    for question in (("--cause", "keep_alive_timeout"), ("--client", "badge-*")):
        yield (
            f"`kaproxy analyze F.parquet {' '.join(question)}`",
            _best([*analyze, saved, *question], repeats),
        )


def _best(command: Sequence[str], repeats: int) -> Took:
    return min((run(command)[0] for _ in range(repeats)), key=_clock)


def _clock(took: Took) -> float:
    return took.wall_s


def _finding(command: Sequence[str]) -> Took:
    whole, said = run(command)
    wall, cpu = map(float, said.split())
    return Took(wall, cpu, whole.mib)


def logs(folder: Path, lines: int, seed: int) -> list[Log]:
    """The fleet's log as it is written, and its closing lines alone."""
    whole, closing = folder / "fleet.jsonl", folder / "closing.jsonl"
    fleet.write(whole, lines, seed)
    counted = [0, 0]
    with whole.open("rb") as read, closing.open("wb") as written:
        for line in read:
            counted[0] += 1
            if _CLOSING in line:
                counted[1] += 1
                written.write(line)
    return [
        Log(whole, "as the proxy writes it", *counted),
        Log(closing, "its closing lines alone", counted[1], counted[1]),
    ]


def table(log: Log, found: Sequence[tuple[str, Took]]) -> str:
    """What was measured over one log."""
    size = log.path.stat().st_size
    head = (
        f"A log {log.what}: {log.lines:,} lines, {log.closing:,} of them closing, {size / 1e9:.1f} GB, "
        f"on {os.cpu_count()} cores.\n\n| Step | s | s of CPU | MiB |\n|---|---|---|---|\n"
    )
    return head + "\n".join(
        f"| {step} | {took.wall_s:.1f} | {took.cpu_s:.1f} | {took.mib:.0f} |" for step, took in found
    )


def main() -> None:
    """What the arguments ask for."""
    asked = argparse.ArgumentParser(
        prog="python -m benchmarks.analysis", description="The speed of the analysis."
    )
    asked.add_argument("--lines", type=int, default=1_000_000, help="closing lines, about")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument(
        "--repeats", type=int, default=3, help="runs of each step, of which the quickest counts"
    )
    asked.add_argument("--write", action="store_true", help="into docs/analysis.md")
    args = asked.parse_args()
    with TemporaryDirectory(prefix="kaproxy-bench-") as folder:
        # in a process of its own: what this one has counts as the least memory of whatever it starts
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            made = pool.submit(logs, Path(folder), args.lines, args.seed).result()
        texts = [table(log, list(steps(log, args.repeats))) for log in made]
    print("\n\n".join(texts))
    if args.write:
        put("\n\n".join(texts), markers=_MARKERS)


if __name__ == "__main__":
    main()

"""The sink against real pipes, files and devices: it never blocks, never raises, counts what is lost."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kaproxy.telemetry.sink import Dropped, Sink

KIB = 1 << 10
LINE = b"x" * 99 + b"\n"


def told(dropped: Dropped) -> bytes:
    return b"dropped %d %d %d %d\n" % (dropped.lines, dropped.bytes, dropped.lines_total, dropped.bytes_total)


def failed(error: OSError) -> bytes:
    return f"reopen failed: {error.strerror}\n".encode()


def sink_for(path: Path | str, limit: int = 64 * KIB) -> Sink:
    return Sink(str(path), limit, told, failed)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: (the reader's descriptor, the writer's)."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def until(fact: Callable[[], bool], limit_s: float = 10.0) -> None:
    """Wait for something the writer thread does."""
    deadline = time.monotonic() + limit_s
    while not fact():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def drained(reader: int) -> bytes:
    """Everything that comes through a pipe until its last writer closes it."""
    read = bytearray()
    while chunk := os.read(reader, 1 << 20):
        read += chunk
    return bytes(read)


def test_lines_reach_a_file_in_order(tmp_path: Path) -> None:
    sink = sink_for(tmp_path / "log", 1 << 20)
    lines = [b"line %d\n" % number for number in range(1000)]
    for line in lines:
        sink.write(line)
    assert sink.close() == 0
    assert (tmp_path / "log").read_bytes() == b"".join(lines)


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"before\n")
    sink = sink_for(tmp_path / "log")
    sink.write(b"after\n")
    sink.close()
    assert (tmp_path / "log").read_bytes() == b"before\nafter\n"


def test_a_file_that_cannot_be_opened_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        sink_for(tmp_path / "none" / "log")


def test_100_000_lines_into_a_pipe_nobody_reads_do_not_block_and_every_lost_one_is_counted(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    sink = sink_for(f"/proc/self/fd/{writer}")
    os.close(writer)
    slowest = 0.0
    for _ in range(100_000):
        before = time.thread_time()
        sink.write(LINE)
        slowest = max(slowest, time.thread_time() - before)
        assert sink.pending <= 64 * KIB
    assert slowest < 0.1
    lost = sink.dropped_lines
    assert lost > 90_000
    assert sink.dropped_bytes == lost * len(LINE)

    kept: list[bytes] = []
    held = b""
    while not kept or not any(line.startswith(b"dropped") for line in kept):
        held += os.read(reader, 1 << 16)
        *lines, held = held.split(b"\n")
        kept += lines
    sink.write(b"after\n")
    sink.close()
    kept += (held + drained(reader)).splitlines()
    assert kept.count(LINE.strip()) == 100_000 - lost
    told_of = [int(line.split()[1]) for line in kept if line.startswith(b"dropped")]
    assert sum(told_of) == lost == int([line for line in kept if line.startswith(b"dropped")][-1].split()[3])
    assert kept[-1] == b"after"


def test_closing_gives_up_at_its_deadline_and_says_how_much_was_left(pipe: tuple[int, int]) -> None:
    _, writer = pipe
    sink = sink_for(f"/proc/self/fd/{writer}", 1 << 20)
    for _ in range(5000):
        sink.write(LINE)
    started = time.monotonic()
    left = sink.close(0.2)
    assert 0.2 <= time.monotonic() - started < 2
    assert left == sink.pending > 0


def test_a_line_larger_than_the_buffer_is_dropped_and_told_of_at_the_latest_at_the_end(
    tmp_path: Path,
) -> None:
    sink = sink_for(tmp_path / "log", 100)
    sink.write(b"y" * 101)
    sink.close()
    assert (tmp_path / "log").read_bytes() == b"dropped 1 101 1 101\n"


def test_a_reader_that_went_away_neither_raises_nor_kills_and_the_next_one_gets_the_lines(
    tmp_path: Path,
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    sink = sink_for(fifo)
    os.close(reader)
    sink.write(b"nobody reads this yet\n")
    sink.write(b"nor this\n")
    again = os.open(fifo, os.O_RDONLY)
    assert sink.close() == 0
    assert drained(again) == b"nobody reads this yet\nnor this\n"
    os.close(again)


def test_a_closed_pipe_does_not_hold_up_the_exit(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    sink = sink_for(f"/proc/self/fd/{writer}")
    os.close(reader)
    for _ in range(10_000):
        sink.write(LINE)
    started = time.monotonic()
    assert sink.close(5) > 0
    assert time.monotonic() - started < 3


def test_a_full_disk_never_raises_into_the_caller() -> None:
    sink = sink_for("/dev/full")
    for _ in range(10_000):
        sink.write(LINE)
    assert sink.dropped_lines > 9000
    assert sink.close() > 0


def test_a_reopened_file_gets_the_lines_from_then_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    sink = sink_for(log)
    sink.write(b"old\n")
    log.rename(tmp_path / "log.1")
    sink.reopen()
    sink.write(b"new\n")
    sink.close()
    assert (tmp_path / "log.1").read_bytes() == b"old\n"
    assert log.read_bytes() == b"new\n"


def test_where_reopening_fails_the_old_file_is_kept_and_told_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    sink = sink_for(folder / "log")
    sink.write(b"old\n")
    until(lambda: sink.pending == 0)
    folder.rename(tmp_path / "moved")
    sink.reopen()
    sink.write(b"new\n")
    sink.close()
    told_there = (tmp_path / "moved" / "log").read_bytes()
    assert told_there == b"old\nreopen failed: No such file or directory\nnew\n"


NON_BLOCKING = """
import sys
from kaproxy.telemetry.sink import Sink
sink = Sink("-", 1 << 20, repr, repr)
for number in range(5000):
    sink.write(b"%099d\\n" % number)
sys.exit(sink.close(20))
"""


def test_a_standard_output_somebody_made_non_blocking_loses_nothing_and_stays_so(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    os.set_blocking(writer, False)
    with subprocess.Popen([sys.executable, "-c", NON_BLOCKING], stdout=writer) as child:
        time.sleep(0.3)
        assert fcntl.fcntl(writer, fcntl.F_GETFL) & os.O_NONBLOCK
        os.close(writer)
        read = drained(reader)
    assert child.returncode == 0
    assert read == b"".join(b"%099d\n" % number for number in range(5000))


def test_standard_output_that_is_blocking_stays_blocking(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    with subprocess.Popen([sys.executable, "-c", NON_BLOCKING], stdout=writer) as child:
        time.sleep(0.3)
        assert not fcntl.fcntl(writer, fcntl.F_GETFL) & os.O_NONBLOCK
        os.close(writer)
        assert len(drained(reader)) == 500_000
    assert child.returncode == 0


def test_lines_of_thousands_of_connections_that_end_at_once_all_get_through_a_busy_interpreter(
    tmp_path: Path,
) -> None:
    line = b"x" * 1999 + b"\n"
    sink = sink_for(tmp_path / "log", limit=8 << 20)
    for _ in range(9000):
        sum(range(5000))  # what making a line takes, without letting the writer in
        sink.write(line)
    sink.close(10.0)
    assert sink.dropped_lines == 0
    assert (tmp_path / "log").stat().st_size == 9000 * len(line)

"""The way out of a log line: a bounded queue and a writer thread, so that no reader can stop the relay.

`write` only queues; where the queue is full the line is dropped and counted, and the writer tells of it with
a `log.dropped` line as soon as it can write again. A reader that went away or a full disk is waited for, in
the thread, and never raises into the caller. It may not know what a line means nor its format.
Processes that share one pipe or file take a lock around each write: a pipe keeps only 4 KiB together, and what
one write hands over may be many lines, or one that is longer.
No O_NONBLOCK: that flag belongs to the open file, so it would change the parent's terminal too.
Read next: `log.py`, which makes the lines.
"""

from __future__ import annotations

import fcntl
import os
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

#: Most bytes written together: enough that gathering and waiting for the interpreter between two writes does not
#: let the queue fill up where thousands of connections end at once.
_BATCH = 1 << 20
_RETRY_S = 0.5
#: Lines that come this shortly (s) after one another are written together: waking this thread for each would cost
#: the relay more than the line.
_GATHER_S = 0.005


@dataclass(frozen=True, slots=True)
class Dropped:
    """Lines lost since the last time this was told, and since the start."""

    lines: int
    bytes: int
    lines_total: int
    bytes_total: int


class _Order:
    """Something for the writer to do between two lines."""


_REOPEN, _STOP = _Order(), _Order()


def _open_target(path: str) -> int:
    """A descriptor of our own for a file, or for standard output where the path is "-". Raises OSError."""
    if path == "-":
        return os.dup(1)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


class Sink:
    """A bounded, off-loop writer of finished lines (bytes ending in a newline).

    One thread may call `write` (each counter has one writer, so nothing is locked). `limit` is in bytes, for
    what is queued and being written together. `tell_dropped` and `tell_failed_reopen` make the sink's own
    lines; they are called in the writer thread. `lock` is a descriptor on whose lock all writers of the same
    target agree. Raises OSError where a file cannot be opened.
    """

    def __init__(
        self,
        path: str,
        limit: int,
        tell_dropped: Callable[[Dropped], bytes],
        tell_failed_reopen: Callable[[OSError], bytes],
        lock: int | None = None,
    ) -> None:
        self.path = path
        self.limit = limit
        self._fd = _open_target(path)
        self._lock = lock
        self._tell_dropped = tell_dropped
        self._tell_failed_reopen = tell_failed_reopen
        self._queue: SimpleQueue[bytes | _Order] = SimpleQueue()
        self._taken = 0  # bytes, counted by the caller's thread
        self._done = 0  # bytes, counted by the writer's
        self.dropped_lines = 0
        self.dropped_bytes = 0
        self._told_lines = 0
        self._told_bytes = 0
        self._lost = 0  # bytes that could not be written at the end
        self._closing = False
        self._given_up = False
        self._writer = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._writer.start()

    def write(self, line: bytes) -> None:
        """Queue a line, or drop and count it where the queue is full. Never blocks, never raises."""
        size = len(line)
        if self._taken - self._done + size > self.limit:
            self.dropped_lines += 1
            self.dropped_bytes += size
            return
        self._taken += size
        self._queue.put(line)

    @property
    def pending(self) -> int:
        """Bytes queued or being written."""
        return self._taken - self._done

    @property
    def is_terminal(self) -> bool:
        """Whether lines go to a terminal."""
        return os.isatty(self._fd)

    def reopen(self) -> None:
        """Open the file anew (it was moved away); lines queued before go to the old one. Not for stdout."""
        if self.path != "-":
            self._queue.put(_REOPEN)

    def close(self, deadline_s: float = 2.0) -> int:
        """Write what is queued, for at most `deadline_s` seconds; the number of bytes that had to be left."""
        self._closing = True
        self._queue.put(_STOP)
        self._writer.join(deadline_s)
        self._given_up = True
        return self.pending + self._lost

    def _run(self) -> None:
        order: _Order | None = None
        while order is not _STOP:
            batch, order = self._next_batch()
            self._lost += self._write_all(batch)
            self._done += len(batch)
            self._tell_of_drops()
            if order is _REOPEN:
                self._reopen()
        os.close(self._fd)

    def _next_batch(self) -> tuple[bytes, _Order | None]:
        """Wait for a line, then take those that are there too; an order ends the batch."""
        lines: list[bytes] = []
        size = 0
        item: bytes | _Order = self._queue.get()
        if not self._closing:
            time.sleep(_GATHER_S)
        while isinstance(item, bytes):
            lines.append(item)
            size += len(item)
            if size >= _BATCH:
                return b"".join(lines), None
            try:
                item = self._queue.get_nowait()
            except Empty:
                return b"".join(lines), None
        return b"".join(lines), item

    def _write_all(self, batch: bytes) -> int:
        """Write until it is written or given up: a gone reader may come back, a full disk be emptied.

        Returns how many bytes were given up at the end.
        """
        if self._lock is None or not batch:
            return self._write_alone(batch)
        fcntl.lockf(self._lock, fcntl.LOCK_EX)  # of the process: one that dies has let go of it
        try:
            return self._write_alone(batch)
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def _write_alone(self, batch: bytes) -> int:
        view = memoryview(batch)
        while view and not self._given_up:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:  # someone who shares our stdout made it non-blocking
                select.select([], [self._fd], [], _RETRY_S)
            except OSError:
                if self._closing:
                    break
                time.sleep(_RETRY_S)
        return len(view)

    def _tell_of_drops(self) -> None:
        lines, size = self.dropped_lines, self.dropped_bytes
        if lines != self._told_lines:
            told = Dropped(lines - self._told_lines, size - self._told_bytes, lines, size)
            self._told_lines, self._told_bytes = lines, size
            self._write_all(self._tell_dropped(told))

    def _reopen(self) -> None:
        try:
            fd = _open_target(self.path)
        except OSError as error:
            self._write_all(self._tell_failed_reopen(error))
        else:
            os.close(self._fd)
            self._fd = fd

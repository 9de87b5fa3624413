"""What supervisor and worker say to each other: lines of a word, numbers and JSON over a pair of sockets.

Nobody waits for the other: what the kernel does not take at once is queued and sent by a task of its own. Where the
other does not read, news is dropped and counted, orders and snapshots (few and small) are not. The end of the stream
means that the other process is gone. It may not know what a word means.
Read next: `supervisor.py` and `child.py`, which do.
"""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import orjson
import trio

#: Bytes of news queued for a process that does not read; beyond it news is dropped.
QUEUE_LIMIT = 4 << 20
_CHUNK = 1 << 16


class Message(NamedTuple):
    """One line: its word, its numbers, and itself, for passing on and for whoever wants to know its content."""

    word: str
    numbers: tuple[int, ...]
    line: bytes

    @property
    def content(self) -> Any:
        """Read anew each time: who only passes it on need not. Raises ValueError where it is not one of `line_of`."""
        written = self.line.partition(b"\t")[2]
        try:
            return orjson.loads(written)
        except orjson.JSONDecodeError:  # half of a surrogate pair, which only the other one reads
            return json.loads(written)


def line_of(word: str, content: object = None, *numbers: int) -> bytes:
    """A message as it is sent. Text may hold anything a client identifier may: what has no UTF-8 is escaped."""
    try:
        written = orjson.dumps(content)
    except orjson.JSONEncodeError:
        written = json.dumps(content, separators=(",", ":")).encode()
    return b"%b\t%b\n" % (" ".join((word, *map(str, numbers))).encode(), written)


def message_of(line: bytes) -> Message:
    """Raises ValueError where the line does not begin as one of `line_of`."""
    word, *numbers = line[: line.index(b"\t")].decode().split(" ")
    return Message(word, tuple(map(int, numbers)), line)


class Channel:
    """One end of the line between two processes."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        self._queue: list[bytes] = []
        self._queued = 0
        self._news = trio.Event()
        self._idle = trio.Event()
        self._idle.set()
        self.dropped = 0  # pieces of news the other was too slow for

    def say(self, word: str, content: object = None) -> None:
        """Queue an order or an answer."""
        self._put(line_of(word, content))

    def pass_on(self, line: bytes, pieces: int) -> None:
        """Queue a line of news, or drop it where the other does not read."""
        if self._queued + len(line) > QUEUE_LIMIT:
            self.dropped += pieces
        else:
            self._put(line)

    def _put(self, line: bytes) -> None:
        """Have the kernel take it now, and only the rest later: waking `pump` costs more than sending."""
        if not self._queued and not (line := line[self._taken(line) :]):
            return
        self._queue.append(line)
        self._queued += len(line)
        self._idle = self._idle if not self._idle.is_set() else trio.Event()
        self._news.set()

    def _taken(self, line: bytes) -> int:
        """How much of it the kernel has taken; where the other is gone, `pump` is to find out."""
        try:
            return self._sock.send(line)
        except OSError:
            return 0

    async def pump(self) -> None:
        """Send what is queued, until the other is gone."""
        try:
            while True:
                await self._news.wait()
                self._news = trio.Event()
                queue, self._queue = self._queue, []
                data = b"".join(queue)
                await self._stream.send_all(data)
                self._queued -= len(data)
                if not self._queue:
                    self._idle.set()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def sent(self, limit_s: float) -> None:
        """Wait until everything queued is sent, or for so long."""
        with trio.move_on_after(limit_s):
            await self._idle.wait()

    async def messages(self) -> AsyncIterator[Message]:
        """What the other says, until it is gone."""
        held = bytearray()
        while True:
            if not (data := await self._some()):
                return
            held += data
            *lines, rest = held.split(b"\n") if b"\n" in data else [held]
            held = bytearray(rest)
            for line in lines:
                yield message_of(bytes(line) + b"\n")

    async def _some(self) -> bytes:
        """What has come, once something has; nothing when the other is gone. One turn of trio, not two."""
        while True:
            try:
                await trio.lowlevel.wait_readable(self._sock)
                return self._sock.recv(_CHUNK)
            except BlockingIOError:
                continue
            except (OSError, trio.ClosedResourceError):
                return b""

    async def close(self) -> None:
        """Hang up."""
        await self._stream.aclose()

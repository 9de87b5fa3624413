"""What supervisor and worker say to each other: lines of a word and JSON over a pair of sockets.

Nobody waits for the other: lines are queued and sent by a task of their own. Where the other does not read, news
is dropped and counted, orders and snapshots (few and small) are not. The end of the stream means that the other
process is gone. It may not know what a word means. Read next: `supervisor.py` and `child.py`, which do.
"""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import trio

#: Bytes of news queued for a process that does not read; beyond it news is dropped.
QUEUE_LIMIT = 4 << 20
_CHUNK = 1 << 16


class Message(NamedTuple):
    """One line: its word, its content, and itself for passing on."""

    word: str
    content: Any
    line: bytes


def line_of(word: str, content: object = None) -> bytes:
    """A message as it is sent. Text may hold anything a client identifier may: it is escaped."""
    return word.encode() + b" " + json.dumps(content, separators=(",", ":")).encode() + b"\n"


def message_of(line: bytes) -> Message:
    """Raises ValueError where the line is not one of `line_of`."""
    word, _, content = line.partition(b" ")
    return Message(word.decode(), json.loads(content), line)


class Channel:
    """One end of the line between two processes."""

    def __init__(self, sock: socket.socket) -> None:
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
        self._queue.append(line)
        self._queued += len(line)
        self._idle = self._idle if not self._idle.is_set() else trio.Event()
        self._news.set()

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
            try:
                data = await self._stream.receive_some(_CHUNK)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if not data:
                return
            held += data
            *lines, rest = held.split(b"\n") if b"\n" in data else [held]
            held = bytearray(rest)
            for line in lines:
                yield message_of(bytes(line) + b"\n")

    async def close(self) -> None:
        """Hang up."""
        await self._stream.aclose()

"""Which connections a worker has, by its own news: what is told of them should it be killed.

A killed process writes no closing lines. Its CONNECTs and endings passed the supervisor as news for the others
anyway, so the supervisor can say whose connections were cut, up to the last few hundredths of a second. It reads
them later, many at once: most are of connections that are over by then, and nobody asks while the worker lives.
It may not know a process. Read next: `supervisor.py`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from kaproxy.workers.channel import Message

#: Messages kept unread.
UNREAD: Final = 64


class Named(NamedTuple):
    """A connection that has sent CONNECT."""

    client_id: str
    client_addr: str
    opened_at: float  # wall clock, s


class Ledger:
    """The live connections of one worker."""

    def __init__(self) -> None:
        self.live = 0  # with those that have not sent CONNECT
        self._named: dict[str, Named] = {}
        self._unread: list[Message] = []

    def hear(self, live: int, message: Message) -> None:
        """Take in what the worker tells: pieces of news as `connection/elsewhere.py` writes them down."""
        self.live = live
        self._unread.append(message)
        if len(self._unread) >= UNREAD:
            self._read()

    @property
    def named(self) -> dict[str, Named]:
        """By conn_id."""
        self._read()
        return self._named

    def _read(self) -> None:
        unread, self._unread = self._unread, []
        for message in unread:
            for kind, first, *rest in message.content["news"]:
                if kind == "Claim":
                    conn_id, _, client_addr, _, _, opened_at, _ = rest[0]
                    self._named[conn_id] = Named(first, client_addr, opened_at)
                elif kind == "Ended":
                    self._named.pop(first, None)

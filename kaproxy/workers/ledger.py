"""Which connections a worker has, by its own news: what is told of them should it be killed.

A killed process writes no closing lines. Its CONNECTs and endings passed the supervisor as news for the others
anyway, so the supervisor can say whose connections were cut, up to the last hundredth of a second.
It may not know a process. Read next: `supervisor.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple


class Named(NamedTuple):
    """A connection that has sent CONNECT."""

    client_id: str
    client_addr: str
    opened_at: float  # wall clock, s


class Ledger:
    """The live connections of one worker."""

    def __init__(self) -> None:
        self.live = 0  # with those that have not sent CONNECT
        self.named: dict[str, Named] = {}

    def hear(self, live: int, news: Iterable[list[Any]]) -> None:
        """Take in what the worker tells: pieces of news as `connection/elsewhere.py` writes them down."""
        self.live = live
        for kind, first, *rest in news:
            if kind == "Claim":
                conn_id, _, client_addr, _, _, opened_at, _ = rest[0]
                self.named[conn_id] = Named(first, client_addr, opened_at)
            elif kind == "Ended":
                self.named.pop(first, None)

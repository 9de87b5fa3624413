"""Idle clients whose ticker decides when to ping, in a process of their own so that nothing delays them.

`python -m tests.peers.ticker '{"host": …, "port": …, "clients": 8, "keep_alive": 2, "period_s": 3.0, …}'`. Each
client pings `period_s` after whatever it sent last, the first time `first_s` after CONNECT. When its connection
ends, one JSON line tells how long it had been silent by its own clock.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from typing import Any

from tests import builders

OF_THE_SAME_PING_S = 1.0  # a ping this short before the end crossed it


class Ticker:
    """One idle client."""

    def __init__(self, client_id: str, options: dict[str, Any]) -> None:
        """Connect and send CONNECT."""
        self.client_id = client_id
        self.period_s = float(options["period_s"])
        self.sock = socket.create_connection((options["host"], options["port"]))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sends: list[float] = []
        self.send(builders.connect(client_id, keep_alive=options["keep_alive"]))
        self.due: float = self.sends[-1] + options["first_s"]

    def send(self, data: bytes) -> None:
        """Send, and remember when."""
        self.sends.append(time.monotonic())
        self.sock.sendall(data)

    def tick(self, now: float) -> None:
        """Ping if it is time to."""
        if now >= self.due:
            self.send(builders.pingreq())
            self.due = self.sends[-1] + self.period_s

    def ended(self) -> str | None:
        """Read what there is; how the connection ended, None while it stands."""
        try:
            return None if self.sock.recv(4096) else "fin"
        except OSError:
            return "rst"

    def tell(self, how: str, now: float) -> None:
        """The one line about it."""
        silence = now - max(at for at in self.sends if at < now - OF_THE_SAME_PING_S)
        line = {"event": "lost", "client_id": self.client_id, "how": how, "silence_s": silence}
        print(json.dumps({"at": time.time(), **line}), flush=True)


class Bench:
    """Starts the clients one after the other and lets them tick until none is left."""

    def __init__(self, options: dict[str, Any]) -> None:
        """Options: see `main`."""
        self.options = options
        self.names = [f"idle-{number}" for number in range(options["clients"])]
        self.next_start = time.monotonic()
        self.live: dict[str, Ticker] = {}
        self.selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Until every client has lost its connection."""
        while self.names or self.live:
            now = time.monotonic()
            if self.names and now >= self.next_start:
                self.start(now)
            for ticker in self.live.values():
                ticker.tick(now)
            for key, _ in self.selector.select(max(0.0, self.wake_at() - time.monotonic())):
                self.look(key.data)

    def start(self, now: float) -> None:
        """One more client."""
        ticker = Ticker(self.names.pop(0), self.options)
        self.live[ticker.client_id] = ticker
        self.selector.register(ticker.sock, selectors.EVENT_READ, ticker)
        self.next_start = now + float(self.options["stagger_s"])

    def wake_at(self) -> float:
        """When the next thing is due."""
        return min([ticker.due for ticker in self.live.values()] + [self.next_start] * bool(self.names))

    def look(self, ticker: Ticker) -> None:
        """Something came for this client."""
        if (how := ticker.ended()) is None:
            return
        ticker.tell(how, time.monotonic())
        self.selector.unregister(ticker.sock)
        ticker.sock.close()
        del self.live[ticker.client_id]


def main() -> None:
    """Options: host port clients keep_alive period_s first_s stagger_s."""
    Bench(json.loads(sys.argv[1])).run()


if __name__ == "__main__":
    main()

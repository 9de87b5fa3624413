"""Drives a ConnectionTracker with a script of (time, side, fact), as the relay would.

A `Worker` holds what connections share; a `Play` is one connection in it. Times are plain numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

from kaproxy.connection import ConnectionTracker, Directory, Evidence, Policy
from kaproxy.connection.events import Event
from kaproxy.connection.facts import Ending, LegFacts, Origin, ProxyAction, RelayFacts, Side
from kaproxy.connection.keepalive import Window
from tests import builders


class Play:
    """One connection: says what happens when, keeps what it told."""

    def __init__(self, policy: Policy | None = None, directory: Directory | None = None, *, start: float = 0.0,
                 conn_id: str = "c1", client_addr: str = "192.0.2.1") -> None:  # fmt: skip
        origin = Origin(conn_id, "default", client_addr, 40000, "broker:1883", 1_700_000_000.0)
        self.policy = policy or Policy(window=Window())
        self.tracker = ConnectionTracker(
            origin, self.policy, Directory() if directory is None else directory, start
        )
        self.told: list[Event] = []
        self.now = start

    def at(self, now: float) -> Play:
        """Time goes on; the tracker is looked at whenever it asked to be."""
        while (due := self.tracker.next_look(self.now)) <= now and self.tracker.scene is None:
            self.now = due
            self.told += self.tracker.look(due)
            assert self.tracker.next_look(due) > due, "a look must move the next one on"
        self.now = now
        return self

    def client(self, data: bytes) -> Play:
        self.told += self.tracker.from_client(data, self.now)
        return self

    def broker(self, data: bytes) -> Play:
        self.told += self.tracker.from_broker(data, self.now)
        return self

    def established(self, client_id: str = "dev-1", keep_alive: int = 10, version: int = 4,
                    connack: bytes | None = None, **connect: object) -> Play:  # fmt: skip
        """CONNECT and CONNACK now."""
        self.tracker.broker_connected(self.now)
        self.client(builders.connect(client_id, keep_alive=keep_alive, version=version, **connect))  # type: ignore[arg-type]
        return self.broker(connack if connack is not None else builders.connack(version=version))

    def ping(self, answered: bool = True) -> Play:
        self.client(builders.pingreq())
        return self.broker(builders.pingresp()) if answered else self

    def ends(self, side: Side, ending: Ending = Ending.FIN) -> Play:
        self.tracker.leg_ended(side, ending, self.now)
        return self

    def proxy_ends(self, action: ProxyAction = ProxyAction.SHUTDOWN, detail: str = "drained") -> Play:
        self.tracker.proxy_ended(action, detail, self.now)
        return self

    def evidence(self, client_leg: LegFacts | None = None, broker_leg: LegFacts | None = None) -> Evidence:
        closed = self.tracker.close(
            self.now, client_leg or LegFacts(), broker_leg or LegFacts(), RelayFacts()
        )
        return closed.evidence

    def events(self, kind: type[Event]) -> Sequence[Event]:
        return [event for event in self.told if isinstance(event, kind)]

"""The guard between the relay and whoever observes and records: nothing raised there gets through here.

One per connection: it holds the tracker and the sink, hands events on, and writes the closing line
exactly once, out of the tracker's evidence or, where that failed, out of what the relay itself knows.
It may not touch a socket. Read next: `pair.py`, which reports to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from kaproxy.connection.events import Closed, Event, ObserverFailed, Suspicion
from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Ending, LegFacts, Origin, Phase, ProxyAction, RelayFacts, Side

Sink = Callable[[Event], None]


class Tracker(Protocol):
    """What the relay asks of an observer; `kaproxy/connection/tracker.py` is the real one. `now`: monotonic s."""

    @property
    def connect_seen(self) -> bool:
        """A complete CONNECT came from the client."""

    def from_client(self, data: bytes, now: float) -> Sequence[Event]: ...
    def from_broker(self, data: bytes, now: float) -> Sequence[Event]: ...
    def broker_connected(self, now: float) -> None: ...
    def leg_ended(self, side: Side, ending: Ending, now: float) -> None: ...
    def proxy_ended(self, action: ProxyAction, detail: str, now: float) -> None: ...
    def observer_failed(self, error: str, now: float) -> Sequence[Event]: ...
    def next_look(self, now: float) -> float: ...
    def look(self, now: float) -> Sequence[Event]: ...
    def stalled(self, side: Side, stalled_s: float, now: float) -> Sequence[Event]: ...
    def judge_at(self) -> float: ...
    def judged_from(self) -> float: ...
    def close(self, now: float, client_leg: LegFacts, broker_leg: LegFacts, relay: RelayFacts) -> Closed: ...


MakeTracker = Callable[[Origin, float], Tracker]


def unseen(_data: bytes, _now: float) -> Sequence[Event]:
    """Stands in for `from_client` and `from_broker` where nobody observes."""
    return ()


class Witness:
    """One connection's observer and sink, made safe to call."""

    __slots__ = ("_sink", "_tracker", "closed", "error", "opened", "origin")

    def __init__(self, origin: Origin, make_tracker: MakeTracker, sink: Sink, now: float) -> None:
        self.origin = origin
        self.opened = now
        self.closed = False  # the closing line is out; the tracker is not called any more
        self.error: str | None = None  # what the observer failed of
        self._sink = sink
        self._tracker: Tracker | None = None
        try:
            self._tracker = make_tracker(origin, now)
        except Exception as fault:
            self.failed(fault, now)

    @property
    def from_client(self) -> Callable[[bytes, float], Sequence[Event]]:
        """The observer of the client's bytes; it may raise: the caller reports that to `failed`."""
        return unseen if self._tracker is None else self._tracker.from_client

    @property
    def from_broker(self) -> Callable[[bytes, float], Sequence[Event]]:
        """The observer of the broker's bytes; it may raise: the caller reports that to `failed`."""
        return unseen if self._tracker is None else self._tracker.from_broker

    @property
    def connect_seen(self) -> bool:
        """The client is known by name; true also where nobody observes, as then it never will be."""
        try:
            return self._tracker is None or self._tracker.connect_seen
        except Exception as fault:
            self.failed(fault, 0.0)
            return True

    def emit(self, events: Sequence[Event]) -> None:
        """Hand events to the sink; what it does with them, raising included, does not matter here."""
        sink = self._sink
        for event in events:
            try:
                sink(event)
            except Exception:
                continue

    def failed(self, fault: Exception, now: float) -> None:
        """The observer raised: it is told so once, and only counts bytes from then on."""
        if self.error is not None:
            return
        self.error = f"{type(fault).__name__}: {fault}"
        tracker, error = self._tracker, self.error
        events: Sequence[Event] = (ObserverFailed(self.origin, error),)
        if tracker is not None:
            with suppress(Exception):
                events = tracker.observer_failed(error, now)
        self.emit(events)

    def broker_connected(self, now: float) -> None:
        """The broker took the dial."""
        if not self.closed and self._tracker is not None:
            try:
                self._tracker.broker_connected(now)
            except Exception as fault:
                self.failed(fault, now)

    def leg_ended(self, side: Side, ending: Ending, now: float) -> None:
        """A leg ended; also a dial that failed."""
        if not self.closed and self._tracker is not None:
            try:
                self._tracker.leg_ended(side, ending, now)
            except Exception as fault:
                self.failed(fault, now)

    def proxy_ended(self, action: ProxyAction, detail: str, now: float) -> None:
        """The proxy itself ends the connection."""
        if not self.closed and self._tracker is not None:
            try:
                self._tracker.proxy_ended(action, detail, now)
            except Exception as fault:
                self.failed(fault, now)

    def next_look(self, now: float) -> float:
        """When the tracker wants to look at the clock again; infinity: never."""
        if not self.closed and self._tracker is not None:
            try:
                return self._tracker.next_look(now)
            except Exception as fault:
                self.failed(fault, now)
        return math.inf

    def look(self, now: float) -> Sequence[Event]:
        """Suspicions the tracker has at its deadline, not yet handed on: the caller adds what the kernel says."""
        if not self.closed and self._tracker is not None:
            try:
                return self._tracker.look(now)
            except Exception as fault:
                self.failed(fault, now)
        return ()

    def stalled(self, side: Side, stalled_s: float, now: float) -> Sequence[Event]:
        """What the tracker has to tell of a peer that takes nothing, not yet handed on, as from `look`."""
        if not self.closed and self._tracker is not None:
            try:
                return self._tracker.stalled(side, stalled_s, now)
            except Exception as fault:
                self.failed(fault, now)
        return ()

    def judge_at(self, now: float) -> float:
        """When the tracker knows enough of this connection's neighbours; `now` where nobody can say."""
        if not self.closed and self._tracker is not None:
            try:
                return self._tracker.judge_at()
            except Exception as fault:
                self.failed(fault, now)
        return now

    def judged_from(self) -> float:
        """Since when the proxy's own lateness could have mattered."""
        if not self.closed and self._tracker is not None:
            try:
                return self._tracker.judged_from()
            except Exception as fault:
                self.failed(fault, self.opened)
        return self.opened

    def close(
        self,
        now: float,
        client: LegFacts,
        broker: LegFacts,
        relay: RelayFacts,
        action: tuple[ProxyAction, str] | None = None,
    ) -> None:
        """Write the closing line; every call but the first does nothing."""
        if self.closed:
            return
        closed: Closed | None = None
        if self._tracker is not None:
            try:
                closed = self._tracker.close(now, client, broker, relay)
            except Exception as fault:
                self.failed(fault, now)
        self.closed = True
        if closed is None:
            closed = Closed(self._bare_evidence(now, client, broker, relay, action))
        self._tracker = None
        self.emit((closed,))

    def _bare_evidence(
        self,
        now: float,
        client: LegFacts,
        broker: LegFacts,
        relay: RelayFacts,
        action: tuple[ProxyAction, str] | None,
    ) -> Evidence:
        """What the relay can say without a tracker: who and when, not what was spoken."""
        by, how, at = first_ending(client, broker)
        if action is not None:
            by, how = "proxy", Ending.LOCAL
        return Evidence(
            origin=self.origin,
            duration_s=now - self.opened if at is None else at,
            phase=Phase.ACCEPTED,
            closed_by=by,
            close_how=how.value,
            proxy_action=action[0] if action else None,
            proxy_detail=action[1] if action else None,
            client_leg=client,
            broker_leg=broker,
            observer_error=self.error,
            relay=relay,
        )


def first_ending(client: LegFacts, broker: LegFacts) -> tuple[str, Ending, float | None]:
    """Who ended first, how, and when (seconds from accept), by the legs alone."""
    ended = [
        (facts.ended_s, side.value, facts.ending)
        for side, facts in ((Side.CLIENT, client), (Side.BROKER, broker))
        if facts.ended_s is not None and facts.ending is not None
    ]
    if not ended:
        return "unknown", Ending.LOCAL, None
    at, by, how = min(ended)
    return by, how, at


def with_legs(event: Event, client: LegFacts, broker: LegFacts) -> Event:
    """A suspicion with what the kernel said of both legs at that moment; other events as they are."""
    if isinstance(event, Suspicion):
        return replace(event, client_leg=client, broker_leg=broker)
    return event

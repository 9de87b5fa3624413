"""A bug in the observer costs its explanation, never a byte; the neighbours do not notice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from trio.socket import SocketType

from kaproxy.connection.directory import Directory
from kaproxy.connection.events import Closed, Event, ObserverFailed
from kaproxy.connection.facts import Origin
from kaproxy.connection.policy import Policy
from kaproxy.connection.tracker import ConnectionTracker
from kaproxy.relay.server import Relay, RelayConfig
from tests import builders
from tests.load import pulse
from tests.load.wire import dial, listener, read, send

ROUNDS = 50
CLIENTS = 20
PUBLISH = builders.publish("t", b"x" * 300)

pytestmark = [pytest.mark.load, pytest.mark.timeout(60)]


def broken_after(calls: int, method: str) -> type[ConnectionTracker]:
    """A tracker of which one method raises from its n-th call on."""

    class Broken(ConnectionTracker):
        called = 0

    def raising(self: Broken, *arguments: Any) -> Any:
        self.called += 1
        if self.called > calls:
            raise ZeroDivisionError("a bug of the observer")
        return getattr(ConnectionTracker, method)(self, *arguments)

    setattr(Broken, method, raising)
    return Broken


async def exchange(port: int, name: str) -> None:
    """A client whose every PUBLISH comes back as it was sent."""
    with await dial(port) as sock:
        await send(sock, builders.connect(name))
        assert await read(sock, 4) == builders.connack()
        await round_trips(sock)
        await send(sock, builders.disconnect())


async def round_trips(sock: SocketType) -> None:
    """Sends PUBLISH packets and has each sent back."""
    for _ in range(ROUNDS):
        await send(sock, PUBLISH)
        assert await read(sock, len(PUBLISH)) == PUBLISH


async def events_of(make: type[ConnectionTracker]) -> list[Event]:
    """Twenty clients through a relay of which every second one has the broken observer."""
    events: list[Event] = []
    directory, made = Directory(), 0

    def make_tracker(origin: Origin, now: float) -> ConnectionTracker:
        nonlocal made
        made += 1
        kind = make if made % 2 else ConnectionTracker
        return kind(origin, Policy(), directory, now)

    with await listener() as broker, trio.fail_after(30):
        config = RelayConfig(
            listen=("127.0.0.1", 0), upstream=broker.getsockname(), linger_s=1, post_mortem_s=0.2, drain_s=1
        )
        relay = Relay(config, make_tracker, events.append)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pulse.broker, broker)
            await nursery.start(relay.run)
            async with trio.open_nursery() as clients:
                for number in range(CLIENTS):
                    clients.start_soon(exchange, relay.bound[1], f"{pulse.NAME}-{number}")
            while relay.live:  # noqa: ASYNC110 - the relay tells nobody when the last one is gone
                await trio.sleep(0.05)
            nursery.cancel_scope.cancel()
    return events


def kinds(events: Sequence[Event], kind: type[Event]) -> int:
    """How many events of a kind there are."""
    return sum(isinstance(event, kind) for event in events)


@pytest.mark.parametrize("method", ["from_client", "from_broker"])
@pytest.mark.parametrize("calls", [0, 1, 20])
async def test_bytes_go_on_and_the_failure_is_told_once_where_the_observer_of_bytes_raises(
    method: str, calls: int
) -> None:
    events = await events_of(broken_after(calls, method))
    assert kinds(events, ObserverFailed) == CLIENTS // 2
    closed = [event.evidence for event in events if isinstance(event, Closed)]
    assert len(closed) == CLIENTS
    assert (
        sum("a bug of the observer" in (evidence.observer_error or "") for evidence in closed) == CLIENTS // 2
    )


@pytest.mark.parametrize("method", ["broker_connected", "leg_ended", "next_look", "look", "close"])
async def test_bytes_go_on_and_every_connection_gets_its_line_where_any_other_part_raises(
    method: str,
) -> None:
    events = await events_of(broken_after(0, method))
    assert kinds(events, Closed) == CLIENTS

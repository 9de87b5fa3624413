"""A closing line may wait for what happens to others; the sockets do not."""

from __future__ import annotations

import time

import pytest
import trio

from kaproxy.connection.events import NotReading, ProxyLagging
from kaproxy.connection.facts import Origin, Side
from kaproxy.relay.server import Relay, RelayConfig
from tests.relay.rig import RecordingTracker, fill, relaying, reset, until


async def test_sockets_are_closed_at_once_and_the_line_comes_when_the_neighbours_are_known() -> None:
    async with relaying(post_mortem_s=5.0) as rig:
        due = time.monotonic() + 0.4
        rig.prepare = lambda tracker: setattr(tracker, "judge_at", lambda: due)
        client, broker = await rig.pair()
        broker.close()
        await client.recv(1)
        client.close()
        await rig.gone()
        assert time.monotonic() < due
        assert not rig.closed
        await rig.line()
        assert time.monotonic() >= due


async def test_the_wait_for_neighbours_ends_with_the_post_mortem() -> None:
    async with relaying(post_mortem_s=0.2) as rig:
        rig.prepare = lambda tracker: setattr(tracker, "judge_at", lambda: time.monotonic() + 1000.0)
        client, broker = await rig.pair()
        broker.close()
        client.close()
        assert (await rig.line()).closed_by in ("broker", "client")


async def test_a_line_that_waits_is_written_when_the_proxy_stops() -> None:
    async with relaying(post_mortem_s=60.0) as rig:
        rig.prepare = lambda tracker: setattr(tracker, "judge_at", lambda: time.monotonic() + 1000.0)
        client, broker = await rig.pair()
        broker.close()
        await client.recv(1)
        client.close()
        await rig.gone()
        assert not rig.closed
    assert len(rig.closed) == 1


async def test_a_connection_whose_line_waits_does_not_count_against_the_limit() -> None:
    async with relaying(post_mortem_s=60.0, max_connections=1) as rig:
        rig.prepare = lambda tracker: setattr(tracker, "judge_at", lambda: time.monotonic() + 1000.0)
        client, broker = await rig.pair()
        reset(broker)
        with pytest.raises(ConnectionResetError):
            await client.recv(1)
        await rig.gone()
        second, other = await rig.pair()
        await other.send(b"x")
        assert await second.recv(1) == b"x"


async def test_a_reset_by_a_peer_that_bytes_are_held_for_is_no_fault_of_the_proxy() -> None:
    async with relaying() as rig:
        client, broker = await rig.pair()
        await fill(broker)
        await until(lambda: any(pair.client.held for pair in rig.living()))
        reset(client)
        line = await rig.line()
        assert (line.closed_by, line.close_how, line.observer_error) == ("client", "rst", None)


async def test_a_peer_that_takes_nothing_is_told_with_what_the_kernel_says() -> None:
    async with relaying() as rig:
        told: list[tuple[Side, float]] = []
        origin = Origin("c", "default", "192.0.2.1", 1, "b:1", 0.0)

        def prepare(tracker: RecordingTracker) -> None:
            def stalled(side: Side, stalled_s: float, now: float) -> list[NotReading]:
                told.append((side, stalled_s))
                tracker.look_at = now + 0.1
                return [NotReading(origin, "dev", side, stalled_s, 60)]

            tracker.stalled = stalled  # type: ignore[method-assign]
            tracker.look_at = time.monotonic() + 0.1

        rig.prepare = prepare
        _client, broker = await rig.pair()
        await fill(broker)
        await until(lambda: len(told) >= 3)
        assert {side for side, _ in told} == {Side.CLIENT}
        assert told[-1][1] > told[0][1]
        event = next(event for event in rig.events if isinstance(event, NotReading))
        assert event.client_leg is not None
        assert event.client_leg.unsent


async def test_a_late_loop_is_told_once_in_the_interval() -> None:
    events: list[object] = []
    config = RelayConfig(
        listen=("127.0.0.1", 0), upstream=("127.0.0.1", 9), lagging_s=0.05, lagging_interval_s=60
    )
    relay = Relay(config, RecordingTracker, events.append)
    async with trio.open_nursery() as nursery:
        await nursery.start(relay.run)
        for _ in range(3):
            time.sleep(0.4)  # noqa: ASYNC251  the loop is to stand still
            await trio.sleep(0.3)
        relay.drain()
    lagging = [event for event in events if isinstance(event, ProxyLagging)]
    assert len(lagging) == 1
    assert lagging[0].lag_ms >= 50

"""Facts about the relay and the real tracker together: real sockets, real bytes, real evidence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from kaproxy.connection.directory import Directory
from kaproxy.connection.events import Established, KeepAliveOverdue
from kaproxy.connection.facts import Origin, Phase
from kaproxy.connection.policy import Policy
from kaproxy.connection.tracker import ConnectionTracker
from kaproxy.relay.witness import Tracker
from tests.relay.rig import Rig, read_all, read_exactly, relaying, reset, send_all, until

CONNECT = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x01\x00\x02c1"  # 3.1.1, clean session, Keep Alive 1
CONNACK = b"\x20\x02\x00\x00"


@asynccontextmanager
async def established(
    **settings: float,
) -> AsyncIterator[tuple[Rig, trio.socket.SocketType, trio.socket.SocketType]]:
    """A connection after CONNACK, observed by the real tracker; `settings` as for `relaying`."""
    directory = Directory()

    def make(origin: Origin, now: float) -> Tracker:
        return ConnectionTracker(origin, Policy(), directory, now)

    async with relaying(**settings) as rig:
        rig.relay._make_tracker = make
        client, broker = await rig.pair()
        await send_all(client, CONNECT)
        assert await read_exactly(broker, len(CONNECT)) == CONNECT
        await send_all(broker, CONNACK)
        assert await read_exactly(client, len(CONNACK)) == CONNACK
        await until(lambda: any(isinstance(event, Established) for event in rig.events))
        yield rig, client, broker


async def test_a_disconnect_is_told_as_one() -> None:
    async with established() as (rig, client, broker):
        await send_all(client, b"\xe0\x00")
        client.close()
        assert await read_all(broker) == (b"\xe0\x00", "fin")
        broker.close()
        line = await rig.line()
        assert (line.closed_by, line.close_how, line.client_id) == ("client", "disconnect", "c1")
        assert line.bytes_from_client == len(CONNECT) + 2
        await rig.gone()


async def test_a_reset_of_the_broker_is_told_as_one() -> None:
    async with established() as (rig, client, broker):
        reset(broker)
        assert await read_all(client) == (b"", "rst")
        line = await rig.line()
        assert (line.closed_by, line.close_how, line.phase) == ("broker", "rst", Phase.ESTABLISHED)


async def test_a_silent_client_becomes_overdue_with_what_the_kernel_says_of_it() -> None:
    async with established(post_mortem_s=0.3) as (rig, _client, broker):
        await until(lambda: any(isinstance(event, KeepAliveOverdue) for event in rig.events))
        overdue = next(event for event in rig.events if isinstance(event, KeepAliveOverdue))
        assert 1.5 <= overdue.silence_s < 3.0
        assert overdue.client_leg is not None
        assert overdue.client_leg.unacked == 0
        broker.close()
        line = await rig.line()
        assert line.client_leg.fin_acked is True
        assert line.silence_s is not None
        assert line.silence_s >= 1.5

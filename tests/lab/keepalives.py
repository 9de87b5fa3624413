"""Expiries whose reason is not the client's silence alone: a slow upload, a lowered Keep Alive, a deaf broker."""

from __future__ import annotations

from collections.abc import Callable

import trio

from tests import builders
from tests.end_to_end.keep_alive import expired
from tests.end_to_end.ping_timeout import gave_up
from tests.end_to_end.stage import Expected, Stage, needs_of
from tests.lab.entry import lab
from tests.peers import scripted
from tests.peers.proxy import Line

BIG = builders.publish("upload", bytes(18_000))
#: mosquitto looks at how much is missing: more than 1,000 bytes still to come restart its clock with every read.
SMALL = builders.publish("upload", bytes(950))


async def trickle(wire: scripted.Wire, data: bytes, size: int) -> None:
    """A large control packet over a thin line: never silent, never done."""
    for at in range(0, len(data), size):
        await wire.send(data[at : at + size])
        await trio.sleep(0.2)


UPLOADS = (("mosquitto", SMALL, 10), ("rumqttd", BIG, 200), ("aedes", BIG, 200), ("mochi", BIG, 200))

for name, data, size in UPLOADS:

    @lab(
        f"{name}: a client whose upload takes longer than the broker's patience",
        expired("upload_starved", ("client_app", "client_library", "path", "operator", "broker")),
        *needs_of(name),
    )
    async def _starved(stage: Stage, name: str = name, data: bytes = data, size: int = size) -> Line:
        proxy = await stage.before(await stage.broker(name))
        async with scripted.client(proxy.address, "device", 2) as wire:
            await wire.ping()
            stage.meanwhile(trickle, wire, data, size)
            return await proxy.closing("device", 40)


IGNORED = Expected("keep_alive_timeout", "server_keep_alive_ignored", "client_library", "broker")


@lab(
    "mosquitto: a client that keeps to its own Keep Alive pings too late for the broker's",
    IGNORED,
    "mosquitto",
)
async def _own_beat(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("mosquitto", max_keepalive=10))
    async with scripted.client(proxy.address, "device", 45, version=5) as wire:
        await wire.ping()
        await wire.ended(40)
    return await proxy.closing("device")


@lab("hivemq: a client that keeps to its own Keep Alive pings too late for the broker's", IGNORED, "hivemq")
async def _own_beat_hivemq(stage: Stage) -> Line:
    limit = "<mqtt><keep-alive><max-keep-alive>5</max-keep-alive></keep-alive></mqtt>"
    proxy = await stage.before(await stage.broker("hivemq", settings=limit))
    async with scripted.client(proxy.address, "device", 45, version=5) as wire:
        await wire.ping()
        await wire.ended(40)
    return await proxy.closing("device")


@lab(
    "scripted broker: refuses a 3.1.1 client with CONNACK 2 for a Keep Alive above its maximum",
    Expected("connect_refused", "keep_alive_above_maximum", closed_by=("broker", "client")),
)
async def _above(stage: Stage) -> Line:
    async def behave(wire: scripted.Wire) -> None:
        _, body = await wire.expect(0x10)
        keep_alive = int.from_bytes(body[8:10], "big")
        await wire.send(builders.connack(2 if keep_alive > 10 else 0))
        if keep_alive <= 10:
            await scripted.answer_pings(wire)

    proxy = await stage.proxy((await stage.scripted_broker(behave)).address)
    for keep_alive in (5, 60, 5, 60):
        async with scripted.connected(proxy.address) as wire:
            await wire.send(builders.connect("device", keep_alive=keep_alive))
            await wire.expect(scripted.CONNACK)
            if keep_alive == 5:
                await wire.send(builders.disconnect())
    return (await proxy.closed(4))[-1]


async def deaf(wire: scripted.Wire, after_s: float, then: Callable[[], None]) -> None:
    """A broker that answers for a while, then takes nothing, and in the end expires the client."""
    await scripted.welcome(wire)
    await scripted.answer_pings(wire, 1.0)
    await trio.sleep(after_s)
    then()


@lab(
    "scripted broker: stops reading and then expires a client for its silence",
    expired("broker_not_reading", "broker"),
)
async def _deaf(stage: Stage) -> Line:
    async def behave(wire: scripted.Wire) -> None:
        await deaf(wire, 6.0, wire.close)

    proxy = await stage.proxy((await stage.scripted_broker(behave)).address)
    async with scripted.client(proxy.address, "device", 4) as wire:
        await wire.ping()
        stage.meanwhile(_pour, wire)
        await wire.ended()
    return await proxy.closing("device")


async def _pour(wire: scripted.Wire) -> None:
    while True:
        await wire.send(builders.publish("pour", bytes(60_000)))
        await wire.send(builders.pingreq())
        await trio.sleep(0.05)


@lab(
    "aedes: deaf for longer than the Keep Alive, expires a client that pinged in time",
    Expected(
        ("keep_alive_timeout", "broker_reset", "broker_closed"),
        (None, "broker_not_reading", "broker_premature"),
        ("broker", "nobody"),
        closed_by="broker",
        confidence="unclear",
        undecidable="a broker that was killed while it hung leaves the same traces",
    ),
    "aedes",
)
async def _stalled(stage: Stage) -> Line:
    broker = await stage.broker("aedes")
    proxy = await stage.before(broker)
    async with scripted.client(proxy.address, "device", 3) as wire:
        stage.meanwhile(scripted.ping_every, wire, 2.0)
        await trio.sleep(2.5)
        broker.process.stop()
        await trio.sleep(8)
        broker.process.cont()
        return await proxy.closing("device")


async def ping_until_patience_ends(wire: scripted.Wire, patience_s: float) -> None:
    """Ping, wait for the answer, ping again; close when one takes too long."""
    while True:
        await wire.send(builders.pingreq())
        with trio.move_on_after(patience_s) as patience:
            await wire.expect(scripted.PINGRESP, 60)
        if patience.cancelled_caught:
            wire.close()
            return
        await trio.sleep(0.5)


@lab("scripted broker: answers each PINGREQ later than the one before", gave_up("broker_slow", "broker"))
async def _slower(stage: Stage) -> Line:
    async def behave(wire: scripted.Wire) -> None:
        await scripted.welcome(wire)
        for wait_s in (0.4, 1.2, 2.4, 3.5, 6.0):
            await wire.expect(scripted.PINGREQ, 60)
            await trio.sleep(wait_s)
            await wire.send(builders.pingresp())

    proxy = await stage.proxy((await stage.scripted_broker(behave)).address)
    async with scripted.client(proxy.address, "device", 4) as wire:
        await ping_until_patience_ends(wire, 4.0)
    return await proxy.closing("device")


@lab(
    "mosquitto: stalls longer and longer until its client gives up",
    gave_up("broker_slow", "broker"),
    "mosquitto",
)
async def _stalls(stage: Stage) -> Line:
    broker = await stage.broker("mosquitto")
    proxy = await stage.before(broker)
    async with scripted.client(proxy.address, "device", 5) as wire:
        stage.meanwhile(ping_until_patience_ends, wire, 5.0)
        for pause_s in (1.5, 3.0, 4.4):
            await trio.sleep(0.7)
            broker.process.stop()
            await trio.sleep(pause_s)
            broker.process.cont()
        await trio.sleep(0.7)
        broker.process.stop()
        await trio.sleep(7)
        broker.process.cont()
        return await proxy.closing("device")


@lab(
    "scripted broker: expires 3.1.1 clients far below their Keep Alive, always at the same age of silence",
    expired("silent_cap", ("broker", "operator")),
)
async def _capped(stage: Stage) -> Line:
    async def behave(wire: scripted.Wire) -> None:
        await scripted.welcome(wire)
        while True:
            with trio.move_on_after(4.5) as patience:
                await wire.expect(scripted.PINGREQ, 60)
                await wire.send(builders.pingresp())
            if patience.cancelled_caught:
                return

    proxy = await stage.proxy((await stage.scripted_broker(behave)).address)
    for number in range(4):
        async with scripted.client(proxy.address, f"device-{number}", 60) as wire:
            await wire.ping()
            await trio.sleep(0.7 * number)
            await wire.ping()
            await wire.ended()
    return await proxy.closing("device-3")


for name in ("aedes", "rumqttd"):

    @lab(
        f"{name}: the proxy hangs past a client's limit, whose pings were in time",
        Expected(
            "keep_alive_timeout",
            "proxy_delayed",
            "proxy",
            "broker",
            confidence=("likely", "unclear", "settled"),
        ),
        *needs_of(name),
    )
    async def _proxy_late(stage: Stage, name: str = name) -> Line:
        proxy = await stage.before(await stage.broker(name))
        async with scripted.client(proxy.address, "device", 3) as wire:
            stage.meanwhile(scripted.ping_every, wire, 2.0)
            await trio.sleep(4.5)
            proxy.process.stop()
            await trio.sleep(6)
            proxy.process.cont()
            return await proxy.closing("device")

"""The broker expired a silent client: every root, and who was silent for what reason."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import trio

from tests import builders
from tests.end_to_end.stage import Expected, Stage, needs_of, scenario
from tests.peers import clients, scripted
from tests.peers.brokers import Broker
from tests.peers.children import Child
from tests.peers.proxy import Line

NAMESPACES = "network namespaces"


def expired(root: str | tuple[str, ...], owner: str | tuple[str, ...]) -> Expected:
    """The broker expired it, for this root."""
    return Expected("keep_alive_timeout", root, owner, closed_by="broker", close_how=("fin", "rst"))


async def feed(broker: Broker, topic: str, size: int, every_s: float, count: int | None = None) -> None:
    """Publish to a topic straight at the broker, past the proxy: so many times, or while the scenario lasts."""
    async with scripted.client((broker.host, broker.port), f"feeder-of-{topic}", 600) as wire:
        for _ in repeat(None) if count is None else range(count):
            await wire.send(builders.publish(topic, bytes(size)))
            await trio.sleep(every_s)
        await trio.sleep_forever()


async def live_mqttjs(stage: Stage, address: tuple[str, int], namespace: str | None = None) -> Child:
    """An MQTT.js client with Keep Alive 4 whose first PINGREQ has been answered."""
    client = await stage.enter(clients.mqttjs(address, stage.folder, "device", 4, namespace=namespace))
    await client.said("pingresp", 20)
    return client


async def live_paho(stage: Stage, address: tuple[str, int], namespace: str | None = None) -> Child:
    """A paho-python client with Keep Alive 3 that has pinged once."""
    client = await stage.enter(
        clients.paho_python(address, stage.folder, "device", keep_alive=3, namespace=namespace)
    )
    await client.said("connected", 15)
    await trio.sleep(4.3)
    return client


for name, live in (("mosquitto", live_paho), ("rumqttd", live_mqttjs), ("aedes", live_mqttjs)):
    library = "paho-python" if live is live_paho else "MQTT.js"
    parts = (*needs_of(name), *(() if live is live_paho else ("mqttjs",)))

    @scenario(f"{name}: a {library} process is stopped", expired("client_hung", "client_app"), *parts)
    async def _hung(stage: Stage, name: str = name, live=live) -> Line:  # type: ignore[no-untyped-def]
        proxy = await stage.before(await stage.broker(name))
        client = await live(stage, proxy.address)
        client.stop()
        return await proxy.closing("device")

    @scenario(
        f"{name}: the path to a {library} client is cut",
        expired("client_unreachable", ("client_host", "path")),
        *parts,
        NAMESPACES,
    )
    async def _unreachable(stage: Stage, name: str = name, live=live) -> Line:  # type: ignore[no-untyped-def]
        hosts = stage.hosts()
        broker = await stage.broker(name, namespace=hosts.near)
        proxy = await stage.before(broker, host=hosts.near_address, namespace=hosts.near)
        await live(stage, proxy.address, hosts.far)
        hosts.cut()
        return await proxy.closing("device", 40)

    @scenario(
        f"{name}: a client that never pings",
        expired("never_pinged", ("client_app", "client_library")),
        *needs_of(name),
    )
    async def _never(stage: Stage, name: str = name) -> Line:
        proxy = await stage.before(await stage.broker(name))
        async with scripted.client(proxy.address, "device", 2) as wire:
            await wire.send(builders.publish("from/device", b"once"))
            await wire.ended()
        return await proxy.closing("device")

    @scenario(
        f"{name}: a client that pings and then reads no more",
        expired("client_not_reading", ("client_app", "client_library", "client_host")),
        *needs_of(name),
    )
    async def _not_reading(stage: Stage, name: str = name) -> Line:
        broker = await stage.broker(name)
        proxy = await stage.before(broker)
        async with scripted.client(proxy.address, "device", 3, receive_buffer=8192) as wire:
            await wire.send(builders.subscribe([("flood", 0)]))
            await trio.sleep(2)
            await wire.ping()
            stage.meanwhile(feed, broker, "flood", 20_000, 0.001, 60)
            return await proxy.closing("device", 40)


@scenario(
    "aedes: the client's link is down",
    expired("client_unreachable", ("client_host", "path")),
    "aedes",
    NAMESPACES,
)
async def _unplugged(stage: Stage) -> Line:
    hosts = stage.hosts()
    broker = await stage.broker("aedes", namespace=hosts.near)
    proxy = await stage.before(broker, host=hosts.near_address, namespace=hosts.near)
    async with scripted.client(proxy.address, "device", 2, namespace=hosts.far) as wire:
        await trio.sleep(1.5)
        await wire.ping()
        hosts.unplug()
        return await proxy.closing("device", 40)


@scenario(
    "unknown broker: a paho-python process is stopped", expired("client_hung", "client_app"), "mosquitto"
)
async def _hung_unknown(stage: Stage) -> Line:
    broker = await stage.broker("mosquitto")
    proxy = await stage.proxy((broker.host, broker.port))
    client = await live_paho(stage, proxy.address)
    client.stop()
    return await proxy.closing("device")


@scenario(
    "mosquitto: a paho-python callback blocks while messages pour in",
    expired("client_not_reading", ("client_app", "client_library", "client_host")),
    "mosquitto",
)
async def _blocked_callback(stage: Stage) -> Line:
    broker = await stage.broker("mosquitto")
    proxy = await stage.before(broker)
    options: dict[str, Any] = {"keep_alive": 2, "subscribe": "flood", "block_s": 60}
    client = await stage.enter(clients.paho_python(proxy.address, stage.folder, "device", **options))
    await client.said("connected", 15)
    stage.meanwhile(feed, broker, "flood", 100_000, 0.001, 12)
    return await proxy.closing("device", 40)


for name in ("mosquitto", "aedes"):

    @scenario(
        f"{name}: an MQTT.js release that postpones PINGREQ on every PUBLISH it receives",
        expired("receive_resets_ping", "client_library"),
        name,
        "mqttjs 5.5.5",
    )
    async def _receive_resets(stage: Stage, name: str = name) -> Line:
        broker = await stage.broker(name)
        proxy = await stage.before(broker)
        stage.meanwhile(feed, broker, "feed", 10, 0.5)
        options: dict[str, Any] = {"release": "mqttjs 5.5.5", "subscribe": "feed"}
        await stage.enter(clients.mqttjs(proxy.address, stage.folder, "device", 2, **options))
        return await proxy.closing("device", 40)


for name in ("rumqttd", "aedes"):

    @scenario(
        f"{name}: a client whose PINGREQ comes just after the broker lost patience",
        expired("pinged_late", "client_library"),
        *needs_of(name),
    )
    async def _late(stage: Stage, name: str = name) -> Line:
        proxy = await stage.before(await stage.broker(name))
        async with scripted.client(proxy.address, "device", 2) as wire:
            await trio.sleep(2.3)  # late, and survived
            await wire.ping()
            with trio.move_on_after(3.15):
                await wire.ended()
            await wire.send(builders.pingreq())
            return await proxy.closing("device")


@scenario(
    "mosquitto: a client that pings at over twice its Keep Alive",
    expired("pinged_late", "client_library"),
    "mosquitto",
)
async def _far_too_late(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("mosquitto"))
    async with scripted.client(proxy.address, "device", 2) as wire:
        stage.meanwhile(_ping_later_and_later, wire)
        return await proxy.closing("device", 60)


async def _ping_later_and_later(wire: scripted.Wire) -> None:
    with wire.sock:
        for gap in (2.3, 2.3, *[4.5] * 20):
            with trio.move_on_after(gap):
                await wire.ended()
            await wire.ping()

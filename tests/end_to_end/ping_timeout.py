"""The client gave up waiting for PINGRESP: the broker never answered, the path lost it, the client did not
read it, or its own timer is wrong."""

from __future__ import annotations

from dataclasses import replace

import trio

from tests import builders
from tests.end_to_end.keep_alive import NAMESPACES, feed
from tests.end_to_end.stage import Expected, Stage, needs_of, scenario
from tests.peers import clients, scripted
from tests.peers.brokers import NAMES
from tests.peers.children import Child
from tests.peers.proxy import Line

Address = tuple[str, int]


def gave_up(root: str, owner: str | tuple[str, ...], how: str | tuple[str, ...] = ("fin", "rst")) -> Expected:
    """The client gave up, for this root."""
    return Expected("ping_timeout", root, owner, closed_by="client", close_how=how)


async def paho(stage: Stage, address: Address, namespace: str | None = None) -> Child:
    """Pings after 4 to 5 s, gives up 4 s later."""
    part = clients.paho_python(address, stage.folder, "device", keep_alive=4, namespace=namespace)
    return await stage.enter(part)


async def mqttjs(stage: Stage, address: Address, namespace: str | None = None) -> Child:
    """Pings after 6 s, gives up 3 s later."""
    return await stage.enter(clients.mqttjs(address, stage.folder, "device", 6, namespace=namespace))


async def golang(stage: Stage, address: Address, namespace: str | None = None) -> Child:
    """Pings after 4 to 6 s, gives up 4 s later."""
    part = clients.paho_golang(address, stage.folder, "device", 4, namespace=namespace, ping_timeout="4s")
    return await stage.enter(part)


PAIRS = (
    ("mosquitto", paho, "paho-python", ()),
    ("aedes", mqttjs, "MQTT.js", ("mqttjs",)),
    ("rumqttd", golang, "paho.mqtt.golang", ("paho.mqtt.golang",)),
)

for name, start, library, parts in PAIRS:

    @scenario(
        f"{name}: the broker process is stopped, {library} gives up",
        gave_up("broker_silent", "broker"),
        *needs_of(name),
        *parts,
    )
    async def _silent(stage: Stage, name: str = name, start=start) -> Line:  # type: ignore[no-untyped-def]
        broker = await stage.broker(name)
        proxy = await stage.before(broker)
        client = await start(stage, proxy.address)
        await client.said("connected", 15)
        broker.process.stop()
        return await proxy.closing("device")

    @scenario(
        f"{name}: the path to the broker is cut, {library} gives up",
        gave_up("broker_unreachable", ("path", "broker", "operator")),
        *needs_of(name),
        *parts,
        NAMESPACES,
    )
    async def _cut(stage: Stage, name: str = name, start=start) -> Line:  # type: ignore[no-untyped-def]
        hosts = stage.hosts()
        broker = await stage.broker(name, host=hosts.far_address, namespace=hosts.far)
        proxy = await stage.before(broker, host=hosts.near_address, namespace=hosts.near)
        client = await start(stage, proxy.address, hosts.near)
        await client.said("connected", 15)
        hosts.cut()
        return await proxy.closing("device")


for name in NAMES:

    @scenario(
        f"{name}: MQTT.js 5.8.0 gives up although PINGRESP came",
        gave_up("client_timer", "client_library", "fin"),
        *needs_of(name),
        "mqttjs 5.8.0",
    )
    async def _timer(stage: Stage, name: str = name) -> Line:
        proxy = await stage.before(await stage.broker(name))
        options: dict[str, object] = {"reschedulePings": False}
        part = clients.mqttjs(
            proxy.address, stage.folder, "device", 6, release="mqttjs 5.8.0", options=options
        )
        client = await stage.enter(part)
        await client.said("lost", 20)
        assert client.find("pingresp"), "the fault of this release did not show"
        return await proxy.closing("device")


for name in ("mosquitto", "aedes"):

    @scenario(
        f"{name}: paho.mqtt.golang does not read its PINGRESP while a callback blocks",
        # Its kernel took every byte: only the reset hints at what was unread, so this cannot be settled.
        replace(
            gave_up("response_not_read", ("client_app", "client_library"), "rst"),
            confidence=("likely", "unclear"),
        ),
        name,
        "paho.mqtt.golang",
    )
    async def _blocked(stage: Stage, name: str = name) -> Line:
        broker = await stage.broker(name)
        proxy = await stage.before(broker)
        flags = {"subscribe": "feed", "block": "60s"}
        await stage.enter(clients.paho_golang(proxy.address, stage.folder, "device", 12, **flags))
        stage.meanwhile(feed, broker, "feed", 50, 0.2)
        return await proxy.closing("device", 50)


@scenario(
    "mosquitto: a client whose receive window is closed gives up on its PINGRESP",
    gave_up("response_not_read", ("client_app", "client_library", "client_host")),
    "mosquitto",
)
async def _window_closed(stage: Stage) -> Line:
    broker = await stage.broker("mosquitto")
    proxy = await stage.before(broker)
    async with scripted.client(proxy.address, "device", 5, receive_buffer=8192) as wire:
        await wire.send(builders.subscribe([("flood", 0)]))
        stage.meanwhile(feed, broker, "flood", 20_000, 0.001)
        await trio.sleep(4)
        await wire.send(builders.pingreq())
        await trio.sleep(5)
        wire.close()
    return await proxy.closing("device")


@scenario(
    "mosquitto: a client says Keep Alive timeout itself",
    gave_up("broker_silent", "broker", "disconnect"),
    "mosquitto",
)
async def _says_so(stage: Stage) -> Line:
    broker = await stage.broker("mosquitto")
    proxy = await stage.before(broker)
    async with scripted.client(proxy.address, "device", 4, version=5) as wire:
        await trio.sleep(1)
        broker.process.stop()
        await wire.send(builders.pingreq())
        await trio.sleep(4)
        await wire.send(builders.disconnect(0x8D))
        wire.close()
    return await proxy.closing("device")


@scenario(
    "mosquitto: a client gives up with a normal DISCONNECT",
    gave_up("broker_silent", "broker", "disconnect"),
    "mosquitto",
)
async def _politely(stage: Stage) -> Line:
    broker = await stage.broker("mosquitto")
    proxy = await stage.before(broker)
    async with scripted.client(proxy.address, "device", 4) as wire:
        await trio.sleep(1)
        await wire.ping()
        broker.process.stop()
        await trio.sleep(1)
        await wire.send(builders.pingreq())
        await trio.sleep(6.1)
        await wire.send(builders.disconnect())
        wire.close()
    return await proxy.closing("device")

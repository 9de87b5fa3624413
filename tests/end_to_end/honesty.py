"""Stories that invite a wrong verdict: a witness is missing, chance helps, or the proxy itself is at fault.

What matters here is what the line does not say.
"""

from __future__ import annotations

import time

import trio

from tests import builders
from tests.end_to_end.keep_alive import NAMESPACES, expired, feed
from tests.end_to_end.stage import Expected, Stage, scenario
from tests.peers import clients, scripted
from tests.peers.children import until
from tests.peers.proxy import Line, Proxy

NOT_SETTLED = ("likely", "unclear")


async def several(stage: Stage, proxy: Proxy, count: int, keep_alive: int) -> None:
    """Idle clients whose CONNECT was accepted, `several-0` and so on."""
    for number in range(count):
        part = scripted.client(proxy.address, f"several-{number}", keep_alive)
        stage.meanwhile((await stage.enter(part)).ended, 60)


@scenario(
    "mosquitto: several silent clients are expired in one batch",
    expired("never_pinged", "client_library"),
    "mosquitto",
)
async def _batch(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("mosquitto"))
    # mosquitto counts whole seconds: those that came in two of them are expired in two batches
    await trio.sleep(1.05 - time.clock_gettime(time.CLOCK_BOOTTIME) % 1.0)
    wires = [await stage.enter(scripted.client(proxy.address, f"several-{n}", 2)) for n in range(6)]
    for wire in wires:
        stage.meanwhile(_close_at_end, wire)
    lines = await proxy.closed(6)
    assert {line["cause"] for line in lines} == {"keep_alive_timeout"}, [line["cause"] for line in lines]
    assert all(line["closed_within_1s"] == 6 for line in lines)
    return lines[0]


async def _close_at_end(wire: scripted.Wire) -> None:
    await wire.ended()
    wire.close()


@scenario(
    "mosquitto: killed with several clients that did nothing wrong",
    Expected(
        ("broker_closed", "broker_shutdown"), (None, "restart"), closed_by="broker", confidence=NOT_SETTLED
    ),
    "mosquitto",
)
async def _killed_with_several(stage: Stage) -> Line:
    broker = await stage.broker("mosquitto")
    proxy = await stage.before(broker)
    await several(stage, proxy, 6, 10)
    await trio.sleep(1)
    broker.process.kill()
    lines = await proxy.closed(6)
    assert not {line["cause"] for line in lines} - {"broker_closed", "broker_shutdown"}
    return lines[0]


@scenario(
    "mosquitto: killed while its only client is overdue",
    Expected(
        ("broker_closed", "keep_alive_timeout"),
        (None, "never_pinged"),
        closed_by="broker",
        confidence=NOT_SETTLED,
        undecidable="killed in the very second in which it would have expired the client",
    ),
    "mosquitto",
)
async def _killed_while_overdue(stage: Stage) -> Line:
    broker = await stage.broker("mosquitto")
    proxy = await stage.before(broker)
    async with scripted.client(proxy.address, "device", 2) as wire:
        await trio.sleep(3.4)
        broker.process.kill()
        await wire.ended()
    return await proxy.closing("device")


@scenario(
    "rumqttd: a MQTT.js process is stopped before it ever pinged",
    Expected(
        "keep_alive_timeout",
        (None, "client_hung", "never_pinged"),
        closed_by="broker",
        confidence=NOT_SETTLED,
    ),
    "mqttjs",
)
async def _hung_early(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("rumqttd"))
    client = await stage.enter(clients.mqttjs(proxy.address, stage.folder, "device", 2))
    await client.said("connected", 15)
    client.stop()
    return await proxy.closing("device")


@scenario(
    "rumqttd: the path loses what the client sends, and only that",
    expired("client_unreachable", ("client_host", "path")),
    NAMESPACES,
)
async def _one_way(stage: Stage) -> Line:
    hosts = stage.hosts()
    broker = await stage.broker("rumqttd", namespace=hosts.near)
    proxy = await stage.before(broker, host=hosts.near_address, namespace=hosts.near)
    async with scripted.client(proxy.address, "device", 2, namespace=hosts.far) as wire:
        stage.meanwhile(scripted.ping_every, wire, 1.5)
        await trio.sleep(1.8)
        hosts.lose_towards_near()
        return await proxy.closing("device", 40)


@scenario(
    "mosquitto: stopped, and a client leaves just after a PINGREQ for another reason",
    Expected("client_closed", (None, "process_exit"), closed_by="client", close_how="fin"),
    "mosquitto",
)
async def _leaves_after_ping(stage: Stage) -> Line:
    broker = await stage.broker("mosquitto")
    proxy = await stage.before(broker)
    async with scripted.client(proxy.address, "device", 10) as wire:
        await wire.ping()
        broker.process.stop()
        await wire.send(builders.pingreq())
        await trio.sleep(0.8)
        wire.close()
    return await proxy.closing("device")


@scenario(
    "rumqttd: the proxy itself hangs while a client pings in time",
    Expected(
        ("keep_alive_timeout", "broker_closed"),
        (None, "proxy_delayed"),
        "proxy",
        closed_by="broker",
        confidence=NOT_SETTLED,
    ),
)
async def _proxy_hangs(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("rumqttd"))
    async with scripted.client(proxy.address, "device", 2) as wire:
        stage.meanwhile(scripted.ping_every, wire, 1.5)
        await trio.sleep(2)
        proxy.process.stop()
        await trio.sleep(5)
        proxy.process.cont()
        return await proxy.closing("device")


@scenario(
    "mosquitto: the proxy itself hangs until a paho-python client gives up",
    Expected(
        ("ping_timeout", "client_closed", "client_reset"),
        (None, "proxy_delayed"),
        ("proxy", "nobody"),
        closed_by="client",
        confidence=NOT_SETTLED,
    ),
    "mosquitto",
)
async def _proxy_hangs_for_client(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("mosquitto"))
    client = await stage.enter(clients.paho_python(proxy.address, stage.folder, "device", keep_alive=4))
    await client.said("connected", 15)
    proxy.process.stop()
    await client.said("lost", 20)
    proxy.process.cont()
    return await proxy.closing("device")


async def _flooded(stage: Stage) -> tuple[scripted.Wire, Proxy]:
    """A client that has stopped reading under a flood, and a broker that has expired it.

    The broker's end stands behind bytes that nobody takes, so the proxy cannot have seen it yet.
    """
    broker = await stage.broker("mosquitto")
    proxy = await stage.before(broker)
    wire = await stage.enter(scripted.client(proxy.address, "device", 3, receive_buffer=8192))
    await wire.send(builders.subscribe([("flood", 0)]))
    await trio.sleep(1)
    await wire.ping()
    stage.meanwhile(feed, broker, "flood", 20_000, 0.001)
    await until("the broker expires it", lambda: "device has exceeded timeout" in broker.process.text(), 20)
    await trio.sleep(4)
    return wire, proxy


@scenario(
    "mosquitto: expired a client that reads on much later",
    Expected("keep_alive_timeout", ("client_not_reading", None), closed_by="broker", confidence=NOT_SETTLED),
    "mosquitto",
)
async def _reads_on(stage: Stage) -> Line:
    wire, proxy = await _flooded(stage)
    await wire.ended()
    return await proxy.closing("device")


@scenario(
    "mosquitto: expired a client that never reads on",
    Expected(
        ("keep_alive_timeout", "ping_timeout", "client_reset"),
        ("client_not_reading", "response_not_read", None),
        closed_by=("client", "broker"),
        confidence=NOT_SETTLED,
        undecidable="the broker's end stands behind bytes that nobody takes, so nobody sees which end came first",
    ),
    "mosquitto",
)
async def _never_reads_on(stage: Stage) -> Line:
    wire, proxy = await _flooded(stage)
    wire.close()
    line = await proxy.closing("device")
    # Where the broker's end was not seen, nobody can know that it came first.
    assert line["cause"] == "keep_alive_timeout" or line["confidence"] == "unclear", line
    return line

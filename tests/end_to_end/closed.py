"""EndedError without a word: a FIN or a reset from either side, and takeovers of the client identifier."""

from __future__ import annotations

from typing import Any

import trio

from tests import builders
from tests.end_to_end.keep_alive import NAMESPACES, feed
from tests.end_to_end.stage import Expected, Stage, needs_of, scenario
from tests.peers import clients, scripted
from tests.peers.brokers import NAMES
from tests.peers.proxy import Line

for name in NAMES:

    @scenario(
        f"{name}: a paho-python process is killed",
        Expected("client_closed", (None, "process_exit"), closed_by="client", close_how="fin"),
        *needs_of(name),
    )
    async def _killed(stage: Stage, name: str = name) -> Line:
        proxy = await stage.before(await stage.broker(name))
        client = await stage.enter(clients.paho_python(proxy.address, stage.folder, "device", keep_alive=30))
        await client.said("connected", 15)
        await trio.sleep(0.5)
        client.kill()
        return await proxy.closing("device")

    @scenario(
        f"{name}: the broker process is killed",
        Expected(
            ("broker_closed", "broker_reset"), (None, "restart", "client_looks_fine"), closed_by="broker",
            close_how=("fin", "rst"), confidence=("likely", "unclear"),
        ),
        *needs_of(name),
    )  # fmt: skip
    async def _broker_killed(stage: Stage, name: str = name) -> Line:
        broker = await stage.broker(name)
        proxy = await stage.before(broker)
        client = await stage.enter(clients.paho_python(proxy.address, stage.folder, "device", keep_alive=30))
        await client.said("connected", 15)
        await trio.sleep(0.5)
        broker.process.kill()
        return await proxy.closing("device")

    @scenario(
        f"{name}: a second paho-python client takes the client identifier",
        Expected("takeover", "same_host_duplicate", closed_by="broker"),
        *needs_of(name),
    )
    async def _takeover(stage: Stage, name: str = name) -> Line:
        proxy = await stage.before(await stage.broker(name))
        first = await stage.enter(clients.paho_python(proxy.address, stage.folder, "device", keep_alive=30))
        await first.said("connected", 15)
        (stage.folder / "second").mkdir()
        second = clients.paho_python(proxy.address, stage.folder / "second", "device", keep_alive=30)
        await stage.enter(second)
        line = await proxy.closing("device")
        assert line["taken_over_by"]["conn_id"] != line["conn_id"]
        return line


@scenario(
    "mosquitto: the broker is told to stop",
    Expected(
        ("broker_closed", "broker_shutdown"), (None, "restart", "client_looks_fine"), closed_by="broker",
        confidence=("likely", "unclear"),
    ),
    "mosquitto",
)  # fmt: skip
async def _terminated(stage: Stage) -> Line:
    broker = await stage.broker("mosquitto")
    proxy = await stage.before(broker)
    async with scripted.client(proxy.address, "device") as wire:
        await wire.ping()
        broker.process.terminate()
        await wire.ended()
    return await proxy.closing("device")


@scenario(
    "scripted broker: closes a client that did nothing wrong",
    Expected("broker_closed", (None, "client_looks_fine"), closed_by="broker", close_how="fin"),
)
async def _closes(stage: Stage) -> Line:
    async def behave(wire: scripted.Wire) -> None:
        await scripted.welcome(wire)
        await scripted.answer_pings(wire, 1.5)

    proxy = await stage.proxy((await stage.scripted_broker(behave)).address)
    async with scripted.client(proxy.address, "device") as wire:
        await wire.ping()
        await wire.ended()
    return await proxy.closing("device")


@scenario(
    "scripted broker: resets a client that did nothing wrong",
    Expected("broker_reset", (None, "client_looks_fine"), closed_by="broker", close_how="rst"),
)
async def _resets(stage: Stage) -> Line:
    async def behave(wire: scripted.Wire) -> None:
        await scripted.welcome(wire)
        await scripted.answer_pings(wire, 1.5)
        wire.reset()

    proxy = await stage.proxy((await stage.scripted_broker(behave)).address)
    async with scripted.client(proxy.address, "device") as wire:
        await wire.ping()
        assert await wire.ended() == "rst"
    return await proxy.closing("device")


@scenario(
    "mosquitto: a box at the broker's end resets the flow",
    Expected("broker_reset", (None, "client_looks_fine"), closed_by="broker", close_how="rst"),
    "mosquitto",
    NAMESPACES,
)
async def _reset_by_box(stage: Stage) -> Line:
    hosts = stage.hosts()
    broker = await stage.broker("mosquitto", host=hosts.far_address, namespace=hosts.far)
    proxy = await stage.before(broker, host=hosts.near_address, namespace=hosts.near)
    async with scripted.client(proxy.address, "device", namespace=hosts.near) as wire:
        await wire.ping()
        hosts.reset(broker.port)
        await wire.send(builders.pingreq())
        await wire.ended()
    return await proxy.closing("device")


@scenario(
    "rumqttd: a client resets",
    Expected("client_reset", (None, "process_exit"), closed_by="client", close_how="rst"),
)
async def _client_resets(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("rumqttd"))
    async with scripted.client(proxy.address, "device") as wire:
        await wire.ping()
        wire.reset()
    return await proxy.closing("device")


@scenario(
    "mosquitto: a paho-python process is killed with messages unread",
    Expected("client_reset", (None, "process_exit"), closed_by="client", close_how="rst"),
    "mosquitto",
)
async def _killed_busy(stage: Stage) -> Line:
    broker = await stage.broker("mosquitto")
    proxy = await stage.before(broker)
    options: dict[str, Any] = {"keep_alive": 30, "subscribe": "feed", "block_s": 60}
    client = await stage.enter(clients.paho_python(proxy.address, stage.folder, "device", **options))
    await client.said("connected", 15)
    await trio.sleep(0.3)
    stage.meanwhile(feed, broker, "feed", 50, 0.05)
    await client.said("message", 15)
    await trio.sleep(0.5)
    client.kill()
    return await proxy.closing("device")

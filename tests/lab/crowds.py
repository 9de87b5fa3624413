"""Drops that only the neighbours explain: restarts, storms, lifetimes, fights over one identifier, slow consumers."""

from __future__ import annotations

import trio

from tests import builders
from tests.end_to_end.honesty import several
from tests.end_to_end.stage import Expected, Stage, needs_of
from tests.lab.entry import lab
from tests.peers import clients, scripted
from tests.peers.proxy import Line

CLIENTS = 12
NOT_SETTLED = ("likely", "unclear")
#: mochi says DISCONNECT without a code to 3.1.1 clients when it stops.
CLOSED = ("broker_closed", "broker_reset", "broker_shutdown", "broker_disconnect")


def restarted() -> Expected:
    """The broker ended all of them at once, and was back a moment later."""
    return Expected(CLOSED, "restart", ("broker", "operator"), closed_by="broker", confidence=NOT_SETTLED)


for name in ("mosquitto", "rumqttd", "aedes", "mochi", "moquette"):

    @lab(f"{name}: killed under a dozen clients, and started again", restarted(), *needs_of(name))
    async def _restart(stage: Stage, name: str = name) -> Line:
        broker = await stage.broker(name)
        proxy = await stage.before(broker)
        await several(stage, proxy, CLIENTS, 60)
        await trio.sleep(1)
        broker.process.kill()
        await broker.process.ended()
        await _knock(proxy.address)
        await stage.broker(name, port=broker.port)
        lines = await proxy.closed(CLIENTS + 1)
        return next(line for line in lines if line.get("client_id") == "several-7")


async def _knock(address: tuple[str, int]) -> None:
    """Somebody comes back too early."""
    async with scripted.connected(address) as wire:
        await wire.send(builders.connect("early"))
        await wire.ended()


for name in ("mosquitto", "mochi"):

    @lab(f"{name}: told to stop under a dozen clients, and started again", restarted(), *needs_of(name))
    async def _stopped(stage: Stage, name: str = name) -> Line:
        broker = await stage.broker(name)
        proxy = await stage.before(broker)
        await several(stage, proxy, CLIENTS, 60)
        await trio.sleep(1)
        broker.process.terminate()
        await broker.process.ended()
        await _knock(proxy.address)
        await stage.broker(name, port=broker.port)
        lines = await proxy.closed(CLIENTS + 1)
        return next(line for line in lines if line.get("client_id") == "several-7")


@lab(
    "rumqttd: a paho.mqtt.golang process with a dozen connections is killed",
    Expected("client_closed", "process_exit", ("client_app", "client_host"), closed_by="client"),
    "paho.mqtt.golang",
)
async def _process(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("rumqttd"))
    many = clients.paho_golang(proxy.address, stage.folder, "go", 60, clients=CLIENTS, stagger="20ms")
    process = await stage.enter(many)
    await process.said("connected", 20, client_id=f"go-{CLIENTS - 1}")
    await trio.sleep(0.5)
    process.kill()
    return (await proxy.closed(CLIENTS))[5]


@lab(
    "mosquitto: one client connects and goes, again and again",
    Expected(
        ("client_closed", "client_reset"), "storm", ("client_app", "client_library"), closed_by="client"
    ),
    "mosquitto",
    announced=True,
)
async def _storm(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("mosquitto"))
    for _ in range(20):
        async with scripted.client(proxy.address, "device") as wire:
            await trio.sleep(0.02)
            wire.close()
        await trio.sleep(0.05)
    return (await proxy.closed(20))[-1]


@lab(
    "scripted broker: ends every connection at the same age",
    Expected(
        ("broker_closed", "broker_disconnect"), "lifetime_limit", closed_by="broker", confidence=NOT_SETTLED
    ),
    announced=False,
)
async def _lifetime(stage: Stage) -> Line:
    async def behave(wire: scripted.Wire) -> None:
        await scripted.welcome(wire)
        await scripted.answer_pings(wire, 31.0)

    proxy = await stage.proxy((await stage.scripted_broker(behave)).address)
    for pause_s in (0.9, 2.3, 0.4):
        async with scripted.client(proxy.address, "device", 30) as wire:
            with trio.move_on_after(30.1):  # busy until shortly before, each time with a rhythm of its own
                await scripted.ping_every(wire, pause_s)
            await wire.ended()
        await trio.sleep(pause_s)
    return (await proxy.closed(3))[-1]


@lab(
    "mosquitto: two clients on two hosts fight over one identifier",
    Expected("takeover", "two_clients", ("client_app", "operator"), closed_by="broker"),
    "mosquitto",
)
async def _fight(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("mosquitto"))
    async with trio.open_nursery() as nursery:
        for source in ("127.0.0.2", "127.0.0.3"):
            nursery.start_soon(_fighter, proxy.address, source)
            await trio.sleep(0.7)
        lines = await proxy.closed(4)
        nursery.cancel_scope.cancel()
    return lines[3]


async def _fighter(address: tuple[str, int], source: str) -> None:
    while True:
        async with scripted.client(address, "device", 30, source=source) as wire:
            await wire.ended()
        await trio.sleep(1.4)


@lab(
    "mosquitto: one host runs the same client twice",
    Expected("takeover", "same_host_duplicate", ("client_app", "operator"), closed_by="broker"),
    "mosquitto",
)
async def _twice(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("mosquitto"))
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(_fighter, proxy.address, "127.0.0.1")
            await trio.sleep(0.7)
        lines = await proxy.closed(4)
        nursery.cancel_scope.cancel()
    return lines[3]


for how in ("fin", "rst"):

    @lab(
        f"scripted broker: ends ({how}) a client that does not keep up with what it subscribed to",
        Expected(
            ("broker_closed", "broker_reset", "broker_disconnect"), "slow_consumer",
            ("client_app", "client_library", "client_host"), "broker", confidence=NOT_SETTLED,
        ),
    )  # fmt: skip
    async def _slow(stage: Stage, how: str = how) -> Line:
        async def behave(wire: scripted.Wire) -> None:
            await scripted.welcome(wire)
            with trio.move_on_after(6):
                while True:
                    await wire.send(builders.publish("flood", bytes(50_000)))
            if how == "rst":
                wire.reset()

        proxy = await stage.proxy((await stage.scripted_broker(behave)).address)
        async with scripted.client(proxy.address, "device", 60, receive_buffer=8192) as wire:
            await trio.sleep(8)
            await wire.ended()
        return await proxy.closing("device")


@lab(
    "scripted broker: says 0x8B to a dozen 5.0 clients",
    Expected(
        "broker_shutdown", (None, "restart"), closed_by="broker", close_how="disconnect", confidence="settled"
    ),
)
async def _said(stage: Stage) -> Line:
    ends = trio.Event()

    async def behave(wire: scripted.Wire) -> None:
        await scripted.welcome(wire, version=5)
        await ends.wait()
        await wire.send(builders.disconnect(0x8B))

    proxy = await stage.proxy((await stage.scripted_broker(behave)).address)
    for number in range(CLIENTS):
        part = scripted.client(proxy.address, f"several-{number}", version=5)
        stage.meanwhile((await stage.enter(part)).ended, 60)
    ends.set()
    return (await proxy.closed(CLIENTS))[-1]

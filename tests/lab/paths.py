"""What the path does: loses one direction, loses at random, resets, forgets a flow, or ends what is idle."""

from __future__ import annotations

import trio

from tests import builders
from tests.end_to_end.boxes import box
from tests.end_to_end.keep_alive import NAMESPACES, expired
from tests.end_to_end.ping_timeout import gave_up
from tests.end_to_end.stage import Expected, Stage, needs_of
from tests.lab.entry import lab
from tests.peers import clients, scripted
from tests.peers.proxy import Line

LOST = ("client_host", "path")
GIVES_UP_QUICKLY = ("net.ipv4.tcp_retries2", "4")


for name in ("mosquitto", "aedes", "rumqttd"):

    @lab(
        f"{name}: the path loses every byte sent to the client, and the client gives up",
        gave_up("response_lost", ("path", "client_host")),
        *needs_of(name),
        NAMESPACES,
    )
    async def _lost(stage: Stage, name: str = name) -> Line:
        hosts = stage.hosts()
        broker = await stage.broker(name, namespace=hosts.near)
        proxy = await stage.before(broker, host=hosts.near_address, namespace=hosts.near)
        async with scripted.client(proxy.address, "device", 20, namespace=hosts.far) as wire:
            await wire.ping()
            hosts.lose_data_towards_far()
            await wire.send(builders.pingreq())
            await trio.sleep(6.5)
            wire.close()
            return await proxy.closing("device")


@lab(
    "mosquitto: paho-python gives up while the path loses what is sent to it for a while",
    gave_up("response_lost", ("path", "client_host")),
    "mosquitto",
    NAMESPACES,
)
async def _lost_paho(stage: Stage) -> Line:
    hosts = stage.hosts()
    broker = await stage.broker("mosquitto", namespace=hosts.near)
    proxy = await stage.before(broker, host=hosts.near_address, namespace=hosts.near)
    part = clients.paho_python(proxy.address, stage.folder, "device", keep_alive=10, namespace=hosts.far)
    client = await stage.enter(part)
    await client.said("connected", 15)
    hosts.lose_towards_far()
    await client.said("lost", 40)
    hosts.heal()
    return await proxy.closing("device", 40)


@lab(
    "mosquitto: the path loses what is sent to paho-python for good, and its FIN never leaves",
    expired("client_unreachable", LOST),
    "mosquitto",
    NAMESPACES,
)
async def _lost_for_good(stage: Stage) -> Line:
    hosts = stage.hosts()
    broker = await stage.broker("mosquitto", namespace=hosts.near)
    proxy = await stage.before(broker, host=hosts.near_address, namespace=hosts.near)
    part = clients.paho_python(proxy.address, stage.folder, "device", keep_alive=5, namespace=hosts.far)
    client = await stage.enter(part)
    await client.said("connected", 15)
    hosts.lose_towards_far()
    return await proxy.closing("device", 40)


@lab(
    "aedes: the path loses forty-nine packets of fifty",
    expired("client_unreachable", LOST),
    "aedes",
    NAMESPACES,
)
async def _lossy(stage: Stage) -> Line:
    hosts = stage.hosts()
    broker = await stage.broker("aedes", namespace=hosts.near)
    proxy = await stage.before(broker, host=hosts.near_address, namespace=hosts.near)
    async with scripted.client(proxy.address, "device", 2, namespace=hosts.far) as wire:
        stage.meanwhile(scripted.ping_every, wire, 1.5)
        await trio.sleep(1.8)
        hosts.lose_at_random(98)
        return await proxy.closing("device", 40)


@lab(
    "mosquitto: a box at the client's end resets the flow",
    Expected("client_reset", None, closed_by="client", close_how="rst", confidence=("likely", "unclear")),
    "mosquitto",
    NAMESPACES,
)
async def _reset(stage: Stage) -> Line:
    hosts = stage.hosts()
    broker = await stage.broker("mosquitto", namespace=hosts.near)
    proxy = await stage.before(broker, host=hosts.near_address, namespace=hosts.near)
    async with scripted.client(proxy.address, "device", 30, namespace=hosts.far) as wire:
        await wire.ping()
        hosts.reset(wire.sock.getsockname()[1])
        await wire.send(builders.pingreq())
        return await proxy.closing("device")


@lab(
    "mosquitto: TCP gives up on a client that is gone while messages pour out",
    Expected("client_unreachable", None, LOST, closed_by="client", close_how=("timed_out", "unreachable")),
    "mosquitto",
    NAMESPACES,
)
async def _gone(stage: Stage) -> Line:
    hosts = stage.hosts()
    hosts.setting(hosts.near, *GIVES_UP_QUICKLY)
    broker = await stage.broker("mosquitto", namespace=hosts.near, host=hosts.near_address)
    proxy = await stage.before(broker, host=hosts.near_address, namespace=hosts.near)
    feeder = scripted.client((broker.host, broker.port), "feeder", 600, namespace=hosts.near)
    async with (
        feeder as source,
        scripted.client(proxy.address, "device", 120, namespace=hosts.far) as wire,
    ):
        await wire.send(builders.subscribe([("feed", 0)]))
        await wire.ping()
        hosts.cut()
        stage.meanwhile(_publish, source)
        return await proxy.closing("device", 60)


async def _publish(wire: scripted.Wire) -> None:
    while True:
        await wire.send(builders.publish("feed", b"x"))
        await trio.sleep(0.2)


@lab(
    "mosquitto: TCP gives up on a broker that is gone while a client publishes",
    Expected(
        "broker_unreachable", None, ("path", "broker", "operator"), closed_by="broker",
        close_how=("timed_out", "unreachable"),
    ),
    "mosquitto",
    NAMESPACES,
)  # fmt: skip
async def _broker_gone(stage: Stage) -> Line:
    hosts = stage.hosts()
    hosts.setting(hosts.near, *GIVES_UP_QUICKLY)
    broker = await stage.broker("mosquitto", host=hosts.far_address, namespace=hosts.far)
    proxy = await stage.before(broker, host=hosts.near_address, namespace=hosts.near)
    async with scripted.client(proxy.address, "device", 120, namespace=hosts.near) as wire:
        await wire.ping()
        hosts.cut()
        stage.meanwhile(_publish, wire)
        return await proxy.closing("device", 60)


@lab(
    "mosquitto: a client comes back while its old connection is half open",
    Expected("takeover", "reconnect_after_half_open", (*LOST, "nobody"), closed_by="broker"),
    "mosquitto",
    NAMESPACES,
)
async def _half_open(stage: Stage) -> Line:
    hosts = stage.hosts()
    broker = await stage.broker("mosquitto", namespace=hosts.near)
    proxy = await stage.before(broker, host=hosts.near_address, namespace=hosts.near)
    async with scripted.client(proxy.address, "device", 4, namespace=hosts.far) as old:
        await trio.sleep(3)
        await old.ping()
        hosts.forget_flow(old.sock.getsockname()[1])
        await trio.sleep(4.8)
        async with scripted.client(proxy.address, "device", 4, namespace=hosts.far) as new:
            await new.ping()
            return await proxy.closing("device")


#: HAProxy's widely copied sample configuration, and AWS's classic load balancers.
for idle_s in (50, 60):

    @lab(
        f"a box between client and proxy cuts what is idle for {idle_s} s",
        Expected("idle_cut", f"limit_{idle_s}s", closed_by="client", confidence=("likely", "unclear")),
        "haproxy",
        "mosquitto",
        announced=False,
    )
    async def _idle(stage: Stage, idle_s: int = idle_s) -> Line:
        proxy = await stage.before(await stage.broker("mosquitto"))
        address = await box(stage, proxy.address, idle_s * 1000)
        async with scripted.client(address, "device", 600) as wire:
            await wire.ping()
            await wire.ended(idle_s + 20)
        return await proxy.closing("device")


@lab(
    "a box whose limit the operator has told the proxy cuts an idle connection",
    Expected("idle_cut", "path_limit", closed_by="client", confidence=("likely", "unclear")),
    "haproxy",
    "mosquitto",
    announced=True,
)
async def _known_limit(stage: Stage) -> Line:
    told = {"KAPROXY_WARNINGS_PATH_IDLE_LIMIT": "6s"}
    proxy = await stage.before(await stage.broker("mosquitto"), env=told)
    address = await box(stage, proxy.address, 6000)
    async with scripted.client(address, "device", 60) as wire:
        await wire.ping()
        await wire.ended()
    return await proxy.closing("device")


@lab(
    "a box between proxy and broker cuts three idle clients after the same silence",
    Expected("idle_cut", None, closed_by="broker", confidence=("likely", "unclear")),  # nobody knows this box
    "haproxy",
    "mosquitto",
    announced=False,
)
async def _thrice(stage: Stage) -> Line:
    broker = await stage.broker("mosquitto")
    address = await box(stage, (broker.host, broker.port), 11000)
    proxy = await stage.proxy(address, profile=broker.profile)
    for number in range(3):
        async with scripted.client(proxy.address, f"device-{number}", 60) as wire:
            await trio.sleep(number)
            await wire.ping()
            await wire.ended()
    return await proxy.closing("device-2")

"""The clients that the test suite does not start, under the faults that every client meets."""

from __future__ import annotations

import trio

from tests.end_to_end.keep_alive import NAMESPACES, expired
from tests.end_to_end.ping_timeout import gave_up
from tests.end_to_end.stage import Expected, Stage, needs_of
from tests.lab.entry import lab
from tests.peers import more_clients
from tests.peers.children import Child
from tests.peers.proxy import Address, Line

#: Client, the broker it meets, and how it ends a connection it has given up. gmqtt waits twice its Keep
#: Alive for any bytes; paho C leaves with DISCONNECT, as if nothing were wrong.
MEETS = (
    ("mosquitto_sub", "mosquitto", ("fin", "rst")),
    ("paho-c", "mosquitto", "disconnect"),
    ("rumqttc", "rumqttd", ("fin", "rst")),
    ("aiomqtt", "aedes", ("fin", "rst")),
    ("gmqtt", "mosquitto", ("fin", "rst", "disconnect")),
    ("golang 1.1.1", "aedes", ("fin", "rst")),
    ("golang 1.5.1", "mosquitto", ("fin", "rst")),
)
KEEP_ALIVE = 5  # mosquitto_sub takes no less


async def started(stage: Stage, name: str, address: Address, namespace: str | None = None) -> Child:
    """A connected client of this name."""
    part = more_clients.client(name, address, stage.folder, "device", KEEP_ALIVE, namespace=namespace)
    return await stage.enter(part)


for name, broker, how in MEETS:
    needs = (more_clients.NEEDS.get(name, name), *needs_of(broker))

    @lab(
        f"{broker}: the broker process is stopped, {name} gives up",
        gave_up("broker_silent", "broker", how),
        *needs,
    )
    async def _silent(stage: Stage, name: str = name, broker: str = broker) -> Line:
        running = await stage.broker(broker)
        proxy = await stage.before(running)
        await started(stage, name, proxy.address)
        running.process.stop()
        return await proxy.closing("device", 40)

    @lab(f"{broker}: a {name} process is stopped", expired("client_hung", "client_app"), *needs)
    async def _hung(stage: Stage, name: str = name, broker: str = broker) -> Line:
        proxy = await stage.before(await stage.broker(broker))
        client = await started(stage, name, proxy.address)
        await trio.sleep(KEEP_ALIVE * 1.4)
        client.stop()
        return await proxy.closing("device", 40)

    @lab(
        f"{broker}: a {name} process is killed",
        Expected("client_closed", (None, "process_exit"), closed_by="client", close_how="fin"),
        *needs,
    )
    async def _killed(stage: Stage, name: str = name, broker: str = broker) -> Line:
        proxy = await stage.before(await stage.broker(broker))
        client = await started(stage, name, proxy.address)
        await trio.sleep(1)
        client.kill()
        return await proxy.closing("device")


for name, broker, how in MEETS[:3]:
    needs = (more_clients.NEEDS.get(name, name), *needs_of(broker))

    @lab(
        f"{broker}: the path to the broker is cut, {name} gives up",
        gave_up("broker_unreachable", ("path", "broker", "operator"), how),
        *needs,
        NAMESPACES,
    )
    async def _cut(stage: Stage, name: str = name, broker: str = broker) -> Line:
        hosts = stage.hosts()
        running = await stage.broker(broker, host=hosts.far_address, namespace=hosts.far)
        proxy = await stage.before(running, host=hosts.near_address, namespace=hosts.near)
        await started(stage, name, proxy.address, hosts.near)
        hosts.cut()
        return await proxy.closing("device", 40)

    @lab(
        f"{broker}: the path to a {name} client is cut",
        expired("client_unreachable", ("client_host", "path")),
        *needs,
        NAMESPACES,
    )
    async def _unreachable(stage: Stage, name: str = name, broker: str = broker) -> Line:
        hosts = stage.hosts()
        running = await stage.broker(broker, namespace=hosts.near)
        proxy = await stage.before(running, host=hosts.near_address, namespace=hosts.near)
        await started(stage, name, proxy.address, hosts.far)
        await trio.sleep(KEEP_ALIVE * 1.4)
        hosts.cut()
        return await proxy.closing("device", 40)

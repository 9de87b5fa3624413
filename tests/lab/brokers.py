"""The brokers that the test suite does not start: every habit that shows in a drop, on each of them.

RabbitMQ, ejabberd, HiveMQ CE, Moquette, mochi-mqtt, and amqtt, which never expires anybody.
"""

from __future__ import annotations

from typing import Any

import trio

from tests import builders
from tests.end_to_end.keep_alive import expired
from tests.end_to_end.ping_timeout import gave_up
from tests.end_to_end.stage import Expected, Stage
from tests.lab.entry import lab
from tests.peers import clients, scripted
from tests.peers.children import Child
from tests.peers.more_brokers import EJABBERD_USER
from tests.peers.proxy import Line, Proxy

NAMES = ("rabbitmq", "ejabberd", "hivemq", "moquette", "mochi", "amqtt")
EXPIRING = NAMES[:-1]
ANNOUNCING = ("ejabberd", "hivemq")  # MQTT 5.0, and they say 0x8D
SAID = "settled"


async def paho(stage: Stage, proxy: Proxy, name: str, **options: Any) -> Child:
    """A connected paho-python client `device`, with the user that this broker asks for."""
    user = EJABBERD_USER if name == "ejabberd" else {}
    wanted = {"keep_alive": 3, **user, **options}
    client = await stage.enter(clients.paho_python(proxy.address, stage.folder, "device", **wanted))
    await client.said("connected", 40)
    return client


def connect(name: str) -> dict[str, Any]:
    """What a scripted CONNECT must carry for this broker."""
    return {"user_name": EJABBERD_USER["user"], "password": b"any"} if name == "ejabberd" else {}


for name in EXPIRING:

    @lab(f"{name}: a paho-python process is stopped", expired("client_hung", "client_app"), name)
    async def _hung(stage: Stage, name: str = name) -> Line:
        proxy = await stage.before(await stage.broker(name))
        client = await paho(stage, proxy, name)
        await trio.sleep(4.3)
        client.stop()
        return await proxy.closing("device", 40)

    @lab(
        f"{name}: a client that never pings",
        expired("never_pinged", ("client_app", "client_library")),
        name,
    )
    async def _never(stage: Stage, name: str = name) -> Line:
        proxy = await stage.before(await stage.broker(name))
        async with scripted.client(proxy.address, "device", 2, **connect(name)) as wire:
            await wire.send(builders.publish("from/device", b"once"))
            await wire.ended()
        return await proxy.closing("device")


for name in NAMES:

    @lab(
        f"{name}: the broker process is stopped, paho-python gives up",
        gave_up("broker_silent", "broker"),
        name,
    )
    async def _silent(stage: Stage, name: str = name) -> Line:
        broker = await stage.broker(name)
        proxy = await stage.before(broker)
        await paho(stage, proxy, name, keep_alive=4)
        broker.process.stop()
        return await proxy.closing("device")

    @lab(
        f"{name}: a paho-python client leaves",
        Expected("client_disconnect", None, "nobody", "client", "disconnect", SAID),
        name,
    )
    async def _leaves(stage: Stage, name: str = name) -> Line:
        proxy = await stage.before(await stage.broker(name))
        await paho(stage, proxy, name, leave_after_s=8)
        return await proxy.closing("device")

    @lab(
        f"{name}: the broker process is killed",
        Expected(
            ("broker_closed", "broker_reset"), (None, "restart", "client_looks_fine"),
            closed_by="broker", close_how=("fin", "rst"),
            confidence=("likely", "unclear"),
        ),
        name,
    )  # fmt: skip
    async def _killed(stage: Stage, name: str = name) -> Line:
        broker = await stage.broker(name)
        proxy = await stage.before(broker)
        await paho(stage, proxy, name, keep_alive=30)
        broker.process.kill()
        return await proxy.closing("device")


for name in EXPIRING:  # amqtt lets both live

    @lab(
        f"{name}: a second client takes the client identifier",
        Expected("takeover", "same_host_duplicate", closed_by="broker"),
        name,
    )
    async def _takeover(stage: Stage, name: str = name) -> Line:
        proxy = await stage.before(await stage.broker(name))
        await paho(stage, proxy, name, keep_alive=30)
        (stage.folder / "second").mkdir()
        user = EJABBERD_USER if name == "ejabberd" else {}
        second = clients.paho_python(proxy.address, stage.folder / "second", "device", keep_alive=30, **user)
        await stage.enter(second)
        return await proxy.closing("device")


for name in ANNOUNCING:

    @lab(
        f"{name}: a 5.0 client that never pings is told so",
        Expected("keep_alive_timeout", "never_pinged", closed_by="broker", close_how="disconnect"),
        name,
    )
    async def _told(stage: Stage, name: str = name) -> Line:
        proxy = await stage.before(await stage.broker(name))
        async with scripted.client(proxy.address, "device", 2, version=5, **connect(name)) as wire:
            await wire.send(builders.publish("from/device", b"once", version=5))
            await wire.ended()
        return await proxy.closing("device")


for name in ("hivemq", "mochi", "ejabberd"):

    @lab(
        f"{name}: a 5.0 client loses its identifier to another",
        Expected("takeover", "same_host_duplicate", closed_by="broker", close_how="disconnect"),
        name,
    )
    async def _taken(stage: Stage, name: str = name) -> Line:
        proxy = await stage.before(await stage.broker(name))
        async with (
            scripted.client(proxy.address, "device", 30, version=5, **connect(name)) as first,
            scripted.client(proxy.address, "device", 30, version=5, **connect(name)),
        ):
            await first.ended()
            return await proxy.closing("device")


@lab(
    "amqtt: a stopped paho-python process is never expired, and is killed in the end",
    Expected("client_closed", (None, "process_exit"), closed_by="client", close_how="fin"),
    "amqtt",
)
async def _never_expired(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("amqtt"))
    client = await paho(stage, proxy, "amqtt", keep_alive=2)
    client.stop()
    await trio.sleep(12)
    client.kill()
    return await proxy.closing("device")

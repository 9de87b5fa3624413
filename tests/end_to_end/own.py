"""What the proxy does itself, always told as its own."""

from __future__ import annotations

from tests import builders
from tests.end_to_end.stage import Expected, Stage, scenario
from tests.peers import clients, scripted
from tests.peers.faulty_proxy import FAULT
from tests.peers.proxy import Line


def own(cause: str, owner: str | tuple[str, ...]) -> Expected:
    """The proxy ended it."""
    return Expected(cause, None, owner, closed_by="proxy", close_how="local", confidence="settled")


@scenario(
    "mosquitto: the proxy is told to stop under a paho-python client",
    own("proxy_shutdown", ("operator", "nobody", "proxy")),
    "mosquitto",
)
async def _shutdown(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("mosquitto"))
    client = await stage.enter(clients.paho_python(proxy.address, stage.folder, "device"))
    await client.said("connected", 15)
    proxy.process.terminate()
    return await proxy.closing("device")


@scenario("rumqttd: one connection more than the limit", own("proxy_limit", ("operator", "proxy")))
async def _limit(stage: Stage) -> Line:
    env = {"KAPROXY_LIMITS_MAX_CONNECTIONS": "1"}
    proxy = await stage.before(await stage.broker("rumqttd"), env=env)
    async with scripted.client(proxy.address, "first") as first:
        async with scripted.connected(proxy.address) as second:
            await second.ended()
        line = await proxy.closing(cause="proxy_limit")
        await first.send(builders.disconnect())
        await first.ended()
    return line


@scenario(
    "mosquitto: a fault in the proxy ends one connection and no other",
    own("proxy_error", "proxy"),
    "mosquitto",
)
async def _fault(stage: Stage) -> Line:
    broker = await stage.broker("mosquitto")
    proxy = await stage.before(broker, program="tests.peers.faulty_proxy")
    async with scripted.client(proxy.address, "bystander") as bystander:
        async with scripted.client(proxy.address, "device") as wire:
            await wire.send(builders.publish("t", FAULT))
            await wire.ended()
        line = await proxy.closing("device")
        await bystander.ping()
        await bystander.send(builders.disconnect())
        await bystander.ended()
    return line

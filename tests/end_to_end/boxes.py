"""Look-alikes 4 and 5: a box on the path that cuts idle connections, and a broker that counts wrong.

A rule for `idle_cut` or `broker_premature` may come later; until then these must at least not be told as
something else with confidence.
"""

from __future__ import annotations

import trio

from tests import builders
from tests.end_to_end.stage import Expected, Stage, scenario
from tests.peers import places, scripted
from tests.peers.children import child, until
from tests.peers.proxy import Address, Line

BOX = """
defaults
  mode tcp
  timeout connect 1s
  timeout client {idle_ms}
  timeout server {idle_ms}
frontend in
  bind 127.0.0.1:{port}
  default_backend out
backend out
  server there {host}:{there}
"""
NOT_SETTLED = ("likely", "unclear")
ONCE = "seen once, and three seconds are nobody's known limit: an end without a word looks the same"


async def box(stage: Stage, there: Address, idle_ms: int) -> Address:
    """HAProxy as a box on the path that cuts what is idle for so long."""
    port = places.free_port()
    config = stage.folder / "box.cfg"
    config.write_text(BOX.format(port=port, idle_ms=idle_ms, host=there[0], there=there[1]))
    command = [str(places.program("haproxy")), "-db", "-f", str(config)]
    stage.enter_now(child(command, stage.folder / "box.log"))
    await until("the box", lambda: not _free(port))
    return "127.0.0.1", port


def _free(port: int) -> bool:
    return f":{port:04X} 00000000:0000 0A" not in places.listening()


async def idle(wire: scripted.Wire) -> None:
    """A client that is idle, well within its Keep Alive."""
    await wire.ping()
    await wire.ended()


@scenario(
    "a box between client and proxy cuts after 3 s",
    Expected(
        ("idle_cut", "client_closed"), None, closed_by="client", confidence=NOT_SETTLED, undecidable=ONCE
    ),
    "haproxy",
    "mosquitto",
)
async def _client_side(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("mosquitto"))
    address = await box(stage, proxy.address, 3000)
    async with scripted.client(address, "device", 60) as wire:
        await idle(wire)
    return await proxy.closing("device")


@scenario(
    "a box between proxy and broker cuts after 3 s",
    Expected(
        ("idle_cut", "broker_closed"),
        (None, "client_looks_fine"),
        closed_by="broker",
        confidence=NOT_SETTLED,
        undecidable=ONCE,
    ),
    "haproxy",
    "mosquitto",
)
async def _broker_side(stage: Stage) -> Line:
    broker = await stage.broker("mosquitto")
    address = await box(stage, (broker.host, broker.port), 3000)
    proxy = await stage.proxy(address, profile=broker.profile)
    async with scripted.client(proxy.address, "device", 60) as wire:
        await idle(wire)
    return await proxy.closing("device")


@scenario(
    "a box between proxy and broker cuts exactly when the broker would",
    Expected(
        ("idle_cut", "keep_alive_timeout", "broker_closed"),
        (None, "never_pinged", "pinged_late"),
        closed_by="broker",
        confidence=NOT_SETTLED,
        undecidable="the box cuts in the very second in which the broker would expire the client",
    ),
    "haproxy",
    "mosquitto",
)
async def _same_limit(stage: Stage) -> Line:
    broker = await stage.broker("mosquitto")
    address = await box(stage, (broker.host, broker.port), 6200)
    proxy = await stage.proxy(address, profile=broker.profile)
    async with scripted.client(proxy.address, "device", 4) as wire:
        await wire.ended()
    return await proxy.closing("device")


@scenario(
    "a broker that expires clients before their Keep Alive has passed",
    Expected(
        ("keep_alive_timeout", "broker_closed"),
        ("broker_premature", "client_looks_fine", None),
        "broker",
        closed_by="broker",
        confidence=NOT_SETTLED,
    ),
)
async def _premature(stage: Stage) -> Line:
    async def behave(wire: scripted.Wire) -> None:
        await scripted.welcome(wire)
        await wire.expect(scripted.PINGREQ)
        await wire.send(builders.pingresp())
        await trio.sleep(3.6)

    proxy = await stage.proxy((await stage.scripted_broker(behave)).address)
    async with scripted.client(proxy.address, "device", 4) as wire:
        await trio.sleep(3.8)
        await wire.ping()
        await wire.ended()
    return await proxy.closing("device")

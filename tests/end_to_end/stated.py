"""What a peer says itself: DISCONNECT from either side, CONNACK with a refusal."""

from __future__ import annotations

from typing import Any

import trio

from tests import builders
from tests.end_to_end.stage import Expected, Stage, needs_of, scenario
from tests.peers import clients, scripted
from tests.peers.brokers import NAMES
from tests.peers.proxy import Line

SAID = "settled"


def left(cause: str, owner: str | tuple[str, ...] | None = None) -> Expected:
    """The client sent DISCONNECT."""
    return Expected(cause, None, owner, closed_by="client", close_how="disconnect", confidence=SAID)


for name in NAMES:

    @scenario(f"{name}: a paho-python client leaves", left("client_disconnect", "nobody"), *needs_of(name))
    async def _leaves(stage: Stage, name: str = name) -> Line:
        proxy = await stage.before(await stage.broker(name))
        part = clients.paho_python(proxy.address, stage.folder, "device", leave_after_s=0.5)
        await stage.enter(part)
        return await proxy.closing("device")


@scenario("aedes: an MQTT.js client leaves", left("client_disconnect", "nobody"), "aedes", "mqttjs")
async def _ends(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("aedes"))
    client = await stage.enter(clients.mqttjs(proxy.address, stage.folder, "device", 30))
    await client.said("connected", 15)
    client.terminate()
    return await proxy.closing("device")


PAHO_REASONS = (
    (0x04, "client_disconnect_with_will", "nobody"),
    (0x80, "client_disconnect_error", ("client_app", "client_library")),
    (0x83, "client_disconnect_error", ("client_app", "client_library")),
)

for code, cause, owner in PAHO_REASONS:

    @scenario(f"mosquitto: a paho-python client leaves with 0x{code:02X}", left(cause, owner), "mosquitto")
    async def _leaves_with(stage: Stage, code: int = code) -> Line:
        proxy = await stage.before(await stage.broker("mosquitto"))
        options: dict[str, Any] = {"version": 5, "leave_after_s": 0.5, "reason": code, "will": "last/words"}
        await stage.enter(clients.paho_python(proxy.address, stage.folder, "device", **options))
        return await proxy.closing("device")


@scenario(
    "mosquitto: a client leaves with 0x95, which names a packet of the broker",
    Expected("packet_unacceptable", (None, "too_large"), closed_by="client", close_how="disconnect"),
    "mosquitto",
)
async def _unacceptable(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("mosquitto"))
    async with scripted.client(proxy.address, "device", version=5) as wire:
        await wire.send(builders.disconnect(0x95))
        wire.close()
    return await proxy.closing("device")


def rejected(root: str, owner: str | tuple[str, ...] | None = None) -> Expected:
    """The broker said which packet it could not take."""
    return Expected(
        "packet_rejected", root, owner, closed_by="broker", close_how="disconnect", confidence=SAID
    )


MOSQUITTO_REJECTS = (
    ("malformed", builders.packet(0x80, b"\x00\x01\x00\x00\x01a\x00"), "a SUBSCRIBE with wrong flags"),
    ("protocol_violation", builders.publish("a/#", version=5), "a PUBLISH to a topic with a wildcard"),
    ("protocol_violation", b"\x00" * 5000, "5,000 zero bytes"),
    ("too_large", builders.publish("big", bytes(5000), version=5), "a PUBLISH above its maximum"),
)

for root, data, what in MOSQUITTO_REJECTS:

    @scenario(f"mosquitto: rejects {what} with a code", rejected(root), "mosquitto")
    async def _rejects(stage: Stage, data: bytes = data) -> Line:
        proxy = await stage.before(await stage.broker("mosquitto", max_packet_size=2000))
        async with scripted.client(proxy.address, "device", version=5) as wire:
            await wire.send(data)
            await wire.ended()
        return await proxy.closing("device")


def broker_says(cause: str, root: str | None, owner: str | tuple[str, ...] | None) -> Expected:
    """The broker sent DISCONNECT with a code."""
    return Expected(cause, root, owner, closed_by="broker", close_how="disconnect", confidence=SAID)


SCRIPTED_CODES: tuple[tuple[int, str, Any, Any], ...] = (
    (0x8B, "broker_shutdown", (None, "restart"), ("operator", "nobody", "broker")),
    (0x98, "broker_disconnect", None, "operator"),
    (0x89, "broker_disconnect", None, "broker"),
    (0xA0, "broker_disconnect", "lifetime_limit", None),
    (0x87, "packet_rejected", ("not_authorized", "not_authorized_suspected"), None),
    (0x93, "packet_rejected", "receive_maximum", None),
    (0x97, "packet_rejected", "quota", None),
    (0x8D, "keep_alive_timeout", (None, "never_pinged"), None),
    (0x8E, "takeover", (None, "two_clients"), None),
)

for stated, said, why, who in SCRIPTED_CODES:

    @scenario(
        f"scripted broker: DISCONNECT 0x{stated:02X}, then a reset",
        broker_says(said, why, who),
        announced=False if stated == 0x8E else None,  # the other client never comes
    )
    async def _says(stage: Stage, code: int = stated) -> Line:
        async def behave(wire: scripted.Wire) -> None:
            await scripted.welcome(wire, version=5)
            await trio.sleep(3.2 if code == 0x8D else 0.3)
            await wire.send(builders.disconnect(code))
            await trio.sleep(0.2)
            wire.reset()

        proxy = await stage.proxy((await stage.scripted_broker(behave)).address)
        async with scripted.client(proxy.address, "device", 2, version=5) as wire:
            assert await wire.expect(scripted.DISCONNECT) == (0xE0, bytes([code]))
            await wire.ended()
        return await proxy.closing("device")


@scenario(
    "scripted broker: a code and the reset behind it arrive together",
    broker_says("broker_disconnect", None, "operator"),
)
async def _code_and_reset(stage: Stage) -> Line:
    async def behave(wire: scripted.Wire) -> None:
        await scripted.welcome(wire, version=5)
        await trio.sleep(0.3)
        await wire.send(builders.disconnect(0x98))
        wire.reset()

    proxy = await stage.proxy((await stage.scripted_broker(behave)).address)
    async with scripted.client(proxy.address, "device", version=5) as wire:
        await wire.ended()
    return await proxy.closing("device")


@scenario(
    "scripted broker: DISCONNECT to a 3.1.1 client",
    Expected("broker_disconnect", None, closed_by="broker", close_how="disconnect"),
)
async def _disconnect_to_3(stage: Stage) -> Line:
    async def behave(wire: scripted.Wire) -> None:
        await scripted.welcome(wire)
        await trio.sleep(0.3)
        await wire.send(builders.disconnect())

    proxy = await stage.proxy((await stage.scripted_broker(behave)).address)
    async with scripted.client(proxy.address, "device") as wire:
        await wire.ended()
    return await proxy.closing("device")


def refused(root: str | tuple[str, ...], owner: str | tuple[str, ...] | None = None) -> Expected:
    """CONNACK with a code other than 0."""
    return Expected("connect_refused", root, owner, closed_by=("broker", "client"))


REFUSALS: tuple[tuple[str, dict[str, Any], dict[str, Any], str, str | None], ...] = (
    ("aedes", {}, {"user_name": "refused"}, "bad_user_name_or_password", "operator"),
    ("aedes", {"keepalive_limit": 60}, {"keep_alive": 90}, "keep_alive_above_maximum", None),
    ("aedes", {}, {"version": 5}, "unacceptable_protocol_version", None),
    ("mosquitto", {}, {"level": 9}, "unacceptable_protocol_version", None),
    ("mosquitto", {}, {"client_id": "", "clean_start": False}, "identifier_rejected", None),
)

for name, settings, connect, name_of_code, actor in REFUSALS:

    @scenario(
        f"{name}: refuses CONNECT with {name_of_code} ({connect})",
        refused(name_of_code, actor),
        *needs_of(name),
    )
    async def _refuses(stage: Stage, name: str = name, options=settings, connect=connect) -> Line:  # type: ignore[no-untyped-def]
        proxy = await stage.before(await stage.broker(name, **options))
        async with scripted.connected(proxy.address) as wire:
            await wire.send(builders.connect(**{"client_id": "device", **connect}))
            await wire.ended()
        return await proxy.closing()


@scenario(
    "mosquitto: refuses a paho-python client without credentials",
    refused("not_authorized", "operator"),
    "mosquitto",
)
async def _no_credentials(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("mosquitto", allow_anonymous="false"))
    await stage.enter(clients.paho_python(proxy.address, stage.folder, "device", version=5))
    return await proxy.closing("device")

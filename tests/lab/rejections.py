"""Packets that one side would not take: from a broker without a word, with a code, and from a client."""

from __future__ import annotations

import trio

from tests import builders
from tests.end_to_end.stage import Expected, Stage, needs_of
from tests.lab.entry import lab
from tests.peers import clients, more_clients, scripted
from tests.peers.proxy import Line

Owner = tuple[str, ...]
SENDER: Owner = ("client_app", "client_library")


def rejected(root: str | tuple[str, ...], owner: Owner = (*SENDER, "operator")) -> Expected:
    """The broker closed on a packet, without a word."""
    return Expected("packet_rejected", root, owner, closed_by="broker", close_how=("fin", "rst"))


WRONG_FLAGS = builders.packet(0x80, b"\x00\x01\x00\x00\x01a\x00")
QOS_3 = builders.packet(0x36, b"\x00\x01t\x00\x01x")
NO_CODE: tuple[tuple[str, str, bytes, dict[str, object], str | tuple[str, ...]], ...] = (
    ("mosquitto", "a SUBSCRIBE with wrong flags", WRONG_FLAGS, {}, ("malformed", "protocol_violation")),
    ("mosquitto", "a second CONNECT", builders.connect("device"), {}, "protocol_violation"),
    ("mosquitto", "a PUBLISH to a topic with a wildcard", builders.publish("a/#"), {}, "protocol_violation"),
    (
        "mosquitto",
        "a PUBLISH above its maximum",
        builders.publish("big", bytes(5000)),
        {"max_packet_size": 2000},
        "too_large",
    ),
    ("aedes", "a PUBLISH with QoS 3", QOS_3, {}, ("malformed", "protocol_violation")),
    ("aedes", "a PUBLISH it does not allow", builders.publish("forbidden/x"), {}, "not_authorized_suspected"),
    ("rumqttd", "a PUBLISH above its maximum", builders.publish("big", bytes(400_000)), {}, "too_large"),
    (
        "mochi",
        "a PUBLISH above its maximum",
        builders.publish("big", bytes(5000)),
        {"max_packet": 2000},
        "too_large",
    ),
    ("mochi", "a second CONNECT", builders.connect("device"), {}, "protocol_violation"),
    ("hivemq", "a PUBLISH with QoS 3", QOS_3, {}, ("malformed", "protocol_violation")),
    ("hivemq", "a second CONNECT", builders.connect("device"), {}, "protocol_violation"),
    ("rabbitmq", "a PUBLISH with QoS 3", QOS_3, {}, ("malformed", "protocol_violation")),
    ("moquette", "a PUBLISH above its maximum", builders.publish("big", bytes(20_000)), {}, "too_large"),
)

for name, what, data, options, root in NO_CODE:

    @lab(f"{name}: closes without a word on {what}", rejected(root), *needs_of(name))
    async def _closes(
        stage: Stage, name: str = name, data: bytes = data, options: dict[str, object] = options
    ) -> Line:
        proxy = await stage.before(await stage.broker(name, **options))
        async with scripted.client(proxy.address, "device") as wire:
            await wire.ping()
            await wire.send(data)
            await wire.ended()
        return await proxy.closing("device")


@lab(
    "mochi: resets a 5.0 client that sends far more than its Receive Maximum",
    # Its DISCONNECT with 0x93 is lost behind the bytes it has not read.
    Expected("packet_rejected", "receive_maximum", SENDER, "broker", ("disconnect", "rst")),
    "mochi",
)
async def _far_too_many(stage: Stage) -> Line:
    return await too_many(stage, "mochi")


async def too_many(stage: Stage, name: str) -> Line:
    """Twelve hundred QoS 2 messages at once, and no PUBREL."""
    proxy = await stage.before(await stage.broker(name))
    async with scripted.client(proxy.address, "device", version=5) as wire:
        many = (builders.publish("t", b"x", qos=2, packet_id=n, version=5) for n in range(1, 1200))
        await wire.send(b"".join(many))
        await wire.ended()
    return await proxy.closing("device")


@lab(
    "hivemq: says 0x93 to a 5.0 client that sends more than its Receive Maximum",
    Expected("packet_rejected", "receive_maximum", SENDER, "broker", "disconnect", "settled"),
    "hivemq",
)
async def _too_many(stage: Stage) -> Line:
    return await too_many(stage, "hivemq")


@lab(
    "hivemq: says 0x95 to a 5.0 client that sends more than its Maximum Packet Size",
    Expected(
        "packet_rejected", "too_large", closed_by="broker", close_how="disconnect", confidence="settled"
    ),
    "hivemq",
)
async def _told_too_large(stage: Stage) -> Line:
    limit = "<mqtt><packets><max-packet-size>2000</max-packet-size></packets></mqtt>"
    proxy = await stage.before(await stage.broker("hivemq", settings=limit))
    async with scripted.client(proxy.address, "device", version=5) as wire:
        await wire.send(builders.publish("big", bytes(5000), version=5))
        await wire.ended()
    return await proxy.closing("device")


TYPE_0 = builders.packet(0x00, b"\x00\x00")
UNACCEPTABLE = Expected(
    "packet_unacceptable", (None, "malformed", "protocol_violation"), ("broker", "client_library"), "client"
)

for client in ("mosquitto_sub", "rumqttc", "golang 1.5.1"):

    @lab(
        f"scripted broker: sends {client} a packet of type 0",
        UNACCEPTABLE,
        more_clients.NEEDS.get(client, client),
    )
    async def _sends(stage: Stage, client: str = client) -> Line:
        proxy = await stage.proxy((await stage.scripted_broker(type_0)).address)
        await stage.enter(more_clients.client(client, proxy.address, stage.folder, "device", 30))
        return await proxy.closing("device")


async def type_0(wire: scripted.Wire) -> None:
    """A broker that sends what is no control packet, and means nothing by it."""
    await scripted.welcome(wire)
    await trio.sleep(1)
    await wire.send(TYPE_0)
    await scripted.answer_pings(wire)


@lab("scripted broker: sends paho-python a packet of type 0", UNACCEPTABLE)
async def _sends_paho(stage: Stage) -> Line:
    proxy = await stage.proxy((await stage.scripted_broker(type_0)).address)
    await stage.enter(clients.paho_python(proxy.address, stage.folder, "device", keep_alive=30))
    return await proxy.closing("device")


@lab(
    "scripted client: leaves with 0x95 right after a large PUBLISH it received",
    Expected("packet_unacceptable", (None, "too_large"), closed_by="client", close_how="disconnect"),
    "mosquitto",
)
async def _leaves(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("mosquitto"))
    async with scripted.client(proxy.address, "device", version=5) as wire:
        await wire.send(builders.subscribe([("big", 0)], version=5))
        await wire.send(builders.publish("big", bytes(9000), version=5))
        await wire.expect(0x30)
        await wire.send(builders.disconnect(0x95))
        wire.close()
    return await proxy.closing("device")


REFUSALS = (
    (4, 3, "server_unavailable"),
    (5, 0x88, "server_unavailable"),
    (5, 0x86, "bad_user_name_or_password"),
)

for version, code, root in REFUSALS:

    @lab(
        f"scripted broker: refuses a client of version {version} with 0x{code:02X}",
        Expected("connect_refused", root, closed_by=("broker", "client"), confidence="settled"),
    )
    async def _refuses(stage: Stage, version: int = version, code: int = code) -> Line:
        async def behave(wire: scripted.Wire) -> None:
            await scripted.welcome(wire, code, version)

        proxy = await stage.proxy((await stage.scripted_broker(behave)).address)
        async with scripted.connected(proxy.address) as wire:
            await wire.send(builders.connect("device", version=version))
            await wire.ended()
        return await proxy.closing("device")


#: An MQTT-SN CONNECT with its length before it, and bytes that are nothing known.
STRANGERS = {"mqtt_sn": b"\x0a\x04\x04\x01\x00\x1edev1", "other": b"\xf7\x03hello there\r\n"}

for kind, data in STRANGERS.items():

    @lab(f"mosquitto: {kind} on the port", Expected("not_mqtt", kind), "mosquitto")
    async def _stranger(stage: Stage, data: bytes = data) -> Line:
        proxy = await stage.before(await stage.broker("mosquitto"))
        async with scripted.connected(proxy.address) as wire:
            await wire.send(data)
            with trio.move_on_after(1):
                await wire.ended()
        return await proxy.closing()

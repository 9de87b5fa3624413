"""Connections that never became MQTT connections, and brokers that never answered."""

from __future__ import annotations

import ssl

import trio

from tests import builders
from tests.end_to_end.keep_alive import NAMESPACES
from tests.end_to_end.stage import Expected, Stage, scenario
from tests.peers import clients, places, scripted
from tests.peers.children import child
from tests.peers.proxy import Line

QUICK_DIAL = {"KAPROXY_TIMEOUTS_DIAL": "2s"}


@scenario(
    "aedes: nothing is sent until the broker loses patience",
    Expected("no_connect", closed_by="broker"),
    "aedes",
)
async def _nothing(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("aedes", connect_timeout_ms=2000))
    async with scripted.connected(proxy.address) as wire:
        await wire.ended()
    return await proxy.closing()


@scenario("aedes: half a CONNECT and then nothing", Expected("no_connect", closed_by="broker"), "aedes")
async def _half(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("aedes", connect_timeout_ms=2000))
    async with scripted.connected(proxy.address) as wire:
        await wire.send(builders.connect("device")[:9])
        await wire.ended()
    return await proxy.closing()


@scenario(
    "mosquitto: half a CONNECT and the client leaves", Expected("no_connect", closed_by="client"), "mosquitto"
)
async def _half_and_gone(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("mosquitto"))
    async with scripted.connected(proxy.address) as wire:
        await wire.send(builders.connect("device")[:9])
        await trio.sleep(0.3)
        wire.close()
    return await proxy.closing()


@scenario("mosquitto: connect and close", Expected("probe", owner="nobody", closed_by="client"), "mosquitto")
async def _probe(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("mosquitto"))
    async with scripted.connected(proxy.address):
        pass
    return await proxy.closing()


# A plain `check` resets before the handshake is complete, so nobody gets to accept it.
HEALTH_CHECK = """
defaults
  mode tcp
  timeout connect 1s
  timeout client 60s
  timeout server 60s
frontend in
  bind 127.0.0.1:{port}
  default_backend out
backend out
  option tcp-check
  tcp-check connect linger
  server proxy {host}:{proxy} check inter 500ms
"""


@scenario(
    "haproxy: a health check", Expected("probe", owner="nobody", closed_by="client"), "haproxy", "mosquitto"
)
async def _health_check(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("mosquitto"))
    config = stage.folder / "haproxy.cfg"
    config.write_text(HEALTH_CHECK.format(port=places.free_port(), host=proxy.host, proxy=proxy.port))
    command = [str(places.program("haproxy")), "-db", "-f", str(config)]
    stage.enter_now(child(command, stage.folder / "haproxy.log"))
    return (await proxy.closed(2))[-1]


def hello() -> bytes:
    """The first flight of a TLS client, made by a real one."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    engine = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="broker.example")
    try:
        engine.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError


STRANGERS = {
    "tls": hello(),
    "http": b"GET / HTTP/1.1\r\nHost: broker.example\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "proxy_header": b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 1883\r\n",
    "zeros": bytes(64),
}

for kind, data in STRANGERS.items():

    @scenario(f"mosquitto: {kind} on the port", Expected("not_mqtt", kind), "mosquitto")
    async def _stranger(stage: Stage, data: bytes = data) -> Line:
        proxy = await stage.before(await stage.broker("mosquitto"))
        async with scripted.connected(proxy.address) as wire:
            await wire.send(data)
            with trio.move_on_after(1):
                await wire.ended()
        return await proxy.closing()


@scenario(
    "no broker: nobody listens",
    Expected("broker_refused", None, ("operator", "broker"), closed_by="broker", close_how="refused"),
)
async def _refused(stage: Stage) -> Line:
    proxy = await stage.proxy(("127.0.0.1", places.free_port()))
    async with scripted.connected(proxy.address) as wire:
        await wire.send(builders.connect("device"))
        await wire.ended()
    return await proxy.closing()


@scenario(
    "no broker: its host does not answer",
    Expected("dial_timeout", None, ("operator", "path", "broker"), closed_by="broker", close_how="timed_out"),
    NAMESPACES,
)
async def _no_answer(stage: Stage) -> Line:
    hosts = stage.hosts()
    hosts.cut()
    proxy = await stage.proxy(
        (hosts.far_address, 1883), host=hosts.near_address, namespace=hosts.near, env=QUICK_DIAL
    )
    async with scripted.connected(proxy.address, namespace=hosts.near) as wire:
        await wire.send(builders.connect("device"))
        await wire.ended()
    return await proxy.closing()


@scenario(
    "mosquitto: stopped before CONNECT, MQTT.js waits for CONNACK in vain",
    Expected("no_connack", None, "broker", closed_by="client"),
    "mosquitto",
    "mqttjs",
)
async def _no_connack(stage: Stage) -> Line:
    broker = await stage.broker("mosquitto")
    proxy = await stage.before(broker)
    broker.process.stop()
    options: dict[str, object] = {"connectTimeout": 3000}
    await stage.enter(clients.mqttjs(proxy.address, stage.folder, "device", 30, options=options))
    return await proxy.closing()


@scenario("rumqttd: refuses Keep Alive 0 without a word", Expected("no_connack", None, closed_by="broker"))
async def _no_word(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("rumqttd"))
    async with scripted.connected(proxy.address) as wire:
        await wire.send(builders.connect("device", keep_alive=0))
        await wire.ended()
    return await proxy.closing()

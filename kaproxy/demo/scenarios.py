"""What the demonstration makes happen: one small function per way to drop, and the table of them.

A function plays its part through the proxy and returns the closing line that kaproxy wrote; what it ought to say
stands beside it in the table. Keep Alive is 2 or 3 s where it matters, so that nobody has to wait long.
Read next: `play.py`, which runs them side by side.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import TypeAlias

import trio

from kaproxy.demo import wire
from kaproxy.demo.children import HOST, Address, Broker, Child, Line, Proxy, broker, free_port, paho, proxy
from kaproxy.demo.sockets import Scripted, scripted

KEEP_ALIVE = 2
GIVE_UP = 3  # for clients that give up: a shorter wait for PINGRESP is none that any library has
OWN_CLOCK = 5  # the shortest at which a ping timer can be told from chance
LONG = 30  # a Keep Alive that plays no part
BOTH = frozenset({"rumqttd", "mosquitto"})


@dataclass(frozen=True, slots=True)
class Stage:
    """The broker and the proxy that most scenarios share."""

    kind: str
    broker: Broker
    proxy: Proxy
    nursery: trio.Nursery

    def another_broker(self) -> AbstractAsyncContextManager[Broker]:
        """A broker of the same kind that a scenario may harm."""
        return broker(self.nursery, self.kind)

    def another_proxy(self, upstream: Address) -> AbstractAsyncContextManager[Proxy]:
        """kaproxy in front of something else."""
        return proxy(self.nursery, upstream, self.kind)

    def paho(
        self, client_id: str, keep_alive: int, through: Proxy | None = None
    ) -> AbstractAsyncContextManager[Child]:
        """A real client, connected through the proxy that all share, or through another."""
        return paho(self.nursery, through or self.proxy, client_id, keep_alive)


Act: TypeAlias = Callable[[Stage], Awaitable[Line]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to drop: what is made to happen, and what kaproxy has to say of it."""

    name: str
    what: str
    act: Act
    cause: str
    root: str | None = None
    brokers: frozenset[str] = BOTH

    def right(self, line: Line) -> bool:
        """Did the closing line name the cause and the root?"""
        return (line["cause"], line.get("root")) == (self.cause, self.root)


async def says_goodbye(stage: Stage) -> Line:
    """A client that leaves as the standard wants it."""
    async with stage.paho("good-guest", LONG) as client:
        await client.say("publish demo/hello")
        await client.say("leave")
        return await stage.proxy.closing_line(client_id="good-guest")


async def same_identifier_twice(stage: Stage) -> Line:
    """Two programs with one client identifier: the broker has to close the older connection."""
    async with stage.paho("meter-7", LONG), stage.paho("meter-7", LONG):
        return await stage.proxy.closing_line(client_id="meter-7")


async def pings_late(stage: Stage) -> Line:
    """A ticker that fires at 1.3 x Keep Alive and survives, and survives, and then just after the broker's patience."""
    async with scripted(stage.proxy) as client:
        await client.connect("late-ticker", KEEP_ALIVE)
        for _ in range(2):
            await trio.sleep(1.3 * KEEP_ALIVE)
            await client.ping()
        await client.ended()
        await trio.sleep(0.1)
        await client.send(wire.PINGREQ)
        return await stage.proxy.closing_line(client_port=client.port)


async def never_pings(stage: Stage) -> Line:
    """A program that publishes while it has something to say and does not know PINGREQ."""
    async with scripted(stage.proxy) as client:
        await client.connect("no-pings", KEEP_ALIVE)
        for _ in range(3):
            await client.send(wire.publish("demo/reading"))
            await trio.sleep(0.5 * KEEP_ALIVE)
        await client.ended()
    return await stage.proxy.closing_line(client_port=client.port)


async def hangs(stage: Stage) -> Line:
    """A real client, frozen: its kernel lives, its MQTT loop does not."""
    async with stage.paho("frozen", KEEP_ALIVE) as client:
        await trio.sleep(1.7 * KEEP_ALIVE)  # long enough for its first PINGREQ
        client.stop()
        return await stage.proxy.closing_line(client_id="frozen")


async def vanishes(stage: Stage) -> Line:
    """A device that loses power: nothing comes from it, and its kernel acknowledges nothing."""
    async with scripted(stage.proxy) as client:
        await client.connect("out-of-power", KEEP_ALIVE)
        await trio.sleep(0.5 * KEEP_ALIVE)
        await client.ping()
        client.vanish()
        return await stage.proxy.closing_line(client_port=client.port)


async def does_not_read(stage: Stage) -> Line:
    """A subscriber whose program is stuck in a callback while messages come in."""
    async with scripted(stage.proxy, small_buffer=True) as client:
        await client.connect("stuck-in-callback", KEEP_ALIVE)
        await _flood(stage, client)
        return await stage.proxy.closing_line(client_port=client.port)


async def _flood(stage: Stage, client: Scripted) -> None:
    """600 kB for a client that reads none of it."""
    topic = f"demo/flood/{client.port}"
    await client.send(wire.subscribe(topic))
    await client.receive(8)
    async with scripted(stage.proxy) as other:
        await other.connect(f"flooder-{client.port}", LONG)
        for _ in range(60):
            await other.send(wire.publish(topic, 10_000))
        await other.send(wire.DISCONNECT)
        await other.ended()


async def only_listens(stage: Stage) -> Line:
    """A subscriber whose ping timer restarts with every message it receives, so it never fires."""
    async with (
        scripted(stage.proxy) as client,
        scripted(stage.proxy) as other,
        trio.open_nursery() as nursery,
    ):
        await client.connect("listener", KEEP_ALIVE)
        await client.ping()
        await client.send(wire.subscribe("demo/news"))
        await other.connect("newsroom", LONG)
        nursery.start_soon(_news, other)
        await client.ended()
        nursery.cancel_scope.cancel()
    return await stage.proxy.closing_line(client_port=client.port)


async def _news(other: Scripted) -> None:
    while True:
        await other.send(wire.publish("demo/news"))
        await trio.sleep(0.5)


async def broker_hangs(stage: Stage) -> Line:
    """A broker that is frozen: the PINGREQ arrives at its host and is never answered."""
    async with AsyncExitStack() as stack:
        frozen = await stack.enter_async_context(stage.another_broker())
        before = await stack.enter_async_context(stage.another_proxy(frozen.address))
        await stack.enter_async_context(stage.paho("patient", GIVE_UP, before))
        await trio.sleep(1.5 * GIVE_UP)
        frozen.child.stop()
        return await before.closing_line(client_id="patient")


async def broker_dies(stage: Stage) -> Line:
    """A broker that is killed with clients on it."""
    async with AsyncExitStack() as stack:
        dying = await stack.enter_async_context(stage.another_broker())
        before = await stack.enter_async_context(stage.another_proxy(dying.address))
        for number in range(5):
            client = await stack.enter_async_context(scripted(before))
            await client.connect(f"bereaved-{number}", LONG)
        await trio.sleep(1)
        dying.child.kill()
        return await before.closing_line(client_id="bereaved-0")


async def does_not_read_answer(stage: Stage) -> Line:
    """A client whose PINGRESP lies behind messages that its program does not read; its ping timer fires."""
    async with scripted(stage.proxy, small_buffer=True) as client:
        await client.connect("behind-itself", GIVE_UP)
        await _flood(stage, client)
        await client.send(wire.PINGREQ)
        await trio.sleep(GIVE_UP)
    return await stage.proxy.closing_line(client_port=client.port)


async def mistrusts_answer(stage: Stage) -> Line:
    """A client whose ping timer is not cancelled by the PINGRESP that came, as in MQTT.js 5.8.0."""
    async with scripted(stage.proxy) as client:
        await client.connect("own-clock", OWN_CLOCK)
        await client.ping()
        await trio.sleep(OWN_CLOCK)
    return await stage.proxy.closing_line(client_port=client.port)


async def is_killed(stage: Stage) -> Line:
    """A client program that crashes."""
    async with stage.paho("crashed", LONG) as client:
        await client.say("publish demo/last-words")
        await trio.sleep(1)
        client.kill()
        return await stage.proxy.closing_line(client_id="crashed")


async def speaks_tls(stage: Stage) -> Line:
    """A client set to TLS on a port without it."""
    async with scripted(stage.proxy) as client:
        await client.send(wire.TLS_CLIENT_HELLO)
        await client.ended()
    return await stage.proxy.closing_line(client_port=client.port)


async def only_probes(stage: Stage) -> Line:
    """A health check that opens the port and closes it."""
    async with scripted(stage.proxy) as client:
        await trio.sleep(0.1)
    return await stage.proxy.closing_line(client_port=client.port)


async def is_refused(stage: Stage) -> Line:
    """A CONNECT without a client identifier that asks for a stored session: not allowed (3.1.3-8)."""
    async with scripted(stage.proxy) as client:
        await client.send(wire.connect("", LONG, clean_session=False))
        await client.ended()
    return await stage.proxy.closing_line(client_port=client.port)


async def sends_nonsense(stage: Stage) -> Line:
    """A PUBLISH whose Remaining Length never ends."""
    async with scripted(stage.proxy) as client:
        await client.connect("garbled", LONG)
        await client.send(wire.ENDLESS_LENGTH)
        await client.ended()
    return await stage.proxy.closing_line(client_port=client.port)


async def no_broker(stage: Stage) -> Line:
    """A proxy whose broker is not there."""
    async with stage.another_proxy((HOST, free_port())) as before:
        async with scripted(before) as client:
            await client.send(wire.connect("early-bird", LONG))
            await client.ended()
        return await before.closing_line(client_port=client.port)


async def proxy_is_stopped(stage: Stage) -> Line:
    """kaproxy itself is asked to end (SIGTERM) with a client on it."""
    async with stage.another_proxy(stage.broker.address) as before, scripted(before) as client:
        await client.connect("bystander", LONG)
        before.child.terminate()
        return await before.closing_line(client_port=client.port)


SCENARIOS = (
    Scenario("goodbye", "client says DISCONNECT", says_goodbye, "client_disconnect"),
    Scenario(
        "late",
        "client pings later and later",
        pings_late,
        "keep_alive_timeout",
        "pinged_late",
    ),
    Scenario("never", "client never pings", never_pings, "keep_alive_timeout", "never_pinged"),
    Scenario("hung", "client's program frozen (SIGSTOP)", hangs, "keep_alive_timeout", "client_hung"),
    Scenario(
        "gone",
        "client's device gone: no acknowledgement",
        vanishes,
        "keep_alive_timeout",
        "client_unreachable",
    ),
    Scenario("stuck", "subscriber stops reading", does_not_read, "keep_alive_timeout", "client_not_reading"),
    Scenario(
        "listens",
        "messages restart the client's ping timer",
        only_listens,
        "keep_alive_timeout",
        "receive_resets_ping",
        frozenset({"mosquitto"}),  # rumqttd counts what it sends itself as a sign of life
    ),
    Scenario(
        "silent", "broker frozen (SIGSTOP), client gives up", broker_hangs, "ping_timeout", "broker_silent"
    ),
    Scenario(
        "unread", "PINGRESP behind unread messages", does_not_read_answer, "ping_timeout", "response_not_read"
    ),
    Scenario(
        "timer", "client gives up though PINGRESP came", mistrusts_answer, "ping_timeout", "client_timer"
    ),
    Scenario(
        "twins",
        "two clients, one client identifier",
        same_identifier_twice,
        "takeover",
        "same_host_duplicate",
    ),
    Scenario("crash", "client's program killed", is_killed, "client_closed"),
    Scenario("dead", "broker killed with five clients on it", broker_dies, "broker_closed", "restart"),
    Scenario("absent", "broker not there", no_broker, "broker_refused"),
    Scenario("refused", "CONNECT the broker refuses", is_refused, "connect_refused", "identifier_rejected"),
    Scenario("nonsense", "PUBLISH of endless length", sends_nonsense, "packet_rejected", "malformed"),
    Scenario("tls", "TLS on the plain port", speaks_tls, "not_mqtt", "tls"),
    Scenario("probe", "health check opens and closes the port", only_probes, "probe"),
    Scenario("leaving", "kaproxy stopped (SIGTERM)", proxy_is_stopped, "proxy_shutdown"),
)

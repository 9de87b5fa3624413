"""What each broker does about Keep Alive: one row per broker or era of it, with where the row comes from.

Rows are data read from the brokers' code and documentation, some measured; `source` says which. They
may not know a connection. `unknown` is the union of all rows, with a narrower `strong` range inside.
Read next: `kaproxy/connection/keepalive.py` for what a window means, `rules/keep_alive.py` for its use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from kaproxy.connection.keepalive import Counts, Rounding, Window


@dataclass(frozen=True, slots=True)
class BrokerProfile:
    """One broker's habits. `window` is when it expires a silent client, in seconds per Keep Alive."""

    name: str
    title: str
    window: Window
    source: str
    sends_0x8d: bool | None = None  # does it announce an expiry to MQTT 5.0 clients; None: not known
    closes_with: str | None = None  # "fin" or "rst" where its own close is known, else None
    connect_wait_s: tuple[float, float] | None = None  # its patience for CONNECT; None: endless or not known
    keep_alive_max: int | None = (
        None  # a larger Keep Alive counts as this many seconds; 3.x clients are not told
    )
    caps_zero: bool = False  # does a Keep Alive of 0 count as `keep_alive_max` too
    counts_rest_above: int | None = None  # part of a packet counts while more bytes than this are to come
    strong: Window | None = None  # the part of `window` most brokers keep to; only for a union of brokers
    takeover: str | None = None  # when the older connection of a client identifier goes (`TAKEOVERS`)
    note: str = ""
    learned: int = (
        0  # from how many of its own expiries this profile was learned; 0: it is a row of this table
    )

    @property
    def known(self) -> bool:
        """Is this one broker's window, or its own behaviour, and no union of all?"""
        return self.strong is None or self.learned > 0


#: The order of a takeover (MQTT 5.0 3.1.4-3), as far as it is known.
TAKEOVERS = {
    "before": "the older connection is closed before the newer one's CONNACK",
    "either": "the older connection may be closed before or after the newer one's CONNACK",
    "never": "both may live on",
}

_ROWS = (
    BrokerProfile(
        "mosquitto_1.6",
        "Eclipse Mosquitto 1.6",
        Window(rounding=Rounding.FLOOR, late_s=1.1),
        "eclipse-mosquitto/mosquitto@v1.6.15:src/loop.c",
        sends_0x8d=False,
        closes_with="fin",
        counts_rest_above=1000,
        connect_wait_s=(90.0, 91.5),
        note="WebSocket listeners look once a minute: up to 62 s late.",
        takeover="before",
    ),
    BrokerProfile(
        "mosquitto_2.0",
        "Eclipse Mosquitto 2.0.0 to 2.0.20",
        Window(rounding=Rounding.FLOOR, late_s=7.0),
        "eclipse-mosquitto/mosquitto@v2.0.20:src/keepalive.c; 2.0.11 measured up to 6 s late",
        sends_0x8d=False,
        closes_with="fin",
        counts_rest_above=1000,
        connect_wait_s=(90.0, 97.5),
        note="Looks at all clients every 6 s and closes the expired ones in one batch. 2.0.12 to 2.0.15 refuse "
        "Keep Alive 0 of 3.x clients with CONNACK 2.",
        takeover="before",
    ),
    BrokerProfile(
        "mosquitto_2.0.21",
        "Eclipse Mosquitto 2.0.21 and later, 2.1",
        Window(rounding=Rounding.FLOOR, late_s=1.1),
        "eclipse-mosquitto/mosquitto@v2.0.22:src/keepalive.c",
        sends_0x8d=False,
        closes_with="fin",
        counts_rest_above=1000,
        connect_wait_s=(90.0, 91.5),
        note="2.1 built without WebSockets: up to 6 s late (derived).",
        takeover="before",
    ),
    BrokerProfile(
        "emqx_4",
        "EMQX 4.x to 5.0.25",
        Window(Counts.BYTES, factor_high=2.25),
        "emqx/emqx@v4.4.19:src/emqx_keepalive.erl; emqx/emqx issue 3547",
        sends_0x8d=True,
        connect_wait_s=(15.0, 15.5),
        takeover="before",
    ),
    BrokerProfile(
        "emqx_5.0.26",
        "EMQX 5.0.26 to 5.7.1",
        Window(factor_high=3.0),
        "emqx/emqx@v5.4.0:apps/emqx/src/emqx_keepalive.erl; emqx/emqx issue 11685",
        sends_0x8d=True,
        connect_wait_s=(15.0, 15.5),
        takeover="before",
    ),
    BrokerProfile(
        "emqx_5.7.2",
        "EMQX 5.7.2 and later, 6.x",
        Window(factor_high=2.5, spread_max_s=60.0),
        "emqx/emqx@6.1.4:apps/emqx/src/emqx_keepalive.erl, emqx_channel.erl, emqx_schema.erl",
        sends_0x8d=True,
        connect_wait_s=(15.0, 15.5),
        note="Looks every min(30 s, Keep Alive / 2); a PINGREQ restarts that clock.",
        takeover="before",
    ),
    BrokerProfile(
        "hivemq",
        "HiveMQ CE",
        Window(Counts.BYTES, Rounding.FLOOR, late_s=0.3),
        "hivemq/hivemq-community-edition@2026.5: KeepAliveDisconnectHandler, KeepAliveDisconnectService",
        sends_0x8d=True,
        connect_wait_s=(10.0, 10.5),
        takeover="before",
    ),
    BrokerProfile(
        "vernemq",
        "VerneMQ",
        Window(factor_high=2.25),
        "vernemq/vernemq@main:apps/vmq_server/src/vmq_mqtt_fsm.erl, priv/vmq_server.schema",
        sends_0x8d=True,
        closes_with="rst",
        connect_wait_s=(5.0, 5.5),
        note="Every close of its own is a RST (linger 0).",
        takeover="before",
    ),
    BrokerProfile(
        "rabbitmq",
        "RabbitMQ MQTT plugin",
        Window(Counts.BYTES, factor_high=3.0),
        "rabbitmq/rabbitmq-server@main:deps/rabbitmq_mqtt/src/rabbit_mqtt_keepalive.erl (up to 2.25 x); Debian's "
        "3.10 measured at 3.0 x",
        sends_0x8d=True,
        connect_wait_s=(10.0, 10.5),
        note="While blocked by a memory or disk alarm it neither reads, answers nor expires.",
        takeover="either",
    ),
    BrokerProfile(
        "moquette",
        "Moquette",
        Window(Counts.BYTES, Rounding.NEAREST, late_s=0.1),
        "moquette-io/moquette@main: MQTTConnection.java",
        sends_0x8d=False,
        connect_wait_s=(10.0, 10.5),
        note="A configured server_keep_alive replaces the Keep Alive of 3.x clients untold.",
        takeover="before",
    ),
    BrokerProfile(
        "aedes",
        "Aedes (3.x only)",
        Window(late_s=0.1),
        "moscajs/aedes@v1.1.1:lib/handlers/connect.js, index.js; measured at 1.50 x to the hundredth",
        sends_0x8d=False,
        connect_wait_s=(30.0, 30.5),
        takeover="either",
    ),
    BrokerProfile(
        "mochi",
        "mochi-mqtt",
        Window(rounding=Rounding.FLOOR, late_s=0.1),
        "mochi-mqtt/server@v2.7.9:clients.go, server.go",
        sends_0x8d=False,
        note="Keep Alive above 43690 wraps. Sends DISCONNECT to 3.1.1 clients on takeover and shutdown.",
        takeover="before",
    ),
    BrokerProfile(
        "rumqttd",
        "rumqttd",
        Window(Counts.BOTH_WAYS, late_s=0.1),
        "bytebeamio/rumqtt@main:rumqttd/src/link/network.rs, remote.rs; measured at 1.50 x to the hundredth",
        sends_0x8d=False,
        connect_wait_s=(60.0, 60.5),
        note="Its own writes restart the clock. Keep Alive 0 and bad credentials: closed without CONNACK.",
        takeover="either",
    ),
    BrokerProfile(
        "ejabberd",
        "ejabberd mod_mqtt",
        Window(Counts.BYTES, Rounding.NEAREST, late_s=0.1),
        "processone/ejabberd@26.07:src/mod_mqtt_session.erl",
        sends_0x8d=True,
        connect_wait_s=(30.0, 30.5),
        takeover="either",
    ),
    BrokerProfile(
        "artemis",
        "Apache ActiveMQ Artemis",
        Window(late_s=4.1),
        "apache/artemis@main: MQTTProtocolHandler.java, RemotingServiceImpl.java",
        keep_alive_max=60,
        caps_zero=True,
        sends_0x8d=False,
        connect_wait_s=(90.0, 94.5),
        note="Lowers Keep Alive 0 and above 60 to 60 by default; 3.x clients are never told.",
        takeover="before",
    ),
    BrokerProfile(
        "activemq",
        "Apache ActiveMQ Classic (3.x only)",
        Window(Counts.BYTES, factor_high=2.0),
        "apache/activemq@main: MQTTInactivityMonitor.java",
        sends_0x8d=False,
        connect_wait_s=(30.0, 30.5),
        note="No limit for a Keep Alive above 32767.",
    ),
    BrokerProfile(
        "amqtt",
        "aMQTT (Python)",
        Window(enforced=False),
        "Yakifo/amqtt@v0.11.4:amqtt/mqtt/protocol/broker_handler.py",
        sends_0x8d=False,
        note="Never expires anybody.",
        takeover="never",
    ),
    BrokerProfile(
        "mqttnet",
        "MQTTnet server",
        Window(late_s=0.6),
        "dotnet/MQTTnet@v5.2.0: MqttServerKeepAliveMonitor.cs",
        sends_0x8d=True,
    ),
    BrokerProfile(
        "gmqtt",
        "gmqtt broker (Go)",
        Window(rounding=Rounding.FLOOR, late_s=0.1),
        "DrmagicE/gmqtt@master:config/mqtt.go, server/client.go",
        keep_alive_max=300,
        note="Lowers a Keep Alive above 300 to 300 by default; 3.x clients are never told.",
    ),
    BrokerProfile(
        "nanomq",
        "NanoMQ",
        Window(late_s=20.0),
        "nanomq/NanoNNG@0.25.5:src/sp/protocol/mqtt/nmq_mqtt.c",
        sends_0x8d=False,
        connect_wait_s=(15.0, 15.5),
        note="keepalive_multiplier can lower 1.5 (its configuration file ships 1.25).",
    ),
    BrokerProfile(
        "aws",
        "AWS IoT Core",
        Window(late_s=30.0),
        "docs.aws.amazon.com/iot (documentation only; not measured)",
        keep_alive_max=1200,
        caps_zero=True,
        note="Keep Alive below 30 counts as 30, 0 and above 1200 as 1200.",
    ),
    BrokerProfile(
        "azure",
        "Azure IoT Hub",
        Window(late_s=30.0),
        "MicrosoftDocs/azure-docs: iot-mqtt-connect-to-iot-hub.md (documentation only; not measured)",
        keep_alive_max=1177,
        caps_zero=True,
        sends_0x8d=False,
        note="Closes after 1767 s at the latest, so a Keep Alive above 1177 is of no use.",
    ),
    BrokerProfile(
        "unknown",
        "any broker (union of the rows above)",
        Window(rounding=Rounding.FLOOR, factor_high=3.0, spread_min_s=20.0),
        "the union of the rows above",
        strong=Window(rounding=Rounding.FLOOR, late_s=7.0),
        note="Up to 1.5 x Keep Alive + 7 s counts as strong, the rest as possible.",
    ),
)

#: Every profile by its name. The names are the values of `broker_profile` in the configuration and the log.
BROKER_PROFILES: dict[str, BrokerProfile] = {row.name: row for row in _ROWS}
UNKNOWN_BROKER = BROKER_PROFILES["unknown"]
_COMMON_CONNECT_WAITS = (5.0, 10.0, 15.0, 30.0, 60.0, 90.0)


_LEARNED = "learned:"


def learned_name(names: tuple[str, ...], expiries: int) -> str:
    """The `broker_profile` of a broker known by its own expiries and refusals: "learned:aedes,rumqttd:5"."""
    return f"{_LEARNED}{','.join(sorted(names))}:{expiries}"


def profile_named(name: str) -> BrokerProfile:
    """The profile of that name; an unheard-of name is judged like an unknown broker."""
    return _learned(name) if name.startswith(_LEARNED) else BROKER_PROFILES.get(name, UNKNOWN_BROKER)


@lru_cache(maxsize=64)
def _learned(name: str) -> BrokerProfile:
    """An unknown broker whose strong window is that of the profiles its own expiries left."""
    names, _, expiries = name.removeprefix(_LEARNED).rpartition(":")
    rows = [BROKER_PROFILES[each] for each in names.split(",") if each in BROKER_PROFILES]
    if not rows or not expiries.isdigit():
        return UNKNOWN_BROKER
    endings = {row.closes_with for row in rows}
    return replace(
        UNKNOWN_BROKER,
        name=name,
        title=f"fits {', '.join(row.title for row in rows)}",
        source=f"learned from {expiries} of its own expiries and refusals",
        strong=_hull([row.window for row in rows]),
        closes_with=endings.pop() if len(endings) == 1 else None,
        learned=int(expiries),
    )


def _hull(windows: list[Window]) -> Window:
    """The narrowest window of this shape that holds all of these."""
    floored = any(window.rounding is Rounding.FLOOR for window in windows)
    return Window(
        rounding=Rounding.FLOOR if floored else Rounding.EXACT,
        factor_high=max(window.factor_high for window in windows),
        late_s=max(window.late_s + _rounding_up(window, floored) for window in windows),
        spread_min_s=max(window.spread_min_s for window in windows),
        spread_max_s=max(window.spread_max_s for window in windows),
    )


def _rounding_up(window: Window, floored: bool) -> float:
    """What a window rounded otherwise may reach beyond the hull's rounding, seconds."""
    return (
        0.5 if window.rounding is Rounding.NEAREST or (floored and window.rounding is Rounding.EXACT) else 0.0
    )


def cap_matching(
    name: str, keep_alive: int, silence_s: float, tolerance: tuple[float, float]
) -> BrokerProfile | None:
    """Whose silent cap on Keep Alive fits a silence (s): this broker's, or any where it is not known.

    `tolerance`: seconds before and after the window of the cap.
    """
    early, late = tolerance
    known = name in BROKER_PROFILES and name != "unknown"
    for row in (BROKER_PROFILES[name],) if known else _ROWS:
        cap = row.keep_alive_max
        lowered = cap is not None and (keep_alive > cap or (row.caps_zero and not keep_alive))
        limits = row.window.limits(cap or 0) if lowered else None
        if limits and limits[0] - early <= silence_s <= limits[1] + late:
            return row
    return None


def connect_waits(name: str) -> tuple[tuple[float, float], ...]:
    """(from, to) seconds after accept at which this broker may close for want of a CONNECT."""
    wait = profile_named(name).connect_wait_s
    if wait is not None:
        return (wait,)
    if name in BROKER_PROFILES and name != "unknown":
        return ()
    return (*((low, low + 0.6) for low in _COMMON_CONNECT_WAITS), (90.0, 97.5))

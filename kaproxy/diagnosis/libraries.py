"""Client libraries: when each pings, how long it waits, how it closes; and a hint at which one this may be.

Rows are data read from the libraries' code; `source` says where. A hint rests on the client identifier a
library makes up by itself, or on the measured time between the PINGREQ of an idle client. It is never part
of a verdict: several libraries share a cadence, and anybody may choose an identifier.
Read next: `clients.py` for the limits the rules use, `kaproxy/connection/evidence.py` for `Frame`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from kaproxy.connection.evidence import Evidence, Frame
from kaproxy.diagnosis.verdict import Confidence
from kaproxy.mqtt.codes import PacketType

#: Scheduling and network may bring a PINGREQ this much (s) before or after its time.
EARLY_S = 0.05
LATE_S = 0.15
#: A cadence needs so many intervals, and names more libraries than this only by saying nothing.
FEWEST_INTERVALS = 2
MOST_LIBRARIES = 3


@dataclass(frozen=True, slots=True)
class Cadence:
    """Time between two PINGREQ of an idle client: `low` to `high` x Keep Alive, and up to `plus_s` more.

    `tick_s` (or Keep Alive / `tick_divisor`): it looks only so often, and pings at the first tick after Keep
    Alive. `cap_s`: never later than that.
    """

    low: float = 1.0
    high: float = 1.0
    plus_s: float = 0.0
    tick_s: float = 0.0
    tick_divisor: int = 0
    cap_s: float = float("inf")

    def range_s(self, keep_alive: int) -> tuple[float, float]:
        """(low, high) in seconds for a Keep Alive in seconds above 0."""
        tick = self.tick_s or (keep_alive / self.tick_divisor if self.tick_divisor else 0.0)
        if tick:
            period = tick * (int(keep_alive / tick) + 1)
            return period, period
        return min(self.low * keep_alive, self.cap_s), min(self.high * keep_alive + self.plus_s, self.cap_s)


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """One library's habits. `cadence` None: it pings on its own only when told to, or never."""

    name: str
    cadence: Cadence | None
    ping_timeout: str  # after an unanswered PINGREQ
    closes: str  # how it closes then
    source: str
    keep_alives: tuple[int, int] = (1, 0xFFFF)  # the row holds for these
    client_id: str | None = None  # pattern of the client identifier it makes up, where it has one of its own
    versions: tuple[str, ...] = ("3.1", "3.1.1", "5.0")
    honours_server_keep_alive: bool | None = None


_V3 = ("3.1", "3.1.1")

CLIENT_PROFILES = (
    ClientProfile(
        "paho.mqtt.golang 1.2 to 1.4",
        Cadence(tick_divisor=2),
        "PingTimeout, 10 s by default, seen at the next tick",
        "close without DISCONNECT",
        "eclipse-paho/paho.mqtt.golang@v1.4.3:ping.go",
        keep_alives=(1, 10),
        versions=_V3,
    ),
    ClientProfile(
        "paho.mqtt.golang 1.5 and later",
        Cadence(tick_divisor=4),
        "PingTimeout, 10 s by default, seen at the next tick",
        "close without DISCONNECT",
        "eclipse-paho/paho.mqtt.golang@v1.5.1:ping.go",
        keep_alives=(1, 10),
        versions=_V3,
    ),
    ClientProfile(
        "paho.mqtt.golang",
        Cadence(tick_s=5.0),
        "PingTimeout, 10 s by default, seen at the next tick of 5 s",
        "close without DISCONNECT",
        "eclipse-paho/paho.mqtt.golang@v1.5.1:ping.go",
        keep_alives=(11, 0xFFFF),
        versions=_V3,
    ),
    ClientProfile(
        "paho.golang",
        Cadence(),
        "Keep Alive",
        "close without DISCONNECT",
        "eclipse-paho/paho.golang@v0.23.0:paho/pinger.go",
        versions=("5.0",),
        honours_server_keep_alive=True,
    ),
    ClientProfile(
        "paho.mqtt.python (and aiomqtt 2, AWS IoT Python v1)",
        Cadence(plus_s=1.0),
        "Keep Alive",
        "close without DISCONNECT",
        "eclipse-paho/paho.mqtt.python@v2.1.0:src/paho/mqtt/client.py",
        honours_server_keep_alive=False,
    ),
    ClientProfile(
        "paho C 1.3.10 and later",
        Cadence(high=1.1),
        "1.5 x Keep Alive",
        "normal DISCONNECT, then close",
        "eclipse-paho/paho.mqtt.c@v1.3.15:src/MQTTProtocolClient.c",
        honours_server_keep_alive=True,
    ),
    ClientProfile(
        "paho Java",
        Cadence(),
        "Keep Alive to 2 x Keep Alive",
        "close without DISCONNECT",
        "eclipse-paho/paho.mqtt.java@v1.2.5:internal/ClientState.java",
        client_id=r"paho\d{10,}",
        versions=_V3,
    ),
    ClientProfile(
        "MQTT.js",
        Cadence(),
        "Keep Alive (4.x to 5.5), Keep Alive / 2 (5.6 and later)",
        "close without DISCONNECT",
        "mqttjs/MQTT.js@v5.14.1:src/lib/KeepaliveManager.ts",
        client_id=r"mqttjs_[0-9a-f]{8}",
        honours_server_keep_alive=True,
    ),
    ClientProfile(
        "HiveMQ Java client",
        Cadence(plus_s=0.0),
        "Keep Alive - 0.1 s with nothing received",
        "close without DISCONNECT",
        "hivemq/hivemq-mqtt-client@master: MqttPingHandler.java",
        honours_server_keep_alive=True,
    ),
    ClientProfile(
        "rumqttc",
        Cadence(),
        "Keep Alive, at the next ping",
        "close without DISCONNECT",
        "bytebeamio/rumqtt@main:rumqttc/src/state.rs",
        honours_server_keep_alive=True,
    ),
    ClientProfile(
        "esp-mqtt",
        Cadence(low=0.5, high=0.5, plus_s=1.0),
        "Keep Alive after the last PINGRESP",
        "close without DISCONNECT",
        "espressif/esp-mqtt@5a9ba05:mqtt_client.c",
        client_id=r"ESP32_[0-9a-fA-F]{6}",
    ),
    ClientProfile(
        "PubSubClient",
        Cadence(plus_s=0.5),
        "Keep Alive",
        "close without DISCONNECT",
        "knolleary/pubsubclient@2d228f2:src/PubSubClient.cpp",
        client_id=r"(ESP8266|arduino)Client(-[0-9a-fA-F]+)?",
        versions=_V3,
    ),
    ClientProfile(
        "gmqtt (Python)",
        Cadence(low=1.0, high=1.3),
        "2 to 2.5 x Keep Alive with nothing received",
        "close without DISCONNECT",
        "wialon/gmqtt@4b84685:gmqtt/mqtt/connection.py",
        honours_server_keep_alive=True,
    ),
    ClientProfile(
        "MQTTnet",
        Cadence(plus_s=0.25),
        "Keep Alive / 2",
        "close without DISCONNECT",
        "dotnet/MQTTnet@v5.2.0:MqttClient.cs",
        honours_server_keep_alive=False,
    ),
    ClientProfile(
        "libmosquitto",
        Cadence(plus_s=1.0),
        "Keep Alive, moved by any traffic",
        "close without DISCONNECT",
        "eclipse-mosquitto/mosquitto@v2.1.2:lib/util_mosq.c",
        client_id=r"mosq(-[A-Za-z0-9]{18,}|/[0-9A-F]+)",
        honours_server_keep_alive=True,
    ),
    ClientProfile(
        "async-mqtt-client (ESP)",
        Cadence(low=0.7, high=0.7, plus_s=0.5),
        "2 x Keep Alive",
        "close without DISCONNECT",
        "marvinroger/async-mqtt-client@89bf464:src/AsyncMqttClient.cpp",
        client_id=r"esp(32|8266)-?[0-9a-f]{6,12}",
        versions=_V3,
    ),
    ClientProfile(
        "coreMQTT",
        Cadence(cap_s=30.0, plus_s=0.5),
        "5 s by default",
        "the application closes",
        "FreeRTOS/coreMQTT@main:source/core_mqtt.c",
        versions=("3.1.1",),
    ),
    ClientProfile(
        "mqtt_as (MicroPython)",
        Cadence(low=0.25, high=0.25, plus_s=0.5),
        "nothing received for Keep Alive",
        "close without DISCONNECT",
        "peterhinch/micropython-mqtt@7b6a11d:mqtt_as/__init__.py",
        versions=("3.1.1",),
    ),
    ClientProfile(
        "umqtt.simple",
        None,
        "none",
        "whatever the application does",
        "micropython/micropython-lib@ee4bb8f:umqtt/simple.py",
        client_id=r"umqtt_client",
        versions=("3.1.1",),
    ),
    ClientProfile(
        "Telegraf",
        None,
        "that of paho.mqtt.golang",
        "close without DISCONNECT",
        "influxdata/telegraf:plugins/inputs/mqtt_consumer",
        client_id=r"Telegraf-(Consumer|Output)-[A-Za-z0-9]{5,}",
        versions=_V3,
    ),
)


@dataclass(frozen=True, slots=True)
class Hint:
    """Libraries a client may be made with, why they come to mind, and how far to trust that."""

    libraries: tuple[str, ...]
    confidence: Confidence
    because: str


def hint(evidence: Evidence) -> Hint | None:
    """What the client identifier or the cadence of PINGREQ brings to mind; None where nothing does."""
    return _by_client_id(evidence) or _by_cadence(evidence)


def _by_client_id(evidence: Evidence) -> Hint | None:
    client_id = evidence.client_id or ""
    for row in CLIENT_PROFILES:
        if row.client_id is not None and re.fullmatch(row.client_id, client_id):
            return Hint((row.name,), Confidence.LIKELY, "the client identifier is one it makes up by itself")
    return None


def _by_cadence(evidence: Evidence) -> Hint | None:
    keep_alive = evidence.keep_alive or 0
    intervals = idle_intervals(evidence.frames)
    if not keep_alive or len(intervals) < FEWEST_INTERVALS:
        return None
    found = tuple(row.name for row in CLIENT_PROFILES if _fits(row, evidence, keep_alive, intervals))
    if not 0 < len(found) <= MOST_LIBRARIES:
        return None
    low, high = min(intervals), max(intervals)
    spread = f"{low:.2f} s" if high - low < EARLY_S else f"{low:.2f} to {high:.2f} s"
    because = f"idle, it pinged every {spread} at Keep Alive {keep_alive} s"
    return Hint(found, Confidence.UNCLEAR, because)


def _fits(row: ClientProfile, evidence: Evidence, keep_alive: int, intervals: tuple[float, ...]) -> bool:
    within = row.keep_alives[0] <= keep_alive <= row.keep_alives[1]
    if row.cadence is None or not within or evidence.protocol_version not in row.versions:
        return False
    low, high = row.cadence.range_s(keep_alive)
    return all(low - EARLY_S <= interval <= high + LATE_S for interval in intervals)


def idle_intervals(frames: tuple[Frame, ...]) -> tuple[float, ...]:
    """Seconds between two PINGREQ with nothing but PINGRESP between them."""
    requests = [
        (frame if _is(frame, PacketType.PINGREQ) else None)
        for frame in frames
        if not _is(frame, PacketType.PINGRESP)
    ]
    return tuple(
        one.ago_s - other.ago_s for one, other in pairwise(requests) if one is not None and other is not None
    )


def _is(frame: Frame, kind: PacketType) -> bool:
    return frame.first_byte >> 4 == kind

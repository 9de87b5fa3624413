"""Times that name their owner: lifetimes, leases, jobs, services' own limits on Keep Alive.

One row per length and clock, with its source. The idle limits of boxes on the path are in
`kaproxy/diagnosis/limits.py` and the brokers' caps on Keep Alive in `profiles.py`; both are read from there, never
written twice. A row says "fits", never "is". It may not know a log.
Read next: `findings/periods.py`, which holds what repeats against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from kaproxy.diagnosis.limits import EARLY_S, IDLE_LIMITS, LATE_S
from kaproxy.diagnosis.profiles import BROKER_PROFILES, BrokerProfile


class Clock(StrEnum):
    """What a time is counted from."""

    CONNECT = "since_connect"  # age of the connection
    LAST_BYTE = "since_last_byte"  # any byte, either way
    LAST_PACKET = "since_last_packet"  # the client's last control packet
    WALL = "wall_clock"


@dataclass(frozen=True, slots=True)
class KnownTime:
    """A time somebody chose: `low_s` to `high_s` seconds on its clock, before tolerance."""

    clock: Clock
    low_s: float
    high_s: float
    who: str
    source: str

    def fits(self, seconds: float) -> bool:
        """Is it this long? A hundredth more or less counts as equal, and at least the path's tolerance."""
        low = self.low_s - max(EARLY_S, NEAR * self.low_s)
        return low <= seconds <= self.high_s + max(LATE_S, NEAR * self.high_s)


#: How far (part of itself) a time may miss a known one.
NEAR = 0.01


def _row(clock: Clock, seconds: float, who: str, source: str, upto: float | None = None) -> KnownTime:
    return KnownTime(clock, seconds, upto if upto is not None else seconds, who, source)


_STATED = (
    _row(Clock.CONNECT, 60, "a DHCP lease of one minute", "espurna and Tasmota threads, field report"),
    _row(
        Clock.CONNECT,
        310,
        "WebSocket pings that the client does not answer (libwebsockets: 5 min and 10 s)",
        "sroebert/mqtt-nio pull request 14",
    ),
    _row(
        Clock.CONNECT,
        2880,
        "a token of one hour, renewed at 80 % (Azure SDKs)",
        "Azure/azure-iot-sdk-c issue 1182",
    ),
    _row(Clock.CONNECT, 3600, "a token or session of one hour", "Azure/azure-iot-sdk-c issue 1406"),
    _row(
        Clock.CONNECT,
        3900,
        "Azure IoT Hub, 5 to 10 minutes after a token of one hour ran out",
        "Azure/azure-iot-sdk-java issue 304",
        4200,
    ),
    _row(
        Clock.CONNECT,
        86_400,
        "AWS IoT's limit of 24 h on WebSocket connections, or a token of one day",
        "aws/aws-iot-device-sdk-python issue 124",
    ),
    _row(Clock.LAST_PACKET, 1200, "ClearBlade's limit on silence", "ClearBlade documentation"),
    _row(
        Clock.LAST_PACKET,
        3600,
        "The Things Stack at Keep Alive 0",
        "TheThingsNetwork/lorawan-stack issue 3878",
    ),
    _row(Clock.WALL, 300, "renewal of a Wi-Fi group key", "field report"),
    _row(
        Clock.WALL,
        900,
        "a job every quarter of an hour, such as a scheduled client with the same identifier",
        "home-assistant/core issue 98272",
    ),
    _row(
        Clock.WALL,
        1800,
        "mosquitto's autosave_interval (counted from its start)",
        "mosquitto.conf manual page",
    ),
    _row(
        Clock.WALL,
        3600,
        "an hourly job: log rotation, a certificate or configuration reload",
        "cron; eclipse-mosquitto/mosquitto issue 657",
    ),
    _row(Clock.WALL, 86_400, "a daily job: a backup, a restart, a renewed lease or address", "cron"),
)


def _of_boxes() -> Iterator[KnownTime]:
    for row in IDLE_LIMITS:
        yield _row(Clock.LAST_BYTE, row.seconds, row.who, row.source)


def _of_brokers() -> Iterator[KnownTime]:
    """The silence at which a broker expires a client whose Keep Alive it lowered untold."""
    for row in BROKER_PROFILES.values():
        limits = row.window.limits(row.keep_alive_max) if row.keep_alive_max else None
        if limits:
            who = f"{row.title}, which lowers Keep Alive to {row.keep_alive_max} s untold"
            yield _row(Clock.LAST_PACKET, limits[0], who, row.source, limits[1])


KNOWN_TIMES: tuple[KnownTime, ...] = (*_STATED, *_of_boxes(), *_of_brokers())


def known(clock: Clock, seconds: float) -> tuple[KnownTime, ...]:
    """Rows of that clock which a time (s) fits, the nearest first."""
    found = [row for row in KNOWN_TIMES if row.clock is clock and row.fits(seconds)]
    return tuple(sorted(found, key=lambda row: abs(seconds - (row.low_s + row.high_s) / 2)))


@dataclass(frozen=True, slots=True)
class Service:
    """The Keep Alive a broker or service lets a client have, seconds."""

    keep_alive_min: int
    keep_alive_max: int | None
    who: str


#: A Keep Alive below this counts as this (AWS), by broker profile.
_SMALLEST = {"aws": 30}
#: Client libraries refuse a smaller Keep Alive (libmosquitto), and rounding exceeds it anyway.
SMALLEST_KEEP_ALIVE = 5


def service(broker_profile: str) -> Service:
    """The bounds a broker profile sets on Keep Alive; none for one that is not known."""
    row: BrokerProfile | None = BROKER_PROFILES.get(broker_profile)
    low = _SMALLEST.get(broker_profile, SMALLEST_KEEP_ALIVE)
    return Service(low, row.keep_alive_max if row else None, row.title if row else "the broker")


#: What a ping costs: PINGREQ and PINGRESP (MQTT 5.0 3.12, 3.13), and the same with their TCP/IPv4 headers and the
#: last acknowledgement (the first rides on PINGRESP); TLS adds about 29 bytes to each.
PING_BYTES = 4
PING_WIRE_BYTES = 2 * (40 + 2) + 40

"""What client libraries do about pings: how long they wait for PINGRESP, and how late some of them ping.

Rows read from the libraries' code. They may not know a connection; a match names libraries that behave
like this, never the library at hand.
Read next: `rules/pings.py` and `rules/keep_alive.py`, which use them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor

#: How far a wait may miss a limit: a tenth or half a second, whichever is more, and a poll loop's second above.
TOLERANCE_FACTOR = 0.1
TOLERANCE_S = 0.5
POLL_LOOP_S = 1.0


@dataclass(frozen=True, slots=True)
class PingLimit:
    """How long clients wait for PINGRESP: `factor` x Keep Alive, or fixed seconds."""

    libraries: str
    factor: float | None = None
    low_s: float = 0.0
    high_s: float = 0.0

    def range_s(self, keep_alive: int) -> tuple[float, float]:
        """(low, high) in seconds for a Keep Alive in seconds, before tolerance."""
        if self.factor is not None:
            return self.factor * keep_alive, self.factor * keep_alive
        return self.low_s, self.high_s


PING_LIMITS = (
    PingLimit("paho.mqtt.python, libmosquitto, rumqttc", 1.0),
    PingLimit("MQTT.js, esp-mqtt, MQTTnet, AWS SDK (MQTT 5)", 0.5),
    PingLimit("paho C, paho.golang 0.12", 1.5),
    PingLimit("async-mqtt-client, espMqttClient, paho Java at the latest", 2.0),
    PingLimit("paho.mqtt.golang", low_s=10.0, high_s=15.0),
    PingLimit("AWS SDK v2 (MQTT 5) at its largest", low_s=30.0, high_s=30.0),
    PingLimit("coreMQTT", low_s=5.0, high_s=5.0),
    PingLimit("AWS SDK v2 (MQTT 3)", low_s=3.0, high_s=3.0),
)
#: Below this a wait matches no limit of any library read.
SHORTEST_WAIT_S = 2.5


@dataclass(frozen=True, slots=True)
class LimitMatch:
    """A limit that a wait matches, in seconds; a range for libraries that look only now and then."""

    low_s: float
    high_s: float
    libraries: str


def matching_limit(wait_s: float, keep_alives: Iterable[int | None]) -> LimitMatch | None:
    """The known limit nearest below or around a wait for PINGRESP, or None where none fits."""
    matches = [
        (max(0.0, wait_s - high, low - wait_s), low, high, limit.libraries)
        for keep_alive in dict.fromkeys(keep_alives)
        for limit in PING_LIMITS
        if keep_alive or limit.factor is None
        for low, high in (limit.range_s(keep_alive or 0),)
        if _around(wait_s, low, high)
    ]
    if not matches:
        return None
    _, low, high, libraries = min(matches)
    return LimitMatch(low, high, libraries)


def _around(wait_s: float, low: float, high: float) -> bool:
    below = max(TOLERANCE_FACTOR * low, TOLERANCE_S)
    above = max(TOLERANCE_FACTOR * high, TOLERANCE_S) + POLL_LOOP_S
    return low - below <= wait_s <= high + above


def own_timer_match(
    ago_s: float, keep_alives: Iterable[int | None], *, any_limit: bool = False
) -> LimitMatch | None:
    """The limit after an *answered* PINGREQ at which a client closed; tight, because chance is near.

    Only multiples of Keep Alive up to 1.5 count, and only of a Keep Alive long enough to tell them apart,
    unless `any_limit`.
    """
    for keep_alive in dict.fromkeys(keep_alives):
        for limit in PING_LIMITS:
            if not any_limit and not _telling(limit, keep_alive or 0):
                continue
            low, high = limit.range_s(keep_alive or 0)
            for at in {low, (low + high) / 2, high}:  # of a range, where the library's ticks fall
                if at and -_TIMER_EARLY_S <= ago_s - at <= _TIMER_LATE_S:
                    return LimitMatch(at, at, limit.libraries)
    return None


def _telling(limit: PingLimit, keep_alive: int) -> bool:
    multiple = limit.factor is not None and limit.factor <= _LARGEST_TIMER_FACTOR
    return multiple and keep_alive >= _SMALLEST_FOR_TIMER


_SMALLEST_FOR_TIMER = 5
_LARGEST_TIMER_FACTOR = 1.5
_TIMER_EARLY_S = 0.1
_TIMER_LATE_S = 0.6


@dataclass(frozen=True, slots=True)
class Ticker:
    """A client that looks whether to ping only every so often: `whole` seconds, or Keep Alive / `divisor`."""

    libraries: str
    above: int  # for Keep Alive above this …
    upto: int  # … up to this
    whole_s: float = 0.0
    divisor: int = 0

    def idle_period_s(self, keep_alive: int) -> float:
        """Seconds between two PINGREQ of an idle client: the first tick after the Keep Alive has passed."""
        tick = self.whole_s or keep_alive / self.divisor
        return tick * (floor(keep_alive / tick) + 1)


TICKERS = (
    Ticker("paho.mqtt.golang 1.2 to 1.4", above=0, upto=10, divisor=2),
    Ticker("paho.mqtt.golang 1.5 and later", above=0, upto=10, divisor=4),
    Ticker("paho.mqtt.golang", above=10, upto=0xFFFF, whole_s=5.0),
)
_TICKER_TOLERANCE_S = 0.3


def late_pinger(keep_alive: int, gap_s: float) -> str | None:
    """Libraries whose idle client pings at this gap (s) with this Keep Alive (s), or None."""
    for row in TICKERS:
        applies = row.above < keep_alive <= row.upto
        if applies and abs(row.idle_period_s(keep_alive) - gap_s) <= _TICKER_TOLERANCE_S:
            return row.libraries
    return None

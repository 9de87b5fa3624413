"""Realistic evidence to build cases from.

`evidence()` is an established connection of a healthy client that pings in time, ended by the broker with FIN
for no reason that can be seen.
Read next: `cases.py`, where each case changes what makes it that case, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from kaproxy.connection.evidence import Evidence, Sighting
from kaproxy.connection.facts import Ending, LegFacts, Origin, Phase, RelayFacts
from kaproxy.diagnosis import Cause, Confidence, Owner
from kaproxy.diagnosis.profiles import BROKER_PROFILES

SETTLED, LIKELY, UNCLEAR = Confidence.SETTLED, Confidence.LIKELY, Confidence.UNCLEAR

ORIGIN = Origin("w1-7", "default", "10.1.2.3", 41022, "10.0.0.5:1883", 1_777_000_000.25)
HEALTHY = LegFacts(unsent=0, unacked=0, retransmits=0, backoff=0, rtt_ms=12.5, last_ack_s=0.2, window=64240)
DURATION = 200.0


def leg(base: LegFacts = HEALTHY, **changes: Any) -> LegFacts:
    """A healthy leg with changes."""
    return replace(base, **changes)


#: Legs as they look when the broker, or the client, ended the connection first with FIN.
BROKER_FIN = leg(ending=Ending.FIN, ended_s=DURATION)
BROKER_RST = leg(ending=Ending.RST, ended_s=DURATION)
CLIENT_FIN = leg(ending=Ending.FIN, ended_s=DURATION)
CLIENT_RST = leg(ending=Ending.RST, ended_s=DURATION)
#: What a client shows after the broker's FIN was passed on to it.
REACTED = leg(ending=Ending.FIN, ended_s=DURATION + 0.02, fin_acked=True)
KERNEL_ONLY = leg(fin_acked=True)
DEAD = leg(unacked=26, retransmits=5, backoff=5, fin_acked=False, last_ack_s=61.0)
NOT_READING = leg(unsent=180_000, window=0, stalled_s=80.0, stalled_now=True, fin_acked=False)


def evidence(**changes: Any) -> Evidence:
    """A healthy connection that the broker closed; Keep Alive 60, mosquitto_2.0 unless changed.

    Changing `keep_alive`, `effective_keep_alive` or `broker_profile` sets the limits anew; `silence` sets all
    silences and the margin.
    """
    silence = changes.pop("silence", None)
    keep_alive = changes.setdefault("keep_alive", 60)
    changes.setdefault("effective_keep_alive", keep_alive)
    profile = changes.setdefault("broker_profile", "mosquitto_2.0")
    window = (
        BROKER_PROFILES[profile].window if profile in BROKER_PROFILES else BROKER_PROFILES["unknown"].window
    )
    limits = window.limits(changes["effective_keep_alive"] or 0) or (None, None)
    low = changes.setdefault("limit_low_s", limits[0])
    changes.setdefault("limit_high_s", limits[1])
    if silence is not None:
        for name in ("silence_s", "silence_bytes_s", "silence_counted_s", "idle_s", "downlink_idle_s"):
            changes.setdefault(name, silence)
        changes.setdefault("downlink_gap_s", silence)
        changes.setdefault("margin_min_s", round(low - silence, 6) if low is not None else None)
        changes.setdefault("last_from_client", Sighting("PINGREQ", silence))
    return replace(_BASE, **changes)


_BASE = Evidence(
    origin=ORIGIN,
    duration_s=DURATION,
    phase=Phase.ESTABLISHED,
    closed_by="broker",
    close_how="fin",
    client_id="sensor-17",
    protocol_version="3.1.1",
    connack_code=0,
    silence_s=12.0,
    silence_bytes_s=12.0,
    silence_counted_s=12.0,
    margin_min_s=29.5,
    gap_max_s=60.5,
    idle_s=0.4,
    downlink_idle_s=0.4,
    downlink_in_silence=2,
    downlink_gap_s=8.0,
    pingreqs=3,
    pingresps=3,
    ping_rtt_last_ms=3.2,
    ping_rtt_max_ms=14.8,
    ping_ago_s=12.0,
    last_from_client=Sighting("PINGREQ", 12.0),
    last_from_broker=Sighting("PUBLISH", 0.4),
    client_leg=KERNEL_ONLY,
    broker_leg=BROKER_FIN,
    packets_from_client=6,
    packets_from_broker=20,
    bytes_from_client=120,
    bytes_from_broker=2200,
    will_present=False,
    session_present=False,
    clean_start=True,
    history="CcSsQqpF",
    relay=RelayFacts(dwell_max_s=0.0004, lag_max_s=0.002, lag_recent_s=0.002),
)

V5: dict[str, Any] = {"protocol_version": "5.0"}
CLIENT_LEFT: dict[str, Any] = {
    "closed_by": "client",
    "client_leg": CLIENT_FIN,
    "broker_leg": HEALTHY,
    "history": "CcSsQqpF",
}
CLIENT_SAID: dict[str, Any] = {
    **CLIENT_LEFT,
    "close_how": "disconnect",
    "phase": Phase.CLOSING,
    "first_disconnect": "client",
    "disconnect_from_client": 0,
}
BROKER_SAID: dict[str, Any] = {
    **V5,
    "close_how": "disconnect",
    "phase": Phase.CLOSING,
    "first_disconnect": "broker",
}
#: Nothing has passed the CONNECT stage.
SILENT_START: dict[str, Any] = {
    "phase": Phase.AWAITING_CONNECT,
    "client_id": None,
    "protocol_version": None,
    "connack_code": None,
    "keep_alive": None,
    "effective_keep_alive": None,
    "silence_s": None,
    "silence_counted_s": None,
    "margin_min_s": None,
    "gap_max_s": None,
    "downlink_idle_s": None,
    "downlink_gap_s": None,
    "downlink_in_silence": 0,
    "pingreqs": 0,
    "pingresps": 0,
    "ping_rtt_last_ms": None,
    "ping_rtt_max_ms": None,
    "ping_ago_s": None,
    "last_from_client": None,
    "last_from_broker": None,
    "packets_from_client": 0,
    "packets_from_broker": 0,
    "bytes_from_client": 0,
    "bytes_from_broker": 0,
    "will_present": None,
    "session_present": None,
    "clean_start": None,
    "history": "",
}
NO_CONNACK: dict[str, Any] = {
    "phase": Phase.AWAITING_CONNACK,
    "connack_code": None,
    "pingreqs": 0,
    "pingresps": 0,
    "ping_rtt_last_ms": None,
    "ping_rtt_max_ms": None,
    "ping_ago_s": None,
    "downlink_in_silence": 0,
    "downlink_idle_s": None,
    "last_from_broker": None,
    "last_from_client": Sighting("CONNECT", 0.01),
    "silence_s": 0.01,
    "silence_counted_s": 0.01,
    "silence_bytes_s": 0.01,
}
QUIET: dict[str, Any] = {"downlink_in_silence": 0}
EXPIRED: dict[str, Any] = {**QUIET, "silence": 93.2}
PING_OPEN: dict[str, Any] = {
    **CLIENT_LEFT,
    **QUIET,
    "pings_open": 1,
    "pingresps": 2,
    "ping_wait_s": 60.4,
    "silence": 60.4,
    "ping_ago_s": 60.4,
}


@dataclass(frozen=True)
class Case:
    """Evidence and what must be said of it."""

    evidence: Evidence
    cause: Cause
    root: str | None = None
    confidence: Confidence = LIKELY
    owner: Owner | None = None
    code: str | None = None

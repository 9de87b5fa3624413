"""A life with its group's pace: what was counted and measured before its ending says otherwise.

Read next: `endings.py`.
"""

from __future__ import annotations

from random import Random
from typing import Any, TypeAlias

from kaproxy.connection.evidence import Frame, Sighting
from kaproxy.connection.facts import RelayFacts
from kaproxy.connection.policy import Policy
from kaproxy.diagnosis.profiles import profile_named
from tests.diagnosis.build import leg
from tests.fleets.world import Life

Changes: TypeAlias = dict[str, Any]
#: First bytes in the flight recorder, and how many pairs of ping and answer are kept.
CONNECT, PINGREQ, PINGRESP, _FRAMES = 0x10, 0xC0, 0xD0, 8
#: How a life begins that is too short to ping: from its client?, first byte, size.
_BEGINNING = ((True, CONNECT, 21), (False, 0x20, 4), (True, 0x82, 18), (False, 0x90, 5), (True, 0x30, 55))
_QUIET_S = 60.0
_POLICY = Policy()


def limits_of(life: Life) -> tuple[float, float]:
    """The broker's window for its client, seconds; twice the time itself where there is none."""
    keep_alive = life.facts.get("effective_keep_alive", life.client.group.keep_alive)
    window = profile_named(life.client.site.profile).window.limits(keep_alive)
    return window or (life.lasted * 2, life.lasted * 2)


def lived(life: Life, rng: Random, made: Changes) -> Changes:
    """The fields of a life with its group's pace, before its ending says otherwise."""
    group = life.client.group
    pace = group.pings_s or _QUIET_S
    silence = {**made, **life.facts}.get("silence")
    if silence is None:
        silence = rng.uniform(0.02, 0.98) * min(pace, life.lasted)
    pings = int(max(0.0, life.lasted - silence) / pace) if group.pings_s else 0
    gap = min(life.lasted, pace + abs(rng.gauss(0, group.jitter_s)))
    return {
        "client_id": life.client.id,
        "protocol_version": group.version,
        "keep_alive": group.keep_alive,
        "broker_profile": life.client.site.profile,
        "will_present": group.will,
        "clean_start": group.clean_start,
        **_kept_alive(life, silence, gap, pings),
        **_talked(life, rng, pings),
        "frames": _frames(silence, pace, pings, group.rtt_ms, rng) or _first_frames(life, silence),
        "relay": RelayFacts(rng.uniform(1e-4, 9e-4), lag := rng.uniform(1e-3, 6e-3), lag),
    }


def _kept_alive(life: Life, silence: float, gap: float, pings: int) -> Changes:
    keep_alive = life.client.group.keep_alive
    low = limits_of(life)[0]
    survived = gap if pings else None
    late = pings if keep_alive and gap > _POLICY.late_after(keep_alive) else 0
    return {
        "silence": silence,
        "gap_max_s": survived,
        "late_gaps": late,
        "margin_min_s": round(low - max(silence, survived or 0.0), 6) if keep_alive else None,
        "downlink_in_silence": 0,
        "last_from_client": Sighting("PINGREQ" if pings else "PUBLISH", silence),
        "last_from_broker": Sighting("PINGRESP" if pings else "SUBACK", max(0.0, silence - rtt_s(life))),
    }


def _talked(life: Life, rng: Random, pings: int) -> Changes:
    group = life.client.group
    published = int(rng.expovariate(1 / 6))
    rtt = round(group.rtt_ms * rng.uniform(0.9, 1.3), 3)
    return {
        "pingreqs": pings,
        "pingresps": pings,
        "ping_rtt_last_ms": rtt if pings else None,
        "ping_rtt_max_ms": round(rtt * rng.uniform(1.0, 2.5), 3) if pings else None,
        "ping_ago_s": None,
        "packets_from_client": 2 + pings + published,
        "packets_from_broker": 2 + pings + published,
        "bytes_from_client": 72 + 2 * pings + 130 * published,
        "bytes_from_broker": 9 + 2 * pings + 4 * published,
        "client_leg": leg(rtt_ms=group.rtt_ms),
        "broker_leg": leg(rtt_ms=0.4),
    }


def _frames(silence: float, pace: float, pings: int, rtt_ms: float, rng: Random) -> tuple[Frame, ...]:
    found = []
    for back in range(min(pings, _FRAMES) - 1, -1, -1):
        at = silence + back * pace
        found.append(Frame(round(at, 3), from_client=True, first_byte=PINGREQ, size=2))
        answered = max(0.0, at - rtt_ms / 1000 * rng.uniform(0.9, 1.3))
        found.append(Frame(round(answered, 3), from_client=False, first_byte=PINGRESP, size=2))
    return tuple(found)


def _first_frames(life: Life, silence: float) -> tuple[Frame, ...]:
    """What a device that reports and leaves has sent: without it its lines would be shorter than the proxy's own."""
    waits = (0.0, 0.001, rtt_s(life), rtt_s(life) + 0.001, life.lasted - silence)
    return tuple(
        Frame(round(life.lasted - min(wait, life.lasted), 3), from_client, first_byte, size)
        for wait, (from_client, first_byte, size) in zip(waits, _BEGINNING, strict=True)
    )


def rtt_s(life: Life) -> float:
    return life.client.group.rtt_ms / 1000

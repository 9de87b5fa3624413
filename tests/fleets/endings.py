"""How each life ended, as evidence: what the proxy would have seen of it.

One function per kind of ending, in one table: life and dice in, the evidence's fields that differ from those of a
healthy life out. `Life.facts` has the last word. It may not know what kaproxy says of an ending: its own rules do.
Read next: `lines.py`, which has them judged and written.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from kaproxy.connection.evidence import Evidence, Frame, Late, Neighbours, Sighting
from kaproxy.connection.facts import Ending, LegFacts, Origin, Phase
from tests.diagnosis.build import (
    BROKER_SAID,
    CLIENT_SAID,
    DEAD,
    HEALTHY,
    KERNEL_ONLY,
    NO_CONNACK,
    REACTED,
    SILENT_START,
    evidence,
    leg,
)
from tests.fleets.living import CONNECT, PINGREQ, PINGRESP, Changes, limits_of, lived, rtt_s
from tests.fleets.world import Life


def evidence_of(life: Life, rng: Random, others: Neighbours | None, together: int) -> Evidence:
    """All that was seen of a life; `together` is how many connections of its worker ended in that second."""
    client = life.client
    made = ENDINGS[life.ending](life, rng)
    made = {**lived(life, rng, made), **made, **life.facts}
    made["origin"] = Origin(
        life.conn_id,
        client.site.listener,
        client.addr,
        life.port,
        client.site.broker,
        life.opened,
    )
    return evidence(**made, neighbours=others, closed_within_1s=together, duration_s=life.lasted)


def _broker(life: Life, how: Ending = Ending.FIN) -> Changes:
    return {"broker_leg": leg(ending=how, ended_s=life.lasted), "history": "CcSsQq" + how[0]}


def _client(life: Life, how: Ending = Ending.FIN) -> Changes:
    return {
        "closed_by": "client",
        "close_how": how.value,
        "client_leg": leg(ending=how, ended_s=life.lasted, rtt_ms=life.client.group.rtt_ms),
        "broker_leg": HEALTHY,
        "history": "CcSsQq" + how[0].upper(),
    }


def _reacted(life: Life, rng: Random) -> LegFacts:
    return leg(REACTED, ended_s=life.lasted + rtt_s(life) + rng.uniform(0.001, 0.02))


def _expired(life: Life, rng: Random, after: float | None = None) -> Changes:
    """The broker's patience ended: somewhere in its window."""
    low, high = limits_of(life)
    silence = after if after is not None else rng.uniform(low + 0.002, max(low + 0.003, high - 0.05))
    return {**_broker(life), "silence": min(silence, life.lasted - 0.02)}


def _clean(life: Life, rng: Random) -> Changes:
    return {**CLIENT_SAID, **_client(life), "close_how": "disconnect"}


def _gone(life: Life, rng: Random) -> Changes:
    return {**_expired(life, rng), "client_leg": leg(DEAD, last_ack_s=limits_of(life)[0])}


def _hung(life: Life, rng: Random) -> Changes:
    return {**_expired(life, rng), "client_leg": KERNEL_ONLY}


def _late(life: Life, rng: Random) -> Changes:
    """It pinged just after its time was over."""
    low = limits_of(life)[0]
    late = Late("PINGREQ", round(rng.uniform(0.0005, 0.02), 6))
    return {
        **_expired(life, rng, low + rng.uniform(0.0005, 0.004)),
        "late_from_client": late,
        "client_leg": _reacted(life, rng),
    }


def _gave_up(life: Life, rng: Random) -> Changes:
    """TCP gave up on the client."""
    silent = min(life.lasted * 0.9, rng.uniform(14, 30))
    lost = leg(DEAD, ending=Ending.TIMED_OUT, ended_s=life.lasted, retransmits=9, backoff=9, fin_acked=None)
    return {
        **_client(life),
        "close_how": "timed_out",
        "client_leg": lost,
        "silence": silent,
        "history": "CcSsQqT",
    }


def _left(life: Life, rng: Random) -> Changes:
    return _client(life)


def _reset(life: Life, rng: Random) -> Changes:
    return _client(life, Ending.RST)


def _broker_closed(life: Life, rng: Random) -> Changes:
    """Wordless, the client being well and busy."""
    busy = rng.uniform(0.2, 2.0)
    return {**_broker(life), "idle_s": busy, "downlink_idle_s": busy, "client_leg": _reacted(life, rng)}


def _broker_reset(life: Life, rng: Random) -> Changes:
    return {**_broker_closed(life, rng), **_broker(life, Ending.RST), "close_how": "rst"}


def _cut(life: Life, rng: Random) -> Changes:
    """A box between client and proxy ended it for being idle: RST, and nothing had passed for `facts["silence"]`."""
    return _client(life, Ending.RST)


def _forgotten(life: Life, rng: Random) -> Changes:
    """A box forgot it; the next PINGREQ of a device that pings when it wakes up is answered by RST for the broker."""
    gap = life.facts["gap_max_s"]
    pings = 2 + int(life.lasted / 100.0)
    frames = (
        Frame(round(gap, 1), from_client=True, first_byte=PINGREQ, size=2),
        Frame(round(gap, 1), from_client=False, first_byte=PINGRESP, size=2),
        Frame(0.001, from_client=True, first_byte=PINGREQ, size=2),
    )
    return {
        **_broker(life, Ending.RST),
        "close_how": "rst",
        "silence": 0.001,
        "idle_s": 0.001,
        "downlink_idle_s": gap,
        "downlink_gap_s": 0.001,
        "pingreqs": pings,
        "pingresps": pings - 1,
        "pings_open": 1,
        "ping_wait_s": 0.001,
        "ping_ago_s": 0.001,
        "last_from_client": Sighting("PINGREQ", 0.001),
        "last_from_broker": Sighting("PINGRESP", gap),
        "client_leg": _reacted(life, rng),
        "frames": frames,
    }


def _taken_over(life: Life, rng: Random) -> Changes:
    """`facts` has the rival where it went through the same worker; the older client is well."""
    return {**_broker(life), "client_leg": _reacted(life, rng), "history": "CcSsQq*f"}


def _refused(life: Life, rng: Random) -> Changes:
    """The broker's host refused the dial; that was told once CONNECT had named the client."""
    named = {name: SILENT_START[name] for name in SILENT_START if name not in _IN_CONNECT}
    return {
        **named,
        "phase": Phase.DIALING,
        "close_how": "refused",
        "broker_leg": LegFacts(ending=Ending.REFUSED, ended_s=life.lasted, unsent=72),
        "client_leg": HEALTHY,
        "silence": 0.0,
        "margin_min_s": None,
        "last_from_client": Sighting("CONNECT", 0.0),
        "downlink_idle_s": None,
        "downlink_gap_s": None,
        "packets_from_client": 1,
        "bytes_from_client": 72,
        "frames": (Frame(0.0, from_client=True, first_byte=CONNECT, size=72),),
        "history": "Cx",
    }


#: What CONNECT tells of a connection.
_IN_CONNECT = (
    "client_id",
    "protocol_version",
    "keep_alive",
    "effective_keep_alive",
    "will_present",
    "clean_start",
    "silence_s",
    "silence_counted_s",
    "last_from_client",
    "packets_from_client",
    "bytes_from_client",
)


def _denied(life: Life, rng: Random) -> Changes:
    """CONNACK with a refusal."""
    code = 0x87 if life.client.group.version == "5.0" else 5
    return {**NO_CONNACK, **_broker(life), "connack_code": code, "frames": (), "history": "Ccf"}


def _probe(life: Life, rng: Random) -> Changes:
    """A health check: came and left without a byte."""
    return {
        **SILENT_START,
        **_client(life),
        "idle_s": None,
        "silence_bytes_s": None,
        "frames": (),
        "history": "F",
    }


def _premature(life: Life, rng: Random) -> Changes:
    """The broker says that the Keep Alive is over, long before it is."""
    return {
        **BROKER_SAID,
        "disconnect_from_broker": 0x8D,
        "broker_leg": leg(ending=Ending.FIN, ended_s=life.lasted),
        "client_leg": _reacted(life, rng),
        "history": "CcSsQqdf",
    }


def _shut_down(life: Life, rng: Random) -> Changes:
    """The broker says that it goes."""
    return {**_premature(life, rng), "disconnect_from_broker": 0x8B}


def _taken_over_told(life: Life, rng: Random) -> Changes:
    """The broker says why, and the older client is well."""
    return {**_premature(life, rng), "disconnect_from_broker": 0x8E, "history": "CcSsQq*df"}


def _ping_timeout(life: Life, rng: Random) -> Changes:
    """The client waited one Keep Alive for its PINGRESP and closed."""
    waited = float(life.client.group.keep_alive) + rng.uniform(0.01, 0.3)
    return {
        **_client(life),
        "pings_open": 1,
        "ping_wait_s": waited,
        "ping_ago_s": waited,
        "silence": waited,
        "downlink_in_silence": 0,
    }


ENDINGS: dict[str, Callable[[Life, Random], Changes]] = {
    "clean": _clean,
    "gone": _gone,
    "hung": _hung,
    "late": _late,
    "gave_up": _gave_up,
    "left": _left,
    "reset": _reset,
    "broker_closed": _broker_closed,
    "broker_reset": _broker_reset,
    "cut": _cut,
    "forgotten": _forgotten,
    "taken_over": _taken_over,
    "taken_over_told": _taken_over_told,
    "refused": _refused,
    "denied": _denied,
    "probe": _probe,
    "premature": _premature,
    "shut_down": _shut_down,
    "ping_timeout": _ping_timeout,
}

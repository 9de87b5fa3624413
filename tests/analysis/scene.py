"""Logs as kaproxy writes them, of evidence from the cases of the diagnosis, with frames and warnings added.

Verdicts have fixed words here, so that a better sentence in a rule changes no golden screen.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from kaproxy.analysis.words import utc
from kaproxy.connection.evidence import Evidence, Frame, Late, Rival
from kaproxy.connection.facts import RelayFacts
from kaproxy.diagnosis import RuledOut, Verdict, diagnose
from kaproxy.diagnosis.record import to_record
from tests.diagnosis.cases import (
    BROKER_FIN,
    CASES,
    CLIENT_RST,
    DEAD,
    EXPIRED,
    PING_OPEN,
    REACTED,
    evidence,
    leg,
)

Line = dict[str, Any]
PINGREQ, PINGRESP, CONNECT, CONNACK, PUBLISH_1, PUBACK = 0xC0, 0xD0, 0x10, 0x20, 0x32, 0x40


def head(event: str, at: float, level: str = "warning") -> Line:
    """What every line starts with."""
    return {
        "timestamp": utc(at, spec="microseconds"),
        "level": level,
        "event": event,
        "schema": 1,
        "worker": "1",
    }


def closed(found: Evidence, verdict: Verdict | None = None) -> Line:
    """The closing line of this evidence; judged, unless the verdict is given."""
    written = found.origin.opened_at + found.duration_s + 0.3
    return head("connection.closed", written) | to_record(found, verdict or diagnose(found))


def warning(found: Evidence, event: str, before_s: float, **numbers: Any) -> Line:
    """A warning of that connection, so many seconds before its first ending."""
    who = {"conn_id": found.origin.conn_id, "client_id": found.client_id, "client_addr": "10.1.2.3"}
    return head(event, found.origin.opened_at + found.duration_s - before_s) | who | numbers


def late(found: Evidence, before_s: float, gap_s: float, late_gaps: int, suppressed: int = 0) -> Line:
    """keep_alive.late, as it is written."""
    return warning(
        found,
        "keep_alive.late",
        before_s,
        gap_s=gap_s,
        keep_alive=found.effective_keep_alive,
        margin_s=round((found.limit_low_s or 0.0) - gap_s, 3),
        late_gaps=late_gaps,
        suppressed=suppressed,
    )


def named(found: Evidence, conn_id: str, earlier_s: float = 0.0, client_id: str = "sensor-17") -> Evidence:
    """The same evidence as another connection of the client, opened so much earlier."""
    origin = replace(found.origin, conn_id=conn_id, opened_at=found.origin.opened_at - earlier_s)
    return replace(found, origin=origin, client_id=client_id)


def pings(*agos: float, answer_s: float | None = 0.002) -> tuple[Frame, ...]:
    """PINGREQ at these times before the first ending, each answered after `answer_s`."""
    made = []
    for ago in agos:
        made.append(Frame(ago, True, PINGREQ, 2))
        if answer_s is not None:
            made.append(Frame(round(ago - answer_s, 3), False, PINGRESP, 2))
    return tuple(made)


def as_text(*lines: Line) -> bytes:
    """The lines as a log holds them."""
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def pinged_late() -> list[Line]:
    """paho.mqtt.golang 1.4 with Keep Alive 10 against aedes: warned of, dropped, and it had happened before."""
    case = CASES["paho.mqtt.golang 1.4 at Keep Alive 10 against aedes"]
    last = replace(
        case.evidence,
        gap_max_s=15.0,
        late_from_client=Late("PINGREQ", 0.003),
        frames=(*pings(60.001, 45.001, 30.001, 15.001), Frame(-0.003, True, PINGREQ, 2)),
    )
    before = replace(named(last, "0c51e9", 4000.0), frames=(), gap_max_s=12.0, late_gaps=1, silence_s=15.02)
    verdict = _verdict(
        last,
        "The broker closed (FIN) after 200 s. The client was silent for 15.001 s; Keep Alive 10 s, aedes expires at "
        "14.9 to 15.1 s. Its next PINGREQ came 0.003 s after the ending.",
        "Use a library whose ping is sent before the Keep Alive is over.",
        ("takeover", "no other CONNECT with this client identifier came"),
        ("keep_alive_timeout/client_unreachable", "the client reacted to the FIN"),
    )
    return [
        head("proxy.started", 1_776_990_000.0, "info"),
        late(before, 60.0, 12.0, 1),
        closed(before, verdict),
        late(last, 120.001, 15.0, 1),
        late(last, 45.001, 15.0, 4, suppressed=2),
        closed(last, verdict),
    ]


def client_unreachable() -> list[Line]:
    """The device is gone; mosquitto expires it."""
    frames = (Frame(199.9, True, CONNECT, 46), Frame(199.8, False, CONNACK, 4), *pings(153.2, 93.2))
    found = evidence(
        **EXPIRED,
        client_leg=DEAD,
        frames=frames,
        gap_max_s=60.0,
        packets_from_client=3,
        packets_from_broker=3,
    )
    verdict = _verdict(
        found,
        "The broker closed (FIN) after 200 s. The client was silent for 93.2 s; Keep Alive 60 s, mosquitto_2.0 "
        "expires at 90 to 97 s. Its kernel did not acknowledge the FIN.",
        "Look at the device's power, radio and network at this time.",
        ("keep_alive_timeout/client_hung", "its kernel does not answer either"),
        settle="The device's own log, or a capture next to it.",
        root="client_unreachable",
    )
    overdue = warning(
        found,
        "keep_alive.overdue",
        3.2,
        silence_s=90.0,
        keep_alive=60,
        limit_low_s=90.0,
        limit_high_s=97.0,
        last_packet="PINGREQ",
        client_leg={"unacked": 26, "retransmits": 4, "window": 64240},
    )
    return [overdue, closed(found, verdict)]


def response_not_read() -> list[Line]:
    """The client gives up on a PINGRESP that waits behind what it does not read."""
    stalled = leg(CLIENT_RST, unsent=400_000, window=0, stalled_s=70.0, stalled_now=True)
    frames = (
        *pings(120.4),
        Frame(80.0, False, PUBLISH_1, 1230, 41),
        Frame(79.9, True, PUBACK, 4, 41),
        Frame(60.5, False, 0x30, 812, 0, 12),
        Frame(60.4, True, PINGREQ, 2),
    )
    changes = {**PING_OPEN, "close_how": "rst", "client_leg": stalled, "frames": frames}
    found = evidence(**changes, relay=RelayFacts(dwell_max_s=61.0, lag_max_s=0.002), pingreqs=4)
    verdict = _verdict(
        found,
        "The client reset its leg (RST) after 200 s. Its PINGREQ had waited 60.4 s; 400000 bytes were held for it "
        "because it did not read.",
        "See what blocks the client's reading: a slow message handler, most often.",
        ("ping_timeout/broker_silent", "bytes of the broker were held for the client"),
        cause_of="client not reading",
    )
    waiting = warning(
        found, "ping.unanswered", 55.4, ping_wait_s=5.0, pings_open=1, keep_alive=60, ping_rtt_max_ms=14.8
    )
    stuck = warning(found, "client.not_reading", 68.0, stalled_s=2.0, keep_alive=60)
    return [stuck, waiting, closed(found, verdict)]


def takeover() -> list[Line]:
    """Another client came with the same client identifier, and is still there."""
    rival = Rival("9e41b7", "10.9.9.9", 0.012)
    frames = (*pings(72.0, 12.0), Frame(0.4, False, 0x30, 110))
    found = evidence(taken_over_by=rival, frames=frames, broker_leg=BROKER_FIN, client_leg=REACTED)
    verdict = _verdict(
        found,
        "The broker closed (FIN) after 200 s. 0.012 s before, 10.9.9.9 sent CONNECT with the same client identifier.",
        "Give each client its own identifier.",
        ("keep_alive_timeout", "the client had been silent for 12 s only"),
        cause_of="takeover, 3.1.1",
    )
    opened = found.origin.opened_at + found.duration_s
    newer: Line = head("connection.established", opened, "info") | {
        "conn_id": "9e41b7",
        "client_id": "sensor-17",
        "keep_alive": 60,
        "effective_keep_alive": 60,
    }
    contested = warning(found, "client_id.contested", 0.012, holder_silence_s=11.988, holder_keep_alive=60)
    contested |= {"conn_id": "9e41b7", "holder_conn_id": found.origin.conn_id}
    return [contested, closed(found, verdict), newer]


SCENES = {
    "pinged_late": pinged_late,
    "client_unreachable": client_unreachable,
    "response_not_read": response_not_read,
    "takeover": takeover,
}


def _verdict(
    found: Evidence,
    explanation: str,
    advice: str,
    *ruled_out: tuple[str, str],
    settle: str | None = None,
    root: str = "pinged_late",
    cause_of: str | None = None,
) -> Verdict:
    """Cause, root and owner as judged, with fixed words."""
    judged = diagnose(found)
    case = CASES[cause_of] if cause_of else None
    assert judged.cause == (case.cause if case else "keep_alive_timeout")
    return replace(
        judged,
        root=case.root if case else root,
        confidence=case.confidence if case else judged.confidence,
        explanation=explanation,
        advice=advice,
        ruled_out=tuple(RuledOut(*each) for each in ruled_out),
        would_settle=settle,
    )

"""The lines that come before a drop: each warning event as its event name and its numbers.

One function per kind of event, in one table. It may not decide whether a warning is due: the connection's
watch has. Read next: `kaproxy/connection/watch.py` for the thresholds, `schema.py` for the fields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from kaproxy.connection.events import (
    ClientIdContested,
    KeepAliveLate,
    KeepAliveMissed,
    KeepAliveOverdue,
    KeepAliveRisky,
    NotReading,
    PingSlow,
    PingUnanswered,
    ProxyLagging,
)
from kaproxy.connection.facts import LegFacts
from kaproxy.connection.watch import RISKS
from kaproxy.diagnosis.shapes import MEASURED

Record: TypeAlias = dict[str, Any]
Line: TypeAlias = tuple[str, str, Record]  # level, event name, fields; None where a field is not known

_LEG = dict(MEASURED)["client_leg"]
_OfConnection: TypeAlias = (
    KeepAliveLate
    | KeepAliveMissed
    | KeepAliveOverdue
    | KeepAliveRisky
    | PingSlow
    | PingUnanswered
    | NotReading
    | ClientIdContested
)


def _whose(event: _OfConnection) -> Record:
    return {
        "conn_id": event.origin.conn_id,
        "client_id": event.client_id,
        "client_addr": event.origin.client_addr,
    }


def _late(event: KeepAliveLate) -> Line:
    record = _whose(event) | {
        "gap_s": round(event.gap_s, 3),
        "keep_alive": event.keep_alive,
        "margin_s": _rounded(event.margin_s),
        "late_gaps": event.late_gaps,
        "suppressed": event.suppressed,
    }
    return "warning", "keep_alive.late", record


def _missed(event: KeepAliveMissed) -> Line:
    record = _whose(event) | {
        "silence_s": round(event.silence_s, 3),
        "keep_alive": event.keep_alive,
        "left_s": _rounded(event.left_s),
        "last_packet": event.last_packet,
        "suppressed": event.suppressed,
    }
    return "warning", "keep_alive.missed", record


def _overdue(event: KeepAliveOverdue) -> Line:
    record = _whose(event) | {
        "silence_s": round(event.silence_s, 3),
        "keep_alive": event.keep_alive,
        "limit_low_s": event.limit_low_s,
        "limit_high_s": event.limit_high_s,
        "last_packet": event.last_packet,
    }
    return "warning", "keep_alive.overdue", record | _legs(event)


def _risky(event: KeepAliveRisky) -> Line:
    record = _whose(event) | {
        "keep_alive": event.keep_alive,
        "reason": event.reason,
        "limit_s": event.limit_s,
        "explanation": RISKS[event.reason],
    }
    return "warning", "keep_alive.risky", record


def _slow(event: PingSlow) -> Line:
    record = _whose(event) | {
        "ping_rtt_ms": round(event.ping_rtt_ms, 3),
        "ping_rtt_max_ms": round(event.ping_rtt_max_ms, 3),
        "keep_alive": event.keep_alive,
        "suppressed": event.suppressed,
    }
    return "warning", "ping.slow", record


def _unanswered(event: PingUnanswered) -> Line:
    record = _whose(event) | {
        "ping_wait_s": round(event.ping_wait_s, 3),
        "pings_open": event.pings_open,
        "keep_alive": event.keep_alive,
        "ping_rtt_max_ms": _rounded(event.ping_rtt_max_ms),
    }
    return "warning", "ping.unanswered", record | _legs(event)


def _not_reading(event: NotReading) -> Line:
    record = _whose(event) | {"stalled_s": round(event.stalled_s, 3), "keep_alive": event.keep_alive}
    return "warning", f"{event.side}.not_reading", record | _legs(event)


def _contested(event: ClientIdContested) -> Line:
    record = _whose(event) | {
        "keep_alive": event.keep_alive,
        "holder_conn_id": event.holder.conn_id,
        "holder_addr": event.holder.client_addr,
        "holder_age_s": round(event.holder_age_s, 3),
        "holder_silence_s": round(event.holder_silence_s, 3),
        "holder_keep_alive": event.holder_keep_alive,
        "suppressed": event.suppressed,
    }
    return "warning", "client_id.contested", record


def _lagging(event: ProxyLagging) -> Line:
    record = {
        "lag_ms": round(event.lag_ms, 3),
        "connections_live": event.connections_live,
        "suppressed": event.suppressed,
    }
    return "warning", "proxy.lagging", record


def _legs(event: KeepAliveOverdue | PingUnanswered | NotReading) -> Record:
    return {"client_leg": _leg(event.client_leg), "broker_leg": _leg(event.broker_leg)}


def _leg(leg: LegFacts | None) -> object:
    return None if leg is None else _LEG.write(leg)


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)


#: How each kind of warning becomes its line.
WARNINGS: dict[type, Callable[[Any], Line]] = {
    KeepAliveLate: _late,
    KeepAliveMissed: _missed,
    KeepAliveOverdue: _overdue,
    KeepAliveRisky: _risky,
    PingSlow: _slow,
    PingUnanswered: _unanswered,
    NotReading: _not_reading,
    ClientIdContested: _contested,
    ProxyLagging: _lagging,
}

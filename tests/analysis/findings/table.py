"""Tables for the findings' tests: closing lines and warnings as rows of few columns, in an in-memory DuckDB."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from kaproxy.analysis.store import DuckEngine, memory_engine
from kaproxy.diagnosis.verdict import CLEAN_CAUSES

#: 2026-05-01 12:00:00 UTC.
NOON_US = 1_777_636_800_000_000
SECOND = 1_000_000

#: A connection that nothing happened to: its columns and their types.
CLOSED: dict[str, Any] = {
    "conn_id": "w-0",
    "source": "w.jsonl",
    "line_no": 1,
    "worker": "w",
    "listener": "plain",
    "broker_addr": "broker:1883",
    "client_addr": "10.0.0.1",
    "client_net": "10.0.0.0/24",
    "client_id": "press-1",
    "protocol_version": "3.1.1",
    "at_us": NOON_US,
    "opened_us": NOON_US,
    "ended_us": NOON_US,
    "duration_s": 60.0,
    "phase": "established",
    "closed_by": "client",
    "close_how": "disconnect",
    "cause": "client_disconnect",
    "owner": "nobody",
    "confidence": "settled",
    "connack_code": 0,
    "keep_alive": 60,
    "effective_keep_alive": 60,
    "limit_low_s": 90.0,
    "limit_high_s": 97.0,
    "broker_profile": "mosquitto_2.0",
    "counts": "packets",
    "silence_s": 10.0,
    "silence_bytes_s": 10.0,
    "silence_counted_s": 10.0,
    "downlink_idle_s": 10.0,
    "margin_min_s": 30.0,
    "gap_max_s": 60.0,
    "late_gaps": 0,
    "idle_s": 10.0,
    "ping_rtt_max_ms": 20.0,
    "client_leg_stalled_s": 0.0,
    "client_leg_retransmits": 0,
    "broker_leg_stalled_s": 0.0,
    "will_present": 0,
    "clean_start": 1,
    "neighbours_ended_by_broker": 0,
    "neighbours_dials_refused": 0,
    "closed_within_1s": 1,
    "relay_dwell_max_ms": 0.1,
    "loop_lag_max_ms": 1.0,
    "loop_lag_recent_ms": 1.0,
}


def table(closed: Iterable[Mapping[str, Any]] = (), warned: Iterable[Mapping[str, Any]] = ()) -> DuckEngine:
    """An engine of rows that say only what is unusual about them."""
    return memory_engine(
        [_closed(number, row) for number, row in enumerate(closed)], [_said(row) for row in warned]
    )


def _closed(number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    whole = {**CLOSED, "conn_id": f"w-{number}", **row}
    if "opened_us" in row and "ended_us" in row:
        whole["duration_s"] = (row["ended_us"] - row["opened_us"]) / SECOND
    else:
        whole["opened_us"] = whole["ended_us"] - int(whole["duration_s"] * SECOND)
    group = whole["client_id"] and re.sub(r"[0-9a-fA-F]{8,}|[0-9]+", "#", whole["client_id"])
    return {"client_group": group, "clean": int(whole["cause"] in CLEAN_CAUSES), **whole}


def _said(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"source": "w.jsonl", "worker": "w", "at_us": NOON_US, "level": "warning", "fields": "{}", **row}


def at(seconds: float) -> int:
    """So many seconds after noon, in microseconds."""
    return NOON_US + round(seconds * SECOND)

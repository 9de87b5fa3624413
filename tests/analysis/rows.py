"""Rows of the two tables that name only what matters; `asked` asks them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from kaproxy.analysis.store import Engine, memory_engine
from kaproxy.diagnosis.verdict import CLEAN_CAUSES

T = TypeVar("T")
Line = dict[str, Any]

#: 2026-05-04 00:00:00 UTC, a Monday.
MIDNIGHT_US = 1_777_852_800_000_000
SECOND = 1_000_000
HOUR, DAY = 3600.0, 86_400.0

#: A client that pings in time and leaves with DISCONNECT after an hour.
_USUAL: dict[str, Any] = {
    "event": "connection.closed",
    "listener": "plain",
    "broker_addr": "broker:1883",
    "client_id": "press-1",
    "client_net": "10.0.0.0/24",
    "protocol_version": "3.1.1",
    "broker_profile": "unknown",
    "phase": "established",
    "closed_by": "client",
    "close_how": "disconnect",
    "cause": "client_disconnect",
    "duration_s": HOUR,
    "keep_alive": 60,
    "silence_s": 10.0,
    "idle_s": 10.0,
    "gap_max_s": 60.1,
    "late_gaps": 1,
    "ping_rtt_max_ms": 20.0,
    "pingreqs": 60,
    "pingresps": 60,
    "packets_from_client": 62,
    "packets_from_broker": 62,
}


def closed(at_s: float = 0.0, **said: Any) -> dict[str, Any]:
    """A closing line as a row; it ended `at_s` seconds after midnight."""
    row = {**_USUAL, **said, "ended_us": MIDNIGHT_US + round(at_s * SECOND)}
    row.setdefault("effective_keep_alive", row["keep_alive"])
    row.setdefault("silence_bytes_s", row["silence_s"])
    row.setdefault("silence_counted_s", row["silence_s"])
    row.setdefault("downlink_idle_s", row["idle_s"])
    row["opened_us"] = row["ended_us"] - round(row["duration_s"] * SECOND)
    row["at_us"] = row["ended_us"] + SECOND // 2
    row["clean"] = int(row["cause"] in CLEAN_CAUSES)
    return _grouped(row)


def dropped(at_s: float = 0.0, **said: Any) -> dict[str, Any]:
    """A connection the broker closed without a word."""
    return closed(at_s, **{"cause": "broker_closed", "closed_by": "broker", "close_how": "fin", **said})


def cut(at_s: float = 0.0, **said: Any) -> dict[str, Any]:
    """A connection that was reset on the client's side after `idle_s`."""
    return closed(at_s, **{"cause": "idle_cut", "closed_by": "client", "close_how": "rst", **said})


def late(at_s: float, gap_s: float, keep_alive: int, **said: Any) -> dict[str, Any]:
    """A warning keep_alive.late."""
    at_us = MIDNIGHT_US + round(at_s * SECOND)
    return _grouped(
        {"event": "keep_alive.late", "at_us": at_us, "gap_s": gap_s, "keep_alive": keep_alive, **said}
    )


def _grouped(row: dict[str, Any]) -> dict[str, Any]:
    if "client_group" not in row and row.get("client_id") is not None:
        row["client_group"] = re.sub(r"[0-9a-fA-F]{8,}|[0-9]+", "#", row["client_id"])
    return row


def asked(ask: Callable[[Engine], list[T]], lines: Iterable[Line], warnings: Iterable[Line] = ()) -> list[T]:
    """What is answered over tables of these rows."""
    with memory_engine(lines, warnings) as engine:
        return ask(engine)

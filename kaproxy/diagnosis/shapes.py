"""The fields of the evidence in the log record, in the order of the closing line: tables, and how they are read.

Names are those of the evidence. What is None is left out of a record, and so are a few fields at their usual
value (`USUAL`), to keep lines short; what is left out takes the evidence's default when read.
`docs/log-schema.md` gives each field its meaning.
Read next: `writers.py`, which makes `written.py` of them; `record.py`, which puts the groups together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from kaproxy.connection.evidence import Evidence, Late, Neighbours, PartialPacket, Rival, Sighting, Unreadable
from kaproxy.connection.facts import Ending, LegFacts, Origin, Phase, ProxyAction
from kaproxy.connection.keepalive import Counts
from kaproxy.diagnosis.kinds import (
    FLAG,
    FRAMES,
    MILLIS,
    SECONDS,
    TEXT,
    TEXTS,
    TIME,
    WHOLE,
    Fields,
    Kind,
    RecordError,
    member_of,
    one_of,
)
from kaproxy.diagnosis.writers import SAME, Group, Implied, Record, module_text, put

_PEER = one_of("client", "broker")

#: Fields that are left out at these values, which are their defaults: nothing happened that they could tell of.
USUAL: dict[str, object] = {
    "counts": "packets",
    "downlink_in_silence": 0,
    "pings_open": 0,
    "inflight_from_client": 0,
    "inflight_from_broker": 0,
    "closed_within_1s": 1,
    "live": 0,
    "ended_by_broker": 0,
    "dials_refused": 0,
    "same_age": 0,
    "same_idle": 0,
    "same_idle_keep_alives": 0,
    "near_age": 0,
    "near_idle": 0,
    "connects_1m": 1,
    "oddities": (),
    "stalled_s": 0.0,
    "stalled_now": False,
}


def take(record: Mapping[str, object], group: Fields, where: str = "") -> dict[str, Any]:
    """Read a group's fields that are in the record; `where` goes before their names in errors."""
    return {
        name: kind.read(where + name, value)
        for name, kind in group
        if (value := record.get(name)) is not None
    }


def _part(made: type[Any], of: Fields, implied: Implied | None = None) -> Kind:
    """A table inside the record, read as `made`."""
    needed = [each.name for each in fields(made) if each.default is MISSING]

    def read(field: str, value: object) -> Any:
        if not isinstance(value, Mapping):
            raise RecordError(field, value, f"a table with {', '.join(name for name, _ in of)}")
        found = take(value, of, f"{field}.")
        for name in needed:
            if name not in found and name not in _MAY_BE_NONE:
                raise RecordError(f"{field}.{name}", None, "any value but none")
            found.setdefault(name, None)
        return made(**found)

    def write(value: object) -> Record:
        record: Record = {}
        put(record, value, of, USUAL, implied)
        return record

    return Kind(write, read, parts=of, made=made)


_MAY_BE_NONE = frozenset({"size"})

#: Left out of a leg at 0 where its `window` is there, since then the kernel was asked.
ZEROS = ("unsent", "unacked", "retransmits", "backoff")
#: Left out where they say what silence_s says.
SILENCES = ("silence_counted_s", "downlink_gap_s")
IMPLIED: Implied = {
    **dict.fromkeys(ZEROS, ("window", 0)),
    **dict.fromkeys(SILENCES, ("silence_s", SAME)),
}


def _leg(of: Fields) -> Kind:
    """A leg: the kernel's zeros are left out, and put back where it was asked."""
    whole = _part(LegFacts, of, IMPLIED)

    def read(field: str, value: object) -> Any:
        asked = isinstance(value, Mapping) and value.get("window") is not None
        return whole.read(field, {**dict.fromkeys(ZEROS, 0), **value} if asked else value)  # type: ignore[dict-item]

    return Kind(whole.write, read, parts=of, made=LegFacts)


_SIGHTING = _part(Sighting, (("packet", TEXT), ("ago_s", SECONDS)))
_PARTIAL = _part(PartialPacket, (("packet", TEXT), ("size", WHOLE), ("seen", WHOLE)))
_LATE = _part(Late, (("packet", TEXT), ("after_s", SECONDS)))
_RIVAL = _part(
    Rival,
    (
        ("conn_id", TEXT),
        ("client_addr", TEXT),
        ("gap_s", SECONDS),
        ("keep_alive", WHOLE),
        ("protocol_version", TEXT),
        ("clean_start", FLAG),
        ("will_present", FLAG),
    ),
)
_NEIGHBOURS = _part(
    Neighbours,
    (
        ("live", WHOLE),
        ("ended_by_broker", WHOLE),
        ("dials_refused", WHOLE),
        ("same_age", WHOLE),
        ("same_idle", WHOLE),
        ("same_idle_keep_alives", WHOLE),
        ("connects_1m", WHOLE),
        ("previous_ended_s", SECONDS),
        ("near_age", WHOLE),
        ("near_idle", WHOLE),
    ),
)
_LEG = _leg(
    (
        ("ending", member_of(Ending)),
        ("ended_s", SECONDS),
        ("unsent", WHOLE),
        ("unacked", WHOLE),
        ("retransmits", WHOLE),
        ("backoff", WHOLE),
        ("rtt_ms", MILLIS),
        ("last_ack_s", SECONDS),
        ("window", WHOLE),
        ("fin_acked", FLAG),
        ("stalled_s", SECONDS),
        ("stalled_now", FLAG),
    ),
)
_UNREADABLE = _part(
    Unreadable,
    (("side", _PEER), ("what", TEXT), ("packet", TEXT), ("offset", WHOLE), ("detail", TEXT)),
)

ORIGIN: Fields = (
    ("conn_id", TEXT),
    ("listener", TEXT),
    ("client_addr", TEXT),
    ("client_port", WHOLE),
    ("broker_addr", TEXT),
    ("transport", TEXT),
    ("opened_at", TIME),
)
WHO: Fields = (("client_id", TEXT), ("protocol_version", TEXT))
FACTS: Fields = (
    ("duration_s", SECONDS),
    ("phase", member_of(Phase)),
    ("closed_by", one_of("client", "broker", "proxy", "unknown")),
    ("close_how", one_of("disconnect", *Ending, "tls_alert")),
)
STATED: Fields = (
    ("connack_code", WHOLE),
    ("disconnect_from_client", WHOLE),
    ("disconnect_from_broker", WHOLE),
    ("first_disconnect", _PEER),
    ("proxy_action", member_of(ProxyAction)),
    ("proxy_detail", TEXT),
)
MEASURED: Fields = (
    ("keep_alive", WHOLE),
    ("effective_keep_alive", WHOLE),
    ("limit_low_s", SECONDS),
    ("limit_high_s", SECONDS),
    ("broker_profile", TEXT),
    ("counts", one_of(*Counts)),
    ("silence_s", SECONDS),
    ("silence_bytes_s", SECONDS),
    ("silence_counted_s", SECONDS),
    ("margin_min_s", SECONDS),
    ("gap_max_s", SECONDS),
    ("late_gaps", WHOLE),
    ("idle_s", SECONDS),
    ("path_idle_limit_s", SECONDS),
    ("downlink_idle_s", SECONDS),
    ("downlink_in_silence", WHOLE),
    ("downlink_gap_s", SECONDS),
    ("pingreqs", WHOLE),
    ("pingresps", WHOLE),
    ("pings_open", WHOLE),
    ("ping_wait_s", SECONDS),
    ("ping_rtt_last_ms", MILLIS),
    ("ping_rtt_max_ms", MILLIS),
    ("ping_ago_s", SECONDS),
    ("last_from_client", _SIGHTING),
    ("last_from_broker", _SIGHTING),
    ("partial_from_client", _PARTIAL),
    ("partial_from_broker", _PARTIAL),
    ("late_from_client", _LATE),
    ("late_from_broker", _LATE),
    ("client_leg", _LEG),
    ("broker_leg", _LEG),
    ("packets_from_client", WHOLE),
    ("packets_from_broker", WHOLE),
    ("bytes_from_client", WHOLE),
    ("bytes_from_broker", WHOLE),
    ("inflight_from_client", WHOLE),
    ("inflight_from_broker", WHOLE),
    ("will_present", FLAG),
    ("session_present", FLAG),
    ("clean_start", FLAG),
    ("taken_over_by", _RIVAL),
    ("took_over", _RIVAL),
    ("neighbours", _NEIGHBOURS),
    ("closed_within_1s", WHOLE),
)
STORY: Fields = (
    ("unreadable", _UNREADABLE),
    ("oddities", TEXTS),
    ("observer_error", TEXT),
    ("history", TEXT),
    ("frames", FRAMES),
)

#: The functions of `written.py`.
GROUPS = (
    Group("put_origin", Origin, ORIGIN),
    Group("put_who_and_how", Evidence, (*WHO, *FACTS)),
    Group("put_stated", Evidence, STATED),
    Group("put_measured", Evidence, MEASURED),
    Group("put_story", Evidence, STORY),
)


def written() -> str:
    """The source of `written.py`."""
    return module_text(GROUPS, USUAL, IMPLIED)


#: Fields beyond those of the design's closing line, each needed to judge the line again, and why.
EXTRA_FIELDS: dict[str, str] = {
    "connack_code": "reason_code alone does not say which packet it stood in",
    "disconnect_from_client": "both peers may send DISCONNECT",
    "disconnect_from_broker": "both peers may send DISCONNECT",
    "first_disconnect": "only the first of them can be the cause",
    "proxy_action": "what kaproxy did itself decides between its three causes",
    "proxy_detail": "its own words for it",
    "counts": "what the profile counted, should the profile change later",
    "silence_counted_s": "the silence the window is held against",
    "downlink_in_silence": "separates receive_resets_ping from never_pinged",
    "downlink_gap_s": "separates receive_resets_ping from never_pinged",
    "neighbours": "what others' endings tell: restart, storm, idle_cut and lifetime_limit need it",
    "loop_lag_recent_ms": "lateness from before the last silence explains nothing of it",
    "path_idle_limit_s": "a limit the operator has told is held against the idle time",
    "ping_ago_s": "separates client_timer from client_closed",
    "late_from_client": "separates pinged_late from client_hung",
    "late_from_broker": "a PINGRESP that came after the client had gone",
    "unreadable": "what could not be seen limits what may be said",
    "oddities": "what was outside the standard",
    "observer_error": "what could not be seen limits what may be said",
}

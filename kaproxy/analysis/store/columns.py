"""The columns of the two tables: what each is called, what it holds, and where in a line it stands.

The fields of a closing line come from the tables that write it (`kaproxy/diagnosis/shapes.py` and the evidence's own
types), so that a field added there is a column here. Nested fields are joined with `_`. Flags are 0 or 1, moments
microseconds since 1970 (UTC), lists JSON text; what a line leaves out at its usual value is given here as `usual`.
It may not know an engine, but for what each calls a kind of column.
Read next: `lines.py`, which fills them from lines; `duck.py`, which keeps them.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kaproxy.connection.evidence import Evidence
from kaproxy.diagnosis import shapes
from kaproxy.diagnosis.kinds import FLAG, FRAMES, MILLIS, SECONDS, TEXTS, TIME, WHOLE, Fields
from kaproxy.diagnosis.kinds import Kind as Value
from kaproxy.diagnosis.record import SILENCES
from kaproxy.diagnosis.verdict import CLEAN_CAUSES, Verdict


class Holds(StrEnum):
    """What a column holds."""

    WHOLE = "whole number"
    NUMBER = "number"
    FLAG = "flag"  # 0 or 1
    TEXT = "text"
    LIST = "list"  # as JSON text
    MOMENT = "moment"  # microseconds since 1970, UTC


#: The causes of which `clean` is 1, as both engines list texts.
CLEAN_LISTED = ", ".join(f"'{cause}'" for cause in sorted(CLEAN_CAUSES))
DUCKDB_TYPES: Mapping[Holds, str] = {
    Holds.WHOLE: "BIGINT",
    Holds.NUMBER: "DOUBLE",
    Holds.FLAG: "TINYINT",
    Holds.TEXT: "VARCHAR",
    Holds.LIST: "VARCHAR",
    Holds.MOMENT: "BIGINT",
}
CLICKHOUSE_TYPES: Mapping[Holds, str] = {
    Holds.WHOLE: "Nullable(Int64)",
    Holds.NUMBER: "Nullable(Float64)",
    Holds.FLAG: "Nullable(UInt8)",
    Holds.TEXT: "Nullable(String)",
    Holds.LIST: "Nullable(String)",
    Holds.MOMENT: "Nullable(Int64)",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `path`: where its value stands in a line, outermost name first; () for what is worked out.

    `usual` is the value of lines that leave the field out: None where missing means unknown.
    """

    name: str
    holds: Holds
    path: tuple[str, ...] = ()
    usual: object = None


_OF_VALUE: Mapping[int, Holds] = {
    id(WHOLE): Holds.WHOLE,
    id(SECONDS): Holds.NUMBER,
    id(MILLIS): Holds.NUMBER,
    id(FLAG): Holds.FLAG,
    id(TIME): Holds.MOMENT,
    id(TEXTS): Holds.LIST,
    id(FRAMES): Holds.LIST,
}
_OF_TYPE: Mapping[type, Holds] = {bool: Holds.FLAG, int: Holds.WHOLE, float: Holds.NUMBER}

#: Fields of a leg at 0 in lines that leave them out, but only where its window is known.
LEG_ZEROS = shapes.ZEROS
#: Columns that say what silence_s says where a line leaves them out.
AS_SILENCE = SILENCES
LEGS = ("client_leg", "broker_leg")


def _holds(value: Value) -> Holds:
    """Fields of a few allowed words are texts, like names."""
    return _OF_VALUE.get(id(value), Holds.TEXT)


def _bare(annotation: Any) -> type:
    """`int | None` without its None."""
    if isinstance(annotation, types.UnionType):
        annotation = next(each for each in typing.get_args(annotation) if each is not types.NoneType)
    return annotation if isinstance(annotation, type) else object


def _usual(name: str) -> object:
    return shapes.USUAL.get(name)


def _nested(name: str, part: type) -> Iterator[Column]:
    """The fields of a table inside the line. `usual` of `live`, `same_age` … holds only where there is a table."""
    hints = typing.get_type_hints(part)
    for each in dataclasses.fields(part):
        holds = _OF_TYPE.get(_bare(hints[each.name]), Holds.TEXT)
        yield Column(f"{name}_{each.name}", holds, (name, each.name), _usual(each.name))


def _evidence(group: Fields) -> Iterator[Column]:
    hints = {name: _bare(hint) for name, hint in typing.get_type_hints(Evidence).items()}
    for name, value in group:
        part = hints.get(name, object)
        if dataclasses.is_dataclass(part):
            yield from _nested(name, part)
        elif name != "opened_at":
            yield Column(name, _holds(value), (name,), _usual(name))


def _verdict() -> Iterator[Column]:
    """cause, root, owner … as the line says them; a newer program may judge otherwise."""
    for each in dataclasses.fields(Verdict):
        yield Column(each.name, Holds.LIST if each.name == "ruled_out" else Holds.TEXT, (each.name,))


def _own(*names: str, holds: Holds = Holds.TEXT) -> Iterator[Column]:
    """Fields that stand in a line by their own name."""
    for name in names:
        yield Column(name, holds, (name,))


def _made(holds: Holds, *names: str) -> Iterator[Column]:
    """Columns that are worked out at loading."""
    for name in names:
        yield Column(name, holds)


#: Where a line stood, and when it was written: both tables start with these.
HEAD: tuple[Column, ...] = (
    *_made(Holds.TEXT, "source"),
    *_made(Holds.WHOLE, "line_no"),
    *_made(Holds.MOMENT, "at_us"),
    *_own("level", "event", "worker"),
)
#: Worked out of a closing line. `clean`: 1 where somebody meant the ending.
WORKED_OUT: tuple[Column, ...] = (
    *_made(Holds.MOMENT, "opened_us", "ended_us"),
    *_made(Holds.TEXT, "client_group", "client_net"),
    *_made(Holds.FLAG, "clean"),
)
CLOSED: tuple[Column, ...] = (
    *HEAD,
    *_evidence(shapes.ORIGIN),
    *_evidence(shapes.WHO),
    *_evidence(shapes.FACTS),
    *_own("reason_code", holds=Holds.WHOLE),
    *_own("reason_name"),
    *_evidence(shapes.STATED),
    *_verdict(),
    *_evidence(shapes.MEASURED),
    *_own("relay_dwell_max_ms", "loop_lag_max_ms", "loop_lag_recent_ms", holds=Holds.NUMBER),
    *_evidence(shapes.STORY),
    *WORKED_OUT,
)

_WARNED_TEXTS = (
    *("conn_id", "client_id", "client_addr", "listener", "broker_addr", "transport", "protocol_version"),
    *("last_packet", "holder_conn_id", "holder_addr", "reason", "explanation", "error", "broker_profile"),
    *("version", "listen", "upstream", "config_file", "signal", "file"),
)
_WARNED_NUMBERS = (
    *(
        "limit_low_s",
        "limit_high_s",
        "gap_s",
        "margin_s",
        "left_s",
        "silence_s",
        "ping_wait_s",
        "ping_rtt_ms",
    ),
    *("ping_rtt_max_ms", "stalled_s", "holder_age_s", "holder_silence_s", "limit_s", "lag_ms", "connack_s"),
    *("drain_s", "uptime_s"),
)
_WARNED_WHOLE = (
    *("client_port", "keep_alive", "effective_keep_alive", "late_gaps", "suppressed", "pings_open"),
    *("holder_keep_alive", "connections_live", "pid", "connections_accepted", "connections_closed"),
    *("log_lines_dropped", "lines", "bytes", "lines_total", "bytes_total"),
)
#: Every other line of kaproxy's. `fields` is the whole line as JSON text, with its tables and lists.
WARNED: tuple[Column, ...] = (
    *HEAD,
    *_own(*_WARNED_TEXTS),
    *_own(*_WARNED_NUMBERS, holds=Holds.NUMBER),
    *_own(*_WARNED_WHOLE, holds=Holds.WHOLE),
    *_own("clean_start", "session_present", "will_present", holds=Holds.FLAG),
    *_made(Holds.TEXT, "client_group", "client_net", "fields"),
)
TABLES: Mapping[str, tuple[Column, ...]] = {"closed": CLOSED, "warned": WARNED}

#: Columns of `closed` that are asked of very many lines at once. An engine may read any other out of a line's text
#: whenever it is asked for, which takes as long as reading the line did: a query over all lines names none of them.
ASKED_OF_ALL = frozenset(
    (
        *(
            "source",
            "line_no",
            "at_us",
            "event",
            "worker",
            "conn_id",
            "listener",
            "client_addr",
            "broker_addr",
        ),
        *(
            "client_id",
            "client_group",
            "client_net",
            "protocol_version",
            "opened_us",
            "ended_us",
            "duration_s",
        ),
        *(
            "phase",
            "closed_by",
            "close_how",
            "disconnect_from_broker",
            "cause",
            "root",
            "owner",
            "confidence",
        ),
        *("clean", "keep_alive", "effective_keep_alive", "limit_low_s", "broker_profile", "counts"),
        *("silence_s", "silence_bytes_s", "silence_counted_s", "margin_min_s", "gap_max_s", "late_gaps"),
        *("idle_s", "path_idle_limit_s", "downlink_idle_s", "pingreqs", "pingresps", "ping_wait_s"),
        *("ping_rtt_last_ms", "ping_rtt_max_ms", "late_from_client_packet", "late_from_client_after_s"),
        *("client_leg_rtt_ms", "client_leg_fin_acked", "client_leg_stalled_s", "broker_leg_ending"),
        *("broker_leg_rtt_ms", "broker_leg_stalled_s", "packets_from_broker", "will_present", "clean_start"),
        *("taken_over_by_client_addr", "neighbours_live", "neighbours_dials_refused", "relay_dwell_max_ms"),
        *("loop_lag_max_ms", "observer_error"),
    )
)

"""From a line's text to its columns, in DuckDB's SQL: what is wrapped is unwrapped, what was left out is filled in.

Each statement takes a relation of one column `l`, a physical line each, and gives a row for each, in order. Closing
lines have a statement of their own, and so have those that tell of a connection's beginning, which are as many; lines
that are not taken here keep their text, for `logs.py` to read one by one. What the writer leaves out, and why, stands
in `kaproxy/diagnosis/shapes.py` and `record.py`; here it is put back. It may not know files.
Read next: `loading.py`, which runs these statements over files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from kaproxy.analysis.logs import LONGEST_PREFIX
from kaproxy.analysis.store.columns import (
    AS_SILENCE,
    ASKED_OF_ALL,
    CLEAN_LISTED,
    CLOSED,
    LEG_ZEROS,
    LEGS,
    WARNED,
    Column,
    Holds,
)
from kaproxy.diagnosis.record import SCHEMA

CLOSED_EVENT = "connection.closed"
#: The line of a connection's beginning: as many as of its end, so only what is asked of all of them is kept apart.
BEGUN_EVENT = "connection.established"
BEGUN = ("at_us", "worker", "conn_id", "client_id", "broker_addr")
#: Of a line `l`: may it be a closing line?
MAY_CLOSE = f"coalesce(contains(l, '{CLOSED_EVENT}'), false)"

#: A line without what docker or kubectl or a system log put around it.
_UNWRAPPED = f"""case
    when starts_with(l, '{{') and not starts_with(l, '{{"log":') then l
    when starts_with(l, '{{') then case when json_valid(l) then json_extract_string(l, '$.log') end
    else substr(l, nullif(strpos(substr(l, 1, {LONGEST_PREFIX}), '{{"'), 0)) end"""

#: The line where it looks like JSON. Whatever is not plainly one whole line of kaproxy's (torn ones have their
#: successor's head in them) is looked at closely, which takes half as long as reading it.
_SOUND = """case
    when (t like '{"timestamp":%}' or t like '{"timestamp":%}\n') and t not like '{"timestamp":%{"timestamp":%' then t
    when json_valid(t) then t end"""
_CHECKED = "case when json_valid(t) then t end"
#: In DuckDB's error for a line that only looked like JSON: its statement has done nothing, and is to be `checked`.
NOT_SOUND = "Malformed JSON"

_READ_AS = {
    Holds.WHOLE: "BIGINT",
    Holds.NUMBER: "DOUBLE",
    Holds.FLAG: "BOOLEAN",
    Holds.TEXT: "VARCHAR",
    Holds.LIST: "JSON",
    Holds.MOMENT: "VARCHAR",
}
_EXTRA = {"timestamp": "VARCHAR", "schema": "BIGINT", "opened_at": "VARCHAR"}


def _shape(columns: Sequence[Column]) -> str:
    """The fields to read, as `json_transform` takes them."""
    shape: dict[str, object] = dict(_EXTRA)
    for column in columns:
        if len(column.path) == 1:
            shape[column.path[0]] = _READ_AS[column.holds]
        elif column.path:
            part = shape.setdefault(column.path[0], {})
            assert isinstance(part, dict)
            part[column.path[1]] = _READ_AS[column.holds]
    return json.dumps(shape)


def _parsed(columns: Sequence[Column], relation: str, checked: bool, wanted: str = "true") -> str:
    """The relation's rows with `t`, the line itself, and `j`, its fields; NULL where it is no JSON or not `wanted`.

    `checked`: every line is looked at closely before it is read; without, one that is no JSON may be an error.
    """
    unwrapped = f"(select *, case when {wanted} then {_UNWRAPPED} end as t from {relation})"
    parsed = f"json_transform({_CHECKED if checked else _SOUND}, '{_shape(columns)}')"
    parsed = f"try({parsed})" if checked else parsed  # in all statements it would take a fifth of the time
    return f"(select *, {parsed} as j, contains(t, 'null') as nulls from {unwrapped})"


def moment(text: str) -> str:
    """Microseconds since 1970 of a time in ISO 8601; NULL without its offset to UTC, since it could be any moment."""
    offset = r"[+-][0-9][0-9](:?[0-9][0-9])?$"
    return f"""case when ends_with({text}, 'Z') then epoch_us(try_cast({text} as timestamp))
        when regexp_matches({text}, '{offset}') then epoch_us(try_cast({text} as timestamptz)) end"""


def group(client_id: str) -> str:
    """The client's fleet: "press-12" is of "press-#"."""
    return f"regexp_replace({client_id}, '[0-9a-fA-F]{{8,}}|[0-9]+', '#', 'g')"


def network(address: str) -> str:
    """The address's network: 24 bits of IPv4, 64 of IPv6 (less where its text is shortened earlier)."""
    return f"""case when strpos({address}, ':') = 0
        then nullif(regexp_extract({address}, '^[0-9]+[.][0-9]+[.][0-9]+[.]'), '') || '0/24'
        when regexp_matches({address}, '^([0-9a-fA-F]+:){{4}}')
        then regexp_extract({address}, '^([0-9a-fA-F]+:){{4}}') || ':/64'
        else regexp_extract({address}, '^.*?::') || '/64' end"""


def worked_out(name: str) -> str | None:
    """How a column that stands in no line follows from those that do, by their names; None: it does not."""
    return {
        "ended_us": "opened_us + cast(round(duration_s * 1000000) as BIGINT)",
        "client_group": group("client_id"),
        "client_net": network("client_addr"),
        "clean": f"case when cause is not null then cast(cause in ({CLEAN_LISTED}) as TINYINT) end",
    }.get(name)


def _literal(value: object) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    return "'[]'" if value == () else str(int(value) if isinstance(value, bool) else value)


def _said_null(path: Sequence[str]) -> str:
    """Is the field there, as null? Asked only where the text has a null, since this parses the line again."""
    return f"coalesce(json_type(t, '$.{'.'.join(path)}') = 'NULL', false)"


#: What stands for fields that are left out, by the name of a column of its own; NULL where nothing can be said, and
#: where the line has a null, since then it may be theirs.
_FILLERS: Mapping[str, str] = {
    **{f"{leg}_zero": f"j.{leg}.window is not null" for leg in LEGS},
    "as_silence": "j.silence_s is not null",
    "as_closed_by": "j.close_how = 'disconnect' and j.closed_by in ('client', 'broker')",
}
_FILLED_WITH = {"as_silence": "j.silence_s", "as_closed_by": "j.closed_by"}


def _filled(relation: str, selected: str) -> str:
    """The relation's rows with what stands for fields that are left out, once for all fields of a kind that need it."""
    made = [
        f"case when not nulls and {condition} then {_FILLED_WITH.get(name, '0')} end as {name}"
        for name, condition in _FILLERS.items()
        if name in selected
    ]
    made.append("case when j.neighbours is not null then 0 end as neighbours_zero")
    return f"(select *, {', '.join(made)} from {relation})"


def _value(column: Column) -> str:
    """A column's value out of `j`, with what the line leaves out."""
    value = "j." + ".".join(f'"{name}"' for name in column.path)
    if column.holds is Holds.FLAG:
        value = f"cast({value} as TINYINT)"
    outer, inner = column.path[0], column.path[-1]
    if column.usual == 0 and outer == "neighbours":
        return f"coalesce({value}, neighbours_zero)"
    if column.usual is not None:
        usual = _literal(column.usual)
        return f"coalesce({value}, {f'neighbours_zero + {usual}' if outer == 'neighbours' else usual})"
    if outer in LEGS and inner in LEG_ZEROS:
        return _unless_null(column, value, f"{outer}_zero")
    if column.name in AS_SILENCE:
        return _unless_null(column, value, "as_silence")
    if column.name == "first_disconnect":
        return _unless_null(column, value, "as_closed_by")
    return f"coalesce({value}, j.loop_lag_max_ms)" if column.name == "loop_lag_recent_ms" else value


def _unless_null(column: Column, value: str, filler: str) -> str:
    """The value, or what stands for it where the field is missing; a null that is written stays unknown."""
    missing = f"{_FILLERS[filler]} and not ({_said_null(column.path)})"
    in_full = f"case when nulls then case when {missing} then {_FILLED_WITH.get(filler, '0')} end end"
    return f"coalesce({value}, {filler}, {in_full})"


def _selected(columns: Sequence[Column]) -> Iterator[str]:
    known = {"at_us": moment("j.timestamp"), "opened_us": moment("j.opened_at")}
    for column in columns:
        if column.path:
            yield f'{_value(column)} as "{column.name}"'
        elif column.name in known:
            yield f"{known[column.name]} as {column.name}"


def _with_worked_out(columns: Sequence[Column], inner: str) -> str:
    made = [f"{sql} as {each.name}" for each in columns if not each.path and (sql := worked_out(each.name))]
    return f"select *, {', '.join(made)} from ({inner})"


def line_rows(relation: str, *, checked: bool = False) -> str:
    """A row for each of the relation's (`l`), in order: which line it is, and nothing of a closing line.

    Of a line that tells of a connection's beginning (`fields`, the line itself) the columns that are asked for most.
    Of any other `rest`, its text, but for those that `may_close`.
    """
    columns = [column for column in WARNED if column.name in (*BEGUN, "event")]
    taken = f"coalesce(j.event = '{BEGUN_EVENT}' and j.schema = {SCHEMA}, false)"
    selected = ", ".join(_selected([column for column in columns if column.name in BEGUN]))
    rest = f"case when not closing and not {taken} then l end as rest"
    lines = f"(select l, {MAY_CLOSE} as closing, contains(l, '{BEGUN_EVENT}') and not closing as begun from {relation})"
    parsed = _parsed(columns, lines, checked, "begun")
    return f"select closing, {rest}, case when {taken} then t end as fields, {selected} from {parsed}"


def begun_rows(relation: str) -> str:
    """The columns of WARNED for the rows of `line_rows` that have `fields`; what is not at hand is read of the line."""
    read = f"json_transform(fields, '{_shape(WARNED)}') as j, contains(fields, 'null') as nulls, fields as t"
    others = [column for column in WARNED if column.path and column.name not in (*BEGUN, "event")]
    selected = ", ".join((f"'{BEGUN_EVENT}' as event", *_selected(others)))
    lines = f"(select *, {read} from {relation} where fields is not null)"
    inner = f"select * exclude (j, t, nulls), {selected} from {lines}"
    return _with_worked_out(WARNED, inner)


def closed_rows(relation: str, *, checked: bool = False) -> str:
    """A row for each of the relation's (`l`, `numbered`, `named`), in order.

    Of a closing line the columns ASKED_OF_ALL and `line`, itself; of any other `event` is NULL, and `rest` its text.
    """
    columns = [column for column in CLOSED if column.name in ASKED_OF_ALL]
    taken = f"coalesce(j.event = '{CLOSED_EVENT}' and j.schema = {SCHEMA}, false)"
    selected = ", ".join(_selected(columns)).replace('j."event" as', f"case when {taken} then j.event end as")
    texts = f"case when not {taken} then l end as rest, case when {taken} then t end as line"
    parsed = _filled(_parsed(columns, relation, checked), selected)
    inner = f"select cast(null as BIGINT) as place, numbered, named, {texts}, {selected} from {parsed}"
    return _with_worked_out(CLOSED, inner)


def closed_view(relation: str) -> str:
    """The columns of CLOSED for the rows of `closed_rows`; what is not at hand is read of the line."""
    read = f"json_transform(line, '{_shape(CLOSED)}') as j, contains(line, 'null') as nulls, line as t"
    others = [column for column in CLOSED if column.path and column.name not in ASKED_OF_ALL]
    selected = ", ".join(_selected(others))
    parsed = _filled(f"(select *, {read} from {relation} where event is not null)", selected)
    return f"select * exclude (j, t, nulls), {selected} from {parsed}"


def warned_rows(relation: str, *, checked: bool = False) -> str:
    """Columns of those among the relation's (`l`, `place`, `numbered`, `named`) that are kaproxy's."""
    selected = ", ".join(_selected(WARNED))
    own = f"j.event is not null and j.schema = {SCHEMA} and j.event <> '{CLOSED_EVENT}'"
    lines = _parsed(WARNED, relation, checked)
    inner = f"select place, numbered, named, {selected}, t as fields from {lines} where {own}"
    return _with_worked_out(WARNED, inner)

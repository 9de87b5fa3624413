"""From a line's text to its columns, in DuckDB's SQL: what is wrapped is unwrapped, what was left out is filled in.

Each statement takes a relation of one column `l`, a physical line each, and gives a row for each, in order. Lines
that are not taken here keep their text, for `logs.py` to read one by one. What the writer leaves out, and why, stands
in `kaproxy/diagnosis/shapes.py` and `record.py`; here it is put back. It may not know files.
Read next: `loading.py`, which runs these statements over files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from kaproxy.analysis.logs import LONGEST_PREFIX
from kaproxy.analysis.store.columns import AS_SILENCE, CLOSED, LEG_ZEROS, LEGS, WARNED, Column, Holds
from kaproxy.diagnosis.record import SCHEMA
from kaproxy.diagnosis.verdict import CLEAN_CAUSES

CLOSED_EVENT = "connection.closed"

#: A line without what docker or kubectl or a system log put around it.
_UNWRAPPED = f"""case
    when starts_with(l, '{{') and not starts_with(l, '{{"log":') then l
    when starts_with(l, '{{') then try(json_extract_string(l, '$.log'))
    else substr(l, nullif(strpos(substr(l, 1, {LONGEST_PREFIX}), '{{"'), 0)) end"""

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


def _parsed(columns: Sequence[Column], relation: str) -> str:
    """The relation's rows with `t`, the line itself, and `j`, its fields; NULL where it is no JSON."""
    unwrapped = f"(select *, {_UNWRAPPED} as t from {relation})"
    parsed = f"try(json_transform(t, '{_shape(columns)}')) as j"
    return f"(select *, {parsed}, contains(t, 'null') as nulls from {unwrapped})"


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
    clean = ", ".join(f"'{cause}'" for cause in sorted(CLEAN_CAUSES))
    return {
        "ended_us": "opened_us + cast(round(duration_s * 1000000) as BIGINT)",
        "client_group": group("client_id"),
        "client_net": network("client_addr"),
        "clean": f"case when cause is not null then cast(cause in ({clean}) as TINYINT) end",
    }.get(name)


def _literal(value: object) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    return "'[]'" if value == () else str(int(value) if isinstance(value, bool) else value)


def _said_null(path: Sequence[str]) -> str:
    """Is the field there, as null? Asked only where the text has a null, since this parses the line again."""
    looked_up = f"json_type(t, '$.{'.'.join(path)}') = 'NULL'"
    return f"case when nulls then coalesce({looked_up}, false) else false end"


def _value(column: Column) -> str:
    """A column's value out of `j`, with what the line leaves out."""
    value = "j." + ".".join(f'"{name}"' for name in column.path)
    if column.holds is Holds.FLAG:
        value = f"cast({value} as TINYINT)"
    outer, inner = column.path[0], column.path[-1]
    if column.usual is not None:
        filled = f"coalesce({value}, {_literal(column.usual)})"
        return f"case when j.{outer} is not null then {filled} end" if outer == "neighbours" else filled
    if outer in LEGS and inner in LEG_ZEROS:
        return _unless_null(column, value, f"j.{outer}.window is not null", "0")
    if column.name in AS_SILENCE:
        return _unless_null(column, value, "j.silence_s is not null", "j.silence_s")
    if column.name == "first_disconnect":
        said = "j.close_how = 'disconnect' and j.closed_by in ('client', 'broker')"
        return _unless_null(column, value, said, "j.closed_by")
    return f"coalesce({value}, j.loop_lag_max_ms)" if column.name == "loop_lag_recent_ms" else value


def _unless_null(column: Column, value: str, condition: str, filled: str) -> str:
    """`filled` under this condition where the field is missing; a null that is written stays unknown."""
    missing = f"{value} is null and {condition} and not ({_said_null(column.path)})"
    return f"case when {missing} then {filled} else {value} end"


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


def closed_rows(relation: str) -> str:
    """A row for each of the relation's (`l`, `numbered`, `named`), in order.

    The columns of a closing line, `event` among them; of any other, `event` is NULL and `rest` its text.
    """
    taken = f"coalesce(j.event = '{CLOSED_EVENT}' and j.schema = {SCHEMA}, false)"
    selected = ", ".join(_selected(CLOSED)).replace('j."event" as', f"case when {taken} then j.event end as")
    rest = f"case when not {taken} then l end as rest"
    inner = f"select numbered, named, {rest}, {selected} from {_parsed(CLOSED, relation)}"
    return _with_worked_out(CLOSED, inner)


def warned_rows(relation: str) -> str:
    """Columns of those among the relation's (`l`, `place`, `numbered`, `named`) that are kaproxy's."""
    selected = ", ".join(_selected(WARNED))
    own = f"j.event is not null and j.schema = {SCHEMA} and j.event <> '{CLOSED_EVENT}'"
    inner = (
        f"select place, numbered, named, {selected}, t as fields from {_parsed(WARNED, relation)} where {own}"
    )
    return _with_worked_out(WARNED, inner)

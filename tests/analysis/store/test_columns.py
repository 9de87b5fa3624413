"""Columns: every field of the log has one, and a cell says what its line says, or what the line left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from kaproxy.analysis import logs
from kaproxy.analysis.store import engine_of, load
from kaproxy.analysis.store.columns import ASKED_OF_ALL, CLOSED, WARNED, Column, Holds
from kaproxy.analysis.store.shared import DROP_COLUMNS
from kaproxy.telemetry.schema import events, head, parts

Line = dict[str, Any]
HEAD: Line = {
    "timestamp": "2026-05-01T12:00:00.000000Z",
    "level": "info",
    "event": "connection.closed",
    "schema": 1,
    "worker": "1",
    "opened_at": "2026-05-01T11:59:00.000000Z",
}
#: Fields without a column of their name, and why.
ELSEWHERE = {
    "timestamp": "at_us",
    "opened_at": "opened_us",
    "schema": "lines of another version are left out",
}


def fields() -> Iterator[str]:
    """The fields of a closing line as columns would call them."""
    for field in (*head(), *events()["connection.closed"].fields):
        if field.type == "table":
            yield from (f"{field.name}_{each.name}" for each in parts()[field.part])
        else:
            yield field.name


def test_every_field_of_a_closing_line_has_a_column() -> None:
    named = set(fields())
    assert named - {column.name for column in CLOSED} == set(ELSEWHERE)
    assert {column.name for column in CLOSED if column.path} <= named


def test_what_drops_are_asked_for_is_at_hand() -> None:
    assert set(DROP_COLUMNS) <= ASKED_OF_ALL <= {column.name for column in CLOSED}


def value(number: int, column: Column) -> Any:
    """A value of the column's kind that no other column has; flags take turns."""
    return {
        Holds.WHOLE: number + 2,
        Holds.NUMBER: number + 0.5,
        Holds.FLAG: number % 2 == 0,
        Holds.TEXT: f'ä "{number}"',
        Holds.LIST: [f"{number}"],
    }[column.holds]


def line_with(columns: Sequence[Column], whole: Line) -> Line:
    """A line in which every one of the columns is said."""
    line = dict(whole)
    for number, column in enumerate(columns):
        if len(column.path) == 1 and column.name not in HEAD:
            line[column.path[0]] = value(number, column)
        elif len(column.path) > 1:
            line.setdefault(column.path[0], {})[column.path[1]] = value(number, column)
    return line


def cells(table: str, columns: Sequence[Column], *lines: Line) -> list[Line]:
    """The rows of some lines by the columns' names; lists are read."""
    names = [column.name for column in columns]
    with engine_of(lines) as engine:
        rows = engine.rows(f"select {', '.join(names)} from {{{table}}} order by line_no")
    lists = {column.name for column in columns if column.holds is Holds.LIST}
    return [
        {
            name: orjson.loads(cell) if name in lists and cell else cell
            for name, cell in zip(names, row, strict=True)
        }
        for row in rows
    ]


def test_every_cell_is_what_its_line_says() -> None:
    read = [column for column in CLOSED if column.path]
    (row,) = cells("closed", read, line_with(CLOSED, HEAD))
    for number, column in enumerate(CLOSED):
        if column.path:
            said = HEAD.get(column.name, value(number, column))
            assert row[column.name] == said, column.name


LEFT_OUT = {
    "silence_s": 2.5,
    "close_how": "disconnect",
    "closed_by": "broker",
    "client_leg": {"window": 0},
    "broker_leg": {"rtt_ms": 1.0},
    "neighbours": {},
    "loop_lag_max_ms": 3.5,
}
PUT_BACK: dict[str, Any] = {
    "silence_counted_s": 2.5,
    "downlink_gap_s": 2.5,
    "silence_bytes_s": None,
    "first_disconnect": "broker",
    "client_leg_unsent": 0,
    "client_leg_backoff": 0,
    "client_leg_stalled_s": 0.0,
    "client_leg_stalled_now": 0,
    "broker_leg_unsent": None,
    "broker_leg_retransmits": None,
    "neighbours_live": 0,
    "neighbours_connects_1m": 1,
    "neighbours_previous_ended_s": None,
    "loop_lag_recent_ms": 3.5,
    "closed_within_1s": 1,
    "counts": "packets",
    "oddities": [],
    "pings_open": 0,
    "gap_max_s": None,
}


def test_what_a_line_leaves_out_is_put_back_but_a_null_stays_unknown() -> None:
    asked = [column for column in CLOSED if column.name in PUT_BACK]
    nulls = {
        "downlink_gap_s": None,
        "first_disconnect": None,
        "client_leg": {"window": 0, "unsent": None, "backoff": 0},
    }
    bare, with_nulls, without = cells(
        "closed", asked, HEAD | LEFT_OUT, HEAD | LEFT_OUT | nulls, {**HEAD, "client_id": "null"}
    )
    assert bare == PUT_BACK
    unknown = {"downlink_gap_s": None, "first_disconnect": None, "client_leg_unsent": None}
    assert with_nulls == PUT_BACK | unknown
    assert {name for name, cell in without.items() if cell is not None} == {
        *(
            "closed_within_1s",
            "counts",
            "oddities",
            "pings_open",
            "client_leg_stalled_s",
            "client_leg_stalled_now",
        )
    }


def test_a_line_of_a_beginning_has_the_cells_of_any_other() -> None:
    whole = line_with([column for column in WARNED if column.name not in HEAD], HEAD)
    whole["client_id"], whole["client_addr"] = "press-12", "10.0.0.7"
    begun, other = (whole | {"event": event} for event in ("connection.established", "keep_alive.late"))
    compared = [column for column in WARNED if column.name not in ("line_no", "source", "event", "fields")]
    first, second = cells("warned", compared, begun, other)
    assert first == second
    assert None not in first.values()
    assert (first["client_group"], first["client_net"]) == ("press-#", "10.0.0.0/24")


@pytest.mark.parametrize("event", ["connection.closed", "connection.established", "keep_alive.late"])
def test_a_line_that_only_looks_whole_costs_no_other_line(tmp_path: Path, event: str) -> None:
    good = orjson.dumps(HEAD | {"event": event, "conn_id": "a", "duration_s": 1.0})
    path = tmp_path / "log"
    path.write_bytes(b"\n".join([good, good.replace(b'"conn_id":', b'"conn_id"'), good]))
    with load([str(path)]) as engine:
        table = "closed" if event == "connection.closed" else "warned"
        assert engine.rows(f"select line_no from {{{table}}} order by line_no") == [(1,), (3,)]
        assert {what: each.first for what, each in engine.accounts[str(path)].others.items()} == {
            logs.TORN: [2]
        }

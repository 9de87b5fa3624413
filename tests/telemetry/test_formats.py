"""A line in its three spellings; none may fail, none may let a control character through."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaproxy.telemetry.formats import ConsoleLine, Format, format_named, json_line, logfmt_line

CLOSED: dict[str, Any] = {
    "timestamp": "2026-11-23T06:11:00.123456Z",
    "level": "warning",
    "event": "connection.closed",
    "schema": 1,
    "worker": "1",
    "conn_id": "c1",
    "client_addr": "192.0.2.7",
    "client_port": 50000,
    "client_id": "press 7",
    "duration_s": 93.2,
    "phase": "established",
    "closed_by": "broker",
    "close_how": "fin",
    "cause": "keep_alive_timeout",
    "root": "pinged_late",
    "owner": "client_library",
    "confidence": "likely",
    "explanation": "It pinged late.",
    "advice": "Update it.",
    "will_present": True,
    "keep_alive": None,
    "client_leg": {"ending": None, "unsent": 3},
    "ruled_out": [{"cause": "takeover", "because": "nobody came"}],
}


def test_json_is_one_object_per_line_in_the_given_order() -> None:
    line = json_line(CLOSED)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert list(json.loads(line).items()) == list(CLOSED.items())


def test_logfmt_joins_names_quotes_what_needs_it_and_leaves_null_out() -> None:
    assert logfmt_line(CLOSED).decode() == (
        "timestamp=2026-11-23T06:11:00.123456Z level=warning event=connection.closed schema=1 worker=1 conn_id=c1 "
        'client_addr=192.0.2.7 client_port=50000 client_id="press 7" duration_s=93.2 phase=established '
        "closed_by=broker close_how=fin cause=keep_alive_timeout root=pinged_late owner=client_library "
        'confidence=likely explanation="It pinged late." advice="Update it." will_present=true client_leg.unsent=3 '
        'ruled_out="[{\\"cause\\":\\"takeover\\",\\"because\\":\\"nobody came\\"}]"\n'
    )


def test_console_lays_a_closing_line_out_for_reading() -> None:
    assert ConsoleLine(color=False)(CLOSED).decode() == (
        "2026-11-23T06:11:00.123456Z warning connection.closed c1 press 7 192.0.2.7:50000 "
        "keep_alive_timeout / pinged_late owner=client_library confidence=likely closed_by=broker close_how=fin "
        "phase=established duration_s=93.2\n"
        "    It pinged late.\n"
        "    Update it.\n"
    )


def test_console_writes_other_lines_as_pairs() -> None:
    fields = {"timestamp": "T", "level": "info", "event": "proxy.started", "worker": "1", "listen": "[::1]:1"}
    assert ConsoleLine(color=False)(fields) == b"T info    proxy.started listen=[::1]:1\n"


def test_only_the_colored_console_has_escape_sequences() -> None:
    assert b"\x1b" in format_named("console", True)(CLOSED)
    assert b"\x1b" not in format_named("console", False)(CLOSED)
    assert b"\x1b" not in format_named("json", True)(CLOSED) + format_named("logfmt", True)(CLOSED)


@pytest.mark.parametrize("spell", [json_line, logfmt_line, ConsoleLine(False)])
@pytest.mark.parametrize("client_id", ["a\x1b[31mb", "a\nb", "\udc80", "a\u202eb", "\x00", 'q"\\'])
def test_no_control_character_of_a_client_identifier_gets_through(spell: Format, client_id: str) -> None:
    line = spell({"event": "connection.closed", "client_id": client_id, "cause": client_id}).decode()
    assert line.endswith("\n")
    assert "\x1b" not in line
    assert "\n" not in line[:-1]
    assert "\x00" not in line


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(codec=None)) | st.integers(), inner)
    ),
    max_leaves=8,
)


@given(ANYTHING)
def test_no_value_makes_a_format_fail(value: object) -> None:
    fields = {"event": "connection.closed", "cause": value, "x": value}
    assert json.loads(json_line(fields))["event"] == "connection.closed"
    for spell in (logfmt_line, ConsoleLine(True), ConsoleLine(False)):
        assert spell(fields).endswith(b"\n")


def test_infinity_and_not_a_number_are_null_in_json() -> None:
    assert json_line({"a": float("inf"), "b": float("nan")}) == b'{"a":null,"b":null}\n'

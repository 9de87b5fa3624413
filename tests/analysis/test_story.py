"""Picking connections: all lines of a client's connections and no others, in order; the nearest names where none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaproxy.analysis.logs import Line
from kaproxy.analysis.story import (
    MEANT,
    Found,
    Target,
    UnknownTargetError,
    closing,
    judged_anew,
    near,
    select,
)
from kaproxy.diagnosis.verdict import CLEAN_CAUSES
from tests.analysis import scene
from tests.analysis.scene import closed, head, late, named, warning
from tests.diagnosis.cases import CASES, evidence

DROP = CASES["loop hung"].evidence
LEFT = CASES["normal DISCONNECT"].evidence


def picked(target: Target, *lines: scene.Line) -> Found:
    return select((Line(number, line) for number, line in enumerate(lines, 1)), target)


def ids(found: Found) -> list[str]:
    return [each.conn_id for each in found.connections]


def test_the_connections_of_a_client_come_oldest_first_and_no_others() -> None:
    lines = [
        closed(named(DROP, "b")),
        closed(named(DROP, "x", client_id="other")),
        closed(named(LEFT, "a", earlier_s=500.0)),
    ]
    assert ids(picked(Target(client_id="sensor-17"), *lines)) == ["a", "b"]
    assert ids(picked(Target(conn_id="x"), *lines)) == ["x"]


def test_the_newest_drop_is_chosen_before_what_ended_as_it_should() -> None:
    lines = [closed(named(DROP, "a", 900.0)), closed(named(DROP, "b", 500.0)), closed(named(LEFT, "c"))]
    assert picked(Target("sensor-17"), *lines).chosen().conn_id == "b"
    assert picked(Target("sensor-17"), lines[2]).chosen().conn_id == "c"


def test_what_counts_as_meant_is_what_the_log_tells_at_level_info() -> None:
    assert MEANT == CLEAN_CAUSES


def test_warnings_go_with_their_connection_also_those_of_events_unheard_of() -> None:
    lines = [
        late(DROP, 60.0, 70.0, 1),
        warning(DROP, "client.sneezed", 50.0, sneezes=3),
        late(named(DROP, "b"), 1.0, 70.0, 1),
        closed(DROP),
    ]
    found = picked(Target(conn_id="w1-7"), *lines).chosen()
    assert [each.event for each in found.warnings] == ["keep_alive.late", "client.sneezed"]


def test_a_line_without_client_identifier_is_kept_by_its_connection_also_where_it_came_first() -> None:
    failed = head("observer.failed", 1.0, "error") | {"conn_id": "w1-7", "error": "ValueError: no"}
    found = picked(Target("sensor-17"), failed, closed(DROP), failed | {"conn_id": "other"})
    assert [each.event for each in found.chosen().warnings] == ["observer.failed"]


def test_the_holder_of_a_contested_identifier_gets_the_warning_too() -> None:
    found = picked(Target("sensor-17"), *scene.takeover())
    assert [[each.event for each in one.warnings] for one in found.connections] == [
        ["client_id.contested"]
    ] * 2


def test_a_connection_without_closing_line_is_told_as_such() -> None:
    found = picked(Target("sensor-17"), late(DROP, 60.0, 70.0, 1))
    assert found.chosen().closing is None
    assert not found.chosen().dropped


def test_lines_that_kaproxy_lost_are_counted() -> None:
    lost = head("log.dropped", 1.0) | {"lines": 12, "bytes": 9}
    assert picked(Target("sensor-17"), lost, closed(DROP), lost).lost == 24


def test_an_unknown_name_is_answered_with_the_nearest_ones() -> None:
    lines = [closed(named(DROP, name, client_id=name)) for name in ("sensor-17", "press-7", "pump")]
    with pytest.raises(UnknownTargetError) as caught:
        picked(Target(client_id="sensor-71"), *lines)
    assert (caught.value.kind, caught.value.near, caught.value.known) == ("client", ("sensor-17",), 3)
    with pytest.raises(UnknownTargetError) as caught:
        picked(Target(conn_id="pres"), *lines)
    assert (caught.value.kind, caught.value.near) == ("connection", ("press-7",))


def test_near_names_contain_it_or_are_spelled_alike() -> None:
    assert near("SENSOR", ["a-sensor-1", "x", "sensro"]) == ["a-sensor-1"]
    assert near("", ["a"]) == []


def test_the_empty_client_identifier_is_one() -> None:
    assert ids(picked(Target(client_id=""), closed(named(DROP, "a", client_id="")))) == ["a"]


def test_evidence_that_cannot_be_read_leaves_the_verdict_and_says_why() -> None:
    found = closing(Line(9, closed(DROP) | {"silence_s": "long"}))
    assert (found.evidence, found.said.cause) == (None, "keep_alive_timeout")
    assert found.trouble is not None
    assert "silence_s" in found.trouble


def test_causes_of_a_later_version_are_kept_as_they_are() -> None:
    found = closing(
        Line(1, closed(evidence()) | {"cause": "gremlins", "root": "gone", "ruled_out": ["?", 3]})
    )
    assert found.said.name == "gremlins / gone"
    assert found.said.ruled_out == ()
    assert judged_anew(found) == "broker_closed / client_looks_fine (unclear)"


def test_a_verdict_that_still_stands_is_not_told_twice() -> None:
    assert judged_anew(closing(Line(1, closed(DROP)))) is None
    assert judged_anew(replace(closing(Line(1, closed(DROP))), evidence=None)) is None

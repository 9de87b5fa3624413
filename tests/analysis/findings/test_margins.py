"""Margins: who survived narrowly is told, with the numbers; who pings in time or was expired is not."""

from __future__ import annotations

from kaproxy.analysis.findings import margins
from kaproxy.diagnosis.verdict import Confidence
from tests.analysis.findings.table import at, table

KEPT = {"keep_alive": 10, "limit_low_s": 15.0}


def test_clean_connections_with_hardly_any_margin_are_told() -> None:
    rows = [
        {
            **KEPT,
            "client_id": f"chiller-{n}",
            "margin_min_s": 0.5 + n / 10,
            "gap_max_s": 14.5,
            "ended_us": at(n),
        }
        for n in range(4)
    ]
    (found,) = margins.find(table([*rows, {"client_id": "press-1", "margin_min_s": 29.0}]))
    assert found.title == (
        "4 clients of chiller-# came within 10 % of the broker's limit and survived; "
        "the narrowest had 0.5 s left of 15 s"
    )
    assert found.numbers["worst_clients"] == {
        "chiller-0": 0.5,
        "chiller-1": 0.6,
        "chiller-2": 0.7,
        "chiller-3": 0.8,
    }
    assert found.confidence is Confidence.LIKELY
    assert found.connections == ("w-0", "w-1", "w-2", "w-3")


def test_a_connection_dropped_for_another_reason_counts_by_the_gap_it_survived() -> None:
    gone = {**KEPT, "cause": "client_reset", "gap_max_s": 14.9, "margin_min_s": -30.0}
    (found,) = margins.find(table([gone] * 3))
    assert found.numbers["margin_min_s"] == 0.1


def test_an_expired_connection_survived_nothing() -> None:
    expired = {**KEPT, "cause": "keep_alive_timeout", "gap_max_s": 14.9, "margin_min_s": -0.1}
    late = {
        "event": "keep_alive.late",
        "conn_id": "w-0",
        "client_id": "press-1",
        "gap_s": 14.9,
        "margin_s": 0.1,
    }
    assert margins.find(table([expired] * 3, [late] * 5)) == []


def test_warnings_of_connections_that_still_stand_are_told() -> None:
    late = [
        {
            "event": "keep_alive.late",
            "conn_id": f"w-{n}",
            "client_id": f"fan-{n}",
            "gap_s": 44.0,
            "margin_s": 1.0,
            "at_us": at(n),
        }
        for n in range(3)
    ]
    (found,) = margins.find(table([{"client_id": "press-1"}], late))
    assert (found.subject, found.numbers["warnings"], found.numbers["clients"]) == ("fan-#", 3, 3)
    assert found.connections == ("w-0", "w-1", "w-2")


def test_margins_of_a_third_of_the_limit_are_no_news() -> None:
    assert margins.find(table([{**KEPT, "margin_min_s": 5.0}] * 9)) == []


def test_without_a_known_broker_the_limit_is_a_guess() -> None:
    (found,) = margins.find(table([{**KEPT, "margin_min_s": 0.2, "broker_profile": "unknown"}] * 3))
    assert found.confidence is Confidence.UNCLEAR
    assert "set broker.profile" in found.basis


def test_a_silence_beyond_the_limit_that_was_survived_is_told_even_once() -> None:
    (found,) = margins.find(table([{**KEPT, "margin_min_s": -1.25}]))
    assert "went 1.25 s beyond the limit of 15 s" in found.title

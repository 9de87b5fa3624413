"""kaproxy itself: acquitted only where everything is there and nothing was late, and told on otherwise."""

from __future__ import annotations

from kaproxy.analysis.findings import proxy
from kaproxy.diagnosis.verdict import Confidence, Owner
from tests.analysis.findings.table import at, table

ROWS = [{"ended_us": at(n), "cause": "client_reset"} for n in range(20)]


def test_a_proxy_that_was_in_time_is_acquitted_for_good() -> None:
    (found,) = proxy.find(table(ROWS))
    assert (
        found.title
        == "kaproxy itself is behind none of the drops: it was late by at most 1 ms in 20 connections"
    )
    assert (found.numbers["exonerated"], found.confidence, found.owner) == (
        True,
        Confidence.SETTLED,
        Owner.NOBODY,
    )


def test_lost_lines_leave_a_doubt() -> None:
    lost = [
        {"event": "log.dropped", "lines": 7, "at_us": at(1)},
        {"event": "log.dropped", "lines": 5, "at_us": at(2)},
    ]
    (found,) = proxy.find(table(ROWS, lost))
    assert (found.numbers["log_lines_lost"], found.confidence) == (12, Confidence.LIKELY)
    assert "12 lines of its log are lost" in found.title


def test_lines_lost_are_not_counted_twice_where_the_last_line_says_so_too() -> None:
    told = [{"event": "log.dropped", "lines": 7}, {"event": "proxy.stopped", "log_lines_dropped": 7}]
    assert proxy.find(table(ROWS, told))[0].numbers["log_lines_lost"] == 7


def test_drops_that_its_lag_explains_are_its_own() -> None:
    delayed = {
        "cause": "keep_alive_timeout",
        "root": "proxy_delayed",
        "loop_lag_max_ms": 16_500.0,
        "ended_us": at(30),
    }
    lagging = {"event": "proxy.lagging", "lag_ms": 16_500.0, "at_us": at(29)}
    guilty, late = proxy.find(table([*ROWS, delayed], [lagging]))
    assert (guilty.drops, guilty.owner, guilty.numbers["exonerated"]) == (1, Owner.PROXY, False)
    assert guilty.connections == ("w-20",)
    assert (late.kind, late.subject, late.drops) == ("proxy_lag", "w", 1)


def test_a_fault_of_its_own_is_settled() -> None:
    (found,) = proxy.find(table([*ROWS, {"cause": "proxy_error", "ended_us": at(1)}]))
    assert (found.numbers["drops_by_error"], found.confidence) == (1, Confidence.SETTLED)


def test_time_that_a_client_did_not_read_is_not_its_dwell() -> None:
    (found,) = proxy.find(table([{"relay_dwell_max_ms": 9_000.0, "client_leg_stalled_s": 9.0}]))
    assert found.numbers["relay_dwell_max_ms"] == 0.0
    (own,) = proxy.find(table([{"relay_dwell_max_ms": 9_000.0, "client_leg_stalled_s": 2.0}]))
    assert own.numbers["relay_dwell_max_ms"] == 7_000.0


def test_a_start_after_a_start_without_a_stop_was_a_crash() -> None:
    started = [{"event": "proxy.started", "at_us": at(n)} for n in range(3)]
    assert proxy.find(table(ROWS, started[:1]))[0].numbers["starts_without_a_stop"] == 0
    assert (
        proxy.find(table(ROWS, [*started, {"event": "proxy.stopped"}]))[0].numbers["starts_without_a_stop"]
        == 1
    )


def test_a_failed_observer_is_told() -> None:
    (found,) = proxy.find(table(ROWS, [{"event": "observer.failed"}]))
    assert (found.numbers["observers_failed"], found.owner) == (1, Owner.PROXY)

"""Fleets whose ping cadence leaves no margin, and those that are late and safe, or late once."""

from __future__ import annotations

from typing import Any

from kaproxy.analysis.findings import late_pingers
from kaproxy.diagnosis.verdict import Confidence, Owner
from tests.analysis.rows import asked, closed, dropped, late


def pingers(count: int, keep_alive: int, gap_s: float, **said: Any) -> list[dict[str, Any]]:
    """Connections whose longest gap is this long, within a twentieth of a second, late with every ping."""
    usual = {"keep_alive": keep_alive, "late_gaps": 55, "limit_low_s": 1.5 * keep_alive}
    return [
        closed(
            n * 50.0,
            client_id=f"go-{n}",
            **{
                **usual,
                "gap_max_s": gap_s + 0.01 * (n % 5),
                "margin_min_s": 1.5 * keep_alive - gap_s,
                **said,
            },
        )
        for n in range(count)
    ]


def test_a_go_fleet_at_keep_alive_10_pings_at_the_limit_and_the_library_is_named() -> None:
    drops = [
        dropped(n * 70.0, client_id=f"go-{n}", cause="keep_alive_timeout", root="pinged_late", keep_alive=10,
                gap_max_s=15.0, limit_low_s=15.0, late_gaps=30)
        for n in range(4)
    ]  # fmt: skip
    (found,) = asked(late_pingers.find, pingers(20, 10, 15.0) + drops)
    assert (found.kind, found.owner, found.subject) == ("late_pingers", Owner.CLIENT_LIBRARY, "go-#")
    assert found.confidence is Confidence.LIKELY
    assert found.numbers["cadence_s"] == 15.017
    assert found.numbers["libraries"] == ["paho.mqtt.golang 1.2 to 1.4"]
    formulas = found.numbers["formulas"]
    assert isinstance(formulas, list)
    assert formulas[:2] == ["1.5 x Keep Alive", "Keep Alive + 5 s, a tick of 5 s"]
    assert found.drops == 4


def test_a_second_keep_alive_tells_a_tick_from_a_multiple() -> None:
    lines = pingers(20, 10, 15.0) + pingers(20, 12, 17.0)
    first, second = asked(late_pingers.find, lines)
    assert {each.numbers["keep_alive"] for each in (first, second)} == {10, 12}
    assert first.numbers["formulas"] == ["Keep Alive + 5 s, a tick of 5 s"]
    assert "A Keep Alive of 20 s or more" in first.advice


def test_a_tick_of_five_seconds_at_keep_alive_60_leaves_margin_enough() -> None:
    assert asked(late_pingers.find, pingers(20, 60, 65.0)) == []


def test_a_fleet_that_pings_at_its_keep_alive_is_not_late() -> None:
    assert asked(late_pingers.find, pingers(20, 10, 10.05, late_gaps=0)) == []


def test_stalls_of_all_lengths_are_no_cadence() -> None:
    lines = [
        closed(n * 50.0, client_id=f"stall-{n}", keep_alive=10, gap_max_s=11.0 + 0.37 * n, limit_low_s=15.0)
        for n in range(20)
    ]
    assert asked(late_pingers.find, lines) == []


def test_one_late_client_among_many_in_time_is_no_fleet() -> None:
    lines = pingers(40, 10, 10.02, late_gaps=0) + pingers(3, 10, 15.0, late_gaps=1)
    assert asked(late_pingers.find, lines) == []


def test_pings_timed_from_the_answer_are_late_by_the_round_trip() -> None:
    lines = [
        closed(
            n * 50.0,
            client_id=f"cell-{n}",
            keep_alive=10,
            gap_max_s=10.02 + 0.25 * n,
            ping_rtt_max_ms=250.0 * n,
            limit_low_s=15.0,
            late_gaps=40,
        )
        for n in range(20)
    ]
    (found,) = asked(late_pingers.find, lines)
    assert found.numbers["formulas"] == ["Keep Alive + the round trip of the ping before"]
    assert found.numbers["margin_s"] == 0.23


def test_warnings_of_connections_still_open_count_towards_the_cadence() -> None:
    lines = pingers(3, 10, 15.0)
    warnings = [late(n * 15.0, 15.0, 10, client_id=f"go-{n}") for n in range(40)]
    (found,) = asked(late_pingers.find, lines, warnings)
    assert found.numbers["cadence_s"] == 15.001


def test_a_client_that_never_pings_is_no_late_pinger() -> None:
    lines = pingers(20, 10, 14.5, pingreqs=0, pingresps=0)
    assert asked(late_pingers.find, lines) == []

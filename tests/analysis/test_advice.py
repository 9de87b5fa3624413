"""The Keep Alive that would have survived: its range, its gain, its cost, and when there is none."""

from __future__ import annotations

from kaproxy.analysis.advice import find, table
from kaproxy.analysis.whatif import Drops
from kaproxy.diagnosis.verdict import Confidence, Owner
from tests.analysis.rows import Line, asked, closed, cut, dropped


def behind_a_nat() -> list[Line]:
    """Clients with Keep Alive 600 and 900 behind a box that cuts at 300 s."""
    return [
        cut(
            n * 60.0,
            client_id=f"far-{n}",
            keep_alive=(600, 900)[n % 2],
            idle_s=300.2 + 0.01 * n,
            gap_max_s=250.0,
        )
        for n in range(12)
    ]


def test_below_a_box_the_advice_is_two_thirds_of_its_limit_with_gain_and_cost() -> None:
    (one,) = asked(find, behind_a_nat())
    assert (one.kind, one.owner, one.subject) == ("keep_alive_advice", Owner.OPERATOR, "far-#")
    assert (one.numbers["high"], one.numbers["suggested"]) == (200, 200)
    assert (one.numbers["prevented_least"], one.numbers["prevented_most"], one.numbers["of"]) == (12, 12, 12)
    assert one.numbers["pings_per_day"] == 432.0
    assert one.numbers["bytes_per_day"] == 1728


def test_late_pings_ask_for_a_keep_alive_twice_as_long_as_they_are_late() -> None:
    lines = [closed(client_id=f"go-{n}", keep_alive=10, gap_max_s=15.0, late_gaps=50) for n in range(20)]
    lines += [
        dropped(
            client_id=f"go-{n}", cause="keep_alive_timeout", root="pinged_late", keep_alive=10, gap_max_s=15.0,
            late_gaps=9, silence_s=15.0, late_from_client_after_s=0.01,
        )
        for n in range(5)
    ]  # fmt: skip
    (one,) = asked(find, lines)
    assert one.numbers["low"] == 12
    assert (
        "Keep Alive + 5 s, a tick of 5 s, and so this helps, or 1.5 x Keep Alive, and then no value"
        in one.basis
    )
    assert one.numbers["suggested"] == 20
    assert one.numbers["prevented_most"] == 5


def test_where_round_trips_are_longer_than_the_path_allows_no_value_works() -> None:
    slow = [{**line, "ping_rtt_max_ms": 60_000.0} for line in behind_a_nat()]
    (one,) = asked(find, slow)
    assert one.title.startswith("No Keep Alive works for far-#")
    assert one.numbers["suggested"] is None
    assert "Raise the idle limit of the path" in one.advice


def test_one_stall_of_the_broker_is_no_reason_for_four_times_as_long() -> None:
    stalled = [{**line, "ping_rtt_max_ms": 50_000.0, "ping_rtt_last_ms": 20.0} for line in behind_a_nat()]
    (one,) = asked(find, stalled)
    assert (one.numbers["low"], one.numbers["high"], one.numbers["suggested"]) == (50, 200, 200)


def library(keep_alive: int, cadence_s: float) -> list[Line]:
    lines = [
        closed(client_id=f"go-{n}", keep_alive=keep_alive, gap_max_s=cadence_s, late_gaps=50)
        for n in range(20)
    ]
    return lines + [
        dropped(
            client_id=f"go-{n}", cause="keep_alive_timeout", root="pinged_late", keep_alive=keep_alive, late_gaps=9,
            gap_max_s=cadence_s, silence_s=cadence_s, late_from_client_after_s=0.01,
        )
        for n in range(5)
    ]  # fmt: skip


def test_pings_at_a_multiple_of_any_keep_alive_are_the_librarys_to_mend() -> None:
    (one,) = asked(find, library(30, 45.0))
    assert one.title.startswith("No Keep Alive works for go-#")
    assert (one.owner, one.numbers["suggested"]) == (Owner.CLIENT_LIBRARY, None)
    assert (one.confidence, one.drops) == (Confidence.LIKELY, 5)
    assert "1.5 x Keep Alive" in one.title


def test_pings_a_tick_after_two_keep_alives_tell_that_a_longer_one_helps_for_sure() -> None:
    (one,) = asked(find, library(10, 15.0) + [closed(client_id="go-9", keep_alive=25, gap_max_s=30.0)] * 4)
    assert (one.numbers["prevented_least"], one.numbers["prevented_most"]) == (5, 5)
    assert one.numbers["suggested"] == 25


def test_connections_that_a_box_forgot_are_counted_as_drops_it_would_have_prevented() -> None:
    lines = [
        dropped(
            n * 60.0, client_id=f"far-{n % 5}", cause="idle_cut", close_how="rst", keep_alive=900, idle_s=0.01,
            gap_max_s=351.0 + n,
        )
        for n in range(12)
    ]  # fmt: skip
    lines += [closed(client_id=f"far-{n % 5}", keep_alive=900, gap_max_s=340.0) for n in range(5)]
    (one,) = asked(find, lines)
    assert (one.numbers["prevented_least"], one.numbers["prevented_most"], one.numbers["of"]) == (12, 12, 12)
    assert isinstance(one.numbers["suggested"], int)
    assert one.numbers["suggested"] < 340


def test_a_well_chosen_keep_alive_is_left_alone() -> None:
    lines = [closed(n * 60.0, client_id=f"ok-{n}", late_gaps=0) for n in range(30)]
    assert asked(find, lines) == []
    (row,) = asked(table, lines)
    assert (row.suggested, row.prevented, row.fine) == (60, Drops(), True)


def test_devices_that_are_gone_are_no_reason_for_another_keep_alive() -> None:
    lines = [
        dropped(cause="keep_alive_timeout", root="client_unreachable", client_id=f"ok-{n}", late_gaps=0)
        for n in range(30)
    ]
    assert asked(find, lines) == []


def test_a_services_maximum_bounds_it_from_above() -> None:
    (row,) = asked(table, [closed(keep_alive=1800, broker_profile="azure", late_gaps=0)])
    assert row.high is not None
    assert row.high.keep_alive == 1177
    assert not row.fine

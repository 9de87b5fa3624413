"""Counts as plain integers: added up over workers, written down and read again, kept when a worker dies."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from kaproxy.connection import Directory
from kaproxy.connection.facts import Side
from kaproxy.connection.spread import PAUSE_BOUNDS, RTT_BOUNDS, Spread
from kaproxy.telemetry.tally import Histogram, Snapshot, Traffic
from tests.playbook import Play

ZEROS = (0,) * (len(RTT_BOUNDS) + 1)
ONE = Snapshot(
    live=3,
    accepted=10,
    verdicts={
        ("client_disconnect", "", "nobody"): 4,
        ("keep_alive_timeout", "pinged_late", "client_library"): 3,
    },
    warnings={"keep_alive.late": 2},
    bytes_from_client=100,
    bytes_from_broker=200,
    packets_from_client=5,
    packets_from_broker=6,
    ping_rtts=Histogram((1, 2, 3, *ZEROS[:-3]), 0.5),
    pauses=Histogram((0, 1, *[0] * (len(PAUSE_BOUNDS) - 1)), 1.5),
    log_lines_dropped=1,
    news_dropped=2,
    loop_lag_s=0.25,
    cpu_s=1.5,
)


def test_a_snapshot_survives_being_written_down() -> None:
    assert Snapshot.from_data(json.loads(json.dumps(ONE.to_data()))) == ONE


def test_two_workers_are_added_up_and_only_the_worst_lag_counts() -> None:
    both = ONE + replace(ONE, verdicts={("client_disconnect", "", "nobody"): 1}, loop_lag_s=0.1)
    assert both.verdicts[("client_disconnect", "", "nobody")] == 5
    assert both.causes == {"client_disconnect": 5, "keep_alive_timeout": 3}
    assert (both.live, both.accepted, both.closed) == (6, 20, 8)
    assert (both.bytes_from_client, both.packets_from_broker) == (200, 12)
    assert both.ping_rtts == Histogram((2, 4, 6, *ZEROS[:-3]), 1.0)
    assert (both.warnings, both.loop_lag_s, both.cpu_s) == ({"keep_alive.late": 4}, 0.25, 3.0)


def test_adding_nothing_changes_nothing() -> None:
    for item in fields(Snapshot):
        assert (
            getattr(Snapshot() + ONE, item.name)
            == getattr(ONE + Snapshot(), item.name)
            == getattr(ONE, item.name)
        )


def test_of_a_worker_that_is_gone_everything_stays_but_what_is_only_now() -> None:
    assert ONE.retired() == replace(ONE, live=0, loop_lag_s=0.0)


def test_bytes_of_live_and_of_closed_connections_count_and_closing_moves_none() -> None:
    directory, traffic = Directory(), Traffic()
    first, second = (Play(directory=directory).established(f"d{number}", 10) for number in range(2))
    traffic.opened("one", first.tracker)
    traffic.opened("other", second.tracker)
    first.at(5.0).ping()
    before = traffic.both_ways()
    first.ends(Side.CLIENT).evidence()
    traffic.closed("one")
    traffic.closed("one")
    traffic.closed("nobody's")
    assert traffic.both_ways() == before
    assert before[0][1] == 3  # CONNECT twice, PINGREQ
    assert before[1] == (4 + 4 + 2, 3)


def test_pings_and_pauses_of_all_connections_are_spread_over_their_buckets() -> None:
    directory = Directory()
    play = Play(directory=directory).established(
        "dev", 10
    )  # the broker's patience ends at 15 s at the earliest
    low = play.tracker.limits[0] if play.tracker.limits else 0.0
    play.at(0.55 * low).ping(answered=False)
    play.at(0.55 * low + 0.03).broker(b"\xd0\x00")
    pauses, rtts = Histogram.of(directory.pauses), Histogram.of(directory.ping_rtts)
    assert [bound for bound, count in zip(PAUSE_BOUNDS, pauses.counts, strict=False) if count] == [0.6]
    assert [bound for bound, count in zip(RTT_BOUNDS, rtts.counts, strict=False) if count] == [0.05]
    assert rtts.total == pytest.approx(0.03)


def test_a_number_on_a_bound_belongs_below_it_and_one_above_all_bounds_is_kept() -> None:
    spread = Spread((1.0, 2.0))
    for number in (1.0, 1.5, 2.0, 9.0):
        spread.add(number)
    assert (spread.counts, spread.total) == ([1, 2, 1], 13.5)

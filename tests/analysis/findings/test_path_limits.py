"""Idle limits of the path, from survived and fatal gaps; and what only looks like one."""

from __future__ import annotations

from typing import Any

from kaproxy.analysis.findings import path_limits
from kaproxy.analysis.findings.path_limits import limits
from kaproxy.diagnosis.verdict import Confidence, Owner
from tests.analysis.rows import asked, closed, cut, dropped


def survivors(count: int, gap_s: float, **said: Any) -> list[dict[str, Any]]:
    """Connections whose longest idle gap was up to so long, all survived."""
    return [
        closed(n * 60.0, client_id=f"ok-{n}", gap_max_s=gap_s - 0.3 * (n % 7), **said) for n in range(count)
    ]


def cuts(count: int, idle_s: float, **said: Any) -> list[dict[str, Any]]:
    """Connections of clients with Keep Alive 300, 600 and 900, cut at that idle time."""
    made = []
    for n in range(count):
        keep_alive = (300, 600, 900)[n % 3]
        exact = {"idle_s": idle_s + 0.05 * (n % 9), "keep_alive": keep_alive, "client_id": f"far-{n % 6}"}
        made.append(cut(n * 40.0, **{"gap_max_s": 100.0, **exact, **said}))
    return made


def test_a_box_that_cuts_all_keep_alives_at_one_idle_time_is_told_with_its_interval_and_owner() -> None:
    lines = survivors(30, 230.0, keep_alive=230) + cuts(12, 240.0)
    (found,) = asked(path_limits.find, lines)
    assert (found.kind, found.owner, found.confidence) == ("path_limit", Owner.PATH, Confidence.LIKELY)
    assert found.drops == 12
    assert found.subject == "10.0.0.0/24"
    assert found.numbers["longest_survived_s"] == 230.0
    assert found.numbers["shortest_fatal_s"] == 240.0
    assert found.numbers["known_limits_s"] == [240]
    assert "Azure" in found.title
    assert "at most 160 s" in found.advice
    assert len(found.connections) == 12


def test_no_limit_where_longer_gaps_survived_in_the_same_network() -> None:
    lines = survivors(5, 900.0, keep_alive=900) + cuts(12, 240.0)
    assert asked(path_limits.find, lines) == []


def test_a_gap_filled_by_the_brokers_messages_does_not_count_as_an_idle_one() -> None:
    busy = survivors(5, 900.0, keep_alive=900, packets_from_broker=5000)
    (found,) = asked(path_limits.find, busy + cuts(12, 240.0))
    assert found.numbers["longest_survived_s"] == 100.0
    assert found.numbers["shortest_fatal_s"] == 240.0


def test_a_client_whose_own_timer_ends_it_at_its_keep_alive_is_no_box() -> None:
    lines = [
        closed(
            n * 70.0,
            client_id=f"timer-{n}",
            cause="client_closed",
            close_how="fin",
            keep_alive=120,
            idle_s=120.2,
        )
        for n in range(20)
    ]
    assert asked(path_limits.find, lines) == []


def test_idle_times_at_death_that_are_spread_are_no_limit() -> None:
    lines = [
        dropped(n * 70.0, client_id=f"d-{n}", keep_alive=(60, 300)[n % 2], idle_s=20.0 + 7.3 * n)
        for n in range(40)
    ]
    assert asked(path_limits.find, lines) == []


def test_networks_of_one_listener_that_share_a_limit_are_told_once() -> None:
    lines = [
        line
        for net in ("10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24")
        for line in cuts(6, 350.2, client_net=net)
    ]
    (found,) = asked(path_limits.find, lines + survivors(9, 300.0))
    assert found.numbers["place"] == "listener"
    assert found.numbers["networks"] == 3
    assert found.drops == 18


def test_each_network_keeps_its_own_limit() -> None:
    lines = cuts(6, 60.2, client_net="10.1.0.0/24", gap_max_s=50.0) + cuts(6, 350.2, client_net="10.2.0.0/24")
    found = {each.subject: each.numbers["shortest_fatal_s"] for each in asked(path_limits.find, lines)}
    assert found == {"10.1.0.0/24": 60.2, "10.2.0.0/24": 350.2}


def test_a_cut_of_the_brokers_leg_is_placed_before_the_broker() -> None:
    (found,) = asked(limits, cuts(9, 600.1, closed_by="broker") + survivors(9, 300.0))
    assert (found.place.column, found.place.value) == ("broker_addr", "broker:1883")


def silent(count: int, keep_alive: int, gap_s: float | None) -> list[dict[str, Any]]:
    """Clients that went silent for good after their longest survived gap."""
    return [
        dropped(
            n * 90.0,
            client_id=f"gone-{keep_alive}-{n % 9}",
            client_group=f"gone-{keep_alive}",
            cause="keep_alive_timeout",
            root="client_unreachable",
            keep_alive=keep_alive,
            gap_max_s=gap_s,
            pingreqs=0 if gap_s and gap_s < keep_alive else 9,
            silence_s=1.5 * keep_alive,
            idle_s=1.5 * keep_alive,
        )
        for n in range(count)
    ]


def test_clients_that_die_in_their_first_long_silence_betray_a_box_that_forgets() -> None:
    lines = survivors(40, 181.0, keep_alive=180) + silent(12, 300, 20.0)
    (found,) = asked(limits, lines)
    assert found.forgets
    assert (found.survived_s, found.fatal_s) == (181.0, 335.0)
    assert [row.seconds for row in found.owners] == [240]
    assert found.confidence is Confidence.LIKELY
    assert found.safe_s == 181.0


def test_devices_that_lose_power_after_living_through_such_silences_are_no_box() -> None:
    lines = survivors(40, 181.0, keep_alive=180) + silent(12, 300, 300.2)
    assert asked(limits, lines) == []


def test_devices_that_lose_power_early_are_no_box_where_others_live_through_that_silence() -> None:
    lines = survivors(40, 300.4, keep_alive=300) + silent(12, 300, 20.0)
    assert asked(limits, lines) == []


def test_a_reset_of_the_first_packet_after_a_pause_bounds_the_limit_from_above() -> None:
    lines = [
        dropped(
            n * 99.0,
            client_id=f"slow-{n}",
            cause="idle_cut",
            root="limit_350s",
            close_how="rst",
            keep_alive=(400, 900)[n % 2],
            idle_s=0.02,
            gap_max_s=(400.0, 900.0)[n % 2],
        )
        for n in range(10)
    ]
    (found,) = asked(limits, lines + survivors(20, 300.0, keep_alive=300))
    assert found.forgets
    assert (found.survived_s, found.fatal_s) == (300.0, 400.0)
    assert [row.seconds for row in found.owners] == [350]


def test_devices_that_ping_well_before_their_keep_alive_and_vanish_are_no_box() -> None:
    lines = [{**line, "pingreqs": 0 if n % 9 == 0 else 40} for n, line in enumerate(silent(60, 30, 20.1))]
    assert asked(limits, lines) == []


def test_closes_that_happen_to_come_at_like_idle_times_of_one_keep_alive_are_no_box() -> None:
    lines = [
        closed(n * 70.0, client_id=f"k-{n}", cause="client_reset", keep_alive=30, idle_s=18.1 + 0.01 * n)
        for n in range(9)
    ]
    assert asked(limits, lines) == []

"""What drops every so often, and by which clock; and what only seems to."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from kaproxy.analysis.findings import periods
from kaproxy.analysis.findings.finding import Finding
from kaproxy.diagnosis.verdict import Confidence, Owner
from tests.analysis.rows import DAY, HOUR, Line, asked, dropped


def found(lines: list[Line]) -> list[Finding]:
    return asked(periods.find, lines)


def lives(dice: Random, name: str, clients: int, age: float, pause: tuple[float, float]) -> Iterator[Line]:
    """Clients that live this long after each connecting, and come back after a pause."""
    for client in range(clients):
        at = dice.uniform(0, age)
        while at < DAY - age:
            lasted = age + dice.uniform(0.0, 0.5)
            at += lasted
            yield dropped(at, client_id=f"{name}-{client}", duration_s=lasted, keep_alive=300)
            at += dice.uniform(*pause)


def at_random(dice: Random, name: str, count: int) -> Iterator[Line]:
    """Drops that come as chance has it, of connections as old as chance has it."""
    for n in range(count):
        lasted = 60.0 + dice.expovariate(1 / HOUR)
        yield dropped(dice.uniform(0, 3 * DAY), client_id=f"{name}-{n % 20}", duration_s=lasted)


def test_tokens_of_an_hour_follow_the_age_whatever_the_time_of_day() -> None:
    (one,) = found(list(lives(Random(1), "meter", 6, 3600.0, (2, 240))))
    assert (one.kind, one.subject, one.owner) == ("period", "meter-#", Owner.OPERATOR)
    assert one.numbers["clock"] == "since_connect"
    assert one.numbers["period_s"] == pytest.approx(3600.0, abs=1.0)
    assert one.numbers["fits"] == ["a token or session of one hour"]
    assert one.confidence is Confidence.LIKELY


def test_lifetimes_show_among_drops_at_random() -> None:
    dice = Random(2)
    lines = [*lives(dice, "meter", 6, 2880.0, (2, 240)), *at_random(dice, "meter", 60)]
    (one,) = found(lines)
    assert one.numbers["known_s"] == [2880]
    assert 0.5 < float(str(one.numbers["share"])) < 0.9


def test_drops_at_random_have_no_period() -> None:
    assert found(list(at_random(Random(3), "press", 400))) == []


def scheduled(dice: Random, name: str, clients: int, every: float, phase: float, own: bool) -> Iterator[Line]:
    """Clients that are all cut at the same phase, or each at one of its own, and take a while to come back."""
    for client in range(clients):
        shift = dice.uniform(0, every) if own else phase
        opened = 0.0
        for turn in range(1, int(DAY / every)):
            at = shift + turn * every + dice.uniform(0, 0.4 if own else 20.0)
            yield dropped(at, client_id=f"{name}-{client}", duration_s=at - opened)
            opened = at + dice.uniform(20, 200)


def test_a_job_at_minute_17_follows_the_wall_clock_though_ages_are_nearly_equal() -> None:
    (one,) = found(list(scheduled(Random(4), "till", 8, 3600.0, 17 * 60.0, own=False)))
    assert one.numbers["clock"] == "wall_clock"
    assert one.numbers["period_s"] == 3600.0
    assert "at minute 17" in one.title
    assert float(str(one.numbers["rayleigh"])) < 1e-4


def test_a_lease_on_each_devices_own_clock_is_no_age() -> None:
    (one,) = found(list(scheduled(Random(5), "cam", 8, 7200.0, 0.0, own=True)))
    assert one.numbers["clock"] == "wall_clock"
    assert one.numbers["period_s"] == pytest.approx(7200.0, abs=1.0)


def test_a_fleet_that_began_all_at_once_cannot_tell_age_from_wall_clock() -> None:
    lines = [
        dropped(
            turn * 3600.5 + 0.01 * n, client_id=f"robot-{n}", duration_s=3600.0 + 0.001 * n, keep_alive=300
        )
        for turn in range(1, 4)
        for n in range(30)
    ]
    (one,) = found(lines)
    assert one.numbers["clock"] == "unclear"
    assert one.confidence is Confidence.UNCLEAR
    assert "connected at another time would settle it" in one.basis


def test_one_crowd_that_ended_together_is_an_incident_and_no_period() -> None:
    lines = [dropped(5000.0 + 0.01 * n, client_id=f"robot-{n}", duration_s=4321.0) for n in range(50)]
    assert found(lines) == []


def test_ages_that_are_the_second_ping_are_no_lifetime() -> None:
    dice = Random(9)
    lines = [
        dropped(
            dice.uniform(0, DAY), client_id=f"esp-{n % 7}", duration_s=120.1 + 0.02 * (n % 5), idle_s=0.01
        )
        for n in range(60)
    ]
    assert found(lines) == []


def test_a_keep_alive_timeout_at_one_age_is_told_by_its_own_rule() -> None:
    dice = Random(10)
    lines = [
        dropped(
            dice.uniform(0, DAY),
            client_id=f"esp-{n % 7}",
            cause="keep_alive_timeout",
            duration_s=400.0,
            idle_s=90.0,
        )
        for n in range(60)
    ]
    assert found(lines) == []


def test_an_outage_with_its_storm_is_no_schedule() -> None:
    dice = Random(6)
    storm = [
        dropped(40_000 + dice.uniform(0, 300), client_id=f"press-{n % 100}", duration_s=dice.uniform(1, 5000))
        for n in range(2000)
    ]
    assert found([*storm, *at_random(dice, "press", 200)]) == []


def test_a_single_client_taken_over_every_quarter_hour_follows_the_wall_clock() -> None:
    dice = Random(7)
    fight = [
        dropped(
            900.0 * turn + 2.0, client_id="homeassistant", cause="takeover", duration_s=dice.uniform(700, 880)
        )
        for turn in range(1, 60)
    ]
    (one,) = found([*fight, *at_random(dice, "press", 100)])
    assert one.subject == "homeassistant"
    assert one.numbers["period_s"] == 900.0
    assert "at minute 0, 15, 30, 45" in one.title
    assert "rival" in one.advice


#: Silences at which presses that ping every minute happened to drop in three days, and how many: a clump by chance.
_CLUMP = (
    *(
        (20.3, 3),
        (21.4, 2),
        (21.8, 2),
        (22.4, 2),
        (22.9, 1),
        (24.0, 1),
        (24.5, 1),
        (25.3, 1),
        (27.4, 1),
        (28.0, 3),
    ),
    *(
        (29.4, 2),
        (31.0, 2),
        (31.5, 1),
        (32.3, 3),
        (33.0, 3),
        (33.7, 3),
        (34.9, 2),
        (36.3, 1),
        (37.8, 4),
        (39.4, 2),
    ),
    *(
        (41.3, 2),
        (42.3, 1),
        (43.9, 2),
        (46.3, 1),
        (47.8, 1),
        (48.6, 1),
        (49.4, 1),
        (52.36, 2),
        (53.3, 8),
        (54.4, 3),
    ),
    *((55.8, 1), (58.2, 1)),
)


def test_a_clump_of_silences_with_few_around_it_is_no_period() -> None:
    silences = [silence + 0.01 * n for silence, count in _CLUMP for n in range(count)]
    lines = [
        dropped(
            7919.0 * n % (3 * DAY), client_id=f"press-{n % 20}", cause="client_reset", silence_s=silence,
            idle_s=silence, duration_s=300.0 * 1.05**n,
        )
        for n, silence in enumerate(silences)
    ]  # fmt: skip
    assert found(lines) == []


def test_silence_limits_of_a_service_follow_the_last_packet() -> None:
    dice = Random(8)
    lines = [
        dropped(
            n * 1000.0,
            client_id=f"probe-{n % 9}",
            keep_alive=(1800, 3600)[n % 2],
            duration_s=dice.uniform(2000, 9000),
            silence_s=1200.0 + dice.uniform(0, 2),
            idle_s=30.0,
        )
        for n in range(40)
    ]
    (one,) = found(lines)
    assert one.numbers["clock"] == "since_last_packet"
    assert one.numbers["fits"] == ["ClearBlade's limit on silence"]
    assert one.owner is Owner.BROKER


def test_a_silence_that_is_a_multiple_of_the_one_keep_alive_is_a_peers_timer() -> None:
    lines = [
        dropped(
            n * 1000.0,
            client_id=f"probe-{n % 9}",
            keep_alive=600,
            silence_s=600.2,
            idle_s=0.0,
            duration_s=900.0 * n,
        )
        for n in range(2, 40)
    ]
    assert found(lines) == []


def test_a_log_that_was_read_twice_has_the_same_periods() -> None:
    once = list(lives(Random(1), "meter", 6, 3600.0, (2, 240)))
    (one,) = found(once * 2)
    assert one.numbers["clock"] == "since_connect"


def test_a_limit_of_the_path_is_told_as_such_and_not_again_as_a_period() -> None:
    dice = Random(11)
    lines = [
        dropped(
            dice.uniform(0, 2 * DAY),
            client_id=f"far-{n % 5}",
            cause=("idle_cut", "client_reset")[n % 2],
            closed_by="client",
            keep_alive=(300, 600)[n // 2 % 2],
            idle_s=120.1 + 0.01 * (n % 9),
            silence_s=120.1 + 0.01 * (n % 9),
            gap_max_s=80.0,
            duration_s=300.0 + 77.7 * n,
        )
        for n in range(40)
    ]
    assert found(lines) == []

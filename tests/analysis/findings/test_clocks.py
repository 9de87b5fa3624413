"""Age or schedule: who comes back later tells, where ages and ends alone vary too much to."""

from __future__ import annotations

from random import Random

import pytest

from kaproxy.analysis.findings.clocks import Follows, Lives, follows

HOUR, DAY = 3600.0, 86_400.0


def scheduled(seed: int, clients: int, spread_s: float, misses: float, away_s: tuple[float, float]) -> Lives:
    """Each is cut within `spread_s` of every hour, sometimes not, and comes back after a while."""
    dice = Random(seed)
    rows: list[tuple[float, float, int]] = []
    for client in range(clients):
        opened = dice.uniform(0, 60)
        for turn in range(1, 60):
            ends = turn * HOUR + 900.0 + dice.uniform(0, spread_s)
            if dice.random() >= misses:
                rows.append((opened, ends, client))
                opened = ends + dice.uniform(*away_s)
    return _lives(rows)


def aged(seed: int, clients: int, spread_s: float, away_s: tuple[float, float]) -> Lives:
    """Each lives for an hour, and comes back after a while."""
    dice = Random(seed)
    rows = []
    for client in range(clients):
        at = dice.uniform(0, HOUR)
        while at < 2 * DAY:
            ends = at + HOUR + dice.uniform(0, spread_s)
            rows.append((at, ends, client))
            at = ends + dice.uniform(*away_s)
    return _lives(rows)


def _lives(rows: list[tuple[float, float, int]]) -> Lives:
    """Those of about the commonest age."""
    kept = sorted(
        (row for row in rows if 0.9 * HOUR <= row[1] - row[0] <= 1.1 * HOUR), key=lambda row: row[1]
    )
    began, ended, clients = zip(*kept, strict=True)
    return Lives(began, ended, clients)


@pytest.mark.parametrize("seed", range(8))
def test_three_clients_of_a_loose_job_that_misses_some_follow_the_schedule(seed: int) -> None:
    assert follows(scheduled(seed, 3, 40.0, 0.3, (20, 200))) is Follows.WALL


@pytest.mark.parametrize("seed", range(8))
def test_three_clients_of_a_loose_lifetime_follow_their_age(seed: int) -> None:
    assert follows(aged(seed, 3, 40.0, (20, 200))) is Follows.AGE


@pytest.mark.parametrize("seed", range(4))
def test_pauses_that_are_all_alike_leave_it_to_the_other_tests(seed: int) -> None:
    assert follows(aged(seed, 6, 0.5, (2.0, 2.2))) in (Follows.AGE, Follows.EITHER)
    assert follows(scheduled(seed, 6, 0.5, 0.0, (2.0, 2.2))) in (Follows.WALL, Follows.EITHER)

"""Idle times and ages alike by chance are no sign of a common reason, and a box shows among them all the same."""

from __future__ import annotations

from random import Random

import pytest

from kaproxy.connection import Directory
from kaproxy.connection.directory import Death
from kaproxy.connection.evidence import Evidence, Neighbours
from kaproxy.diagnosis import diagnose
from kaproxy.diagnosis.rules.neighbours import by_chance
from kaproxy.diagnosis.verdict import Cause, Confidence, Verdict
from tests.diagnosis.build import CLIENT_LEFT, QUIET, evidence

KEEP_ALIVES = (120, 180, 300, 600)


def ended(directory: Directory, at: float, idle_s: float, keep_alive: int) -> Verdict:
    """A client reset its connection after that idle time; said by what the earlier ones tell."""
    death = Death(at, 1e6 * at, idle_s, keep_alive)
    same, keep_alives, near = directory.same_idle(death)
    directory.note_death(death)
    others = Neighbours(9, 1, same_idle=same, same_idle_keep_alives=keep_alives, near_idle=near)
    return diagnose(_reset(idle_s, keep_alive, others))


def _reset(idle_s: float, keep_alive: int, others: Neighbours) -> Evidence:
    return evidence(
        **{**QUIET, **CLIENT_LEFT, "keep_alive": keep_alive, "silence": idle_s, "neighbours": others}
    )


def likely(verdict: Verdict) -> bool:
    return verdict.cause is Cause.IDLE_CUT and verdict.confidence is Confidence.LIKELY


@pytest.mark.parametrize("longest_s", [45.0, 110.0, 290.0])
def test_resets_at_random_are_not_likely_a_box(longest_s: float) -> None:
    rng, directory = Random(7), Directory()
    said = [
        ended(directory, 10.0 * turn, rng.uniform(10.0, longest_s), rng.choice(KEEP_ALIVES))
        for turn in range(1200)
    ]
    assert sum(likely(each) for each in said) <= 1


def test_a_box_is_likely_from_its_fourth_cut_on() -> None:
    rng, directory = Random(7), Directory()
    said = [
        ended(directory, 10.0 * turn, 77.0 + rng.uniform(0.0, 0.4), KEEP_ALIVES[turn % 4])
        for turn in range(6)
    ]
    assert [likely(each) for each in said] == [False, False, False, True, True, True]


def test_a_box_is_likely_among_resets_at_random_once_it_has_cut_often() -> None:
    rng, directory = Random(7), Directory()
    said = []
    for turn in range(600):
        idle_s = 77.0 + rng.uniform(0.0, 0.4) if turn % 2 else rng.uniform(10.0, 110.0)
        said.append((turn % 2, likely(ended(directory, 10.0 * turn, idle_s, rng.choice(KEEP_ALIVES)))))
    late = said[100:]
    assert all(found for cut, found in late if cut)
    assert sum(found for cut, found in late if not cut) < 0.05 * len(late)


def test_the_chance_falls_with_those_alike_and_rises_with_those_about() -> None:
    assert by_chance(0, 50, 77.0) == 1.0
    alike = [by_chance(count, 60, 77.0) for count in (1, 2, 4, 8, 16)]
    assert alike == sorted(alike, reverse=True)
    about = [by_chance(4, near, 77.0) for near in (4, 10, 40, 200)]
    assert about == sorted(about)

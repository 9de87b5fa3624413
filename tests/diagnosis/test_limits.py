"""Idle limits of boxes: which an idle time matches, and which a pause has outlived."""

from __future__ import annotations

import pytest

from kaproxy.diagnosis.limits import IDLE_LIMITS, matching_limit, outlived_limit
from kaproxy.diagnosis.profiles import BROKER_PROFILES, cap_matching
from kaproxy.diagnosis.wording import moment


def test_the_limits_are_in_order_and_each_length_stands_once() -> None:
    lengths = [row.seconds for row in IDLE_LIMITS]
    assert lengths == sorted(set(lengths))
    assert len({row.root for row in IDLE_LIMITS}) == len(IDLE_LIMITS)


@pytest.mark.parametrize(
    ("idle_s", "root"),
    [(50.0, "limit_50s"), (59.6, "limit_60s"), (60.9, "limit_60s"), (350.02, "limit_350s")],
)
def test_an_idle_time_matches_the_limit_it_reached(idle_s: float, root: str) -> None:
    found = matching_limit(idle_s)
    assert found is not None
    assert found.root == root


@pytest.mark.parametrize("idle_s", [0.0, 45.0, 59.4, 61.1, 90.0, 100.0])
def test_an_idle_time_between_the_limits_matches_none(idle_s: float) -> None:
    assert matching_limit(idle_s) is None


@pytest.mark.parametrize(
    ("pause_s", "seconds"), [(100.0, None), (239.0, None), (300.0, 240), (400.0, 350), (1000.0, 900)]
)
def test_a_pause_outlives_the_limits_below_it_that_forget(pause_s: float, seconds: int | None) -> None:
    found = outlived_limit(pause_s)
    assert (found.seconds if found else None) == seconds


@pytest.mark.parametrize(
    ("name", "keep_alive", "silence_s", "whose"),
    [
        ("unknown", 300, 91.0, "artemis"),
        ("unknown", 0, 91.0, "artemis"),
        ("unknown", 60, 91.0, None),
        ("unknown", 400, 450.05, "gmqtt"),
        ("unknown", 0, 450.05, None),
        ("unknown", 1800, 1767.0, "azure"),
        ("aws", 1800, 1810.0, "aws"),
        ("gmqtt", 300, 91.0, None),
        ("mosquitto_2.0", 300, 91.0, None),
        ("learned:mosquitto_2.0:5", 300, 91.0, "artemis"),
    ],
)
def test_a_silence_below_the_limit_matches_the_cap_of_a_broker_that_has_one(
    name: str, keep_alive: int, silence_s: float, whose: str | None
) -> None:
    found = cap_matching(name, keep_alive, silence_s, (0.2, 0.3))
    assert (found.name if found else None) == whose


def test_every_cap_is_a_whole_number_of_seconds_with_a_window() -> None:
    capped = [row for row in BROKER_PROFILES.values() if row.keep_alive_max]
    assert capped
    assert all(row.window.limits(row.keep_alive_max or 0) for row in capped)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0 ms"), (0.0004, "0.4 ms"), (0.003, "3 ms"), (0.0126, "13 ms"), (1.25, "1.25 s")],
)
def test_moments_are_told_in_milliseconds(value: float, text: str) -> None:
    assert moment(value) == text

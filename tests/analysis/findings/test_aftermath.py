"""How clients come back: doubled waits back off, equal ones do not; a spread first attempt is jitter."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from random import Random

from kaproxy.analysis.findings.aftermath import Backoff, Jitter, Return, Shape, peak, shape


def came_back(clients: int, waits: Callable[[Random], list[float]]) -> Shape:
    rng = Random(2)
    found = shape([Return("press-#", tuple(accumulate(waits(rng))), True) for _ in range(clients)])
    assert found is not None
    return found


def test_waits_that_double_with_jitter_are_no_storm() -> None:
    found = came_back(40, lambda rng: [2.0**n * rng.uniform(0.5, 1.5) for n in range(5)])
    assert (found.backoff, found.jitter, found.storms) == (Backoff.GROWS, Jitter.SPREAD, False)
    assert found.words == "back-off, jitter"


def test_an_attempt_every_second_is_a_storm_even_of_a_few() -> None:
    found = came_back(8, lambda rng: [rng.uniform(0, 3), *[1.0] * 20])
    assert (found.backoff, found.jitter, found.storms) == (Backoff.NONE, Jitter.NONE, True)


def test_waits_that_have_grown_to_their_cap_are_no_storm() -> None:
    found = came_back(40, lambda rng: [min(60.0, 2.0**n) * rng.uniform(0.5, 1.5) for n in range(20)])
    assert (found.backoff, found.storms) == (Backoff.GROWS, False)


def test_all_of_many_at_the_same_moment_are_a_storm() -> None:
    assert came_back(30, lambda rng: [5.0 + rng.uniform(0, 0.2)]).storms


def test_a_handful_at_the_same_moment_or_many_spread_over_a_minute_are_none() -> None:
    assert not came_back(6, lambda rng: [5.0]).storms
    assert not came_back(200, lambda rng: [rng.uniform(1, 60)]).storms


def test_one_attempt_each_tells_nothing_of_backing_off() -> None:
    found = came_back(30, lambda rng: [rng.uniform(1, 60)])
    assert (found.backoff, found.growth) == (Backoff.UNKNOWN, None)


def test_too_few_clients_have_no_shape() -> None:
    assert shape([Return("press-#", (1.0,), True)] * 2 + [Return("press-#", (), False)] * 9) is None


def test_the_peak_is_the_fullest_second() -> None:
    assert peak([0.1, 0.9, 1.0, 5.2]) == 2
    assert peak([]) == 0

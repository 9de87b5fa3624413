"""Chance: the tails are those of the distributions, and what is called surprising hardly ever comes about."""

from __future__ import annotations

import math

import pytest

from kaproxy.analysis.findings.chance import (
    LEVEL,
    binomial_tail,
    poisson_tail,
    rates_differ,
    surprising,
)


def test_tails_are_those_of_the_textbook() -> None:
    assert math.isclose(poisson_tail(1, 2.0), 1 - math.exp(-2))
    assert math.isclose(poisson_tail(2, 2.0), 1 - 3 * math.exp(-2))
    assert math.isclose(binomial_tail(3, 3, 0.5), 0.125)
    assert poisson_tail(0, 5.0) == binomial_tail(0, 5, 0.1) == 1.0


@pytest.mark.parametrize("mean", [1e-6, 0.01, 1.0, 40.0, 5000.0])
def test_surprising_is_the_smallest_count_that_chance_hardly_makes(mean: float) -> None:
    count = surprising(mean, 86_400)
    assert poisson_tail(count, mean) * 86_400 <= LEVEL
    assert count == 1 or poisson_tail(count - 1, mean) * 86_400 > LEVEL


def test_equal_rates_do_not_differ_and_tenfold_ones_do() -> None:
    assert rates_differ(10, 1.0, 100, 10.0) > 0.1
    assert rates_differ(100, 1.0, 100, 10.0) < 1e-9
    assert rates_differ(5, 0.0, 3, 0.0) == 1.0

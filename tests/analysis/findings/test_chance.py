"""Chance: the tails are those of the distributions, and what is called surprising hardly ever comes about."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

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


_NEAR = 1e-8


@given(st.floats(1e-6, 1e5), st.floats(-8, 40))
def test_poisson_tails_are_those_of_scipy(mean: float, spreads: float) -> None:
    count = max(1, round(mean + spreads * math.sqrt(mean)))
    assert math.isclose(
        poisson_tail(count, mean), special.pdtrc(count - 1, mean), rel_tol=_NEAR, abs_tol=1e-290
    )


@given(st.integers(1, 100_000), st.floats(0, 1), st.floats(-8, 40))
def test_binomial_tails_are_those_of_scipy(of: int, chance: float, spreads: float) -> None:
    count = min(of, max(1, round(of * chance + spreads * math.sqrt(of * chance * (1 - chance)))))
    theirs = special.bdtrc(count - 1, of, chance)
    assert math.isclose(binomial_tail(count, of, chance), theirs, rel_tol=_NEAR, abs_tol=1e-290)


@pytest.mark.parametrize("mean", [1e-6, 0.01, 1.0, 40.0, 5000.0])
def test_surprising_is_the_smallest_count_that_chance_hardly_makes(mean: float) -> None:
    count = surprising(mean, 86_400)
    assert poisson_tail(count, mean) * 86_400 <= LEVEL
    assert count == 1 or poisson_tail(count - 1, mean) * 86_400 > LEVEL


def test_equal_rates_do_not_differ_and_tenfold_ones_do() -> None:
    assert rates_differ(10, 1.0, 100, 10.0) > 0.1
    assert rates_differ(100, 1.0, 100, 10.0) < 1e-9
    assert rates_differ(5, 0.0, 3, 0.0) == 1.0

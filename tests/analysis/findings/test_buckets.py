"""Log buckets: a quantile read from them is within the error they promise, in Python as in SQL."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaproxy.analysis.findings.buckets import ERROR, Buckets, bucket, bucket_sql, edges, middle
from tests.analysis.findings.table import table

VALUES = st.floats(0, 1e6, allow_nan=False)


@given(VALUES)
def test_a_value_lies_in_its_bucket_and_near_its_middle(value: float) -> None:
    low, high = edges(bucket(value))
    assert low - 1e-9 <= value <= high + 1e-9 * max(1.0, high)
    assert abs(middle(bucket(value)) - value) <= ERROR * value * 1.001 + 2e-6


def test_the_error_is_about_one_percent() -> None:
    assert math.isclose(ERROR, 0.0109, abs_tol=1e-4)


@given(st.lists(VALUES, min_size=1, max_size=60), st.floats(0, 1))
def test_a_quantile_is_near_the_value_of_its_rank(values: list[float], part: float) -> None:
    buckets = Buckets()
    for value in values:
        buckets.add(bucket(value))
    rank = max(0, math.ceil(part * len(values)) - 1)
    exact = sorted(values)[rank]
    found = buckets.quantile(part)
    assert found is not None
    assert abs(found - exact) <= ERROR * exact * 1.001 + 2e-6


def test_sql_and_python_name_the_same_buckets() -> None:
    gaps = [0.0, 0.001, 1.0, 15.0, 97.123, 4321.0]
    rows_of = table({"gap_max_s": gap, "conn_id": str(n)} for n, gap in enumerate(gaps))
    rows = rows_of.rows(f"select gap_max_s, {bucket_sql('gap_max_s')} from {{closed}} order by gap_max_s")
    assert [found for _, found in rows] == [bucket(gap) for gap in gaps]


@pytest.mark.parametrize("value", [None, -1.0])
def test_what_is_unknown_or_negative_has_no_bucket(value: float | None) -> None:
    rows_of = table([{"margin_min_s": value}])
    assert rows_of.rows(f"select {bucket_sql('margin_min_s')} from {{closed}}") == [(None,)]


def test_two_distributions_are_added_and_asked_for_what_lies_above() -> None:
    both = Buckets([(bucket(1.0), 3)]) + Buckets([(bucket(1.0), 1), (bucket(50.0), 2)])
    assert both.total == 6
    assert both.above(2.0) == 2
    assert Buckets().quantile(0.5) is None

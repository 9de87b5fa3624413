"""Numbers and times are written as Python itself would write them, only sooner."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaproxy.diagnosis.kinds import TIME
from kaproxy.diagnosis.numbers import to_millionths, to_thousandths, utc, with_micros, with_thousandths

FLOATS = st.floats() | st.floats(-2e9, 2e9) | st.floats(-1, 1) | st.integers(-(10**12), 10**12).map(float)
NEAR_TIES = st.integers(0, 10**7).map(lambda many: many / 2000)
EDGES = (0.0, -0.0, 5e-4, 1.5e-3, 2.5e-3, 0.9995, 999.9995, 999_999.999_5, 1e6, 1e9, 5e-324)


@given((FLOATS | NEAR_TIES).map(lambda value: value + 0.0))
def test_rounded_numbers_are_those_of_round(value: float) -> None:
    assert repr(to_thousandths(value)) == repr(round(value, 3))
    assert repr(to_millionths(value)) == repr(round(value, 6))
    assert repr(to_millionths(value / 1e3)) == repr(round(value / 1e3, 6))


@given(FLOATS | NEAR_TIES | st.sampled_from(EDGES))
def test_three_decimals_are_those_of_a_format(value: float) -> None:
    assert with_thousandths(value) == f"{value:.3f}"


@given(st.floats(-1e9, 4e9))
def test_a_moment_has_the_microseconds_of_its_datetime(value: float) -> None:
    told = datetime.fromtimestamp(value, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert TIME.write(value) == utc(value) == told


@pytest.mark.parametrize(
    ("second", "micros", "told"),
    [
        (0, 0, "1970-01-01T00:00:00.000000Z"),
        (1795414353, 7, "2026-11-23T06:12:33.000007Z"),
        (1795414353, 999_999, "2026-11-23T06:12:33.999999Z"),
    ],
)
def test_microseconds_have_six_digits(second: int, micros: int, told: str) -> None:
    assert with_micros(second, micros) == told


def test_many_seconds_are_each_their_own() -> None:
    texts = [with_micros(second % 50, 0) for second in range(150)]
    assert texts[:50] == texts[50:100] == texts[100:]
    assert len(set(texts)) == 50

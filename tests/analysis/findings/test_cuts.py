"""Cuts: a crowd at one idle time stands out of an even spread, and the fullest window is found as by looking at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kaproxy.analysis.findings.cuts import clusters, fullest, width
from kaproxy.analysis.findings.idle_gaps import Bin

_BINS = st.lists(
    st.tuples(st.integers(30, 400), st.floats(0, 0.49), st.floats(0, 0.49), st.integers(1, 9)), min_size=1
)


def test_a_crowd_at_one_time_is_found_and_an_even_spread_is_none() -> None:
    even = [Bin(float(second), second + 0.4, 1) for second in range(20, 600, 3)]
    assert list(clusters(even)) == []
    crowd = [Bin(300.1, 300.4, 40), Bin(300.5, 300.9, 30)]
    (found,) = clusters([*even, *crowd])
    assert found.low_s <= 300.1
    assert 300.9 <= found.high_s <= found.low_s + width(found.low_s)
    assert 70 <= found.count <= 72


@given(_BINS)
def test_the_fullest_window_is_the_one_that_looking_at_every_window_finds(
    drawn: list[tuple[int, float, float, int]],
) -> None:
    bins = sorted(
        (
            Bin(half / 2 + min(one, other), half / 2 + max(one, other), count)
            for half, one, other, count in drawn
        ),
        key=lambda each: each.low_s,
    )
    windows = [
        [each for each in bins[start:] if each.high_s <= first.low_s + width(first.low_s)]
        for start, first in enumerate(bins)
    ]
    best = max(windows, key=lambda inside: sum(each.count for each in inside))
    expected = Bin(best[0].low_s, max(each.high_s for each in best), sum(each.count for each in best))
    assert fullest(bins) == expected

"""Facts about the largest time span since any moment."""

import random

from kaproxy.relay.peaks import Peaks


def test_nothing_measured_is_zero() -> None:
    assert Peaks().since(0.0) == 0.0


def test_the_largest_later_span_counts() -> None:
    peaks = Peaks()
    for span, ended in [(0.5, 10.0), (0.1, 20.0), (0.3, 30.0), (0.2, 40.0)]:
        peaks.add(span, ended)
    assert peaks.since(5.0) == 0.5
    assert peaks.since(15.0) == 0.3
    assert peaks.since(35.0) == 0.2
    assert peaks.since(41.0) == 0.0


def test_a_span_that_began_earlier_counts_with_its_overlap() -> None:
    peaks = Peaks()
    peaks.add(5.0, 10.0)
    peaks.add(0.5, 20.0)
    assert peaks.since(9.0) == 1.0
    assert peaks.since(9.9) == 0.5


def test_it_agrees_with_keeping_everything() -> None:
    rng = random.Random(7)
    for _ in range(200):
        spans = [(round(rng.uniform(0.001, 0.9), 4), float(at)) for at in range(1, 30)]
        peaks = Peaks()
        for span, ended in spans:
            peaks.add(span, ended)
        opened = rng.uniform(0, 31)
        expected = max((min(s, e - opened) for s, e in spans if e >= opened), default=0.0)
        assert abs(peaks.since(opened) - expected) < 1e-9


def test_memory_is_bounded_by_the_resolution() -> None:
    peaks = Peaks()
    for step in range(100_000):
        peaks.add(0.1 * (1 - step / 100_000), float(step))
    assert len(peaks._spans) <= 1001

"""Live connections: as many as a count moment by moment and line by line finds."""

from __future__ import annotations

import random

from kaproxy.analysis.findings.live import live_at
from tests.analysis.findings.table import at, table


def test_no_moment_needs_no_answer() -> None:
    with table() as engine:
        assert live_at(engine, []) == []


def test_those_open_then_are_counted_by_broker_and_brokers_together() -> None:
    rows = [
        {"broker_addr": "a", "opened_us": at(0), "ended_us": at(10)},
        {"broker_addr": "a", "opened_us": at(5), "ended_us": at(20)},
        {"broker_addr": "b", "opened_us": at(0), "ended_us": at(8)},
        {"broker_addr": "a", "opened_us": at(0), "ended_us": at(9), "phase": "connecting"},
    ]
    with table(rows) as engine:
        asked = [(["a"], at(7)), (["a", "b"], at(7)), (["a"], at(10)), (["a"], at(15)), (["nobody"], at(7))]
        assert live_at(engine, asked) == [2, 3, 2, 1, 0]


def test_those_established_and_not_closed_since_are_counted_too() -> None:
    closed = [{"broker_addr": "a", "opened_us": at(0), "ended_us": at(10)}]
    began = [
        {"event": "connection.established", "broker_addr": "a", "at_us": at(second)} for second in (0, 1, 2)
    ]
    with table(closed, began) as engine:
        assert live_at(engine, [(["a"], at(5)), (["a"], at(11))]) == [3, 2]


def test_many_moments_are_each_counted_as_if_asked_alone() -> None:
    rng = random.Random(5)
    spans = [(rng.randrange(500), rng.randrange(1, 200)) for _ in range(300)]
    rows = [
        {"broker_addr": "a", "opened_us": at(start), "ended_us": at(start + lasted)}
        for start, lasted in spans
    ]
    moments = [rng.randrange(800) for _ in range(40)]
    expected = [sum(start < moment <= start + lasted for start, lasted in spans) for moment in moments]
    with table(rows) as engine:
        assert live_at(engine, [(["a"], at(moment)) for moment in moments]) == expected

"""Changes: a cause that begins and stays is found at its moment; a burst, a rhythm and a growing fleet are not."""

from __future__ import annotations

from math import pi, sin
from random import Random
from typing import Any

from kaproxy.analysis.findings import changes
from kaproxy.diagnosis.verdict import Confidence
from tests.analysis.findings.table import at, table

DAY, HOUR = 86_400.0, 3600.0
LATE = {"cause": "keep_alive_timeout", "root": "pinged_late", "closed_by": "broker"}
ROLLOUT = 2.25 * DAY


def four_days(rate: Any, clients: int = 20, seed: int = 1) -> list[dict[str, Any]]:
    """Drops with this rate per hour at each moment, and clean endings all along."""
    rng = Random(seed)
    rows: list[dict[str, Any]] = []
    for hour in range(96):
        for _ in range(60):
            moment = (hour + rng.random()) * HOUR
            if rng.random() < rate(moment) / 60:
                rows.append({"client_id": f"press-{rng.randrange(clients)}", "ended_us": at(moment), **LATE})
        rows += [{"client_id": f"press-{n}", "ended_us": at((hour + 1) * HOUR)} for n in range(0, clients, 5)]
    return rows


def test_a_cause_that_begins_is_found_at_its_moment() -> None:
    (found,) = changes.find(table(four_days(lambda t: 5.0 if t > ROLLOUT else 0.1)))
    assert (found.kind, found.subject, found.numbers["begins"]) == ("change", "press-#", True)
    assert abs((found.first_us or 0) - at(ROLLOUT)) < 1.5 * HOUR * 1e6
    assert found.confidence is Confidence.LIKELY
    assert found.title.startswith("keep_alive_timeout/pinged_late of press-# begins at 2026-05-03")


def test_a_cause_that_ends_is_found_too() -> None:
    (found,) = changes.find(table(four_days(lambda t: 0.05 if t > ROLLOUT else 5.0)))
    assert found.numbers["begins"] is False
    assert " ends at 2026-05-03" in found.title


def test_a_steady_rate_is_no_change() -> None:
    assert changes.find(table(four_days(lambda t: 2.0))) == []


def test_a_daily_rhythm_is_no_change() -> None:
    assert changes.find(table(four_days(lambda t: 5.0 * max(0.0, sin(2 * pi * t / DAY))))) == []


def test_one_burst_is_no_change() -> None:
    burst = [{"client_id": f"press-{n % 20}", "ended_us": at(ROLLOUT + n), **LATE} for n in range(300)]
    assert changes.find(table([*four_days(lambda t: 0.2), *burst])) == []


def test_a_fleet_that_grows_is_no_change() -> None:
    few = [row for row in four_days(lambda t: 1.0, clients=5) if row["ended_us"] < at(ROLLOUT)]
    many = [row for row in four_days(lambda t: 8.0, clients=60, seed=2) if row["ended_us"] >= at(ROLLOUT)]
    assert changes.find(table([*few, *many])) == []


def test_one_client_that_goes_bad_is_no_change_of_its_group() -> None:
    bad = four_days(lambda t: 5.0 if t > ROLLOUT else 0.0, clients=1)
    assert changes.find(table([*bad, *four_days(lambda t: 0.0)])) == []


def test_within_one_day_a_rhythm_looks_alike() -> None:
    rows = [row for row in four_days(lambda t: 20.0 if t > 0.6 * DAY else 0.1) if row["ended_us"] < at(DAY)]
    (found,) = changes.find(table(rows))
    assert found.confidence is Confidence.UNCLEAR
    assert "daily rhythm" in found.basis


def test_a_short_or_empty_log_has_none() -> None:
    assert changes.find(table([{"ended_us": at(1)}, {"ended_us": at(2)}])) == []
    assert changes.find(table()) == []


def test_the_split_is_where_the_rate_changes() -> None:
    assert changes.split([0, 0, 1, 0, 0, 7, 9, 8, 9]) == 5
    assert changes.split([3, 3]) is None

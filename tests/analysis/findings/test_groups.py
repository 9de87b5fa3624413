"""Groups that stand out: by their rate per time connected, not by their number, and not by one client of theirs."""

from __future__ import annotations

from random import Random
from typing import Any

from kaproxy.analysis.findings import groups
from tests.analysis.findings.table import at, table

HOUR = 3600.0


def fleet(rates: dict[str, tuple[int, float]], *, net: str = "10.0.0", seed: int = 3) -> list[dict[str, Any]]:
    """A day of clients: group -> how many, and how likely each of the 24 hours of one ends in a drop."""
    rng = Random(seed)
    rows = []
    for group, (clients, chance) in rates.items():
        for number in range(clients):
            for hour in range(24):
                drop = rng.random() < chance
                rows.append(
                    {
                        "client_id": f"{group}-{number}",
                        "client_net": f"{net}.0/24",
                        "opened_us": at(hour * HOUR),
                        "ended_us": at((hour + 1) * HOUR),
                        "cause": "client_closed" if drop else "client_disconnect",
                    }
                )
    return rows


def test_a_group_with_many_times_the_rate_is_found() -> None:
    (found,) = groups.find(table(fleet({"press": (20, 0.3), "gauge": (80, 0.02)})))
    assert (found.kind, found.subject) == ("often_client_group", "press-#")
    assert 10 < found.numbers["ratio"] < 25  # type: ignore[operator]
    assert found.numbers["cause"] == "client_closed"
    assert found.numbers["clients"] == 20


def test_a_group_that_is_only_larger_is_not() -> None:
    assert groups.find(table(fleet({"press": (150, 0.05), "gauge": (10, 0.05)}))) == []


def test_one_bad_client_does_not_make_its_group_stand_out() -> None:
    rows = fleet({"press": (20, 0.01), "gauge": (80, 0.01)})
    bad = [
        {"client_id": "press-7", "ended_us": at(n * 600), "duration_s": 500.0, "cause": "client_reset"}
        for n in range(140)
    ]
    assert [each.subject for each in groups.find(table([*rows, *bad]))] == []


def test_a_network_whose_drops_are_those_of_a_group_told_of_is_not_told_again() -> None:
    bad = fleet({"press": (20, 0.3)}, net="10.9.9")
    good = fleet({"gauge": (80, 0.02)}, net="10.0.0")
    assert [each.kind for each in groups.find(table([*bad, *good]))] == ["often_client_group"]


def test_a_network_of_all_kinds_of_clients_is_found() -> None:
    names = {"press": (10, 0.3), "gauge": (10, 0.3)}
    bad = fleet(names, net="10.9.9")
    good = [
        {**row, "client_id": f"{row['client_id']}00"}
        for row in fleet({"press": (60, 0.02), "gauge": (60, 0.02)}, net="10.0.0", seed=4)
    ]
    found = groups.find(table([*bad, *good]))
    assert [(each.kind, each.subject) for each in found] == [("often_client_net", "10.9.9.0/24")]

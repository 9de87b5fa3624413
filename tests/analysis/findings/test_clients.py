"""Clients by drops: the few that make most of them are named, an even spread is told as such."""

from __future__ import annotations

from random import Random
from typing import Any

from kaproxy.analysis.findings import clients
from tests.analysis.findings.table import at, table

DAY = 86_400.0


def days(drops: dict[str, int], cause: str = "client_reset", **more: Any) -> list[dict[str, Any]]:
    """Two days in which each client drops so often, and ends in order once."""
    rng = Random(7)
    rows: list[dict[str, Any]] = []
    for client, count in drops.items():
        rows += [
            {"client_id": client, "ended_us": at(rng.uniform(0, 2 * DAY)), "cause": cause, **more}
            for _ in range(count)
        ]
        rows.append({"client_id": client, "ended_us": at(2 * DAY)})
    return rows


def test_the_few_that_make_most_of_the_drops_are_named() -> None:
    found = clients.find(
        table(days({**{f"press-{n}": 1 for n in range(60)}, "press-77": 90, "press-78": 40}))
    )
    assert (
        found[0].title == "2 of 62 clients make half of all drops: begin with them"
        or found[0].numbers["half_of_drops_clients"] == 2
    )
    assert [each.subject for each in found[1:]] == ["press-77", "press-78"]
    worst = found[1]
    assert worst.drops == 90
    assert 44 < worst.numbers["drops_per_day"] < 47  # type: ignore[operator]
    assert worst.numbers["by_cause"] == {"client_reset": 90}


def test_drops_at_random_make_nobody_stand_out() -> None:
    rng = Random(5)
    counts = {f"press-{n}": sum(rng.random() < 0.02 for _ in range(100)) for n in range(200)}
    found = clients.find(table(days(counts)))
    assert [each.kind for each in found] == ["drops_by_client"]
    assert found[0].title.startswith("Drops are spread over the clients")


def test_connections_without_connect_belong_to_no_client() -> None:
    rows = [{"client_id": None, "cause": "no_connect", "ended_us": at(n)} for n in range(50)]
    assert clients.find(table(rows)) == []


def test_the_fewest_clients_with_half_of_the_drops() -> None:
    assert clients.half_of([(90, 1), (40, 1), (1, 60)], 190) == 2
    assert clients.half_of([(2, 50)], 100) == 25
    assert clients.half_of([(0, 9)], 0) == 0


def test_a_client_is_held_against_its_own_kind() -> None:
    """All tills drop alike, which is their group's matter; one pump drops more often than other pumps."""
    tills = {f"till-{n}": 60 for n in range(4)}
    pumps = {**{f"pump-{n}": 1 for n in range(20)}, "pump-99": 18}
    found = clients.find(table(days({**tills, **pumps})))
    assert [each.subject for each in found if each.kind == "worst_client"] == ["pump-99"]


def test_dials_that_the_broker_refused_are_no_drops_of_the_client() -> None:
    refused = days({"press-1": 200}, cause="broker_refused")
    found = clients.find(table([*refused, *days({f"press-{n}": 1 for n in range(60)})]))
    assert [each.kind for each in found] == ["drops_by_client"]
    assert found[0].drops == 60

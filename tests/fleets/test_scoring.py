"""The score counts what it says: found, missed, wrong in a number, invented, and by what decoy one was fooled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kaproxy.analysis.findings.finding import Finding
from kaproxy.diagnosis.verdict import Confidence, Owner
from tests.fleets import table
from tests.fleets.scoring import score, shares, speaks_of, total
from tests.fleets.truth import Plant, Truth

CONNS = tuple(f"c{place}" for place in range(10))


def finding(kind: str, subject: str = "", conns: tuple[str, ...] = (), **more: Any) -> Finding:
    return Finding(
        kind,
        "It drops",
        Owner.PATH,
        Confidence.LIKELY,
        "Do",
        "Seen",
        subject=subject,
        connections=conns,
        **more,
    )


def plant(kind: str = "idle_limit", subjects: tuple[str, ...] = ("10.1.2.0/24",), **numbers: Any) -> Plant:
    return Plant(f"the {kind}", kind, "why", subjects, numbers or {"limit_s": 300.0}, list(CONNS))


def truth(*plants: Plant, decoys: tuple[Plant, ...] = ()) -> Truth:
    return Truth(1, list(plants), list(decoys))


LIMIT = finding("path_limit", "10.1.2.0/24", numbers={"limit_s": 301.0})


def test_a_plant_is_found_by_a_finding_of_its_kind_about_its_subject_with_its_number_right() -> None:
    row = score([LIMIT], truth(plant()))["idle_limit"]
    assert (row.planted, row.found, row.missed, row.wrong, row.invented) == (1, 1, [], [], [])


def test_a_number_that_is_off_is_wrong_and_not_found() -> None:
    row = score([finding("path_limit", "10.1.2.0/24", numbers={"limit_s": 350.0})], truth(plant()))[
        "idle_limit"
    ]
    assert (row.found, len(row.wrong), row.missed) == (0, 1, [])


def test_a_finding_without_the_number_is_wrong_too() -> None:
    assert score([finding("path_limit", "10.1.2.0/24")], truth(plant()))["idle_limit"].found == 0


def test_nothing_said_is_missed() -> None:
    row = score([finding("causes")], truth(plant()))["idle_limit"]
    assert (row.found, row.missed) == (0, ["the idle_limit"])


def test_a_finding_of_a_scored_kind_about_no_plant_is_invented_and_names_the_decoy_it_fell_for() -> None:
    fooled = finding("path_limit", "10.9.9.0/24", numbers={"limit_s": 300.0})
    decoy = Plant("no box", "no_idle_limit", "", ("10.9.9.0/24",))
    row = score([LIMIT, fooled], truth(plant(), decoys=(decoy,)))["idle_limit"]
    assert row.found == 1
    assert len(row.invented) == 1
    assert "no box" in row.invented[0]


def test_kinds_that_only_count_are_never_inventions() -> None:
    assert not any(row.invented for row in score([finding("causes"), finding("cause")], truth()).values())


@pytest.mark.parametrize(("shared", "about"), [(3, True), (2, True), (1, False), (0, False)])
def test_a_finding_speaks_of_a_plant_when_half_of_its_connections_are_the_plants(
    shared: int, about: bool
) -> None:
    conns = (*CONNS[:shared], *(f"x{place}" for place in range(4 - shared)))
    assert speaks_of(finding("path_limit", "elsewhere", conns), plant()) is about


def test_what_has_a_time_is_found_only_at_that_time() -> None:
    at = 1_790_000_000_000_000
    outage = plant("incident", ("broker:1883",), at_us=at)
    seen = finding("incident", "broker:1883", first_us=at + 200_000, last_us=at + 5_000_000)
    later = finding("incident", "broker:1883", first_us=at + 3_600_000_000, last_us=at + 3_700_000_000)
    assert score([seen], truth(outage))["incident"].found == 1
    row = score([later], truth(outage))["incident"]
    assert (row.found, len(row.invented)) == (0, 1)


def test_a_true_word_of_another_kind_about_a_plant_is_no_invention_and_finds_nothing() -> None:
    fight = Plant("fight", "takeover_fight", "", ("a-1",), {"addresses": [], "every_s": 5.0}, list(CONNS))
    rows = score([finding("worst_client", "a-1")], truth(fight))
    assert rows["takeover_fight"].found == 0
    assert not rows["worst_clients"].invented


def test_scores_of_several_logs_add_up_to_shares() -> None:
    one = score([LIMIT], truth(plant()))
    other = score([finding("path_limit", "10.8.8.0/24")], truth(plant()))
    whole = total([one, other])
    assert (whole["idle_limit"].planted, whole["idle_limit"].found) == (2, 1)
    assert shares(whole) == (0.5, 0.5)


def test_the_table_goes_between_its_markers_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n{table._BEGIN}\nold\n{table._END}\nAfter\n")
    table.put(table.markdown(score([LIMIT], truth(plant())), 1, 100, "Clear"), page)
    text = page.read_text()
    assert text.startswith("# Before\n")
    assert text.endswith("After\n")
    assert "| idle limits of a path | 1 | 1 | 0 | 0 | 0 |" in text
    assert "old" not in text


def test_a_page_without_the_markers_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Nothing here\n")
    with pytest.raises(ValueError, match="0 times"):
        table.put("text", page)

"""What is planted is found, and what is not is not said: floors for one small fleet, a healthy one, and a real log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from kaproxy.analysis.findings import Finding, find_all
from kaproxy.analysis.rejudge import rejudge
from kaproxy.analysis.store.opening import load
from tests.fleets import fleet, table
from tests.fleets.conftest import Made
from tests.fleets.keeping import held
from tests.fleets.scoring import KINDS, Score, score, shares

#: A log that the laboratory's proxies wrote: some 240 ways to drop, each before a broker of its own.
LAB = Path(__file__).with_name("lab.jsonl.gz")
#: The least part of what is planted that is found, and of what is said that is true.
FOUND, RIGHT = 0.9, 0.9
#: Kinds of which this fleet's plants must all be found.
SURE = (
    "incident",
    "storm",
    "takeover_fight",
    "lifetime",
    "lease",
    "job",
    "late_pingers",
    "worst_clients",
    "idle_limit",
    "broker_premature",
    "broker_stall",
    "proxy_lag",
    "keep_alive",
    "no_keep_alive",
)


def asked(*logs: Path) -> list[Finding]:
    with load([str(each) for each in logs]) as engine:
        return find_all(engine)


@pytest.fixture(scope="module", name="findings")
def _findings(made: Made) -> list[Finding]:
    return asked(made.path)


@pytest.fixture(scope="module", name="scored")
def _scored(made: Made, findings: list[Finding]) -> Score:
    return score(findings, made.truth)


def test_no_finder_fails(findings: list[Finding]) -> None:
    assert [each.title for each in findings if each.kind == "analysis_failed"] == []


def test_nearly_all_that_is_planted_is_found_and_hardly_anything_is_invented(scored: Score) -> None:
    found, right = shares(scored)
    told = "\n".join(table.details(scored))
    assert found >= FOUND, told
    assert right >= RIGHT, told


@pytest.mark.parametrize("kind", SURE)
def test_every_plant_of_a_sure_kind_is_found_with_its_numbers(kind: str, scored: Score) -> None:
    row = scored[kind]
    assert row.planted > 0
    assert (row.found, row.missed, row.wrong) == (row.planted, [], [])


def test_what_ifs_hold_what_would_have_happened(made: Made) -> None:
    with load([str(made.path)]) as engine:
        answers = held(engine, made.truth)
    assert len(answers) > 20
    assert [each.words for each in answers if not each.right] == []


def test_logs_of_each_process_say_what_the_log_of_all_says(
    made: Made, findings: list[Finding], tmp_path: Path
) -> None:
    apart = asked(*fleet.write_by_worker(tmp_path, made.path))
    assert said(apart) == said(findings)


def said(findings: Sequence[Finding]) -> Counter[tuple[str, str, str, int]]:
    return Counter((each.kind, each.subject, each.title, each.drops) for each in findings)


def test_nothing_is_wrong_with_a_healthy_fleet(tmp_path: Path) -> None:
    path = tmp_path / "fleet.jsonl"
    truth = fleet.write(path, 12_000, 2, fleet.HEALTHY)
    whole = score(asked(path), truth)
    assert sum(row.planted for row in whole.values()) == 0
    assert list(table.details(whole)) == []


def test_every_finding_of_a_real_log_is_whole() -> None:
    found = asked(LAB)
    assert {"causes", "late_pingers", "takeover_fight"} <= {each.kind for each in found}
    for each in found:
        assert each.title
        assert each.advice
        assert each.basis
        assert len(each.connections) <= 20
    assert "analysis_failed" not in {each.kind for each in found}


def test_no_path_is_blamed_and_no_fight_seen_between_brokers_in_a_real_log() -> None:
    found = asked(LAB)
    assert not [
        each.title for each in found if each.kind == "takeover_fight" and each.subject.startswith("several")
    ]


def test_the_evidence_of_every_line_of_a_real_log_can_be_read() -> None:
    found = rejudge([str(LAB)])
    assert found.judged > 400
    assert not found.unreadable
    assert not any(account.others for account in found.accounts.values())


def test_kinds_of_plants_and_rows_of_the_score_are_the_same(scored: Score) -> None:
    assert scored.keys() == KINDS.keys()

from __future__ import annotations

import pytest

from kaproxy.diagnosis import Cause, Confidence, diagnose
from kaproxy.diagnosis.judge import first_finding
from kaproxy.diagnosis.roots import ROOTS
from kaproxy.diagnosis.rules import RULES
from tests.diagnosis.cases import CASES, Case


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_case_gets_its_verdict(case: Case) -> None:
    verdict = diagnose(case.evidence)
    assert (verdict.cause, verdict.root, verdict.confidence) == (case.cause, case.root, case.confidence)
    if case.owner is not None:
        assert verdict.owner == case.owner
    if case.code is not None:
        assert verdict.code == case.code


def test_every_cause_has_a_case() -> None:
    assert {case.cause for case in CASES.values()} == set(Cause)


#: Limits are rows of one table, and kinds of strangers of another; one of each kind stands for all.
ALIKE = {Cause.IDLE_CUT, Cause.NOT_MQTT}


def test_every_root_in_the_catalogue_has_a_case() -> None:
    said = {(case.cause, case.root) for case in CASES.values()}
    told = {(cause, root) for cause, rows in ROOTS.items() if cause not in ALIKE for root in rows}
    told.remove((Cause.BROKER_DISCONNECT, "client_looks_fine"))  # a code is reason enough
    assert told <= said, sorted(map(str, told - said))


def test_every_rule_decides_at_least_one_case() -> None:
    deciding = {first_finding(case.evidence)[0] for case in CASES.values()}
    assert deciding == {rule.name for rule in RULES}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_verdict_says_who_how_and_what_to_do(case: Case) -> None:
    verdict = diagnose(case.evidence)
    assert verdict.explanation.endswith(".")
    assert "None" not in verdict.explanation
    assert ".." not in verdict.explanation
    assert verdict.advice.endswith((".", "?"))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_not_settled_says_what_would_settle_it(case: Case) -> None:
    verdict = diagnose(case.evidence)
    if verdict.confidence is not Confidence.SETTLED and verdict.cause is not Cause.PROXY_ERROR:
        assert verdict.would_settle


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_no_verdict_rules_out_itself(case: Case) -> None:
    verdict = diagnose(case.evidence)
    said = {verdict.cause, f"{verdict.cause}/{verdict.root}"}
    assert not said & {each.cause for each in verdict.ruled_out}


def test_the_last_rule_always_finds() -> None:
    last = RULES[-1].judge
    assert all(last(case.evidence) is not None for case in CASES.values())

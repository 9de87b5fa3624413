"""Causes by share: counted as they are, with whoever has to act, and as sure as the verdicts behind them."""

from __future__ import annotations

from kaproxy.analysis.findings import causes
from kaproxy.analysis.store import DuckEngine
from kaproxy.diagnosis.verdict import Confidence, Owner
from tests.analysis.findings.table import at, table

LATE = {"cause": "keep_alive_timeout", "root": "pinged_late", "closed_by": "broker", "confidence": "settled"}
CLOSED = {"cause": "client_closed", "close_how": "fin", "confidence": "unclear"}


def mixed() -> DuckEngine:
    late = [{**LATE, "ended_us": at(n), "client_id": f"press-{n % 2}"} for n in range(6)]
    return table([*late, *[{**CLOSED, "ended_us": at(9)}] * 3, *[{"ended_us": at(20)}] * 11])


def test_the_whole_is_told_first_and_clean_ends_are_no_drops() -> None:
    whole = causes.find(mixed())[0]
    assert whole.title.startswith("9 of 20 connections dropped (45 %): 67 % keep_alive_timeout/pinged_late")
    assert whole.numbers["by_cause"] == {"keep_alive_timeout/pinged_late": 6, "client_closed": 3}
    assert (whole.first_us, whole.last_us) == (at(0), at(20))


def test_each_cause_is_as_sure_as_its_verdicts_and_names_who_acts() -> None:
    _, late, closed = causes.find(mixed())
    assert (late.owner, late.confidence, late.drops) == (Owner.CLIENT_LIBRARY, Confidence.SETTLED, 6)
    assert late.connections[:2] == ("w-0", "w-1")
    assert late.numbers["clients"] == 2
    assert (closed.owner, closed.confidence) == (Owner.CLIENT_APP, Confidence.UNCLEAR)


def test_rare_causes_are_counted_without_a_finding_of_their_own() -> None:
    rare = [
        {"cause": name, "ended_us": at(1)} for name in ("client_reset", "broker_reset", "idle_cut", "unknown")
    ]
    found = causes.find(table([*rare, *[{**LATE, "ended_us": at(2)}] * 200]))
    assert [each.kind for each in found] == ["causes", "cause", "cause", "cause"]
    assert len(found[0].numbers["by_cause"]) == 5  # type: ignore[arg-type]


def test_a_log_without_drops_says_so_and_an_empty_one_nothing() -> None:
    (only,) = causes.find(table([{"ended_us": at(0)}] * 3))
    assert (only.title, only.confidence) == ("None of 3 connections dropped", Confidence.SETTLED)
    assert causes.find(table()) == []


def test_a_cause_of_a_later_version_is_told_by_its_name() -> None:
    found = causes.find(table([{"cause": "moon_phase", "root": "full", "ended_us": at(0)}]))
    assert found[1].title.startswith("moon_phase/full is 100 % of the drops")

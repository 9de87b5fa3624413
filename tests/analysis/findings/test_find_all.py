"""All finders together: told of while they work, none costs the report when it fails, all run on an empty log."""

from __future__ import annotations

from kaproxy.analysis.findings import FINDERS, find_all
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.store.engine import Engine, EngineError
from kaproxy.diagnosis.verdict import Confidence, Owner
from tests.analysis.findings.table import at, table


def _asks_wrong(engine: Engine) -> list[Finding]:
    engine.rows("select no_such_column from {closed}")
    raise AssertionError


def _has_a_bug(engine: Engine) -> list[Finding]:
    raise ZeroDivisionError("by nothing")


def test_a_finder_that_fails_is_a_finding_and_the_others_go_on() -> None:
    finders = (("x", _has_a_bug), ("y", _asks_wrong), FINDERS[0])
    bug, asked, *causes = find_all(table([{"ended_us": at(0)}]), finders=finders)
    assert (bug.kind, bug.subject, bug.owner) == ("analysis_failed", "x", Owner.PROXY)
    assert "ZeroDivisionError: by nothing" in bug.title
    assert (asked.owner, asked.numbers["error"]) == (Owner.OPERATOR, EngineError.__name__)
    assert causes[0].kind == "causes"


def test_progress_is_told_before_each() -> None:
    told: list[tuple[str, int, int]] = []
    find_all(table(), lambda *each: told.append(each), finders=FINDERS[:2])
    assert told == [("causes", 1, 2), ("changes", 2, 2)]


def test_no_finder_fails_on_an_empty_log_or_on_one_line() -> None:
    assert [each.title for each in find_all(table()) if each.kind == "analysis_failed"] == []
    one = find_all(table([{"ended_us": at(0), "cause": "client_reset", "client_id": None}]))
    assert [each.title for each in one if each.kind == "analysis_failed"] == []


def test_names_with_quotes_and_braces_break_no_query() -> None:
    name = "it's {closed} \\ 100%"
    rows = [
        {"client_id": name, "client_group": name, "ended_us": at(n), "cause": "client_reset"}
        for n in range(60)
    ]
    good = [{"client_id": f"press-{n}", "ended_us": at(n)} for n in range(60)]
    found = find_all(table([*rows, *good]))
    assert [each.title for each in found if each.kind == "analysis_failed"] == []
    assert name in {each.subject for each in found}


def test_only_one_finding_is_ever_settled_without_a_stated_code() -> None:
    """Counting is certain, and so is an acquittal of kaproxy; verdicts on a fleet are at most likely."""
    rows = [
        {"client_id": f"press-{n % 7}", "ended_us": at(n), "cause": "broker_closed", "confidence": "likely"}
        for n in range(90)
    ]
    settled = {each.kind for each in find_all(table(rows)) if each.confidence is Confidence.SETTLED}
    assert settled <= {"drops_by_client", "proxy"}

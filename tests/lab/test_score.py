"""What counts as right, as wrong `settled`, as warned; and that a missed bar is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.end_to_end.stage import ANY, Expected, Outcome, Scenario, Stage
from tests.lab.report import page
from tests.lab.score import Result, Score, score
from tests.peers.proxy import Line

HUNG = Expected("keep_alive_timeout", "client_hung", "client_app")
LINE = {"cause": "keep_alive_timeout", "root": "client_hung", "owner": "client_app", "confidence": "likely"}


async def _never(_: Stage) -> Line:
    raise AssertionError


def result(expected: Expected = HUNG, *warned: str, announced: bool | None = None, **line: Any) -> Result:
    played = Scenario("a drop", _never, expected, frozenset(), announced)
    return Result(played, Outcome({**LINE, **line}, warned))


def test_the_line_that_was_expected_is_right_in_cause_and_root() -> None:
    assert (result().right_cause, result().right_root, result().differences) == (True, True, [])


def test_another_root_is_a_miss_of_the_root_alone() -> None:
    other = result(root="never_pinged")
    assert (other.right_cause, other.right_root) == (True, False)


def test_another_cause_makes_the_root_wrong_too() -> None:
    other = result(cause="broker_closed")
    assert (other.right_cause, other.right_root) == (False, False)


def test_any_root_accepts_every_root_but_none() -> None:
    some = replace(HUNG, root=ANY)
    assert result(some).right_root
    assert not result(some, root=None).right_root
    assert not result(some).differences
    assert result(some, root=None).differences


def test_a_scenario_that_broke_off_counts_as_wrong() -> None:
    broken = Result(result().scenario, Outcome(error=RuntimeError("no broker")))
    assert not broken.right_cause
    assert "no broker" in broken.differences[0]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ({"confidence": "settled"}, False),
        ({"confidence": "settled", "root": None}, False),
        ({"confidence": "settled", "root": "never_pinged"}, True),
        ({"confidence": "settled", "cause": "broker_closed"}, True),
        ({"confidence": "likely", "cause": "broker_closed"}, False),
    ],
)
def test_settled_is_wrong_where_cause_or_a_named_root_is(line: dict[str, Any], wrong: bool) -> None:
    assert result(**line).wrong_settled is wrong


def test_settled_is_wrong_where_nobody_can_know() -> None:
    assert result(replace(HUNG, confidence=("likely", "unclear")), confidence="settled").wrong_settled


UNDECIDABLE = Expected(("broker_closed", "keep_alive_timeout"), None, undecidable="both look alike")


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ({"confidence": "unclear"}, True),
        ({"confidence": "likely"}, False),
        ({"confidence": "unclear", "ruled_out": [{"cause": "broker_closed", "because": "x"}]}, False),
        ({"confidence": "unclear", "cause": "takeover"}, False),
    ],
)
def test_what_cannot_be_decided_is_right_when_left_open(line: dict[str, Any], right: bool) -> None:
    assert result(UNDECIDABLE, **line).right_cause is right


def test_a_drop_announces_itself_by_its_cause_and_root_or_as_the_scenario_says() -> None:
    assert result().announced
    assert not result(Expected("client_closed")).announced
    assert not result(announced=False).announced


def test_the_shares_count_what_they_name() -> None:
    quiet = result(Expected("client_closed"), cause="client_closed", root=None)
    whole = Score((result(HUNG, "keep_alive.overdue"), result(root="never_pinged"), quiet))
    assert whole.share("right cause") == (3, 3)
    assert whole.share("right root") == (1, 2)
    assert whole.share("warned before") == (1, 2)


def test_missed_bars_are_told_and_reached_ones_are_not() -> None:
    assert Score((result(HUNG, "keep_alive.overdue"),)).missed_bars() == []
    told = Score((result(confidence="settled", cause="takeover"),)).missed_bars()
    assert any("settled" in bar for bar in told)
    assert any("right cause" in bar for bar in told)


def test_the_page_tells_misses_and_what_was_left_out_and_nothing_of_the_machine() -> None:
    missed = result(root=None, client_addr="127.0.0.1", history="CcQq")
    whole = score([(missed.scenario, missed.outcome)], {"another": ["rabbitmq"]})
    text = page(whole, {"mosquitto": "2.0"}, "2026-01-01", 60.0)
    assert "a drop: root is None, happened: 'client_hung'" in text
    assert "history CcQq" in text
    assert "another: no rabbitmq" in text
    assert "| mosquitto | 2.0 |" in text
    assert "127.0.0.1" not in text

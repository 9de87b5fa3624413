"""Advice is right when its range would have survived and its gain is what a replay says; a what-if when it holds it."""

from __future__ import annotations

from typing import Any

import pytest

from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.fleet_what_if import GroupAnswer
from kaproxy.analysis.whatif import Drops
from kaproxy.diagnosis.verdict import Confidence, Owner
from tests.fleets.keeping import Held, none_works, range_and_gain
from tests.fleets.replay import Lived, Replayed
from tests.fleets.scoring import score_what_ifs
from tests.fleets.truth import Plant, Truth

QUIET = Lived(900, "app", 0.0, "cut", 300.2, None, 300.0, ())
TRUTH = Truth(1, lived={"far-#": [QUIET] * 10})
PLANT = Plant("far", "keep_alive", "", ("far-#",), {"limit_s": 300.0, "floor_s": 9.0})
RIGHT: dict[str, Any] = {"low": 16, "high": 200, "suggested": 200, "prevented_least": 0, "prevented_most": 10}


def advice(title: str = "", confidence: Confidence = Confidence.UNCLEAR, **numbers: Any) -> Finding:
    return Finding(
        "keep_alive_advice", title, Owner.OPERATOR, confidence, "", "", subject="far-#", numbers=numbers
    )


def test_a_range_between_floor_and_limit_with_the_gain_of_the_replay_is_right() -> None:
    assert range_and_gain(advice(**RIGHT), PLANT, TRUTH)


@pytest.mark.parametrize(
    "wrong",
    [
        {"low": 8},  # under the floor
        {"high": 300},  # at the limit
        {"high": None},
        {"suggested": None},
        {"prevented_most": 9},  # fewer than there were
        {"prevented_least": 11, "prevented_most": 12},  # more
        {"prevented_most": 40},  # too vague to be of use
    ],
)
def test_any_number_that_is_off_makes_it_wrong(wrong: dict[str, Any]) -> None:
    assert not range_and_gain(advice(**{**RIGHT, **wrong}), PLANT, TRUTH)


def test_that_none_works_has_to_be_said_unless_the_log_cannot_show_it() -> None:
    sure, unsure = ({**PLANT.numbers, "sure": each} for each in (True, False))
    said = advice("No Keep Alive works for far-#", suggested=None)
    perhaps = advice("Keep Alive 20 s", suggested=20, prevented_least=0)
    claims = advice("Keep Alive 20 s", Confidence.LIKELY, suggested=20, prevented_least=4)
    for numbers, right in ((sure, (True, False, False)), (unsure, (True, True, False))):
        plant = Plant("far", "no_keep_alive", "", ("far-#",), numbers)
        assert tuple(none_works(each, plant, TRUTH) for each in (said, perhaps, claims)) == right


def what(prevented: Drops, added: Drops) -> Held:
    return Held("keep_alive=45", "far-#", GroupAnswer("far-#", 20, 10, added, prevented), Replayed(10, 0))


def test_a_what_if_is_right_while_the_truth_lies_within_it() -> None:
    assert what(Drops(0, 10), Drops(0, 5)).right
    assert not what(Drops(0, 9), Drops()).right
    assert not what(Drops(10, 10), Drops(1, 5)).right
    assert (what(Drops(10, 10), Drops()).exact, what(Drops(0, 10), Drops()).exact) == (True, False)


def test_wrong_what_ifs_are_counted_with_both_numbers() -> None:
    row = score_what_ifs([what(Drops(10, 10), Drops()), what(Drops(0, 2), Drops())])
    assert (row.planted, row.found, len(row.wrong)) == (2, 1, 1)
    assert "said -0..2 +0..0, true -10 +0" in row.wrong[0]

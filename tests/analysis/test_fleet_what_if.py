"""What another Keep Alive or window would have done to all clients, as ranges."""

from __future__ import annotations

import pytest

from kaproxy.analysis.fleet_what_if import Answer, WhatIfError, what_if
from kaproxy.analysis.store import memory_engine
from kaproxy.analysis.whatif import Drops
from tests.analysis.rows import Line, closed, cut, dropped


def answer(question: str, lines: list[Line]) -> Answer:
    with memory_engine(lines) as engine:
        return what_if(engine, question)


def test_a_stricter_window_would_have_expired_survived_gaps_once_or_as_often_as_they_were_late() -> None:
    lines = [closed(client_id=f"go-{n}", keep_alive=10, gap_max_s=13.0, late_gaps=7) for n in range(3)]
    found = answer("window=1.25", lines)
    assert found.whole.added == Drops(3, 21)
    assert [each.group for each in found.groups] == ["go-#"]


def test_the_same_gaps_are_within_a_window_of_1_5() -> None:
    lines = [closed(client_id=f"go-{n}", keep_alive=10, gap_max_s=13.0, late_gaps=7) for n in range(3)]
    found = answer("window=1.5", lines)
    assert found.whole.added == Drops()
    assert found.groups == ()


def expired(late_s: float | None, keep_alive: int = 10, silence_s: float = 15.0) -> Line:
    return dropped(
        cause="keep_alive_timeout",
        root="pinged_late",
        keep_alive=keep_alive,
        silence_s=silence_s,
        late_from_client_after_s=late_s,
        gap_max_s=10.0,
    )


def test_a_wider_window_saves_those_that_spoke_in_it() -> None:
    found = answer("window=2", [expired(0.5), expired(30.0), expired(None)])
    assert found.whole.now == 3
    assert found.whole.prevented == Drops(1, 2)
    assert found.whole.then == Drops(1, 2)


def test_a_longer_keep_alive_may_save_late_pingers_and_never_the_dead() -> None:
    found = answer("keep_alive=30", [expired(0.5), expired(None)])
    assert found.whole.prevented == Drops(0, 1)


def test_a_longer_keep_alive_surely_saves_those_the_broker_expired_too_soon() -> None:
    assert answer("keep_alive=30", [expired(0.5, silence_s=12.0)]).whole.prevented == Drops(1, 1)


def test_a_shorter_keep_alive_pings_before_the_box_cuts() -> None:
    lines = [cut(idle_s=300.2, keep_alive=600, client_id=f"far-{n}") for n in range(4)]
    assert answer("keep_alive=180", lines).whole.prevented == Drops(4, 4)
    assert answer("keep_alive=250", lines).whole.prevented == Drops(0, 4)
    assert answer("keep_alive=400", lines).whole.prevented == Drops(0, 0)


def test_a_keep_alive_below_the_gaps_may_add_drops() -> None:
    found = answer("keep_alive=20", [closed(keep_alive=60, gap_max_s=60.1)])
    assert found.whole.added == Drops(0, 1)


@pytest.mark.parametrize(
    "question", ["", "keepalive=4", "keep_alive=", "keep_alive=0", "keep_alive=1.5", "window=0.5"]
)
def test_what_cannot_be_asked_is_refused_with_what_can(question: str) -> None:
    with pytest.raises(WhatIfError, match="allowed: keep_alive=1 to 65535"):
        answer(question, [])


def test_an_empty_log_has_an_answer_too() -> None:
    assert answer("window=1.25", []).whole.connections == 0

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
    lines = [cut(idle_s=300.2, keep_alive=700, client_id=f"far-{n}") for n in range(4)]
    assert answer("keep_alive=180", lines).whole.prevented == Drops(4, 4)
    assert answer("keep_alive=250", lines).whole.prevented == Drops(0, 4)
    assert answer("keep_alive=400", lines).whole.prevented == Drops(0, 0)


def test_a_keep_alive_below_the_gaps_may_add_drops() -> None:
    found = answer("keep_alive=20", [closed(keep_alive=60, gap_max_s=60.1)])
    assert found.whole.added == Drops(0, 62)  # as many as it had packets, an hour having room for 120


def test_who_pings_in_time_would_with_another_keep_alive() -> None:
    found = answer("keep_alive=20", [closed(keep_alive=60, gap_max_s=59.9, late_gaps=0)])
    assert found.whole.added == Drops(0, 0)


def test_a_pause_that_a_box_forgot_was_fatal_and_not_survived() -> None:
    lines = [cut(idle_s=0.01, gap_max_s=355.0, keep_alive=900, client_id=f"far-{n}") for n in range(4)]
    assert answer("keep_alive=180", lines).whole.prevented == Drops(4, 4)
    assert answer("keep_alive=180", lines).whole.added == Drops(0, 0)
    assert answer("keep_alive=400", lines).whole.prevented == Drops(0, 0)


def test_a_ping_before_an_impatient_brokers_time_may_keep_it() -> None:
    lines = [
        dropped(
            cause="keep_alive_timeout",
            root="broker_premature",
            keep_alive=120,
            silence_s=50.0,
            gap_max_s=90.0,
        )
    ]
    assert answer("keep_alive=40", lines).whole.prevented == Drops(0, 1)
    assert answer("keep_alive=80", lines).whole.prevented == Drops(0, 0)


def test_a_client_that_pings_at_three_quarters_is_in_time_with_a_longer_keep_alive_than_others() -> None:
    line: Line = {
        "cause": "keep_alive_timeout",
        "root": "broker_premature",
        "keep_alive": 120,
        "silence_s": 50.0,
    }
    early, others = (dropped(**line, gap_max_s=gap_s, late_gaps=0) for gap_s in (90.0, 120.0))
    assert answer("keep_alive=60", [early]).whole.prevented == Drops(0, 1)
    assert answer("keep_alive=60", [others]).whole.prevented == Drops(0, 0)


def test_answers_that_took_longer_than_the_keep_alive_are_told() -> None:
    lines = [closed(keep_alive=60, late_gaps=0, ping_rtt_max_ms=rtt_ms) for rtt_ms in (20.0, 50_000.0)]
    assert (
        "In 1 connection an answer to a ping took longer than 45 s"
        in answer("keep_alive=45", lines).sentences[-1]
    )
    assert not any("an answer" in each for each in answer("keep_alive=55", lines).sentences)


def library(keep_alive: int, cadence_s: float) -> list[Line]:
    """Clients that ping at one cadence: some expired by a hair, some not."""
    many: Line = {"keep_alive": keep_alive, "gap_max_s": cadence_s, "late_gaps": 40}
    lines = [closed(client_id=f"go-{n}", **many) for n in range(10)]
    late: Line = {"cause": "keep_alive_timeout", "root": "pinged_late", "late_from_client_after_s": 0.01}
    return lines + [dropped(client_id=f"go-{n}", silence_s=cadence_s, **many, **late) for n in range(5)]


def test_pings_that_come_at_a_multiple_of_any_keep_alive_are_late_with_any() -> None:
    found = answer("keep_alive=120", library(30, 45.001))
    assert found.whole.prevented == Drops(0, 0)


def test_pings_that_are_late_by_a_tick_are_in_time_with_a_longer_keep_alive() -> None:
    lines = library(10, 15.001) + library(25, 30.001)
    found = answer("keep_alive=20", lines)
    assert found.whole.prevented == Drops(10, 10)
    assert found.whole.added == Drops(0, 0)
    assert answer("keep_alive=8", lines).whole.added == Drops(30, 1200)


@pytest.mark.parametrize(
    "question", ["", "keepalive=4", "keep_alive=", "keep_alive=0", "keep_alive=1.5", "window=0.5"]
)
def test_what_cannot_be_asked_is_refused_with_what_can(question: str) -> None:
    with pytest.raises(WhatIfError, match="allowed: keep_alive=1 to 65535"):
        answer(question, [])


def test_an_empty_log_has_an_answer_too() -> None:
    assert answer("window=1.25", []).whole.connections == 0

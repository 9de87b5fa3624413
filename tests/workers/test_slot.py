"""A worker's place: how soon it is filled again, how an end is told."""

from __future__ import annotations

import time

import pytest

from kaproxy.workers.slot import BACK_OFF_S, SETTLED_S, Slot
from kaproxy.workers.telling import how_it_ended


def test_one_that_keeps_dying_is_started_less_and_less_often_but_never_given_up() -> None:
    slot = Slot("1-1", [])
    waits = [slot.back_off_s() for _ in range(12)]
    assert waits[: len(BACK_OFF_S)] == list(BACK_OFF_S)
    assert waits[0] == 0.0
    assert set(waits[len(BACK_OFF_S) :]) == {30.0}


def test_one_that_had_settled_is_started_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    slot = Slot("1-1", [])
    for _ in range(5):
        slot.back_off_s()
    at = slot.started_at + SETTLED_S
    monkeypatch.setattr(time, "monotonic", lambda: at)
    assert slot.back_off_s() == 0.0


@pytest.mark.parametrize(
    ("code", "fields", "words"),
    [
        (0, {"exit_status": 0}, "ended with exit status 0"),
        (1, {"exit_status": 1}, "ended with exit status 1"),
        (-9, {"exit_signal": "SIGKILL"}, "was killed by SIGKILL"),
        (-11, {"exit_signal": "SIGSEGV"}, "was killed by SIGSEGV"),
        (-35, {"exit_signal": "signal 35"}, "was killed by signal 35"),
    ],
)
def test_an_end_is_told_by_its_exit_status_or_its_signal(
    code: int, fields: dict[str, object], words: str
) -> None:
    assert how_it_ended(code) == (fields, words)

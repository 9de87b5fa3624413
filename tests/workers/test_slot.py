"""A worker's place: how soon it is filled again, how an end is told, what is known of connections that were cut."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from kaproxy.connection.directory import Settings
from kaproxy.connection.elsewhere import Claim, Ended, News, to_data
from kaproxy.connection.facts import Origin
from kaproxy.workers.channel import Message, line_of, message_of
from kaproxy.workers.ledger import UNREAD, Ledger, Named
from kaproxy.workers.slot import BACK_OFF_S, SETTLED_S, Slot
from kaproxy.workers.telling import how_it_ended

ORIGIN = Origin("c1", "default", "192.0.2.7", 50123, "broker:1883", 1795414260.25)


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


def told(*news: News) -> Message:
    """What the supervisor hears of such news."""
    return message_of(
        line_of("news", {"from": "1-1", "news": [to_data(piece) for piece in news]}, 1, len(news))
    )


def test_the_ledger_knows_who_has_sent_connect_and_not_ended() -> None:
    ledger = Ledger()
    claim = Claim("press-7", ORIGIN, Settings(10, "3.1.1", True, False), 1.0)
    ended = Ended("c1", 2.0, False, False, None)
    ledger.hear(2, told(claim))
    assert (ledger.live, ledger.named) == (2, {"c1": Named("press-7", "192.0.2.7", 1795414260.25)})
    ledger.hear(1, told(ended, ended._replace(conn_id="never heard of")))
    assert (ledger.live, ledger.named) == (1, {})


def test_the_ledger_keeps_no_more_unread_than_its_bound_and_forgets_nothing_by_it() -> None:
    ledger = Ledger()
    for number in range(5 * UNREAD + 3):
        origin = replace(ORIGIN, conn_id=f"c{number}")
        ledger.hear(1, told(Claim("press-7", origin, Settings(10, "3.1.1", True, False), 1.0)))
        assert len(ledger._unread) < UNREAD
    assert len(ledger.named) == 5 * UNREAD + 3
    assert not ledger._unread

"""Connections of different workers that have to know of each other: what is told, and what is made of it."""

from __future__ import annotations

import json
from itertools import pairwise, product

import pytest

from kaproxy.connection import Directory
from kaproxy.connection.directory import Remote
from kaproxy.connection.elsewhere import Ended, Exchange, from_data, to_data
from kaproxy.connection.events import ClientIdContested
from kaproxy.connection.facts import Ending, Side
from kaproxy.connection.neighbourhood import NEWS_S, TOGETHER_PER_S, with_others
from kaproxy.connection.slate import Slate, key_of, size_of
from tests import builders
from tests.playbook import Play


class Workers:
    """Two workers and the way between them; news arrives when `deliver` is called."""

    def __init__(self) -> None:
        self.woken = 0
        self.here, self.there = Directory(), Directory()
        self.told = 0
        slates = [Slate(memoryview(bytearray(size_of(8)))) for _ in range(2)]
        for directory, own, other in zip((self.here, self.there), slates, reversed(slates), strict=True):
            directory.exchange = Exchange(directory, self.wake, own, [other])
        self.events: list[ClientIdContested] = []

    def wake(self) -> None:
        self.woken += 1

    def deliver(self, now: float) -> None:
        """Both tell until neither has anything to tell."""
        moved = True
        while moved:
            moved = False
            for teller, hearer in ((self.here, self.there), (self.there, self.here)):
                assert teller.exchange is not None
                assert hearer.exchange is not None
                news = json.loads(json.dumps(teller.exchange.take()))
                moved = moved or bool(news)
                self.told += len(news)
                events, failed = hearer.exchange.hear_all(news, now)
                self.events += events
                assert not failed


def taken(
    gap: float = 0.02, delivered: float = 50.01, connack: bytes | None = None
) -> tuple[Workers, Play, Play]:
    """A connection here, and one there that takes its identifier at 50 s."""
    workers = Workers()
    older = Play(directory=workers.here, conn_id="older", client_addr="192.0.2.1").established("dev", 60)
    workers.deliver(0.01)
    newer = Play(directory=workers.there, conn_id="newer", client_addr="192.0.2.2", start=50.0)
    older.at(50.0)
    newer.established("dev", 30, connack=connack, will_topic="w")
    if delivered <= 50.0 + gap:
        workers.deliver(delivered)
    older.at(50.0 + gap).ends(Side.BROKER)
    workers.deliver(max(delivered, 50.0 + gap))
    return workers, older, newer


@pytest.mark.parametrize("delivered", [50.01, 50.2])
def test_a_takeover_is_named_in_both_lines_whether_the_news_comes_before_or_after_the_ending(
    delivered: float,
) -> None:
    _, older, newer = taken(delivered=delivered)
    by = older.at(51.0).evidence().taken_over_by
    took = newer.at(60.0).ends(Side.CLIENT).evidence().took_over
    assert by is not None
    assert took is not None
    assert (by.conn_id, by.client_addr, by.keep_alive, by.will_present) == ("newer", "192.0.2.2", 30, True)
    assert (took.conn_id, took.client_addr, took.keep_alive, took.will_present) == (
        "older",
        "192.0.2.1",
        60,
        False,
    )
    assert by.gap_s == pytest.approx(0.02)
    assert took.gap_s == pytest.approx(0.02)


def test_the_contested_identifier_is_told_by_the_worker_of_the_newcomer() -> None:
    workers, _, _ = taken()
    (told,) = workers.events
    assert (told.origin.conn_id, told.holder.conn_id) == ("newer", "older")
    assert (told.holder_age_s, told.holder_silence_s, told.holder_keep_alive) == (50.0, 50.0, 60)


def test_a_fight_over_workers_is_told_at_the_interval_with_those_kept_back() -> None:
    workers = Workers()
    directories = (workers.here, workers.there)
    for number in range(20):
        start = 10.0 * number
        Play(directory=directories[number % 2], conn_id=f"c{number}", start=start).established("dev", 60)
        workers.deliver(start)
    assert [event.suppressed for event in workers.events] == [0, 5, 5, 5]


def test_a_connect_after_the_ending_takes_nothing_over() -> None:
    workers = Workers()
    older = Play(directory=workers.here, conn_id="older").established("dev", 60).at(50.0).ends(Side.BROKER)
    newer = Play(directory=workers.there, conn_id="newer", start=50.1).established("dev", 60)
    workers.deliver(50.2)
    assert older.at(51.0).evidence().taken_over_by is None
    assert newer.at(60.0).ends(Side.CLIENT).evidence().took_over is None


def test_of_two_connects_heard_of_in_either_order_the_later_one_takes_over() -> None:
    workers = Workers()
    first = Play(directory=workers.here, conn_id="first", start=1.0).established("dev", 60)
    second = Play(directory=workers.there, conn_id="second", start=1.001).established("dev", 60)
    workers.deliver(1.01)
    assert isinstance(first.tracker.rival, Remote)
    assert second.tracker.rival is None
    assert isinstance(second.tracker.holder, Remote)
    assert first.tracker.holder is None


def wandering(*workers: int) -> tuple[Workers, list[Play]]:
    """Connections of one identifier, each 5 ms after the one before, whose ending it brings; no news until 40 ms on."""
    both = Workers()
    plays: list[Play] = []
    for number, worker in enumerate(workers):
        directory = (both.here, both.there)[worker]
        play = Play(directory=directory, conn_id=f"c{number}", start=1.0 + number * 0.005)
        plays.append(play.established("dev", 60))
        if number:
            plays[number - 1].at(play.now + 0.002).ends(Side.BROKER)
    both.deliver(1.04)
    return both, plays


@pytest.mark.parametrize("workers", list(product((0, 1), repeat=4)))
def test_of_an_identifier_that_wanders_faster_than_news_every_takeover_names_both(
    workers: tuple[int, ...],
) -> None:
    _, plays = wandering(*workers)
    plays[-1].at(2.0).ends(Side.CLIENT)
    told = [play.at(3.0).evidence() for play in plays]
    for older, newer in pairwise(told):
        assert older.taken_over_by is not None
        assert older.taken_over_by.conn_id == newer.origin.conn_id
        assert older.taken_over_by.gap_s == pytest.approx(0.002)
        assert newer.took_over is not None
        assert newer.took_over.conn_id == older.origin.conn_id
        assert newer.took_over.gap_s == pytest.approx(0.002)
    assert told[-1].taken_over_by is None
    assert told[0].took_over is None


@pytest.mark.parametrize("workers", list(product((0, 1), repeat=4)))
def test_of_an_identifier_that_wanders_and_whose_connections_all_stay_the_same_is_known(
    workers: tuple[int, ...],
) -> None:
    both = Workers()
    plays = [
        Play(
            directory=(both.here, both.there)[worker], conn_id=f"c{number}", start=1.0 + number / 1000
        ).established("dev", 60)
        for number, worker in enumerate(workers)
    ]
    both.deliver(1.04)
    for older, newer in pairwise(plays):
        assert older.tracker.rival is not None
        assert older.tracker.rival.origin.conn_id == newer.tracker.origin.conn_id
        assert newer.tracker.holder is not None
        assert newer.tracker.holder.origin.conn_id == older.tracker.origin.conn_id


def test_a_newcomer_that_the_broker_refuses_takes_nothing_over_and_the_identifier_goes_back() -> None:
    workers = Workers()
    older = Play(directory=workers.here, conn_id="older").established("dev", 60)
    refused = Play(directory=workers.there, conn_id="refused", start=5.0)
    refused.client(builders.connect("dev", keep_alive=60))
    workers.deliver(5.01)
    assert len(workers.here) == 0
    refused.broker(builders.connack(code=5))
    workers.deliver(5.02)
    assert len(workers.here) == 1
    assert refused.at(5.1).ends(Side.BROKER).evidence().took_over is None
    assert older.at(9.0).ends(Side.BROKER).evidence().taken_over_by is None


def test_endings_elsewhere_in_the_same_second_are_neighbours() -> None:
    workers = Workers()
    plays = [
        Play(directory=directory, conn_id=f"c{number}").established(f"d{number}", 60)
        for number, directory in enumerate((workers.here, workers.there) * 4)
    ]
    for play in plays:
        play.at(20.0).ends(Side.BROKER)
    workers.deliver(20.05)
    for play in plays:
        evidence = play.at(21.0).evidence()
        assert evidence.neighbours is not None
        assert evidence.neighbours.ended_by_broker == evidence.closed_within_1s == 8
    first = plays[0].tracker.scene
    assert first is not None
    assert first.neighbours is not None
    assert first.neighbours.live == 8


def test_refused_dials_ages_idle_times_and_pasts_elsewhere_are_known() -> None:
    workers = Workers()
    Play(directory=workers.here, start=1.0).established("dev", 60).at(301.0).ends(Side.BROKER)
    Play(directory=workers.here, start=305.9).at(305.9).ends(Side.BROKER, Ending.REFUSED)
    workers.deliver(306.0)
    play = Play(directory=workers.there, start=6.0).established("dev", 90).at(306.0).ends(Side.BROKER)
    found = play.at(307.0).evidence().neighbours
    assert found is not None
    assert (found.same_age, found.same_idle, found.same_idle_keep_alives, found.dials_refused) == (1, 1, 2, 1)
    again = Play(directory=workers.there, start=310.0).established("dev", 60)
    assert again.tracker.past.ended_at == 306.0


def test_a_line_waits_for_the_news_of_others_only_where_there_are_any() -> None:
    play = (
        Play().established("dev", 60, version=5).at(9.0).broker(builders.disconnect(0x8E)).ends(Side.BROKER)
    )
    assert play.tracker.judge_at() == 9.0
    workers = Workers()
    play = Play(directory=workers.here).established("dev", 60, version=5).at(9.0)
    play.broker(builders.disconnect(0x8E)).ends(Side.BROKER)
    assert play.tracker.judge_at() == with_others(9.0 + NEWS_S)
    Play(directory=workers.there).established("held there", 60)
    for name, start, end, judged in (
        ("held there", 0.0, 9.0, 9.0),
        ("held there", 8.9, 9.0, with_others(8.9 + NEWS_S)),
        ("held nowhere", 8.9, 9.0, 9.0),
    ):
        play = Play(directory=workers.here, start=start).established(name, 60).at(end).ends(Side.CLIENT)
        assert play.tracker.judge_at() == judged


def test_a_connect_is_told_only_where_another_worker_may_hold_its_identifier() -> None:
    workers = Workers()
    older = Play(directory=workers.here, conn_id="older").established("dev", 60)
    Play(directory=workers.here, conn_id="takes it here").established("dev", 60)
    Play(directory=workers.there, conn_id="another").established("dev-2", 60)
    workers.deliver(0.01)
    assert workers.told == 0
    Play(directory=workers.there, conn_id="newer", start=1.0).established("dev", 60)
    workers.deliver(1.01)
    assert workers.told == 2  # the claim and its answer
    assert older.tracker.rival is not None


def test_an_orderly_life_that_concerns_nobody_is_not_told() -> None:
    workers = Workers()
    play = Play(directory=workers.here).established("dev", 60).at(1.0).client(builders.disconnect())
    play.ends(Side.CLIENT).evidence()
    workers.deliver(1.01)
    assert (workers.woken, workers.told) == (0, 0)


def test_an_identifier_is_free_for_others_once_the_line_is_out_and_not_before() -> None:
    workers = Workers()
    play = Play(directory=workers.here).established("dev", 60).at(1.0).ends(Side.BROKER)
    asks = Play(directory=workers.there, conn_id="asks", start=1.1).established("dev", 60)
    assert asks.tracker.mark is not None
    assert asks.tracker.mark.asked
    play.at(2.0).evidence()
    asks.at(3.0).ends(Side.CLIENT).evidence()
    silent = Play(directory=workers.here, conn_id="silent", start=4.0).established("dev", 60)
    assert silent.tracker.mark is not None
    assert not silent.tracker.mark.asked


def test_an_identifier_given_by_the_broker_is_held_and_the_one_asked_for_is_not() -> None:
    workers = Workers()
    given = builders.connack(version=5, properties=[("assigned_client_identifier", "given")])
    play = Play(directory=workers.here).established("", 60, version=5, connack=given)
    asks = Play(directory=workers.there, conn_id="asks", start=1.0).established("given", 60)
    workers.deliver(1.01)
    assert isinstance(play.tracker.rival, Remote)
    assert isinstance(asks.tracker.holder, Remote)


def test_lines_that_wait_for_news_are_judged_together_and_never_too_early() -> None:
    moments = [9.0 + number / 1000 for number in range(1000)]
    judged = [with_others(moment) for moment in moments]
    assert len(set(judged)) <= TOGETHER_PER_S + 1
    for moment, at in zip(moments, judged, strict=True):
        assert moment <= at < moment + 1.001 / TOGETHER_PER_S


def test_the_connections_of_others_are_counted_as_they_come_and_go() -> None:
    workers = Workers()
    plays = [Play(directory=workers.there, conn_id=f"c{number}") for number in range(3)]
    assert (workers.here.live_everywhere, workers.there.live_everywhere) == (3, 3)
    plays[0].ends(Side.CLIENT)
    assert (workers.here.live_everywhere, workers.there.live_everywhere) == (2, 2)


def test_nothing_of_a_connection_stays_once_its_line_is_out() -> None:
    workers, older, newer = taken()
    older.at(51.0).evidence()
    newer.at(60.0).ends(Side.CLIENT).evidence()
    for directory in (workers.here, workers.there):
        assert directory.exchange is not None
        assert not directory.exchange._contested
        assert not directory._former
        assert not directory.exchange._asking
        assert not directory.holders_of("dev")
        assert not list(directory.exchange._slate.named())
        assert not directory.exchange._slate.may_hold(key_of("dev"))


def test_the_teller_is_woken_once_for_all_that_is_told_together() -> None:
    workers = Workers()
    plays = [Play(directory=workers.here, conn_id=f"c{number}") for number in range(4)]
    for play in plays[:3]:
        play.ends(Side.BROKER, Ending.REFUSED)
    assert workers.woken == 1
    workers.deliver(1.0)
    plays[3].ends(Side.BROKER, Ending.REFUSED)
    assert workers.woken == 2


@pytest.mark.parametrize("data", [["Nothing"], [], ["Ended", 1], ["Claim", "dev", None, None, 1.0]])
def test_what_is_no_news_is_refused(data: list[object]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        from_data(data)


def test_what_cannot_be_heard_is_counted_and_the_rest_is_heard() -> None:
    workers = Workers()
    directory, exchange = workers.here, workers.here.exchange
    assert exchange is not None
    ended = to_data(Ended(1.5, refused=False, by_broker=True, death=None))
    assert exchange.hear_all([["Nothing"], [], ended, ["Ended", 1], ended], 2.0) == ([], 3)
    assert len(directory.broker_endings) == 2


def test_news_survives_being_written_down() -> None:
    news = Ended(1.5, refused=False, by_broker=True, death=(1.0, 2.0, 60))
    assert from_data(json.loads(json.dumps(to_data(news)))) == news

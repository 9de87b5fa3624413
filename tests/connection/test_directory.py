"""Connections that have to know of each other."""

from kaproxy.connection import Directory
from kaproxy.connection.directory import PASTS_KEPT, Past, Times
from kaproxy.connection.facts import Ending, Side
from tests import builders
from tests.playbook import Play


def two(keep_alive: int = 60) -> tuple[Directory, Play, Play]:
    directory = Directory()
    first = Play(directory=directory, conn_id="first", client_addr="192.0.2.1").established("dev", keep_alive)
    second = Play(directory=directory, conn_id="second", client_addr="192.0.2.2", start=50.0)
    first.at(50.0)
    return directory, first, second


def test_a_second_connect_with_the_same_identifier_is_named_in_both() -> None:
    _, first, second = two()
    second.established("dev", 60)
    taken = first.at(50.02).ends(Side.BROKER).evidence()
    took = second.at(60.0).ends(Side.CLIENT).evidence()
    assert taken.taken_over_by is not None
    assert (taken.taken_over_by.conn_id, taken.taken_over_by.client_addr) == ("second", "192.0.2.2")
    assert abs((taken.taken_over_by.gap_s or 0) - 0.02) < 1e-9
    assert took.took_over is not None
    assert (took.took_over.conn_id, took.took_over.client_addr) == ("first", "192.0.2.1")


def test_a_refused_newcomer_takes_nothing_over() -> None:
    directory, first, second = two()
    second.established("dev", 60, connack=builders.connack(code=5))
    assert first.at(51.0).ends(Side.BROKER).evidence().taken_over_by is None
    assert second.at(51.0).ends(Side.BROKER).evidence().took_over is None
    assert len(directory) == 0


def test_an_identifier_is_free_again_once_its_connection_ended() -> None:
    directory, first, second = two()
    first.ends(Side.CLIENT)
    second.established("dev", 60)
    assert second.at(60.0).ends(Side.CLIENT).evidence().took_over is None
    assert len(directory) == 0


def test_empty_identifiers_are_nobodys() -> None:
    directory = Directory()
    Play(directory=directory).established("", 60)
    other = Play(directory=directory).established("", 60)
    assert other.ends(Side.CLIENT).evidence().took_over is None


def test_an_identifier_assigned_by_the_broker_counts() -> None:
    connack = builders.connack(version=5, properties=[("assigned_client_identifier", "auto-7")])
    directory = Directory()
    play = Play(directory=directory).established("", 60, version=5, connack=connack)
    assert len(directory) == 1
    assert play.ends(Side.CLIENT).evidence().client_id == "auto-7"


def test_endings_of_the_same_second_are_counted() -> None:
    directory = Directory()
    plays = [Play(directory=directory).established(f"d{n}", 60) for n in range(5)]
    for number, play in enumerate(plays):
        play.at(10.0 + (5.0 if number == 4 else 0.1 * number)).ends(Side.BROKER)
    counts = [play.evidence().closed_within_1s for play in plays]
    assert counts == [4, 4, 4, 4, 1]


def test_endings_long_past_are_forgotten() -> None:
    times = Times()
    for number in range(10_000):
        times.add(float(number))
    assert len(times) < 1100
    assert times.between(9998.5, 9999.5) == 1


def test_a_chain_of_takeovers_keeps_no_ended_connection_alive() -> None:
    directory = Directory()
    older = Play(directory=directory).established("dev", 60)
    newer = Play(directory=directory).established("dev", 60)
    older.ends(Side.BROKER, Ending.FIN).evidence()
    newer.ends(Side.CLIENT).evidence()
    assert older.tracker.rival is None
    assert newer.tracker.holder is None


def test_identifiers_that_went_are_remembered_up_to_a_number() -> None:
    directory = Directory()
    play = Play(directory=directory)
    for number in range(PASTS_KEPT + 100):
        directory.release(f"d{number}", play.tracker, Past(0.0, 1, None), 1.0)
    assert directory.past_of("d0", 2.0) == Past(2.0, 1, None)
    assert directory.past_of(f"d{PASTS_KEPT + 99}", 2.0) == Past(0.0, 2, 1.0)

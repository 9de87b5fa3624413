"""What the endings of others tell of one."""

from kaproxy.connection import Directory
from kaproxy.connection.evidence import Neighbours
from kaproxy.connection.facts import Ending, Side
from tests import builders
from tests.playbook import Play


def neighbours_of(play: Play) -> Neighbours:
    found = play.evidence().neighbours
    assert found is not None
    return found


def dropped(directory: Directory, client_id: str, start: float, end: float, keep_alive: int = 60) -> Play:
    play = Play(directory=directory, start=start).established(client_id, keep_alive)
    return play.at(end).ends(Side.BROKER)


def test_all_connections_a_broker_ends_in_one_second_are_counted_of_those_alive() -> None:
    directory = Directory()
    plays = [Play(directory=directory).established(f"d{number}", 60) for number in range(10)]
    for number, play in enumerate(plays[:8]):
        play.at(20.0 + number * 0.02).ends(Side.BROKER)
    first = neighbours_of(plays[0].at(21.0))
    assert (first.live, first.ended_by_broker) == (10, 8)
    assert directory.live == 2


def test_dials_refused_until_the_line_are_counted() -> None:
    directory = Directory()
    play = Play(directory=directory).established("dev", 60).at(20.0).ends(Side.BROKER)
    for when in (20.2, 20.5):
        Play(directory=directory, start=when).at(when).ends(Side.BROKER, Ending.REFUSED)
    assert neighbours_of(play.at(21.0)).dials_refused == 2


def test_deaths_at_the_same_age_are_counted_but_not_of_the_same_second() -> None:
    directory = Directory()
    for number in range(3):
        dropped(directory, f"d{number}", start=10.0 * number, end=10.0 * number + 300.0)
    together = dropped(directory, "d3", start=20.0, end=320.2)
    assert neighbours_of(together).same_age == 2
    assert neighbours_of(dropped(directory, "d4", start=400.0, end=499.0)).same_age == 0


def test_deaths_after_the_same_idle_time_are_counted_with_their_keep_alives() -> None:
    directory = Directory()
    for number, keep_alive in enumerate((60, 90, 120)):
        dropped(
            directory, f"d{number}", start=100.0 * number, end=100.0 * number + 50.0, keep_alive=keep_alive
        )
    last = neighbours_of(dropped(directory, "d9", start=1000.0, end=1050.2, keep_alive=600))
    assert (last.same_idle, last.same_idle_keep_alives) == (3, 4)


def test_deaths_after_about_the_idle_time_tell_how_spread_they_are() -> None:
    directory = Directory()
    for number, idle_s in enumerate((50.0, 41.0, 61.0, 35.0, 70.0)):
        start = 100.0 * number
        dropped(directory, f"d{number}", start=start, end=start + idle_s, keep_alive=90)
    last = neighbours_of(dropped(directory, "d9", start=1000.0, end=1050.2, keep_alive=600))
    assert (last.same_idle, last.near_idle) == (1, 3)
    assert (last.same_age, last.near_age) == (1, 3)


def test_expiries_and_endings_at_the_keep_alive_are_no_sign_of_a_box() -> None:
    directory = Directory()
    for number, keep_alive in enumerate((33, 50)):  # 1.5 x 33 is 49.5; a client's own timer is its Keep Alive
        dropped(
            directory, f"d{number}", start=100.0 * number, end=100.0 * number + 50.0, keep_alive=keep_alive
        )
    last = neighbours_of(dropped(directory, "d9", start=1000.0, end=1050.2, keep_alive=600))
    assert (last.same_idle, last.near_idle) == (0, 0)


def test_connects_within_a_minute_are_counted_per_identifier() -> None:
    directory = Directory()
    for number in range(6):
        play = dropped(directory, "dev", start=2.0 * number, end=2.0 * number + 1.0)
    found = neighbours_of(play)
    assert (found.connects_1m, found.previous_ended_s) == (6, 1.0)
    assert neighbours_of(dropped(directory, "dev", start=500.0, end=501.0)).connects_1m == 1


def test_a_stated_ending_asks_nobody_and_is_judged_at_once() -> None:
    play = (
        Play().established("dev", 60, version=5).at(9.0).broker(builders.disconnect(0x8B)).ends(Side.BROKER)
    )
    assert play.tracker.judge_at() == 9.0
    assert play.evidence().neighbours is None


def test_a_wordless_ending_of_the_broker_waits_for_its_neighbours() -> None:
    assert Play().established("dev", 60).at(9.0).ends(Side.BROKER).tracker.judge_at() == 10.0
    assert Play().established("dev", 60).at(9.0).ends(Side.CLIENT).tracker.judge_at() == 9.0


def test_lateness_of_the_proxy_matters_from_the_last_silence_on() -> None:
    play = Play().established("dev", 10).at(8.0).ping().at(23.0)
    assert play.tracker.judged_from() == 0.0
    assert play.ends(Side.BROKER).tracker.judged_from() == 8.0

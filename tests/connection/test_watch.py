"""What is told before a drop: thresholds, and how often."""

from kaproxy.connection import Directory, Policy
from kaproxy.connection.events import (
    ClientIdContested,
    Event,
    KeepAliveLate,
    KeepAliveMissed,
    KeepAliveOverdue,
    KeepAliveRisky,
    NotReading,
    PingSlow,
)
from kaproxy.connection.facts import Side
from kaproxy.connection.keepalive import Window
from tests import builders
from tests.playbook import Play


def test_a_slow_pingresp_is_told_with_its_time_and_the_slowest() -> None:
    play = (
        Play().established("dev", 60).at(10.0).client(builders.pingreq()).at(11.5).broker(builders.pingresp())
    )
    (event,) = play.events(PingSlow)
    assert isinstance(event, PingSlow)
    assert (event.ping_rtt_ms, event.ping_rtt_max_ms, event.keep_alive) == (1500.0, 1500.0, 60)


def test_a_pingresp_within_the_threshold_is_not_told() -> None:
    play = (
        Play().established("dev", 60).at(10.0).client(builders.pingreq()).at(10.9).broker(builders.pingresp())
    )
    assert not play.events(PingSlow)


def test_slow_is_at_most_a_quarter_of_the_keep_alive() -> None:
    play = Play().established("dev", 2).at(1.0).client(builders.pingreq()).at(1.6).broker(builders.pingresp())
    assert len(play.events(PingSlow)) == 1


def test_slow_pings_are_told_once_in_the_interval_and_the_rest_counted() -> None:
    play = Play(Policy(warning_interval_s=100.0)).established("dev", 60)
    for start in range(0, 180, 30):
        play.at(start + 1.0).client(builders.pingreq()).at(start + 4.0).broker(builders.pingresp())
    first, second = play.events(PingSlow)
    assert isinstance(first, PingSlow)
    assert isinstance(second, PingSlow)
    assert (first.suppressed, second.suppressed) == (0, 3)


def test_a_peer_that_takes_nothing_is_told_once_its_time_is_over() -> None:
    tracker = Play(Policy(not_reading_s=2.0)).established("dev", 60).tracker
    assert tracker.stalled(Side.CLIENT, 1.9, 10.0) == ()
    (event,) = tracker.stalled(Side.CLIENT, 2.1, 10.2)
    assert isinstance(event, NotReading)
    assert (event.side, event.client_id, event.stalled_s) == (Side.CLIENT, "dev", 2.1)
    assert tracker.stalled(Side.CLIENT, 30.0, 40.0) == ()
    assert len(tracker.stalled(Side.BROKER, 30.0, 40.0)) == 1
    assert len(tracker.stalled(Side.CLIENT, 61.0, 71.0)) == 1


def test_after_the_first_ending_nobody_is_said_not_to_read() -> None:
    tracker = Play().established("dev", 60).ends(Side.BROKER).tracker
    assert tracker.stalled(Side.CLIENT, 10.0, 10.0) == ()


def test_a_contested_client_identifier_names_both_connections() -> None:
    directory = Directory()
    Play(directory=directory, conn_id="old", client_addr="192.0.2.1").established("dev", 15)
    newer = Play(directory=directory, conn_id="new", client_addr="192.0.2.2", start=30.0).established(
        "dev", 60
    )
    (event,) = newer.events(ClientIdContested)
    assert isinstance(event, ClientIdContested)
    assert (event.origin.conn_id, event.holder.conn_id) == ("new", "old")
    assert (event.keep_alive, event.holder_keep_alive) == (60, 15)
    assert (event.holder_age_s, event.holder_silence_s) == (30.0, 30.0)


def test_a_fight_over_an_identifier_is_told_at_the_interval() -> None:
    directory = Directory()
    told: list[Event] = []
    for number in range(100):
        play = Play(directory=directory, conn_id=str(number), start=float(number)).established("dev", 15)
        told += play.events(ClientIdContested)
    assert [event.suppressed for event in told if isinstance(event, ClientIdContested)] == [0, 59]


def test_keep_alive_zero_is_risky() -> None:
    (event,) = Play().established("dev", 0).events(KeepAliveRisky)
    assert isinstance(event, KeepAliveRisky)
    assert (event.reason, event.limit_s) == ("zero", None)


def test_a_keep_alive_that_reaches_the_paths_limit_is_risky() -> None:
    policy = Policy(window=Window(), path_idle_limit_s=60.0)
    assert not Play(policy).established("dev", 59).events(KeepAliveRisky)
    (event,) = Play(policy).established("dev", 60).events(KeepAliveRisky)
    assert isinstance(event, KeepAliveRisky)
    assert (event.reason, event.limit_s) == ("path_limit", 60.0)


def test_a_keep_alive_above_the_services_maximum_is_risky_unless_the_broker_lowered_it() -> None:
    policy = Policy(window=Window(), keep_alive_max=60)
    (event,) = Play(policy).established("dev", 600).events(KeepAliveRisky)
    assert isinstance(event, KeepAliveRisky)
    assert (event.reason, event.limit_s) == ("above_maximum", 60.0)
    connack = builders.connack(version=5, properties=[("server_keep_alive", 60)])
    assert not Play(policy).established("dev", 600, version=5, connack=connack).events(KeepAliveRisky)


def test_a_keep_alive_that_passes_in_silence_is_told_while_it_lasts_with_what_is_left() -> None:
    play = Play(Policy(window=Window())).established("dev", 10).at(3.0).ping().at(13.9)
    assert not play.events(KeepAliveMissed)
    (event,) = play.at(14.2).events(KeepAliveMissed)
    assert isinstance(event, KeepAliveMissed)
    assert (event.silence_s, event.keep_alive, event.last_packet, event.suppressed) == (
        11.0,
        10,
        "PINGREQ",
        0,
    )
    low, _ = Window().limits(10) or (0.0, 0.0)
    assert event.left_s == low - 11.0


def test_a_silence_is_told_once_as_missed_and_once_as_overdue() -> None:
    play = Play().established("dev", 10).at(300.0)
    assert len(play.events(KeepAliveMissed)) == len(play.events(KeepAliveOverdue)) == 1


def test_a_client_in_time_or_without_a_keep_alive_has_missed_nothing() -> None:
    play = Play().established("dev", 10)
    for number in range(1, 20):
        play.at(10.5 * number).ping()
    assert not play.events(KeepAliveMissed)
    assert not Play().established("dev", 0).at(9000.0).events(KeepAliveMissed)


def test_a_habit_just_told_as_late_is_not_told_as_missed_too() -> None:
    play = Play(Policy(warning_interval_s=60.0)).established("dev", 10)
    for number in range(1, 20):
        play.at(13.0 * number).ping()
    late, missed = play.events(KeepAliveLate), play.events(KeepAliveMissed)
    assert len(late) == 4
    assert len(missed) == 1


def test_missed_is_told_again_once_the_habit_was_told_long_ago() -> None:
    play = Play(Policy(warning_interval_s=20.0)).established("dev", 10).at(15.0).ping().at(30.0).ping()
    for number in range(4, 8):
        play.at(10.0 * number).ping()
    assert len(play.events(KeepAliveMissed)) == 1
    assert len(play.at(90.0).events(KeepAliveMissed)) == 2

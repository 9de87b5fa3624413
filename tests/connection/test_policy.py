"""The numbers a connection is measured against."""

from kaproxy.connection import Policy


def test_a_tenth_of_the_keep_alive_is_granted_to_timers_at_most_a_second() -> None:
    assert Policy().late_after(2) == 2.2
    assert Policy().late_after(10) == 11.0
    assert Policy().late_after(600) == 601.0


def test_a_ping_is_unanswered_at_the_threshold_or_a_third_of_the_keep_alive() -> None:
    assert Policy(ping_unanswered_s=5.0).unanswered_after(60) == 5.0
    assert Policy(ping_unanswered_s=5.0).unanswered_after(3) == 1.0
    assert Policy(ping_unanswered_s=5.0).unanswered_after(0) == 5.0

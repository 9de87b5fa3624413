"""What-if arithmetic: counts are exact where the log has every silence, a range where it has not, never invented."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaproxy.analysis.logs import Line
from kaproxy.analysis.story import Connection, Target, select
from kaproxy.analysis.whatif import Drops, drops, duration, keep_alive_for, what_if
from kaproxy.connection.evidence import Evidence, Late
from kaproxy.connection.keepalive import Window
from kaproxy.diagnosis.profiles import BROKER_PROFILES
from tests.analysis import scene
from tests.analysis.scene import closed, late, named, pings
from tests.diagnosis.cases import CASES, DEAD, EXPIRED, REACTED, evidence


def story(found: Evidence, *warnings: scene.Line, **changes: Any) -> Connection:
    """The connection as it is read back."""
    lines = [*warnings, closed(found) | changes]
    return select((Line(n, line) for n, line in enumerate(lines)), Target(conn_id="w1-7")).chosen()


def told(*connections: Connection) -> str:
    return " ".join(what_if(connections[0], connections))


def test_a_longest_silence_within_the_limit_means_not_once() -> None:
    assert drops(story(evidence(gap_max_s=74.9, late_gaps=9)), 1.25) == Drops(0, 0)


def test_one_longer_silence_is_certain_and_the_late_ones_are_possible() -> None:
    assert drops(story(evidence(gap_max_s=80.0, late_gaps=9)), 1.25) == Drops(1, 9)
    assert drops(story(evidence(gap_max_s=80.0, late_gaps=1)), 1.25) == Drops(1, 1)


def test_the_last_silence_counts_where_it_is_beyond_the_limit() -> None:
    assert drops(story(evidence(gap_max_s=60.0, silence=80.0)), 1.25) == Drops(1, 1)
    assert drops(story(evidence(gap_max_s=60.0, silence=80.0)), 1.5) == Drops(0, 0)


def test_silences_of_warnings_and_of_frames_are_each_counted_once() -> None:
    found = evidence(gap_max_s=80.0, late_gaps=5, frames=pings(172.0, 92.0, 12.0))
    warned = [late(found, 175.0, 78.0, 2), late(found, 92.0, 80.0, 3), late(found, 12.0, 80.0, 5)]
    assert drops(story(found, *warned), 1.25) == Drops(3, 5)


def test_a_frame_after_the_ending_survived_nothing() -> None:
    found = evidence(gap_max_s=60.0, silence=80.0, frames=pings(140.0, 80.0, -0.5))
    assert drops(story(found), 1.25) == Drops(1, 1)


def test_keep_alive_off_is_never_expired() -> None:
    found = story(evidence(keep_alive=0, gap_max_s=900.0, silence=900.0))
    assert drops(found, 1.25) == Drops()
    assert "Keep Alive was 0" in told(found)
    assert "1.25" not in told(found)


def test_without_closing_line_only_warnings_are_counted_and_that_is_said() -> None:
    found = evidence(gap_max_s=60.0)
    line = late(named(found, "w1-8"), 60.0, 80.0, 1)
    unclosed = select([Line(1, line)], Target(conn_id="w1-8")).chosen()
    assert drops(unclosed, 1.25) == Drops(1, 1)
    assert "of it only warnings are counted" in told(story(found), unclosed)


def test_counts_add_up_over_connections() -> None:
    one = story(evidence(gap_max_s=80.0, late_gaps=4))
    assert "1.25 x Keep Alive would have dropped it 2 to 8 times, one at exactly 1.5 x not once" in told(
        one, one
    )
    assert "Not every silence is recorded one by one" in told(one, one)


@pytest.mark.parametrize("name", sorted(BROKER_PROFILES))
def test_the_keep_alive_found_bears_the_silence_and_one_less_does_not(name: str) -> None:
    window = BROKER_PROFILES[name].window
    enough = keep_alive_for(window, 93.2)
    if not window.enforced:
        assert enough is None
        return
    assert enough is not None
    bears, does_not = window.limits(enough), window.limits(enough - 1)
    assert bears is not None
    assert does_not is not None
    assert does_not[0] <= 93.2 < bears[0]


def test_no_keep_alive_bears_a_day() -> None:
    assert keep_alive_for(Window(), 100_000.0) is None


def test_a_larger_keep_alive_is_named_where_the_client_spoke_again() -> None:
    found = evidence(**EXPIRED, client_leg=REACTED, late_from_client=Late("PINGREQ", 1.5))
    assert "With Keep Alive 64 or more in force this would not have happened" in told(story(found))
    assert "its PINGREQ came after 94.7 s." in told(story(found))
    assert "stays late with any" not in told(story(found))
    assert "It was late 3 times before" in told(story(replace(found, late_gaps=3)))


def test_a_larger_keep_alive_is_no_help_to_a_client_that_never_spoke_again() -> None:
    assert "No Keep Alive is known to have kept it" in told(story(evidence(**EXPIRED, client_leg=DEAD)))


def test_a_client_that_only_closed_leaves_it_open() -> None:
    text = told(story(evidence(**EXPIRED, client_leg=REACTED)))
    assert "is not recorded" in text
    assert "would not have happened" not in text


def test_an_idle_cut_is_avoided_by_a_smaller_keep_alive() -> None:
    found = replace(evidence(keep_alive=300, idle_s=60.2), late_gaps=0)
    assert "With Keep Alive 45 this would not have happened" in told(story(found, cause="idle_cut"))
    assert "not known to help" in told(story(replace(found, idle_s=600.0), cause="idle_cut"))


def test_patience_for_a_pingresp_is_named_only_where_it_came() -> None:
    found = CASES["broker hung"].evidence
    assert "how much patience would have been enough is not recorded" in told(story(found))
    came = replace(found, late_from_broker=Late("PINGRESP", 2.0))
    assert "ping timeout above 62.4 s" in told(story(came, cause="ping_timeout"))


def test_other_endings_within_the_limit_had_nothing_to_do_with_keep_alive() -> None:
    assert "Keep Alive had no part in this" in told(story(CASES["takeover, 3.1.1"].evidence))


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_case_has_a_what_if_or_none(name: str) -> None:
    found = story(CASES[name].evidence)
    assert all(sentence.endswith(".") for sentence in what_if(found, [found]))


def test_lengths_of_time_are_told_for_people() -> None:
    assert [duration(each) for each in (93.2, 3120.0, 10_000.0, 1e6)] == [
        "93.2 s",
        "52 min",
        "2.778 h",
        "11.6 d",
    ]

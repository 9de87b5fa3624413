"""The timeline: silences only between recorded packets, everything in order, what came late after the ending."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaproxy.analysis.story import Warned
from kaproxy.analysis.timeline import MOST_WARNINGS, Is, Row, client_gaps, scale_s, timeline
from kaproxy.connection.evidence import Evidence, Frame, Late, PartialPacket
from tests.analysis.scene import PINGREQ, PUBACK, PUBLISH_1, pings
from tests.diagnosis.cases import CASES, EXPIRED, FRAMES, IDLE_FRAMES, REACTED, evidence

ENDED = 1_777_000_200.25


def rows(found: Evidence, *kinds: Is) -> list[Row]:
    return [row for row in timeline(found, ()).rows if not kinds or row.kind in kinds]


def test_a_request_and_its_answer_share_a_row() -> None:
    found = evidence(frames=pings(72.0, 12.0), gap_max_s=60.0)
    assert rows(found, Is.PACKET) == [
        Row(Is.PACKET, -72.0, "client PINGREQ, answered in 2 ms", None),
        Row(Is.PACKET, -12.0, "client PINGREQ, answered in 2 ms", 60.0),
    ]


def test_an_acknowledgement_of_the_client_ends_its_silence() -> None:
    frames = (
        Frame(50.0, True, PINGREQ, 2),
        Frame(10.0, False, PUBLISH_1, 30, 7),
        Frame(9.5, True, PUBACK, 4, 7),
    )
    assert rows(evidence(frames=frames), Is.PACKET)[1].silence_s == 40.5
    other = (*frames[:2], Frame(9.5, True, PUBACK, 4, 8))
    assert [row.what for row in rows(evidence(frames=other), Is.PACKET)][2] == "client PUBACK"


def test_the_silence_before_the_first_recorded_packet_is_not_told() -> None:
    assert rows(evidence(frames=IDLE_FRAMES), Is.PACKET)[0].silence_s is None


def test_without_frames_the_last_packet_is_still_known() -> None:
    assert [(row.at_s, row.what) for row in rows(evidence(), Is.PACKET)] == [(-12.0, "client PINGREQ")]


def test_the_ending_stands_before_what_came_late() -> None:
    found = evidence(**EXPIRED, client_leg=REACTED, late_from_client=Late("PINGREQ", 0.4))
    last = [(row.kind, row.at_s, row.silence_s) for row in rows(found)[-3:]]
    assert last[0] == (Is.ENDING, 0.0, 93.2)
    assert last[1][1] == pytest.approx(0.02)
    assert last[2][:2] == (Is.AFTER, 0.4)
    assert last[2][2] == pytest.approx(93.6)


def test_a_late_packet_that_has_a_frame_is_told_once() -> None:
    found = evidence(
        **EXPIRED, late_from_client=Late("PINGREQ", 0.4), frames=(Frame(-0.4, True, PINGREQ, 2),)
    )
    assert [row.what for row in rows(found, Is.AFTER)] == ["client PINGREQ"]


def test_a_packet_that_crossed_the_ending_is_told_as_such() -> None:
    found = CASES["the late PINGREQ crossed the FIN"].evidence
    assert "client PINGREQ, crossed the ending" in [row.what for row in rows(found)]


def test_the_longest_silence_is_told_where_no_frame_shows_it() -> None:
    assert rows(evidence(gap_max_s=60.5), Is.GAP)[0].silence_s == 60.5
    assert rows(evidence(gap_max_s=60.0, frames=pings(72.0, 12.0)), Is.GAP) == []


def test_a_silence_counted_in_another_way_has_its_own_bar() -> None:
    found = evidence(silence_s=93.2, silence_counted_s=20.0, broker_profile="emqx_4", counts="bytes")
    assert [row.silence_s for row in rows(found, Is.COUNTED)] == [20.0]


def test_a_packet_still_on_its_way_is_told() -> None:
    found = evidence(partial_from_client=PartialPacket("PUBLISH", 90_000, 812))
    assert "client PUBLISH incomplete: 812 of 90000 bytes" in [row.what for row in rows(found)]


def test_warnings_stand_at_their_time_and_old_ones_are_counted() -> None:
    warnings = [Warned("keep_alive.late", ENDED - ago, {"gap_s": 70.0}) for ago in range(70, 10, -10)]
    told = timeline(evidence(frames=pings(72.0, 12.0)), [*warnings, Warned("odd", None, {})])
    assert told.warnings_before == 1
    assert sum(row.kind is Is.WARNING for row in told.rows) == MOST_WARNINGS
    kinds = [row.kind for row in told.rows if row.kind is not Is.GAP]
    assert kinds == [Is.PACKET, *[Is.WARNING] * 5, Is.PACKET, Is.ENDING]


def test_packets_that_are_not_shown_are_counted() -> None:
    found = evidence(frames=FRAMES, packets_from_client=100, packets_from_broker=200)
    assert timeline(found, ()).packets_before == 300 - len(FRAMES)
    assert timeline(replace(found, packets_from_client=8, packets_from_broker=8), ()).packets_before == 0


def test_gaps_are_between_packets_of_the_client_before_the_ending() -> None:
    assert client_gaps(pings(30.0, 20.0, 5.0, -1.0)) == [(20.0, 10.0), (5.0, 15.0)]


def test_a_far_window_does_not_flatten_the_bars() -> None:
    found = evidence(silence=9.0, keep_alive=4, broker_profile="unknown")
    assert found.limit_high_s == 26.0
    assert scale_s(found, rows(found)) == pytest.approx(60.5)
    near = replace(found, gap_max_s=None)
    assert scale_s(near, rows(near)) == 26.0
    assert scale_s(replace(near, silence_s=2.0), [Row(Is.ENDING, 0.0, "", 2.0)]) == 6.0


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_case_has_one_ending_and_rows_in_order(name: str) -> None:
    found = replace(CASES[name].evidence, frames=FRAMES)
    told = rows(found)
    assert sum(row.kind is Is.ENDING for row in told) == 1
    times = [row.at_s for row in told if row.at_s is not None]
    assert times == sorted(times)

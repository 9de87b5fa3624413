from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import orjson
import pytest

from kaproxy.connection.evidence import Frame, Late, Neighbours, PartialPacket, Rival
from kaproxy.connection.facts import Ending, LegFacts, RelayFacts
from kaproxy.diagnosis import diagnose
from kaproxy.diagnosis.record import SILENCES, RecordError, from_record, to_record
from kaproxy.diagnosis.shapes import USUAL, ZEROS
from tests.diagnosis.cases import (
    CASES,
    DEAD,
    EXPIRED,
    FRAMES,
    IDLE_FRAMES,
    NOT_READING,
    REACTED,
    Case,
    evidence,
    leg,
)

#: Design: a closing line at defaults stays below 2.5 KB, and the log's head takes its part of it.
LINE_BYTES = 2560
#: What could not be read, and kaproxy's own lateness, have to be told on top; so have sixteen busy frames.
EXCEPTIONAL_BYTES = 2880
HEAD_BYTES = len(
    b'"timestamp":"2026-05-01T12:00:00.000000Z","level":"warning","event":"connection.closed",'
    b'"schema":1,"worker":"w1",'
)
LATE = CASES["paho.mqtt.golang 1.4 at Keep Alive 10 against aedes"].evidence


def recorded(case: Any = LATE) -> dict[str, Any]:
    return to_record(case, diagnose(case))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_record_read_back_is_judged_the_same(case: Case) -> None:
    record = orjson.loads(orjson.dumps(recorded(case.evidence)))
    assert from_record(record) == case.evidence
    assert diagnose(from_record(record)) == diagnose(case.evidence)


def line_of(case: Case, frames: tuple[Frame, ...]) -> bytes:
    """The closing line, with durations to the microsecond as a clock gives them."""
    odd: dict[str, Any] = {
        each.name: value + 0.000123
        for each in fields(case.evidence)
        if isinstance(value := getattr(case.evidence, each.name), float)
    }
    told = replace(case.evidence, frames=frames, client_id="line-3/sensor-0042", **odd)
    return orjson.dumps(recorded(told))


def ordinary(case: Case) -> bool:
    own = case.evidence.relay.lag_max_s > 0.1
    return not own and case.evidence.unreadable is None


@pytest.mark.parametrize("case", [each for each in CASES.values() if ordinary(each)])
def test_a_line_with_sixteen_frames_stays_below_its_limit(case: Case) -> None:
    assert len(IDLE_FRAMES) == 16
    assert len(line_of(case, IDLE_FRAMES)) + HEAD_BYTES < LINE_BYTES


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_even_an_exceptional_line_stays_below_a_limit(case: Case) -> None:
    assert len(FRAMES) == 16
    assert len(line_of(case, FRAMES)) + HEAD_BYTES < EXCEPTIONAL_BYTES


def test_what_is_not_known_is_left_out() -> None:
    assert None not in recorded(evidence()).values()


def test_what_is_usual_is_left_out_and_comes_back() -> None:
    told = evidence(**EXPIRED, client_leg=REACTED)
    record = recorded(told)
    left_out = {*USUAL, *SILENCES, "loop_lag_recent_ms"} - {"stalled_s", "stalled_now"}
    assert not left_out & set(record)
    assert not {*ZEROS, "stalled_s", "stalled_now"} & set(record["client_leg"])
    assert from_record(record) == told


def test_neighbours_that_tell_nothing_take_a_word_and_come_back() -> None:
    told = evidence(neighbours=Neighbours(live=1))
    record = recorded(told)
    assert record["neighbours"] == {"live": 1}
    assert from_record(record) == told


def test_a_recent_lag_that_is_not_the_longest_is_told_and_one_not_told_is_the_longest() -> None:
    told = evidence(relay=RelayFacts(lag_max_s=4.0, lag_recent_s=0.001))
    record = recorded(told)
    assert record["loop_lag_recent_ms"] == 1.0
    assert from_record(record) == told
    del record["loop_lag_recent_ms"]
    assert from_record(record).relay.lag_recent_s == 4.0


def test_what_is_not_usual_is_told() -> None:
    told = replace(
        evidence(**EXPIRED, client_leg=NOT_READING),
        counts="bytes",
        silence_counted_s=93.1,
        downlink_gap_s=4.0,
        downlink_in_silence=3,
        pings_open=1,
        inflight_from_client=1,
        inflight_from_broker=2,
        closed_within_1s=9,
        oddities=("second_connect",),
        neighbours=Neighbours(9, 8, 7, 6, 5, 4, 3, near_age=8, near_idle=9),
    )
    record = recorded(told)
    part_of = {"stalled_s", "stalled_now", *record["neighbours"]}
    assert {*USUAL, *SILENCES} - part_of <= set(record)
    assert set(USUAL) & part_of == {
        "stalled_s",
        "stalled_now",
        *(each.name for each in fields(Neighbours)),
    } - {"previous_ended_s"}
    assert {"unsent", "stalled_s", "stalled_now"} <= set(record["client_leg"])
    assert from_record(record) == told


def test_a_leg_whose_kernel_was_not_asked_has_no_zeros() -> None:
    told = evidence(client_leg=LegFacts(unsent=0))
    record = recorded(told)
    assert record["client_leg"] == {"unsent": 0}
    assert from_record(record) == told


def test_the_record_has_the_names_of_the_design() -> None:
    record = recorded(replace(LATE, frames=FRAMES, took_over=Rival("w1-2", "10.0.0.9")))
    assert record["conn_id"] == "w1-7"
    assert record["opened_at"] == "2026-04-24T03:06:40.250000Z"
    assert record["cause"] == "keep_alive_timeout"
    assert record["root"] == "pinged_late"
    assert record["owner"] == "client_library"
    assert record["silence_s"] == 15.001
    assert record["last_from_client"] == {"packet": "PINGREQ", "ago_s": 15.001}
    assert record["late_from_client"] == {"packet": "PINGREQ", "after_s": 0.003}
    assert record["loop_lag_max_ms"] == 2.0
    assert record["relay_dwell_max_ms"] == 0.4
    assert record["took_over"] == {"conn_id": "w1-2", "client_addr": "10.0.0.9"}
    assert record["broker_leg"]["ending"] == "fin"
    assert record["frames"][-2:] == ["-15.003 C PINGREQ 2", "-15.001 b PINGRESP 2"]
    assert {"cause", "because"} == set(record["ruled_out"][0])


def test_a_reason_is_named_where_a_peer_stated_one() -> None:
    record = recorded(CASES["0x95"].evidence)
    assert (record["reason_code"], record["reason_name"]) == (0x95, "Packet too large")
    record = recorded(CASES["CONNACK 4"].evidence)
    assert (record["reason_code"], record["reason_name"]) == (4, "Bad user name or password")


def test_a_disconnect_of_3_1_1_has_no_reason_code() -> None:
    assert "reason_code" not in recorded(CASES["normal DISCONNECT"].evidence)


def test_the_normal_disconnect_of_5_0_has_reason_code_0() -> None:
    told = replace(CASES["normal DISCONNECT"].evidence, protocol_version="5.0")
    assert recorded(told)["reason_name"] == "Normal disconnection"


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (Frame(15.002, True, 0xC0, 2), "-15.002 C PINGREQ 2"),
        (Frame(-0.0041, True, 0xC0, 2), "+0.004 C PINGREQ 2"),
        (Frame(1.5, False, 0x30, 120), "-1.500 b PUBLISH 120"),
        (Frame(199.9, True, 0x10, 46), "-199.9 C CONNECT 46"),
        (Frame(1.5, False, 0x3B, 230, 7, 3), "-1.500 b PUBLISH q1dr 230 #7 x3"),
        (Frame(0.0, True, 0x82, 31, 1), "-0.000 C SUBSCRIBE 31 #1"),
        (Frame(0.0, True, 0x80, 31, 1), "-0.000 C SUBSCRIBE f0 31 #1"),
        (Frame(2.0, True, 0xE0, 2), "-2.000 C DISCONNECT 2"),
    ],
)
def test_frames_are_packed_as_one_short_text(frame: Frame, text: str) -> None:
    record = recorded(replace(LATE, frames=(frame,)))
    assert record["frames"] == [text]
    (read,) = from_record(record).frames
    assert read == replace(frame, ago_s=round(frame.ago_s, 3))


def test_a_line_of_the_log_is_read_with_its_head() -> None:
    line = {"timestamp": "x", "level": "warning", "event": "connection.closed", "schema": 1, **recorded()}
    assert from_record(line) == LATE


def test_a_record_without_later_fields_takes_their_defaults() -> None:
    record = recorded(evidence(**EXPIRED, client_leg=DEAD))
    del record["ping_ago_s"], record["late_gaps"], record["client_leg"]
    read = from_record(record)
    assert (read.ping_ago_s, read.late_gaps, read.client_leg.unsent) == (None, 0, None)


@pytest.mark.parametrize(
    ("changes", "field", "allowed"),
    [
        ({"phase": "asleep"}, "phase", "accepted, proxy_header"),
        ({"closed_by": "server"}, "closed_by", "client, broker, proxy, unknown"),
        ({"close_how": "bang"}, "close_how", "disconnect, fin, rst"),
        ({"counts": "stars"}, "counts", "packets, bytes, both_ways"),
        ({"silence_s": "long"}, "silence_s", "a number"),
        ({"silence_s": float("nan")}, "silence_s", "a number"),
        ({"late_gaps": -1}, "late_gaps", "0 or above"),
        ({"late_gaps": True}, "late_gaps", "0 or above"),
        ({"will_present": 1}, "will_present", "true or false"),
        ({"client_id": 7}, "client_id", "text"),
        ({"opened_at": "yesterday"}, "opened_at", "2026-05-01T12:00:00.000000Z"),
        ({"opened_at": "2026-05-01T12:00:00"}, "opened_at", "2026-05-01T12:00:00.000000Z"),
        ({"conn_id": None}, "conn_id", "any value but none"),
        ({"client_leg": []}, "client_leg", "a table with ending"),
        ({"client_leg": {"ending": "boom"}}, "client_leg.ending", "fin, rst"),
        ({"last_from_client": {"packet": "PINGREQ"}}, "last_from_client.ago_s", "any value but none"),
        ({"frames": "none"}, "frames", "a list"),
        ({"frames": ["-1.0 C PINGREQ"]}, "frames[0]", "-15.002 C PINGREQ 2"),
        ({"frames": ["-1.0 C PONG 2"]}, "frames[0]", "-15.002 C PINGREQ 2"),
        ({"schema": 2}, "schema", "1"),
    ],
)
def test_what_does_not_fit_is_named_with_what_is_allowed(
    changes: dict[str, object], field: str, allowed: str
) -> None:
    with pytest.raises(RecordError) as caught:
        from_record(recorded() | changes)
    assert caught.value.field == field
    assert allowed in caught.value.allowed
    assert field in str(caught.value)


def test_every_part_comes_back() -> None:
    told = replace(
        LATE,
        partial_from_client=PartialPacket("PUBLISH", None, 2),
        late_from_broker=Late("PINGRESP", 0.5),
        taken_over_by=Rival("w1-8", "10.0.0.9", 0.25),
        client_leg=leg(ending=Ending.TIMED_OUT, ended_s=3.25, stalled_s=1.5, stalled_now=True),
    )
    assert from_record(recorded(told)) == told

"""The recorder: one line per event, exactly one closing line whatever fails, nothing secret in any of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kaproxy.connection.events import LOOK_SOONER, Accepted, Closed, ObserverFailed
from kaproxy.connection.evidence import Evidence, Sighting
from kaproxy.connection.facts import Origin, Phase, ProxyAction
from kaproxy.diagnosis import Cause, Verdict, diagnose
from kaproxy.diagnosis.record import from_record
from kaproxy.telemetry import recorder as module
from kaproxy.telemetry.log import Log
from kaproxy.telemetry.recorder import Recorder, level_of
from tests.telemetry.life import ESTABLISHED, EVENTS, EVIDENCE, FULL, LATE, ORIGIN

Record = Callable[..., list[dict[str, Any]]]
#: In a field that is never without a value, as only a fault of ours can leave it.
NOTHING: Any = None


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """Records events and gives the lines written of them."""
    log = Log(path=str(tmp_path / "log"), level="debug")

    def lines(*events: Any, judge: Callable[[Evidence], Verdict] = diagnose) -> list[dict[str, Any]]:
        recorder = Recorder(log, judge=judge)
        lines.recorder = recorder  # type: ignore[attr-defined]
        for event in events:
            recorder.record(event)
        assert log.close() == 0
        return [json.loads(line) for line in (tmp_path / "log").read_text("utf-8").splitlines()]

    yield lines
    log.close()


def broken(error: Exception) -> Callable[..., Any]:
    def fail(*_: object) -> Any:
        raise error

    return fail


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def test_every_event_gives_one_line_with_its_name(record: Record) -> None:
    assert [line["event"] for line in record(*EVENTS)] == [
        "connection.accepted",
        "connection.established",
        "keep_alive.late",
        "keep_alive.missed",
        "keep_alive.overdue",
        "ping.unanswered",
        "observer.failed",
        "connection.closed",
    ]


def test_a_closing_line_can_be_judged_again(record: Record) -> None:
    (line,) = record(Closed(FULL))
    assert from_record(line) == FULL


@pytest.mark.parametrize("cause", Cause)
def test_a_clean_end_is_info_our_own_fault_an_error_a_drop_a_warning(cause: Cause) -> None:
    clean = {"client_disconnect", "client_disconnect_with_will", "probe", "proxy_shutdown"}
    assert level_of(cause) == ("info" if cause in clean else "error" if cause == "proxy_error" else "warning")


def test_the_level_of_a_closing_line_is_that_of_its_cause(record: Record) -> None:
    left = replace(
        EVIDENCE, closed_by="client", close_how="disconnect", phase=Phase.CLOSING, first_disconnect="client",
        disconnect_from_client=0,
    )  # fmt: skip
    ours = replace(EVIDENCE, closed_by="proxy", close_how="local", proxy_action=ProxyAction.ERROR)
    lines = record(Closed(left), Closed(EVIDENCE), Closed(ours))
    assert [(line["cause"], line["level"]) for line in lines] == [
        ("client_disconnect", "info"),
        ("keep_alive_timeout", "warning"),
        ("proxy_error", "error"),
    ]


def test_where_judging_fails_the_line_has_all_facts_and_names_kaproxys_fault(record: Record) -> None:
    (line,) = record(Closed(FULL), judge=broken(ZeroDivisionError("a rule")))
    assert (line["cause"], line["owner"], line["level"]) == ("unknown", "proxy", "error")
    assert "ZeroDivisionError: a rule" in line["explanation"]
    assert "fault of kaproxy" in line["explanation"]
    assert from_record(line) == FULL


@pytest.mark.as_written
def test_where_the_record_fails_too_every_fact_that_can_be_told_is_told(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "to_record", broken(TypeError("a field")))
    (line,) = record(Closed(FULL))
    assert (line["cause"], line["owner"]) == ("unknown", "proxy")
    assert from_record(line) == FULL


@pytest.mark.as_written
def test_one_bad_fact_takes_no_other_with_it(record: Record) -> None:
    torn = replace(EVIDENCE, last_from_client=Sighting("PINGREQ", "soon"), silence_s="long")  # type: ignore[arg-type]
    (line,) = record(Closed(torn))
    assert line["cause"] == "unknown"
    assert line["client_id"] == "press-7"
    assert line["late_gaps"] == 5
    assert "silence_s" not in line


@pytest.mark.as_written
@pytest.mark.parametrize("fault", [ValueError("x"), UnspeakableError(), RecursionError(), KeyError()])
def test_nothing_raised_below_gets_out_and_the_line_does(
    record: Record, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    for name in ("to_record", "put"):
        monkeypatch.setattr(module, name, broken(fault))
    (line,) = record(Closed(EVIDENCE), judge=broken(fault))
    assert line["event"] == "connection.closed"
    assert type(fault).__name__ in line["explanation"]


@pytest.mark.as_written
def test_evidence_with_nothing_right_in_it_still_gives_one_line(record: Record) -> None:
    nothing = Evidence(Origin(None, None, None, None, None, None), *[None] * 4)  # type: ignore[arg-type]
    (line,) = record(Closed(nothing))
    assert (line["event"], line["cause"]) == ("connection.closed", "unknown")


def test_a_client_identifier_that_is_no_unicode_does_not_cost_the_line(record: Record) -> None:
    (line,) = record(Closed(replace(EVIDENCE, client_id="a\udc80b")))
    assert line["client_id"] == "a\\udc80b"
    assert line["cause"] == "keep_alive_timeout"


@pytest.mark.as_written
def test_an_event_that_cannot_be_written_is_told_and_not_raised(record: Record) -> None:
    lines = record(replace(LATE, gap_s=NOTHING), "no event", ObserverFailed(ORIGIN, "x"))
    assert [line["event"] for line in lines] == ["observer.failed"] * 3
    assert "TypeError" in lines[0]["error"]
    assert "KeyError" in lines[1]["error"]


def test_the_recorder_counts_what_it_saw(record: Record) -> None:
    record(Accepted(ORIGIN), Accepted(ORIGIN), Closed(EVIDENCE), Closed(EVIDENCE))
    recorder: Recorder = record.recorder  # type: ignore[attr-defined]
    assert recorder.accepted == 2
    assert recorder.causes == {"keep_alive_timeout": 2}


def test_accepted_costs_no_line_unless_debug_is_on(tmp_path: Path) -> None:
    log = Log(path=str(tmp_path / "log"), level="info")
    recorder = Recorder(log)
    recorder.record(Accepted(ORIGIN))
    log.set_level("debug")
    recorder.record(Accepted(ORIGIN))
    log.close()
    assert (tmp_path / "log").read_text().count("connection.accepted") == 1
    assert recorder.accepted == 2


@pytest.mark.as_written
def test_a_line_that_is_not_wanted_is_not_made_and_its_verdict_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(path=str(tmp_path / "log"), level="warning")
    recorder = Recorder(log)
    monkeypatch.setattr(module, "to_record", broken(AssertionError("made for nothing")))
    clean = replace(EVIDENCE, closed_by="client", close_how="disconnect", first_disconnect="client")
    for event in (ESTABLISHED, Closed(clean), LOOK_SOONER):
        recorder.record(event)
    log.close()
    assert (tmp_path / "log").read_text() == ""
    assert recorder.causes == {"client_disconnect": 1}


@pytest.mark.as_written
def test_an_opening_that_cannot_be_told_is_told_as_a_fault(record: Record) -> None:
    (line,) = record(replace(ESTABLISHED, connack_s=NOTHING))
    assert (line["event"], line["level"]) == ("observer.failed", "error")
    assert "TypeError" in line["error"]


def test_the_head_of_a_line_is_the_logs_own(tmp_path: Path) -> None:
    log = Log(path=str(tmp_path / "log"), worker="w7")
    log.write("info", "proxy.started", {"level": "silly", "worker": "x", "conn_id": "c-1", "more": 1})
    line = log.head("info", "proxy.started")
    log.write_line("info", line | {"conn_id": "c-1", "more": 1})
    log.write_line("debug", line)
    log.close()
    one, other = (json.loads(text) for text in (tmp_path / "log").read_text().splitlines())
    assert list(one) == ["timestamp", "level", "event", "schema", "worker", "conn_id", "more"]
    assert (one["level"], one["worker"]) == ("info", "w7")
    assert {**other, "timestamp": one["timestamp"]} == one


def test_a_time_stamp_is_utc_with_microseconds(record: Record) -> None:
    before = time.time()
    (line,) = record(ObserverFailed(ORIGIN, "x"))
    text = line["timestamp"]
    assert len(text) == len("2026-11-23T06:11:00.123456Z")
    assert text.endswith("Z")
    stamp = time.strptime(text.partition(".")[0], "%Y-%m-%dT%H:%M:%S")
    assert abs(time.mktime(stamp) - time.mktime(time.gmtime(before))) <= 1

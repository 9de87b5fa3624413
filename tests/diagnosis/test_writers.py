"""Writers write what the tables of `shapes.py` say, neither more nor less, and in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import RelayFacts
from kaproxy.diagnosis import Verdict, diagnose
from kaproxy.diagnosis.kinds import MILLIS, SECONDS, TIME, WHOLE, Fields, Kind, to_thousandths
from kaproxy.diagnosis.reading import stated_code, version
from kaproxy.diagnosis.record import to_record
from kaproxy.diagnosis.shapes import FACTS, MEASURED, ORIGIN, SILENCES, STATED, STORY, USUAL, WHO, ZEROS
from kaproxy.diagnosis.writers import SAME, part_writer, put, writer
from kaproxy.mqtt.codes import reason_name
from tests.diagnosis.cases import CASES, Case
from tests.diagnosis.test_properties import SOME
from tests.telemetry.life import FULL

Record = dict[str, Any]


def walked(source: object, group: Fields) -> Record:
    """A group's fields, by walking its table and those of the parts in it."""
    record: Record = {}
    for name, kind in group:
        value = getattr(source, name)
        if value is None or (name in USUAL and value == USUAL[name]):
            continue
        record[name] = walked(value, kind.parts) if kind.parts else kind.write(value)
        if "window" in kind_names(kind) and "window" in record[name]:
            leave_out_zeros(record[name])
    return record


def kind_names(kind: Kind) -> set[str]:
    return {name for name, _ in kind.parts}


def leave_out_zeros(leg: Record) -> None:
    for name in ZEROS:
        if leg.get(name) == 0:
            del leg[name]
        else:
            leg.setdefault(name, None)


def leave_out_repeated(record: Record, said: str, names: tuple[str, ...]) -> None:
    for name in names:
        if record.get(name) == record[said]:
            del record[name]
        else:
            record.setdefault(name, None)


def reason(evidence: Evidence) -> Record:
    stated = stated_code(evidence)
    if stated is None:
        return {}
    return {"reason_code": stated[0], "reason_name": reason_name(stated[0], version(evidence), stated[1])}


def judged(verdict: Verdict) -> Record:
    said = {
        "cause": str(verdict.cause),
        "root": verdict.root,
        "owner": str(verdict.owner),
        "confidence": str(verdict.confidence),
        "code": verdict.code,
        "explanation": verdict.explanation,
        "advice": verdict.advice,
        "ruled_out": [{"cause": str(each.cause), "because": each.because} for each in verdict.ruled_out],
        "would_settle": verdict.would_settle,
    }
    return {name: value for name, value in said.items() if value is not None}


def measured_of_itself(relay: RelayFacts) -> Record:
    longest, recent = round(relay.lag_max_s * 1000, 3), round(relay.lag_recent_s * 1000, 3)
    known = {"relay_dwell_max_ms": round(relay.dwell_max_s * 1000, 3), "loop_lag_max_ms": longest}
    return known if recent == longest else known | {"loop_lag_recent_ms": recent}


def by_the_tables(evidence: Evidence, verdict: Verdict) -> Record:
    """The closing line as the tables say it, step by step."""
    start = walked(evidence.origin, ORIGIN) | walked(evidence, WHO) | walked(evidence, FACTS)
    start |= reason(evidence) | walked(evidence, STATED)
    if evidence.close_how == "disconnect":
        leave_out_repeated(start, "closed_by", ("first_disconnect",))
    middle = judged(verdict) | walked(evidence, MEASURED)
    if evidence.silence_s is not None:
        leave_out_repeated(middle, "silence_s", SILENCES)
    return start | middle | measured_of_itself(evidence.relay) | walked(evidence, STORY)


def text(record: Mapping[str, object]) -> bytes:
    """With the order of the fields, which dicts leave out when they are compared."""
    return orjson.dumps(record)


@given(SOME)
def test_a_record_is_what_the_tables_say_of_any_evidence(evidence: Evidence) -> None:
    verdict = diagnose(evidence)
    assert text(to_record(evidence, verdict)) == text(by_the_tables(evidence, verdict))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_record_is_what_the_tables_say_of_every_case(case: Case) -> None:
    verdict = diagnose(case.evidence)
    assert text(to_record(case.evidence, verdict)) == text(by_the_tables(case.evidence, verdict))


def test_a_record_in_which_everything_is_told_is_what_the_tables_say() -> None:
    verdict = diagnose(FULL)
    assert text(to_record(FULL, verdict)) == text(by_the_tables(FULL, verdict))
    assert {name for group in (ORIGIN, WHO, FACTS, STATED, STORY) for name, _ in group} <= set(
        to_record(FULL, verdict)
    )


@given(silence=st.none() | st.floats(0, 9), counted=st.none() | st.floats(0, 9), close=st.booleans())
def test_a_silence_that_is_told_already_is_compared_as_it_is_written(
    silence: float | None, counted: float | None, close: bool
) -> None:
    if close and silence is not None:
        counted = silence + 2e-7  # the same in six decimals, or next to it
    told = replace(FULL, silence_s=silence, silence_counted_s=counted, downlink_gap_s=None)
    verdict = diagnose(FULL)
    assert text(to_record(told, verdict)) == text(by_the_tables(told, verdict))


FLOATS = st.floats() | st.floats(-2e9, 2e9) | st.floats(-1, 1) | st.integers(-(10**12), 10**12)
EDGES = (0.0, -0.0, 5e-7, -5e-7, 1.5e-6, 2.5e-6, 1e9, -1e9, 999_999_999.999_999_9, 0.000_000_499_999_999_99)


@given(FLOATS | st.sampled_from(EDGES))
@pytest.mark.parametrize("kind", [SECONDS, MILLIS], ids=["seconds", "millis"])
def test_a_number_is_rounded_in_line_as_it_is_by_a_call(kind: Kind, value: float) -> None:
    inline = eval(kind.inline, {"value": value})  # noqa: S307 - it is of `kinds.py`
    assert repr(float(inline)) == repr(float(kind.write(value)))  # type: ignore[arg-type]


@given((FLOATS | st.integers(0, 10**7).map(lambda many: many / 2000)).map(lambda value: float(value) + 0.0))
def test_thousandths_are_those_of_round(value: float) -> None:
    assert repr(to_thousandths(value)) == repr(round(value, 3))


@given(st.floats(-1e9, 4e9))
def test_a_moment_has_the_microseconds_of_its_datetime(value: float) -> None:
    told = datetime.fromtimestamp(value, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert TIME.write(value) == told


class Source:
    def __init__(self, **values: object) -> None:
        self.__dict__.update(values)


PLAIN: Fields = (("a", WHOLE), ("b", WHOLE), ("c", SECONDS))


def test_what_is_not_known_or_is_usual_is_left_out() -> None:
    write = writer(PLAIN, {"b": 1})
    for source, told in (
        (Source(a=0, b=1, c=None), {"a": 0}),
        (Source(a=None, b=0, c=0.1234567), {"b": 0, "c": 0.123457}),
    ):
        record: dict[str, object] = {}
        write(record, source)
        assert record == told
        walk: dict[str, object] = {}
        put(walk, source, PLAIN, {"b": 1})
        assert walk == told


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [(7, 0, {"a": 7}), (7, 3, {"a": 7, "b": 3}), (None, 0, {"b": 0}), (7, None, {"a": 7, "b": None})],
)
def test_a_value_that_another_field_implies_is_left_out_where_that_one_is_known(
    a: int | None, b: int | None, told: Record
) -> None:
    assert part_writer(PLAIN, {}, {"b": ("a", 0)})(Source(a=a, b=b, c=None)) == told


def test_what_is_implied_and_not_known_is_null_after_all_other_fields() -> None:
    written = part_writer(PLAIN, {}, {"b": ("a", SAME)})(Source(a=1, b=None, c=2.0))
    assert list(written.items()) == [("a", 1), ("c", 2.0), ("b", None)]

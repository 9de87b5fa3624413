"""Writers write what the tables of `shapes.py` say, neither more nor less, and in their order.

That `written.py` is what the writers of today's tables are, `tests/test_docs.py` holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import RelayFacts
from kaproxy.diagnosis import Verdict, diagnose, numbers
from kaproxy.diagnosis.kinds import MILLIS, SECONDS, WHOLE, Fields, Kind
from kaproxy.diagnosis.reading import stated_code, version
from kaproxy.diagnosis.record import to_record
from kaproxy.diagnosis.shapes import (
    FACTS,
    IMPLIED,
    MEASURED,
    ORIGIN,
    SILENCES,
    STATED,
    STORY,
    USUAL,
    WHO,
    ZEROS,
)
from kaproxy.diagnosis.writers import SAME, Group, Implied, function_text, put
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
    inline = eval(kind.inline, {"value": value, **vars(numbers)})  # noqa: S307 - it is of `kinds.py`
    assert repr(float(inline)) == repr(float(kind.write(value)))  # type: ignore[arg-type]


@given(SOME)
def test_a_table_that_is_walked_gives_what_is_written(evidence: Evidence) -> None:
    record: dict[str, object] = {}
    put(record, evidence, MEASURED, USUAL, IMPLIED)
    whole = to_record(evidence, diagnose(evidence))
    assert record == {name: whole[name] for name, _ in MEASURED if name in whole}


@dataclass
class Source:
    a: int | None = None
    b: int | None = None
    c: float | None = None


PLAIN: Fields = (("a", WHOLE), ("b", WHOLE), ("c", SECONDS))


def written(source: Source, usual: Mapping[str, object], implied: Implied) -> Record:
    """By the text of a writer of `PLAIN`, and the same by walking the table."""
    names: dict[str, Any] = {"Source": Source, **vars(numbers)}
    exec(function_text(Group("write", Source, PLAIN), usual, implied), names)  # noqa: S102 - of the table above
    write: Callable[[Record, Source], None] = names["write"]
    record: Record = {}
    write(record, source)
    walk: Record = {}
    put(walk, source, PLAIN, usual, implied)
    assert text(walk) == text(record)
    return record


@pytest.mark.parametrize(
    ("source", "told"),
    [(Source(0, 1, None), {"a": 0}), (Source(None, 0, 0.1234567), {"b": 0, "c": 0.123457})],
)
def test_what_is_not_known_or_is_usual_is_left_out(source: Source, told: Record) -> None:
    assert written(source, {"b": 1}, {}) == told


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (Source(7, 0), {"a": 7}),
        (Source(7, 3), {"a": 7, "b": 3}),
        (Source(None, 0), {"b": 0}),
        (Source(7, None), {"a": 7, "b": None}),
    ],
)
def test_a_value_that_another_field_implies_is_left_out_where_that_one_is_known(
    source: Source, told: Record
) -> None:
    assert written(source, {}, {"b": ("a", 0)}) == told


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (Source(1, 1, 2.0), [("a", 1), ("c", 2.0)]),
        (Source(1, 3, 2.0), [("a", 1), ("b", 3), ("c", 2.0)]),
        (Source(1, None, 2.0), [("a", 1), ("c", 2.0), ("b", None)]),
    ],
)
def test_what_says_the_same_is_left_out_and_what_is_not_known_then_is_null_after_all_others(
    source: Source, told: list[tuple[str, object]]
) -> None:
    assert list(written(source, {}, {"b": ("a", SAME)}).items()) == told

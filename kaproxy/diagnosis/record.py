"""The flat record of a closed connection: evidence and verdict under the names of the log line, and back.

What is not known is left out, and to keep lines short what is usual (`USUAL` and `ZEROS` in `shapes.py`) and what
another field says (`SILENCES`). Durations keep six decimals, milliseconds three, frames what `frames.py` says; but
for that, `from_record(to_record(evidence, verdict)) == evidence`, so old lines can be judged by new rules. Time
stamp, level, event, schema and worker are the log's own and not made here; reading ignores them.
Read next: `shapes.py` for the fields, `kinds.py` for their values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Origin, RelayFacts
from kaproxy.diagnosis.kinds import MILLIS, RecordError
from kaproxy.diagnosis.numbers import to_thousandths
from kaproxy.diagnosis.reading import stated_code, version
from kaproxy.diagnosis.shapes import (
    FACTS,
    MEASURED,
    ORIGIN,
    SILENCES,
    STATED,
    STORY,
    WHO,
    take,
)
from kaproxy.diagnosis.verdict import RuledOut, Verdict
from kaproxy.diagnosis.written import put_measured, put_origin, put_stated, put_story, put_who_and_how
from kaproxy.mqtt.codes import reason_name

__all__ = ["SILENCES", "RecordError", "from_record", "to_record"]

#: The only version of the fields that can be read.
SCHEMA: Final = 1
_NEEDED: Final[tuple[str, ...]] = (
    *(name for name, _ in ORIGIN if name != "transport"),
    *(name for name, _ in FACTS),
)
_MS: Final = 1000.0


def to_record(
    evidence: Evidence, verdict: Verdict, record: dict[str, object] | None = None
) -> dict[str, object]:
    """The closing line's fields, ready for JSON; put into `record` where one is given."""
    if record is None:
        record = {}
    put_origin(record, evidence.origin)
    put_who_and_how(record, evidence)
    _put_reason(record, evidence)
    put_stated(record, evidence)
    if evidence.close_how == "disconnect":
        _leave_out_first_disconnect(record)
    _put_verdict(record, verdict)
    put_measured(record, evidence)
    put_relay(record, evidence.relay)
    put_story(record, evidence)
    return record


def put_relay(record: dict[str, object], relay: RelayFacts) -> None:
    """What kaproxy measured of itself; its recent lag is left out where it is the longest of all."""
    record["relay_dwell_max_ms"] = to_thousandths(relay.dwell_max_s * _MS)
    longest = record["loop_lag_max_ms"] = to_thousandths(relay.lag_max_s * _MS)
    if relay.lag_recent_s != relay.lag_max_s:
        recent = to_thousandths(relay.lag_recent_s * _MS)
        if recent != longest:
            record["loop_lag_recent_ms"] = recent


def from_record(record: Mapping[str, object]) -> Evidence:
    """The evidence in a record. RecordError names the field that does not fit and what is allowed there."""
    if record.get("schema", SCHEMA) != SCHEMA:
        raise RecordError("schema", record["schema"], str(SCHEMA))
    for name in _NEEDED:
        if record.get(name) is None:
            raise RecordError(name, None, "any value but none")
    found = {
        **take(record, WHO),
        **take(record, FACTS),
        **take(record, STATED),
        **take(record, MEASURED),
        **take(record, STORY),
    }
    _put_back(record, found)
    return Evidence(origin=Origin(**take(record, ORIGIN)), relay=_relay(record), **found)


def _put_reason(record: dict[str, object], evidence: Evidence) -> None:
    stated = stated_code(evidence)
    if stated is not None:
        code, packet = stated
        record["reason_code"] = code
        record["reason_name"] = reason_name(code, version(evidence), packet)


def _put_verdict(record: dict[str, object], verdict: Verdict) -> None:
    record["cause"] = verdict.cause._value_  # a third of what `str` takes
    if verdict.root is not None:
        record["root"] = verdict.root
    record["owner"] = verdict.owner._value_
    record["confidence"] = verdict.confidence._value_
    record["code"] = verdict.code
    record["explanation"] = verdict.explanation
    record["advice"] = verdict.advice
    record["ruled_out"] = _ruled_out(verdict.ruled_out) if verdict.ruled_out else []
    if verdict.would_settle is not None:
        record["would_settle"] = verdict.would_settle


def _ruled_out(beaten: tuple[RuledOut, ...]) -> list[dict[str, str]]:
    return [{"cause": str(each.cause), "because": each.because} for each in beaten]


def _leave_out_first_disconnect(record: dict[str, object]) -> None:
    """Where closed_by says it already; where it is not known it is then written as null."""
    if record.setdefault("first_disconnect", None) == record["closed_by"]:
        del record["first_disconnect"]


def _put_back(record: Mapping[str, object], found: dict[str, Any]) -> None:
    """What was left out because another field says it."""
    if found["close_how"] == "disconnect" and found["closed_by"] in ("client", "broker"):
        _put_back_from(record, found, "closed_by", ("first_disconnect",))
    if "silence_s" in found:
        _put_back_from(record, found, "silence_s", SILENCES)


def _put_back_from(
    record: Mapping[str, object], found: dict[str, Any], said: str, names: tuple[str, ...]
) -> None:
    found.update((name, found[said]) for name in names if name not in record)


def _relay(record: Mapping[str, object]) -> RelayFacts:
    names = ("relay_dwell_max_ms", "loop_lag_max_ms", "loop_lag_recent_ms")
    times = take(record, tuple((name, MILLIS) for name in names))
    longest = times.get("loop_lag_max_ms", 0.0)
    return RelayFacts(
        dwell_max_s=round(times.get("relay_dwell_max_ms", 0.0) / _MS, 6),
        lag_max_s=round(longest / _MS, 6),
        lag_recent_s=round(times.get("loop_lag_recent_ms", longest) / _MS, 6),
    )

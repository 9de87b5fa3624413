"""The flat record of a closed connection: evidence and verdict under the names of the log line, and back.

What is not known is left out. Durations keep six decimals, milliseconds three, frames whole milliseconds;
but for that, `from_record(to_record(evidence, verdict)) == evidence`, so old lines can be judged by new rules.
Time stamp, level, event, schema and worker are the log's own and not made here; reading ignores them.
Read next: `shapes.py` for the fields, `kinds.py` for their values.
"""

from __future__ import annotations

from collections.abc import Mapping

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Origin, RelayFacts
from kaproxy.diagnosis.kinds import MILLIS, RecordError
from kaproxy.diagnosis.reading import stated_code, version
from kaproxy.diagnosis.shapes import FACTS, MEASURED, ORIGIN, STATED, STORY, WHO, put, take
from kaproxy.diagnosis.verdict import Verdict
from kaproxy.mqtt.codes import reason_name

__all__ = ["RecordError", "from_record", "to_record"]

#: The only version of the fields that can be read.
SCHEMA = 1
_NEEDED = (
    *(name for name, _ in ORIGIN if name != "transport"),
    *(name for name, _ in FACTS),
)
_MS = 1000.0


def to_record(evidence: Evidence, verdict: Verdict) -> dict[str, object]:
    """The closing line's fields, ready for JSON."""
    record: dict[str, object] = {}
    put(record, evidence.origin, ORIGIN)
    put(record, evidence, WHO)
    put(record, evidence, FACTS)
    _put_reason(record, evidence)
    put(record, evidence, STATED)
    _put_verdict(record, verdict)
    put(record, evidence, MEASURED)
    record["relay_dwell_max_ms"] = round(evidence.relay.dwell_max_s * _MS, 3)
    record["loop_lag_max_ms"] = round(evidence.relay.lag_max_s * _MS, 3)
    put(record, evidence, STORY)
    return record


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
    return Evidence(origin=Origin(**take(record, ORIGIN)), relay=_relay(record), **found)


def _put_reason(record: dict[str, object], evidence: Evidence) -> None:
    stated = stated_code(evidence)
    if stated is not None:
        code, packet = stated
        record["reason_code"] = code
        record["reason_name"] = reason_name(code, version(evidence), packet)


def _put_verdict(record: dict[str, object], verdict: Verdict) -> None:
    record["cause"] = str(verdict.cause)
    if verdict.root is not None:
        record["root"] = verdict.root
    record["owner"] = str(verdict.owner)
    record["confidence"] = str(verdict.confidence)
    record["code"] = verdict.code
    record["explanation"] = verdict.explanation
    record["advice"] = verdict.advice
    record["ruled_out"] = [{"cause": str(each.cause), "because": each.because} for each in verdict.ruled_out]
    if verdict.would_settle is not None:
        record["would_settle"] = verdict.would_settle


def _relay(record: Mapping[str, object]) -> RelayFacts:
    times = take(record, (("relay_dwell_max_ms", MILLIS), ("loop_lag_max_ms", MILLIS)))
    return RelayFacts(
        dwell_max_s=round(times.get("relay_dwell_max_ms", 0.0) / _MS, 6),
        lag_max_s=round(times.get("loop_lag_max_ms", 0.0) / _MS, 6),
    )

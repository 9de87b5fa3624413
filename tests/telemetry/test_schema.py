"""The table of fields and the lines say the same: no field undocumented, no documented field never written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kaproxy.diagnosis.record import to_record
from kaproxy.diagnosis.shapes import USUAL
from kaproxy.telemetry.log import Log
from kaproxy.telemetry.recorder import Recorder
from kaproxy.telemetry.schema import SCHEMA, Field, events, head, parts
from kaproxy.telemetry.schema_markdown import WORDS, log_schema_markdown, words_of
from tests.telemetry.life import EVENTS, EVIDENCE, FULL, VERDICT

TYPES: dict[str, tuple[type[Any], ...]] = {
    "text": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "time": (str,),
    "table": (dict,),
    "list": (list,),
}


def written(tmp_path: Path) -> list[dict[str, Any]]:
    """The lines of all events."""
    log = Log(path=str(tmp_path / "log"), level="debug")
    recorder = Recorder(log)
    for event in EVENTS:
        recorder.record(event)
    log.close()
    return [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]


def check(record: dict[str, Any], fields: tuple[Field, ...]) -> None:
    """A record has the fields of its table: all that are always there, none that is not in it, of their types."""
    by_name = {field.name: field for field in fields}
    assert set(record) <= set(by_name)
    assert {field.name for field in fields if not field.optional} <= set(record)
    for name, value in record.items():
        field = by_name[name]
        if value is None and field.optional:
            continue
        assert isinstance(value, TYPES[field.type]), name
        assert (field.type == "boolean") == isinstance(value, bool), name
        if field.type == "time":
            assert datetime.fromisoformat(value).tzinfo == UTC, name
        if field.part:
            for inner in value if isinstance(value, list) else [value]:
                check(inner, parts()[field.part])


def test_the_record_of_full_evidence_has_exactly_the_fields_of_the_table() -> None:
    fields = events()["connection.closed"].fields
    record = to_record(FULL, VERDICT)
    assert set(record) == {field.name for field in fields}
    check(record, fields)
    for field in fields:
        value = record[field.name]
        if field.part and isinstance(value, dict):
            assert set(value) == {inner.name for inner in parts()[field.part]}


def test_the_record_of_scant_evidence_leaves_out_only_what_may_be_missing() -> None:
    check(to_record(EVIDENCE, VERDICT), events()["connection.closed"].fields)


def test_every_line_has_the_fields_of_its_table(tmp_path: Path) -> None:
    lines = written(tmp_path)
    assert len(lines) == len(EVENTS)
    for line in lines:
        check(line, head() + events()[line["event"]].fields)


def test_every_line_starts_with_the_head_in_its_order(tmp_path: Path) -> None:
    for line in written(tmp_path):
        assert list(line)[:6] == [*(field.name for field in head()), "conn_id"]
        assert line["schema"] == SCHEMA


def test_every_event_has_the_level_of_its_table(tmp_path: Path) -> None:
    for line in written(tmp_path):
        assert events()[line["event"]].level in {line["level"], "by cause"}


@pytest.mark.parametrize("event", events())
def test_every_row_is_complete(event: str) -> None:
    line = events()[event]
    assert len({field.name for field in line.fields}) == len(line.fields)
    for field in line.fields:
        assert field.type in TYPES
        assert field.meaning.endswith((".", "?", "…"))
        assert not field.part or field.part in parts()
        assert words_of(field.values).count("@") == 0
        unit = {"_s": "s", "_ms": "ms"}
        for ending, needed in unit.items():
            if field.name.endswith(ending) and not field.name.endswith("_1s"):
                assert field.unit == needed, field.name


def test_what_is_left_out_at_its_usual_value_is_so_marked() -> None:
    rows = [*events()["connection.closed"].fields, *(field for part in parts().values() for field in part)]
    assert {row.name: json.loads(row.usual) for row in rows if row.usual} == json.loads(json.dumps(USUAL))
    assert all(row.optional for row in rows if row.usual)


def test_every_part_is_used() -> None:
    used = {field.part for line in events().values() for field in line.fields}
    assert used - {""} == set(parts())


def test_every_set_of_words_is_used() -> None:
    rows = [field for line in events().values() for field in line.fields]
    rows += [field for fields in parts().values() for field in fields]
    assert {name for name in WORDS if any(f"@{name}" in row.values for row in rows)} == set(WORDS)


def test_the_page_has_every_event_and_every_field() -> None:
    page = log_schema_markdown()
    for line in events().values():
        assert f"\n## {line.event}\n" in page
        for field in line.fields:
            assert f"| `{field.name}` |" in page

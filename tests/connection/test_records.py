"""Records whose `__init__` is spelled out: it takes the fields, in their order, with their defaults, and keeps each."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest

from kaproxy.connection import directory, events, evidence, facts
from kaproxy.mqtt import packets

SPELLED_OUT = [
    kind
    for module in (directory, facts, evidence, events, packets)
    for kind in vars(module).values()
    if dataclasses.is_dataclass(kind)
    and isinstance(kind, type)
    and kind.__module__ == module.__name__
    and not kind.__dataclass_params__.init  # type: ignore[attr-defined]
]


def test_there_are_such_records() -> None:
    assert {kind.__name__ for kind in SPELLED_OUT} >= {
        "LegFacts",
        "Origin",
        "Evidence",
        "Established",
        "Connect",
        "Past",
    }


@pytest.mark.as_written
@pytest.mark.parametrize("kind", SPELLED_OUT)
def test_a_record_is_made_of_its_fields_in_their_order(kind: Any) -> None:
    fields = dataclasses.fields(kind)
    parameters = list(inspect.signature(kind).parameters.values())
    assert [each.name for each in parameters] == [field.name for field in fields]
    for parameter, field in zip(parameters, fields, strict=True):
        missing = parameter.default is inspect.Parameter.empty
        assert missing == (field.default is dataclasses.MISSING)
        assert missing or parameter.default == field.default
    values = [object() for _ in fields]
    made = kind(*values)
    assert [getattr(made, field.name) for field in fields] == values

"""Records whose `__init__` is spelled out: it takes the fields, in their order, with their defaults, and keeps each."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest

from kaproxy.build import COMPILED, build
from kaproxy.connection import events, evidence, facts
from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Origin, Phase
from kaproxy.mqtt import packets

SPELLED_OUT = [
    kind
    for module in (facts, evidence, events, packets)
    for kind in vars(module).values()
    if dataclasses.is_dataclass(kind)
    and isinstance(kind, type)
    and kind.__module__ == module.__name__
    and not kind.__dataclass_params__.init  # type: ignore[attr-defined]
]
ORIGIN = Origin("c-1", "default", "192.0.2.7", 50123, "broker:1883", 1.0)


def test_there_are_such_records() -> None:
    assert {kind.__name__ for kind in SPELLED_OUT} >= {
        "LegFacts",
        "Origin",
        "Evidence",
        "Established",
        "Connect",
    }


@pytest.mark.skipif(build() == COMPILED, reason="machine code has no signature; the source is the same")
@pytest.mark.parametrize("kind", [kind for kind in SPELLED_OUT if kind is not Evidence])
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


def test_evidence_is_as_its_defaults_say_until_it_is_filled_in() -> None:
    made = Evidence(ORIGIN, 1.0, Phase.ESTABLISHED, "client", "fin")
    for field in dataclasses.fields(Evidence)[5:]:
        assert getattr(made, field.name) == field.default, field.name


def test_evidence_keeps_every_field_it_is_given() -> None:
    made = Evidence(ORIGIN, 1.0, Phase.ESTABLISHED, "client", "fin")
    again = dataclasses.replace(made, silence_s=3.0, frames=(evidence.Frame(1.0, True, 0xC0, 2),))
    assert again != made
    assert (again.silence_s, again.frames[0].size) == (3.0, 2)
    assert dataclasses.replace(again, silence_s=None, frames=()) == made


def test_evidence_has_no_other_fields() -> None:
    with pytest.raises(TypeError, match="evidence has no field 'silence'"):
        Evidence(ORIGIN, 1.0, Phase.ESTABLISHED, "client", "fin", silence=3.0)

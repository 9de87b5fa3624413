"""Rows as ClickHouse writes them become Python's values again."""

from __future__ import annotations

import math

import pytest

from kaproxy.analysis.store.engine import EngineError
from kaproxy.analysis.store.tsv import rows_of


def answer(kinds: str, *lines: str) -> str:
    names = "\t".join(f"c{number}" for number, _ in enumerate(kinds.split("\t")))
    return "\n".join([names, kinds, *lines, ""])


def test_cells_are_read_by_their_types() -> None:
    kinds = (
        "UInt64\tNullable(Int64)\tFloat64\tNullable(Float64)\tString\tLowCardinality(Nullable(String))\tBool"
    )
    assert rows_of(answer(kinds, "3\t-4\t1.5\t2\t5\t6\ttrue")) == [(3, -4, 1.5, 2.0, "5", "6", True)]


def test_integers_of_64_bits_keep_every_digit() -> None:
    assert rows_of(answer("Int64", "9007199254740993", "-9223372036854775808")) == [
        (9007199254740993,),
        (-9223372036854775808,),
    ]


def test_null_is_none_in_every_type_and_is_no_empty_text() -> None:
    kinds = "Nullable(Int64)\tNullable(Float64)\tNullable(String)\tNullable(Nothing)"
    assert rows_of(answer(kinds, "\\N\t\\N\t\\N\t\\N")) == [(None, None, None, None)]
    assert rows_of(answer("Nullable(String)\tString", "\t")) == [("", "")]


def test_a_text_that_looks_like_null_stays_a_text() -> None:
    assert rows_of(answer("Nullable(String)", "\\\\N")) == [("\\N",)]


def test_nan_and_infinity_are_floats() -> None:
    ((nan, infinity, negative),) = rows_of(answer("Float64\tFloat64\tFloat64", "nan\tinf\t-inf"))
    assert math.isnan(nan)
    assert (infinity, negative) == (math.inf, -math.inf)


def test_escapes_are_undone() -> None:
    assert rows_of(answer("String", r"a\tb\nc\\d\'e\0")) == [("a\tb\nc\\d'e\0",)]


def test_an_answer_without_rows_has_none() -> None:
    assert rows_of(answer("String")) == []


def test_a_row_of_the_wrong_length_is_an_error() -> None:
    with pytest.raises(EngineError, match="1 cells where 2"):
        rows_of(answer("Int64\tInt64", "1"))


def test_an_answer_without_types_is_an_error() -> None:
    with pytest.raises(EngineError, match="without names and types"):
        rows_of("")

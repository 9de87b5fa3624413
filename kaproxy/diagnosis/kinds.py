"""The kinds of values in a log record: how each is written, how it is read back, and what it may be.

Reading checks: a record may come from anywhere. This file may not know which fields there are.
Read next: `shapes.py`, the table of fields, then `record.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

from kaproxy.connection.evidence import Frame
from kaproxy.diagnosis import frames
from kaproxy.diagnosis.numbers import utc


class RecordError(ValueError):
    """A record that no evidence can be made of: which field, what was in it, what is allowed."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        super().__init__(f"{field}: {_shown(value)} is not allowed here; allowed: {allowed}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


_SHOWN = 80
_ORDINARY = 1e9


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value. `read` gets the field's name for its errors, and raises RecordError.

    `inline`: what `write` does as an expression of `value`, with the names that `written.py` has.
    `parts` and `made`: the fields and the class, where the value is a table.
    """

    write: Callable[[Any], object]
    read: Callable[[str, object], Any]
    inline: str = ""
    parts: Fields = ()
    made: type[Any] | None = None


Fields: TypeAlias = tuple[tuple[str, Kind], ...]


def _as_it_is(value: object) -> object:
    return value


def _read_text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise RecordError(field, value, "text")
    return value


def _read_whole(field: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RecordError(field, value, "a whole number, 0 or above")
    return value


def _read_number(field: str, value: object) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value):  # type: ignore[arg-type]
        raise RecordError(field, value, "a number")
    return float(value)  # type: ignore[arg-type]


def _read_flag(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise RecordError(field, value, "true or false")
    return value


def _read_time(field: str, value: object) -> float:
    try:
        moment = datetime.fromisoformat(_read_text(field, value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise RecordError(field, value, "a time such as 2026-05-01T12:00:00.000000Z")
    return moment.timestamp()


def _read_texts(field: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise RecordError(field, value, "a list of texts")
    return tuple(_read_text(f"{field}[{place}]", item) for place, item in enumerate(value))


def _read_frames(field: str, value: object) -> tuple[Frame, ...]:
    read = []
    for place, text in enumerate(_read_texts(field, value)):
        try:
            read.append(frames.unpack(text))
        except ValueError:
            raise RecordError(f"{field}[{place}]", text, f"such as {frames.FORM}") from None
    return tuple(read)


def _seconds(value: float) -> float:
    # rounding to a whole number costs a fifth of rounding to decimals; beyond that range, or nan, nobody hurries
    return round(value * 1e6) / 1e6 if -_ORDINARY < value < _ORDINARY else round(value, 6)


def _millis(value: float) -> float:
    return round(value * 1e3) / 1e3 if -_ORDINARY < value < _ORDINARY else round(value, 3)


def _rounded(scale: str, otherwise: str) -> str:
    """`_seconds` or `_millis` as an expression."""
    near = f"(value * {scale} + BIG - BIG) / {scale}"
    return f"{near} if -1e9 < value < 1e9 else {otherwise}(value)"


def _texts(value: tuple[str, ...]) -> list[str]:
    return list(value)


TEXT = Kind(_as_it_is, _read_text, "value")
WHOLE = Kind(_as_it_is, _read_whole, "value")
SECONDS = Kind(_seconds, _read_number, _rounded("1e6", "millionths"))
MILLIS = Kind(_millis, _read_number, _rounded("1e3", "thousandths"))
FLAG = Kind(_as_it_is, _read_flag, "value")
TIME = Kind(utc, _read_time, "utc(value)")
TEXTS = Kind(_texts, _read_texts, "list(value)")
FRAMES = Kind(frames.packed, _read_frames, "packed(value)")


def one_of(*allowed: str) -> Kind:
    """A text out of a few."""

    def read(field: str, value: object) -> str:
        if value not in allowed:
            raise RecordError(field, value, ", ".join(allowed))
        return str(value)

    return Kind(_as_it_is, read, "value")


def member_of(words: type[StrEnum]) -> Kind:
    """A member of an enumeration, written as its text."""
    values = tuple(word.value for word in words)

    def read(field: str, value: object) -> StrEnum:
        if value not in values:
            raise RecordError(field, value, ", ".join(values))
        return words(str(value))

    return Kind(_value_of, read, "value._value_")


def _value_of(word: StrEnum) -> str:
    return word.value

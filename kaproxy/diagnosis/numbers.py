"""How times and rounded numbers are written in a line, as fast as they can be.

`utc` is a moment as text, `to_thousandths` is `round` without the making of decimals. They may not know a field.
Read next: `kinds.py`, which writes with them; `written.py`, which has them in line.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

#: Floats have no bits for parts of one beside this large number.
BIG: Final = 6755399441055744.0  # 1.5 * 2**52
_EXACT: Final = 1e12  # up to here a float has bits enough beyond the point to tell that no tie is near
_NO_TIE: Final = 0.499
_MICROS: Final = 1_000_000
_KEPT: Final = 16
_seconds: Final[dict[int, str]] = {}


def millionths(value: float) -> float:
    """`round(value, 6)`, for numbers so large or odd that nobody hurries."""
    return round(value, 6)


def thousandths(value: float) -> float:
    """`round(value, 3)`, likewise."""
    return round(value, 3)


def to_millionths(value: float) -> float:
    """The same as `round(value, 6)` in a third of its time: no decimals are made where no tie is near."""
    scaled = value * 1e6
    whole = scaled + BIG - BIG
    if 0.0 < scaled < _EXACT and -_NO_TIE < scaled - whole < _NO_TIE:
        return whole / 1e6
    return round(value, 6)


def to_thousandths(value: float) -> float:
    """The same as `round(value, 3)`, likewise."""
    scaled = value * 1e3
    whole = scaled + BIG - BIG
    if 0.0 <= scaled < _EXACT and -_NO_TIE < scaled - whole < _NO_TIE:
        return whole / 1e3
    return round(value, 3)


def with_thousandths(value: float) -> str:
    """The same as `f"{value:.3f}"` in half its time, where it is above 0 and no tie is near."""
    scaled = value * 1e3
    if not 0.0 < scaled < _EXACT:
        return f"{value:.3f}"
    whole = int(scaled + 0.5)
    if not -_NO_TIE < scaled - whole < _NO_TIE:
        return f"{value:.3f}"
    return f"{whole // 1000}.{str(1000 + whole % 1000)[1:]}"


def utc(value: float) -> str:
    """A wall-clock time in seconds since the epoch as "2026-11-23T06:11:00.123456Z"."""
    whole = int(value)
    micros = int((value - whole) * 1e6 + BIG - BIG)
    if not 0 <= micros < _MICROS:  # rounded up to the next second, or from before 1970
        whole, micros = whole + micros // _MICROS, micros % _MICROS
    return with_micros(whole, micros)


def with_micros(second: int, micros: int) -> str:
    """The same of a whole second and the microseconds in it, 0 to 999,999."""
    text = _seconds.get(second)
    if text is None:
        text = _of_second(second)
    return f"{text}{str(_MICROS + micros)[1:]}Z"  # in half the time of a format


def _of_second(second: int) -> str:
    """Made once: most connections are opened and closed in one second, and most lines of it are written in it."""
    if len(_seconds) >= _KEPT:
        _seconds.clear()
    text = _seconds[second] = datetime.fromtimestamp(second, UTC).isoformat().removesuffix("+00:00") + "."
    return text

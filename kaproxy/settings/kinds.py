"""Kinds of values: duration, size, count, factor, choice, name, address, file. One class each.

A kind reads what a person wrote, refuses what is not allowed and says what is, and shows a value the way it
would be written in the file. It may not know which key it serves nor where the value came from.
Read next: `kaproxy/config.py`, where every key names its kind.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB|kB|MB|GB)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_.-]+)?")


class Address(NamedTuple):
    """A host (name or IP address, without brackets) and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def duration_text(seconds: float) -> str:
    """Seconds as a configuration file has them: the largest unit that leaves a whole number, "90s", "2m"."""
    for unit in ("d", "h", "m", "s"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{int(seconds / _UNITS[unit])}{unit}"
    return f"{round(seconds * 1000, 3):.15g}ms" if seconds else "0s"


def size_text(size: int) -> str:
    """Bytes as a configuration file has them, "8MiB"."""
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % _SIZES[unit] == 0:
            return f"{size // _SIZES[unit]}{unit}"
    return f"{size}B"


def nearest(given: str, known: Iterable[str]) -> str | None:
    """The known word most like the given one, None where none is near."""
    return next(iter(difflib.get_close_matches(given, list(known), n=1, cutoff=0.6)), None)


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """'; did you mean X?' for the nearest known word, or nothing where none is near."""
    near = nearest(given, known)
    return f"; did you mean {near}?" if near else ""


def _quoted(value: str) -> str:
    """A TOML basic string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'


@dataclass(frozen=True, slots=True)
class Kind:
    """What one configuration value may be. `read` raises ValueError with a sentence for the person."""

    @property
    def allowed(self) -> str:
        """The allowed values, in words, for messages and the reference file."""
        raise NotImplementedError

    def read(self, given: object) -> object:
        """The value meant by what was given: a TOML value, or the text of a variable or flag."""
        raise NotImplementedError

    def show(self, value: Any) -> str:
        """The value as TOML."""
        return _quoted(str(value))

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Lets pydantic read a field through this kind: `Annotated[float, Duration(…)]`."""
        return core_schema.no_info_plain_validator_function(self.read)


@dataclass(frozen=True, slots=True)
class Duration(Kind):
    """Seconds, written with a unit: "90s", "500ms", "2m", "1h30m"."""

    low: float
    high: float

    @property
    def allowed(self) -> str:
        return f"{duration_text(self.low)} to {duration_text(self.high)}"

    def read(self, given: object) -> float:
        if not isinstance(given, str) or not (given == "0" or _DURATION.fullmatch(given)):
            raise ValueError('not a duration: a number with its unit, as in "90s", "500ms", "2m" or "1h"')
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(given))
        return _within(round(seconds, 6), self.low, self.high)

    def show(self, value: Any) -> str:
        return f'"{duration_text(value)}"'


@dataclass(frozen=True, slots=True)
class Size(Kind):
    """Bytes, written with a unit: "8MiB"."""

    low: int
    high: int

    @property
    def allowed(self) -> str:
        return f"{size_text(self.low)} to {size_text(self.high)}"

    def read(self, given: object) -> int:
        match = _SIZE.fullmatch(given) if isinstance(given, str) else None
        if match is None:
            raise ValueError('not a size: a number with its unit, as in "512KiB" or "8MiB"')
        return int(_within(float(match[1]) * _SIZES[match[2]], self.low, self.high))

    def show(self, value: Any) -> str:
        return f'"{size_text(value)}"'


@dataclass(frozen=True, slots=True)
class Count(Kind):
    """A whole number. `zero_means` says what 0 stands for, where it is special."""

    low: int
    high: int
    zero_means: str = ""

    @property
    def allowed(self) -> str:
        special = f", 0: {self.zero_means}" if self.zero_means else ""
        return f"{self.low} to {self.high}{special}"

    def read(self, given: object) -> int:
        if isinstance(given, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", given):
            given = int(given)
        if not isinstance(given, int) or isinstance(given, bool):
            raise ValueError("not a whole number")  # noqa: TRY004  (pydantic gathers ValueError only)
        return int(_within(given, self.low, self.high))

    def show(self, value: Any) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class Factor(Kind):
    """A decimal number."""

    low: float
    high: float

    @property
    def allowed(self) -> str:
        return f"{self.low:g} to {self.high:g}"

    def read(self, given: object) -> float:
        if isinstance(given, str) and re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", given):
            given = float(given)
        if not isinstance(given, (int, float)) or isinstance(given, bool):
            raise ValueError("not a number")  # noqa: TRY004
        return _within(float(given), self.low, self.high)

    def show(self, value: Any) -> str:
        return str(float(value))


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return ", ".join(self.words)

    def read(self, given: object) -> str:
        if given not in self.words:
            raise ValueError(f"not one of them{did_you_mean(str(given), self.words)}")
        return str(given)


@dataclass(frozen=True, slots=True)
class Name(Kind):
    """A short name without spaces, safe in a log line."""

    @property
    def allowed(self) -> str:
        return "1 to 64 letters, digits, '_', '.' or '-', the first a letter or digit"

    def read(self, given: object) -> str:
        if not isinstance(given, str) or not _NAME.fullmatch(given):
            raise ValueError("not a name")
        return given


@dataclass(frozen=True, slots=True)
class HostPort(Kind):
    """HOST:PORT, an IPv6 address in brackets. `lowest_port` 0 admits "any free port", `or_none` the empty text."""

    lowest_port: int
    or_none: bool = False

    @property
    def allowed(self) -> str:
        free = " (0: any free port)" if self.lowest_port == 0 else ""
        none = '; or "", none' if self.or_none else ""
        return f"HOST:PORT or [IPV6]:PORT, PORT {self.lowest_port} to 65535{free}{none}"

    def show(self, value: Any) -> str:
        return _quoted("" if value is None else str(value))

    def read(self, given: object) -> Address | None:
        if isinstance(given, Address):
            return given
        if self.or_none and given in ("", None):
            return None
        if not isinstance(given, str):
            raise ValueError("not HOST:PORT")  # noqa: TRY004
        host, colon, port = given.rpartition(":")
        if not colon or not re.fullmatch(r"[0-9]{1,6}", port):
            raise ValueError("not HOST:PORT: the port is missing or not a number")
        return Address(_host(host), int(_within(int(port), self.lowest_port, 65535, "port ")))


@dataclass(frozen=True, slots=True)
class LogFile(Kind):
    """A file's path, or "-" for standard output."""

    @property
    def allowed(self) -> str:
        return 'a path, or "-" for standard output'

    def read(self, given: object) -> str:
        if not isinstance(given, str) or not given or "\0" in given:
            raise ValueError("not a path")
        return given


def _within(value: float, low: float, high: float, what: str = "") -> float:
    if value < low:
        raise ValueError(f"{what}too small")
    if value > high:
        raise ValueError(f"{what}too large")
    return value


def _host(text: str) -> str:
    """The host of HOST:PORT, brackets taken off; raises ValueError where it is neither name nor address."""
    if text.startswith("[") and text.endswith("]"):
        if not _IPV6.fullmatch(text[1:-1]):
            raise ValueError("the brackets do not hold an IPv6 address")
        return text[1:-1]
    if ":" in text:
        raise ValueError("an IPv6 address goes in brackets, as in [::1]:1883")
    if not _HOST_NAME.fullmatch(text):
        raise ValueError("the host is missing" if not text else "the host is not a name or an address")
    return text

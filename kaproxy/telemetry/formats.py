"""One line in three spellings: JSON for machines, logfmt for grep, console for people.

A format takes the ordered fields of a line and gives bytes that end in a newline. It may not fail, whatever a
client identifier holds, and it may not let a control character through to a terminal. It knows no event but
`connection.closed`, which the console format lays out for reading.
Read next: `log.py`, which puts the head of each line together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import orjson

Fields: TypeAlias = Mapping[str, Any]
Format: TypeAlias = Callable[[Fields], bytes]

_COLORS = {"debug": "\x1b[2m", "info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m"}
_BOLD, _RESET = "\x1b[1m", "\x1b[0m"
_TOLD_IN_HEAD = {"timestamp", "level", "event", "schema", "worker", "conn_id"}


def json_line(fields: Fields) -> bytes:
    """One JSON object; infinities and not-a-number become null, unpaired surrogates are escaped."""
    try:
        return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return orjson.dumps(_writable(fields), option=orjson.OPT_APPEND_NEWLINE)


def logfmt_line(fields: Fields) -> bytes:
    """key=value pairs: nested keys joined with dots, lists as JSON, what is null left out."""
    return (" ".join(f"{key}={_logfmt_value(value)}" for key, value in _flat(fields)) + "\n").encode(
        errors="backslashreplace"
    )


class ConsoleLine:
    """A line for people; colors only where `color` is set. A closing line takes up to three."""

    def __init__(self, color: bool) -> None:
        self._color = color

    def __call__(self, fields: Fields) -> bytes:
        level = str(fields.get("level", "info"))
        head = [
            str(fields.get("timestamp", "")),
            self._paint(_COLORS.get(level, ""), f"{level:<7}"),
            self._paint(_BOLD, str(fields.get("event", ""))),
            _printable(str(fields.get("conn_id", ""))),
        ]
        rest = self._closing(fields) if fields.get("event") == "connection.closed" else _pairs(fields)
        return (" ".join(part for part in (*head, rest) if part) + "\n").encode(errors="backslashreplace")

    def _closing(self, fields: Fields) -> str:
        def word(key: str) -> str:
            return _printable(str(fields.get(key) if fields.get(key) is not None else "-"))

        cause = word("cause") + (f" / {word('root')}" if fields.get("root") else "")
        lines = [
            f"{word('client_id')} {word('client_addr')}:{word('client_port')} {self._paint(_BOLD, cause)} "
            f"owner={word('owner')} confidence={word('confidence')} closed_by={word('closed_by')} "
            f"close_how={word('close_how')} phase={word('phase')} duration_s={word('duration_s')}"
        ]
        lines += [f"    {word(key)}" for key in ("explanation", "advice") if fields.get(key)]
        return "\n".join(lines)

    def _paint(self, color: str, text: str) -> str:
        return f"{color}{text}{_RESET}" if self._color and color else text


def format_named(name: str, color: bool) -> Format:
    """The format the configuration names: "json", "logfmt" or "console"."""
    return {"json": json_line, "logfmt": logfmt_line}.get(name) or ConsoleLine(color)


def _pairs(fields: Fields) -> str:
    told = ((key, value) for key, value in _flat(fields) if key not in _TOLD_IN_HEAD)
    return " ".join(f"{key}={_logfmt_value(value)}" for key, value in told)


def _flat(fields: Fields, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value


def _logfmt_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    text = value if isinstance(value, str) else json_line(value)[:-1].decode()
    if text and text.isprintable() and not any(c in ' "=\\' for c in text):
        return text
    return '"' + _printable(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _printable(text: str) -> str:
    """Text with every control, format or surrogate character escaped as in a Python string."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _writable(value: Any) -> Any:
    """The same value as JSON can hold it: odd strings escaped, odd keys and types as text."""
    if isinstance(value, Mapping):
        return {_writable(str(key)): _writable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_writable(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int) and abs(value) < 1 << 63:
        return value
    return _writable(str(value))

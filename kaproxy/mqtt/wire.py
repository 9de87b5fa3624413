"""The wire types of the standard, read out of one control packet's body (1.5 of 5.0).

A `Reader` walks a body that is complete, or whose kept prefix is all there will ever be: past the
prefix it gives zeros and shortened strings and says so in `cut`, past the declared end it raises
`MalformedBodyError`. That exception never leaves this package.
Read next: `bodies.py`, the only user of `Reader`; `decoder.py` uses `remaining_length`.
"""

from __future__ import annotations

from typing import Final

from kaproxy.mqtt.properties import PROPERTIES, REPEATABLE, Property

INCOMPLETE: Final = 0
TOO_LONG: Final = -1
_MAX_VARIABLE: Final = 4  # bytes of a variable byte integer (1.5.5)

Pairs = tuple[tuple[str, object], ...]


class MalformedBodyError(Exception):
    """A body that cannot be read; `what` is a name of `faults.MALFORMED`."""

    def __init__(self, what: str, detail: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.detail = detail


def remaining_length(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Variable byte integer at `at`: its value, and where it ended or INCOMPLETE or TOO_LONG."""
    value = shift = 0
    stop = min(end, at + _MAX_VARIABLE)
    for position in range(at, stop):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + 1
        shift += 7
    return value, TOO_LONG if stop - at == _MAX_VARIABLE else INCOMPLETE


class Reader:
    """Walks `data[at:at + size]`; of a body longer than what was kept, `data` ends before that."""

    __slots__ = ("at", "cut", "data", "end", "kept", "oddities")

    def __init__(self, data: bytes, at: int, size: int) -> None:
        end, kept = at + size, len(data)
        self.data = data
        self.at = at
        self.end = end  # where the body ends as declared
        self.kept = kept if kept < end else end  # where what we have of it ends
        self.cut = False  # a field was read that the kept part does not hold whole
        self.oddities: list[str] = []

    @property
    def left(self) -> int:
        """Bytes up to the declared end; 0 once the kept part is used up."""
        return 0 if self.cut else self.end - self.at

    @property
    def truncated(self) -> bool:
        """True where the body is longer than what was kept of it."""
        return self.kept < self.end

    def byte(self) -> int:
        """One byte, 0 past the kept part."""
        at = self.at
        if at < self.kept and at < self.end:
            self.at = at + 1
            return self.data[at]
        return self._number(1)

    def two(self) -> int:
        """Two byte integer."""
        at = self.at
        if at + 2 <= self.kept and at + 2 <= self.end:
            self.at = at + 2
            return self.data[at] << 8 | self.data[at + 1]
        return self._number(2)

    def four(self) -> int:
        """Four byte integer."""
        return self._number(4)

    def variable(self) -> int:
        """Variable byte integer."""
        bound = min(self.kept, self.end)
        value, after = remaining_length(self.data, self.at, bound)
        if after == TOO_LONG:
            raise MalformedBodyError("variable_integer_too_long")
        if after == INCOMPLETE:
            return self._number(bound - self.at + 1)  # one byte more than there is: short, or cut
        self.at = after
        return value

    def binary(self) -> int:
        """Binary data: only its size, as declared; the bytes are passed over."""
        size = self.two()
        self._take(size, "string_past_end")
        return size

    def text(self) -> str:
        """UTF-8 string; bytes that are not UTF-8 become U+FFFD and an oddity."""
        size = self.two()
        raw = self._take(size, "string_past_end")
        try:
            string = raw.decode()
        except UnicodeDecodeError:
            string = raw.decode(errors="replace")
            if not self.cut:
                self.note("invalid_utf8")
        if "\0" in string:
            self.note("null_in_string")
        return string

    def properties(self, packet: str) -> Pairs:
        """A property block of `packet` (a name of the property table), as name and value pairs in order.

        Of binary values only the size is kept: they may hold what authenticates a client.
        """
        size = self.variable()
        if size > self.end - self.at:
            raise MalformedBodyError("properties_past_end", f"{size} > {self.end - self.at}")
        body_end, self.end = self.end, self.at + size
        pairs: list[tuple[str, object]] = []
        seen: set[str] = set()
        while self.left:
            entry = self._property_entry(seen)
            value = self._property_value(entry, packet)
            if not self.cut:
                pairs.append((entry.name, value))
        self.end = body_end
        return tuple(pairs)

    def rest(self) -> bytes:
        """All that is left, as far as it was kept."""
        return self._take(self.left, "body_too_short")

    def finish(self) -> None:
        """The last field was read: nothing may be left."""
        if self.left and not self.truncated:
            raise MalformedBodyError("trailing_bytes", f"{self.left}")

    def note(self, oddity: str) -> None:
        """Remember something illegal that does not stop the reading."""
        self.oddities.append(oddity)

    def _property_entry(self, seen: set[str]) -> Property:
        identifier = self.variable()
        entry = _NO_PROPERTY if self.cut else PROPERTIES.get(identifier)
        if entry is None:
            raise MalformedBodyError("unknown_property", f"0x{identifier:02X}")
        if entry.name in seen and entry.name != REPEATABLE:
            raise MalformedBodyError("duplicate_property", entry.name)
        seen.add(entry.name)
        return entry

    def _property_value(self, entry: Property, packet: str) -> object:
        if self.cut:
            return None
        if packet not in entry.packets:
            self.note("property_not_allowed")
        kind = entry.kind
        if kind == "text":
            return self.text()
        if kind == "pair":
            return self.text(), self.text()
        if kind == "binary":
            return self.binary()
        value = self.variable() if kind == "variable" else self._number(_WIDTHS[kind])
        if not entry.low <= value <= entry.high and not self.cut:
            self.note("property_value_invalid")
        return value

    def _number(self, width: int) -> int:
        raw = self._take(width, "body_too_short")
        return 0 if self.cut else int.from_bytes(raw, "big")

    def _take(self, size: int, fault: str) -> bytes:
        at = self.at
        stop = at + size
        if stop > self.end:
            if self.cut:
                return b""
            raise MalformedBodyError(fault, f"{size} > {self.end - at}")
        if stop > self.kept:
            self.cut = True
            stop = self.kept
        self.at = stop
        return self.data[at:stop]


_WIDTHS: Final = {"byte": 1, "two": 2, "four": 4}
_NO_PROPERTY: Final = Property("", "", frozenset())  # the kept part ended where an identifier would stand

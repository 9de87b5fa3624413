"""Writers: a function made of each table of fields, once at import, that writes it in straight lines.

A closing line has up to a hundred fields, and a loop over their table would cost more than all else that is done
for a connection. So a table is spelled out as Python, as `dataclass` does for `__init__`: one read, one test and one
store for each field. What a writer writes is what `put` writes, which walks the table; a test holds them together.
It may not know which fields there are.
Read next: `shapes.py`, the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from kaproxy.diagnosis.kinds import Fields, Kind

Record: TypeAlias = dict[str, object]
Writer: TypeAlias = Callable[[Record, Any], None]
#: A field that is left out where another one is known and it has a certain value: that of the other one (`SAME`), or
#: this one. Where it is not known itself, it is then written as null, after all others.
Implied: TypeAlias = Mapping[str, tuple[str, object]]

SAME: Final = object()
_NOTHING = object()


def put(record: Record, source: object, group: Fields, usual: Mapping[str, object]) -> None:
    """Write the fields of `source` that are known and not as usual, by walking their table."""
    for name, kind in group:
        value = getattr(source, name)
        if value is not None and value != usual.get(name, _NOTHING):
            record[name] = kind.write(value)


def writer(group: Fields, usual: Mapping[str, object], implied: Implied | None = None) -> Writer:
    """A function that writes these fields into a record."""
    made: Writer = _made("record, source", group, _lines(group, usual, implied or {}))
    return made


def part_writer(
    group: Fields, usual: Mapping[str, object], implied: Implied | None = None
) -> Callable[[Any], Record]:
    """A function that gives these fields as a record of their own."""
    lines = ("record = {}", *_lines(group, usual, implied or {}), "return record")
    made: Callable[[Any], Record] = _made("source", group, lines)
    return made


def _made(arguments: str, group: Fields, lines: Iterable[str]) -> Any:
    body = "\n".join(f"    {line}" for line in lines)
    names: dict[str, object] = {f"write_{name}": kind.write for name, kind in group}
    code = compile(f"def write({arguments}):\n{body}\n", f"<writer of {group[0][0]} …>", "exec")
    exec(code, names)  # noqa: S102 - made of nothing but the tables of this package
    return names["write"]


def _lines(group: Fields, usual: Mapping[str, object], implied: Implied) -> Iterator[str]:
    yield from (f"{name} = None" for name in sorted(_told_by(implied, same=True)))
    yield from (f"of_{name} = source.{name}" for name in sorted(_told_by(implied)))
    for name, kind in group:
        if name in implied:
            yield from _implied_lines(name, kind, *implied[name])
            continue
        yield f"value = source.{name}"
        yield f"if {_test(name, usual)}:"
        kept = f"{name} = " if name in _told_by(implied, same=True) else ""
        yield f"    {kept}record[{name!r}] = {_written(name, kind)}"
    for name, (teller, _) in implied.items():
        yield f"if of_{name} is None and of_{teller} is not None:"
        yield f"    record[{name!r}] = None"


def _told_by(implied: Implied, same: bool = False) -> set[str]:
    """The fields that others depend on; with `same`, those whose written value is needed too."""
    return {teller for teller, value in implied.values() if not same or value is SAME}


def _implied_lines(name: str, kind: Kind, teller: str, value: object) -> Iterator[str]:
    yield f"value = of_{name} = source.{name}"
    if value is SAME:
        yield f"if value is not None and value != of_{teller}:"
        yield f"    value = {_written(name, kind)}"
        yield f"    if value != {teller}:"
        yield f"        record[{name!r}] = value"
    else:
        yield f"if value is not None and (value != {value!r} or of_{teller} is None):"
        yield f"    record[{name!r}] = {_written(name, kind)}"


def _test(name: str, usual: Mapping[str, object]) -> str:
    if name not in usual:
        return "value is not None"
    return f"value is not None and value != {usual[name]!r}" if usual[name] else "value"


def _written(name: str, kind: Kind) -> str:
    return kind.inline or f"write_{name}(value)"

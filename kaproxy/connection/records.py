"""Records: frozen to the type checker, plain at run time, because every connection makes a dozen of them.

A frozen dataclass sets each field through `object.__setattr__`, which makes a record of seventy fields five
times as dear. Nothing is lost but the error at run time: whoever changes a record does not pass mypy. One that every
connection makes spells its `__init__` out, as in the compiled build a dataclass's own is still run by the interpreter,
which would be an eighth of a short connection's Python; such a one cannot be frozen, asks for `unsafe_hash` and is left
alone all the same, and `tests/connection/test_records.py` holds its `__init__` to its fields.
It may not know what a record holds. Read next: `evidence.py`, the largest of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:
    from dataclasses import dataclass

    def record(**options):
        """Like `dataclass(frozen=True, …)`, hashable too, without the check at run time."""
        hashable = options.pop("frozen", False)
        return dataclass(**{"unsafe_hash": hashable, **options})


__all__ = ["record"]

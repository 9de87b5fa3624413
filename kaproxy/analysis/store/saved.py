"""Tables that were read once, kept in a Parquet file with the account of their lines, to be asked again at once.

One file holds both tables: `kind` says which a row is of. The account, and which columns there were, stand in the
file's own metadata; a file without them is none of kaproxy's. What was found in all of it may stand there too, as a
text. It may not know what is looked for.
Read next: `opening.py`, which chooses between logs and saved tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kaproxy.analysis.logs import Account, LogError, Others
from kaproxy.analysis.store.columns import DUCKDB_TYPES, TABLES, Column
from kaproxy.analysis.store.duck import DuckEngine, Opened, duckdb_errors
from kaproxy.analysis.store.lines import BEGUN_EVENT

_KEY = "kaproxy_analyze"
_FOUND = "kaproxy_found"
#: Raised when the columns change their meaning; a file of another version has to be made again of its logs.
VERSION = 1
#: The rows in the order in which they are written. Most questions are of drops, or of warnings that are no beginnings:
#: apart from the rest, the others' parts of the file are passed over by what the file says of their values.
_PARTS = (
    ("closed", "clean = 0"),
    ("closed", "clean is distinct from 0"),
    ("warned", f"event <> '{BEGUN_EVENT}'"),
    ("warned", f"event = '{BEGUN_EVENT}'"),
)


def save(engine: DuckEngine, path: str, found: str = "") -> None:
    """Write everything that was loaded, whatever is asked of it, to a Parquet file. Raises LogError.

    `found`: what was found in all of it, for `found_in`.
    """
    accounts = {name: asdict(account) for name, account in engine.accounts.items()}
    metadata = {
        _KEY: json.dumps({"version": VERSION, "accounts": accounts}),
        **({_FOUND: found} if found else {}),
    }
    texts = ", ".join(f"{key}: '{text.replace(chr(39), chr(39) * 2)}'" for key, text in metadata.items())
    both = " union all by name ".join(_part(table, condition) for table, condition in _PARTS)
    beside = f"{path}.part"
    target = beside.replace("'", "''")
    try:
        engine.run(f"copy ({both}) to '{target}' (format parquet, compression zstd, kv_metadata {{{texts}}})")
        Path(beside).replace(path)
    except Exception as error:
        Path(beside).unlink(missing_ok=True)
        raise LogError(f"cannot save to {path}: {str(error).partition(chr(10))[0]}") from error


def _part(table: str, condition: str) -> str:
    names = ", ".join(
        f'cast("{each.name}" as {DUCKDB_TYPES[each.holds]}) as "{each.name}"' for each in TABLES[table]
    )
    return f"select '{table}' as kind, {names} from all_{table} where {condition}"


def is_saved(path: str) -> bool:
    """Is it a Parquet file?"""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(4) == b"PAR1"
    except OSError:
        return False


def open_saved(opened: Opened, paths: Sequence[str]) -> dict[str, Account]:
    """Make `all_closed` and `all_warned` of saved files; the accounts of what they were read from. Raises LogError."""
    accounts: dict[str, Account] = {}
    for path in paths:
        accounts |= _accounts(opened, path)
    files = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    rows = f"read_parquet([{files}]{', union_by_name = true' if len(paths) > 1 else ''})"
    found = {name: kind for name, kind, *_ in opened.connection.execute(f"describe from {rows}").fetchall()}
    for table, columns in TABLES.items():
        names = ", ".join(_as_column(each, found) for each in columns)
        try:
            opened.connection.execute(
                f"create view all_{table} as select {names} from {rows} where kind = '{table}'"
            )
        except duckdb_errors() as error:
            raise LogError(
                f"{', '.join(paths)}: saved by another version of kaproxy; save it again from its logs"
            ) from error
    return accounts


def found_in(engine: DuckEngine, path: str) -> str:
    """What was saved with the lines as found in all of them; empty: nothing."""
    return _metadata(engine.run, path, _FOUND) or ""


def _as_column(column: Column, found: Mapping[str, str]) -> str:
    """A column of the file in its type; a cast that changes nothing would still cost every query a little."""
    kind = DUCKDB_TYPES[column.holds]
    return (
        f'"{column.name}"'
        if found.get(column.name) == kind
        else f'cast("{column.name}" as {kind}) as "{column.name}"'
    )


def _metadata(run: Callable[[str], Any], path: str, key: str) -> str | None:
    name = path.replace("'", "''")
    row = run(
        f"select decode(value) from parquet_kv_metadata('{name}') where decode(key) = '{key}'"
    ).fetchone()
    return None if row is None else str(row[0])


def _accounts(opened: Opened, path: str) -> dict[str, Account]:
    try:
        text = _metadata(opened.connection.execute, path, _KEY)
    except duckdb_errors() as error:
        raise LogError(f"cannot read {path}: {str(error).partition(chr(10))[0]}") from error
    if text is None:
        raise LogError(f"{path} is a Parquet file, but none that kaproxy analyze --save made")
    found = json.loads(text)
    if found["version"] != VERSION:
        raise LogError(f"{path}: saved by another version of kaproxy; save it again from its logs")
    return {each: _account(account) for each, account in found["accounts"].items()}


def _account(told: Mapping[str, object]) -> Account:
    others = told["others"]
    assert isinstance(others, dict)
    kept = {what: Others(each["count"], list(each["first"])) for what, each in others.items()}
    lines, understood = told["lines"], told["understood"]
    assert isinstance(lines, int)
    assert isinstance(understood, int)
    return Account(lines, understood, kept)

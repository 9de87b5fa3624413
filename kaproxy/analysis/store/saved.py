"""Tables that were read once, kept in a Parquet file with the account of their lines, to be asked again at once.

One file holds both tables: `kind` says which a row is of. The account, and which columns there were, stand in the
file's own metadata; a file without them is none of kaproxy's. It may not know what is looked for.
Read next: `opening.py`, which chooses between logs and saved tables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from kaproxy.analysis.logs import Account, LogError, Others
from kaproxy.analysis.store.columns import DUCKDB_TYPES, TABLES
from kaproxy.analysis.store.duck import DuckEngine, Opened, duckdb_errors

_KEY = "kaproxy_analyze"
#: Raised when the columns change their meaning; a file of another version has to be made again of its logs.
VERSION = 1


def save(engine: DuckEngine, path: str) -> None:
    """Write everything that was loaded, whatever is asked of it, to a Parquet file. Raises LogError."""
    accounts = {name: asdict(account) for name, account in engine.accounts.items()}
    metadata = json.dumps({"version": VERSION, "accounts": accounts}).replace("'", "''")
    both = " union all by name ".join(f"select '{table}' as kind, * from all_{table}" for table in TABLES)
    beside = f"{path}.part"
    target = beside.replace("'", "''")
    try:
        engine.run(
            f"copy ({both}) to '{target}' (format parquet, compression zstd, kv_metadata {{{_KEY}: '{metadata}'}})"
        )
        Path(beside).replace(path)
    except Exception as error:
        Path(beside).unlink(missing_ok=True)
        raise LogError(f"cannot save to {path}: {str(error).partition(chr(10))[0]}") from error


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
    for table, columns in TABLES.items():
        names = ", ".join(
            f'cast("{each.name}" as {DUCKDB_TYPES[each.holds]}) as "{each.name}"' for each in columns
        )
        where = f"from read_parquet([{files}], union_by_name = true) where kind = '{table}'"
        try:
            opened.connection.execute(f"create view all_{table} as select {names} {where}")
        except duckdb_errors() as error:
            raise LogError(
                f"{', '.join(paths)}: saved by another version of kaproxy; save it again from its logs"
            ) from error
    return accounts


def _accounts(opened: Opened, path: str) -> dict[str, Account]:
    name = path.replace("'", "''")
    sql = f"select decode(value) from parquet_kv_metadata('{name}') where decode(key) = '{_KEY}'"
    try:
        row = opened.connection.execute(sql).fetchone()
    except duckdb_errors() as error:
        raise LogError(f"cannot read {path}: {str(error).partition(chr(10))[0]}") from error
    if row is None:
        raise LogError(f"{path} is a Parquet file, but none that kaproxy analyze --save made")
    found = json.loads(row[0])
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

"""Making an engine: of logs, of lines, of rows. It wires the parts of this package and nothing else.

Read next: `duck.py`, the engine.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from kaproxy.analysis.logs import LogError
from kaproxy.analysis.store.columns import DUCKDB_TYPES, TABLES
from kaproxy.analysis.store.duck import DuckEngine, Opened
from kaproxy.analysis.store.filters import Filters
from kaproxy.analysis.store.lines import worked_out
from kaproxy.analysis.store.loading import Loader, Progress
from kaproxy.analysis.store.saved import is_saved, open_saved
from kaproxy.analysis.store.sources import expand

Values = Mapping[str, Any]


def _silent(_: str) -> None:
    """Nobody waits."""


def load(names: Sequence[str], filters: Filters | None = None, progress: Progress = _silent) -> DuckEngine:
    """The logs of these names (files, patterns, "-") in DuckDB, of which `filters` are asked for.

    Files that `saved.save` wrote are taken as they are, but not together with logs. Raises LogError where one cannot be
    read at all, MissingLibraryError without DuckDB.
    """
    paths = expand(names)
    saved = [path for path in paths if is_saved(path)]
    if saved and len(saved) < len(paths):
        raise LogError(
            f"{saved[0]} is saved already: ask it alone, or save it again together with the other logs"
        )
    opened = Opened()
    try:
        if saved:
            return DuckEngine(opened, open_saved(opened, saved), filters)
        loader = Loader(opened.connection, opened.folder, progress)
        loader.load(paths)
        loader.finish()
        return DuckEngine(opened, loader.accounts, filters)
    except BaseException:
        opened.close()
        raise


def engine_of(lines: Iterable[Values], filters: Filters | None = None) -> DuckEngine:
    """An engine of lines as a log has them."""
    with tempfile.TemporaryDirectory(prefix="kaproxy-") as folder:
        path = Path(folder) / "log"
        path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
        return load([str(path)], filters)


def memory_engine(closed: Iterable[Values] = (), warned: Iterable[Values] = ()) -> DuckEngine:
    """An engine of rows by column name; what is worked out of others (`clean`, `client_group` …) may be left out.

    Raises KeyError for a name that is no column.
    """
    opened = Opened()
    for table, rows in (("closed", closed), ("warned", warned)):
        kinds = {each.name: DUCKDB_TYPES[each.holds] for each in TABLES[table]}
        texts = [orjson.dumps(dict(row)).decode() for row in rows if _known(row, kinds)]
        filled = [
            f'coalesce("{name}", {sql}) as "{name}"' if (sql := worked_out(name)) else f'"{name}"'
            for name in kinds
        ]
        read = f"select unnest(json_transform(t, '{json.dumps(kinds)}')) from (select unnest($1::VARCHAR[]) as t)"
        opened.connection.execute(
            f"create table all_{table} as select {', '.join(filled)} from ({read})", [texts]
        )
    return DuckEngine(opened, {})


def _known(row: Values, kinds: Mapping[str, str]) -> bool:
    for name in row:
        if name not in kinds:
            raise KeyError(f"no column is called {name}")
    return True

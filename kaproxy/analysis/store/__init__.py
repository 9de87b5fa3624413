"""The lines of logs as two tables that can be asked in SQL: on a laptop (DuckDB) or on a cluster (ClickHouse).

`load(paths)` reads logs (files, patterns, "-", .gz, .zst, Parquet saved by `save`) and gives a `DuckEngine`:
`engine.rows("select cause, count(*) from {closed} group by cause")`. `engine_of(lines)` makes one of lines as they
are in a log (dicts); `memory_engine(closed, warned)` of rows by column name. Engines are context managers. It may not
know what is looked for.
Read next: `engine.py` for asking, `columns.py` for what there is to ask for, `loading.py` for how it comes there.
"""

from __future__ import annotations

from kaproxy.analysis.store.duck import DuckEngine
from kaproxy.analysis.store.engine import Engine, EngineError, Row
from kaproxy.analysis.store.filters import Filters
from kaproxy.analysis.store.opening import engine_of, load, memory_engine

__all__ = ["DuckEngine", "Engine", "EngineError", "Filters", "Row", "engine_of", "load", "memory_engine"]

"""The SQL for ClickHouse has every column of the tables, and what each release can do; no server here."""

from __future__ import annotations

import re

import pytest

from kaproxy.analysis.store.clickhouse_lines import lines_sql
from kaproxy.analysis.store.clickhouse_sql import KEYS, modern_sql, old_sql
from kaproxy.analysis.store.columns import TABLES

SCRIPTS = {"modern": modern_sql(), "18.16": old_sql()}


def columns(script: str, table: str) -> dict[str, str]:
    """The columns of a table and their types."""
    made = re.search(rf"CREATE TABLE IF NOT EXISTS {table} \(\n(.*?)\n\)\n", script, re.DOTALL)
    assert made is not None
    return dict(re.findall(r"^  (?!INDEX)(\w+) (.*?),?$", made[1], re.MULTILINE))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("release", SCRIPTS)
def test_a_table_has_the_columns_of_the_laptops_in_their_order(release: str, table: str) -> None:
    assert list(columns(SCRIPTS[release], table)) == [column.name for column in TABLES[table]]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("release", SCRIPTS)
def test_all_but_what_orders_the_rows_may_be_unknown(release: str, table: str) -> None:
    certain = {name for name, kind in columns(SCRIPTS[release], table).items() if "Nullable" not in kind}
    assert certain == set(KEYS[table])


@pytest.mark.parametrize("table", TABLES)
def test_a_view_fills_every_column_of_its_table(table: str) -> None:
    view = re.search(rf"VIEW IF NOT EXISTS {table}_from_lines .*?\nFROM", lines_sql(), re.DOTALL)
    assert view is not None
    assert re.findall(r" AS (\w+),?$", view[0], re.MULTILINE)[-len(TABLES[table]) :] == [
        column.name for column in TABLES[table]
    ]


def test_the_old_release_is_given_nothing_it_lacks() -> None:
    for word in ("CODEC", "TTL ", "LowCardinality", "INDEX ", "JSON"):
        assert word not in re.sub(r"^--.*$", "", old_sql(), flags=re.MULTILINE)


def test_the_modern_tables_are_compressed_by_kind_and_forget_in_time() -> None:
    kinds = columns(modern_sql(), "closed")
    assert kinds["at_us"] == "Nullable(Int64) CODEC(Delta, ZSTD(1))"
    assert kinds["cause"] == "LowCardinality(Nullable(String))"
    assert kinds["client_id"] == "Nullable(String) CODEC(ZSTD(1))"
    assert modern_sql().count("\nTTL ") == 3

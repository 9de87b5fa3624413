"""The lines of logs as two tables that can be asked in SQL: on a laptop (DuckDB) or on a cluster (ClickHouse).

It may not know what is looked for. Read next: `engine.py` for asking, `columns.py` for what there is to ask for.
"""

"""`python -m kaproxy.docs`: writes the generated pages; with --check, exits 1 and names each stale one.

Generated are docs/log-schema.md, docs/metrics.md, docs/causes.md, config/kaproxy.toml, config/clickhouse/ and
kaproxy/diagnosis/written.py, from the tables the program itself runs on. Run it from the project's root. It may not
hold a sentence of a page.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kaproxy.analysis.store.clickhouse_lines import lines_sql
from kaproxy.analysis.store.clickhouse_old_lines import old_lines_sql
from kaproxy.analysis.store.clickhouse_sql import modern_sql, old_sql
from kaproxy.diagnosis.manual import causes_markdown
from kaproxy.diagnosis.shapes import written
from kaproxy.settings.sample import sample_toml
from kaproxy.telemetry.metrics import metrics_markdown
from kaproxy.telemetry.schema_markdown import log_schema_markdown

PAGES = {
    "config/clickhouse/lines-18.16.sql": old_lines_sql,
    "config/clickhouse/lines.sql": lines_sql,
    "config/clickhouse/tables-18.16.sql": old_sql,
    "config/clickhouse/tables.sql": modern_sql,
    "config/kaproxy.toml": sample_toml,
    "docs/causes.md": causes_markdown,
    "docs/log-schema.md": log_schema_markdown,
    "docs/metrics.md": metrics_markdown,
    "kaproxy/diagnosis/written.py": written,
}


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where a page is stale, and name it.")
@click.option("--root", type=click.Path(path_type=Path), default=Path(), help="The project's folder.")
def main(check: bool, root: Path) -> None:
    """Write the generated pages."""
    stale = [name for name, page in PAGES.items() if _differs(root / name, page())]
    for name in stale:
        if check:
            click.echo(f"{name} is stale: run python -m kaproxy.docs", err=True)
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(PAGES[name](), "utf-8")
            click.echo(f"wrote {name}")
    sys.exit(1 if check and stale else 0)


def _differs(path: Path, text: str) -> bool:
    return not path.is_file() or path.read_text("utf-8") != text


if __name__ == "__main__":
    main()

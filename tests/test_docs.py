"""The generated pages are those of this very code, and a stale one is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from kaproxy.docs import PAGES, main

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("page", PAGES)
def test_the_page_in_the_tree_is_the_generated_one(page: str) -> None:
    assert (ROOT / page).read_text("utf-8") == PAGES[page](), f"{page} is stale: run python -m kaproxy.docs"


def test_check_names_each_stale_page_and_writes_nothing(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--check", "--root", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [f"{page} is stale: run python -m kaproxy.docs" for page in PAGES]
    assert not list(tmp_path.iterdir())


def test_written_pages_are_not_stale(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["--root", str(tmp_path)]).exit_code == 0
    assert CliRunner().invoke(main, ["--check", "--root", str(tmp_path)]).exit_code == 0
    (tmp_path / "docs" / "log-schema.md").write_text("old")
    result = CliRunner().invoke(main, ["--check", "--root", str(tmp_path)])
    assert (result.exit_code, result.stderr) == (
        1,
        "docs/log-schema.md is stale: run python -m kaproxy.docs\n",
    )

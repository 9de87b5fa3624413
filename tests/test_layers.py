"""Imports run one way: the contracts of pyproject.toml, and what each third party may be imported by."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "kaproxy"
PURE = ("mqtt", "connection", "diagnosis")

#: Third party or module -> the parts of kaproxy that may import it.
ALLOWED = {
    "duckdb": {"analysis"},
    "scipy": set[str](),
    "numpy": set[str](),
    "altair": {"analysis"},
    "vl_convert": {"analysis"},
    "jinja2": {"analysis"},
    "hypercorn": {"admin"},
    "starlette": {"admin"},
    "structlog": {"telemetry"},
    "orjson": {"telemetry", "analysis", "workers"},
    "trio": {"relay", "serve", "proxy", "workers", "admin", "cli", "demo"},
    "pydantic": {"config", "settings"},
    "pydantic_core": {"settings"},
    "click": {"cli", "docs", "demo"},
    "rich": {"analysis", "demo"},
    "prometheus_client": {"telemetry", "admin"},
    "asyncio": set[str](),
    "select": {"relay", "telemetry"},
}


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, wherever in it, in full."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides its layer"
            yield node.module or ""


def part_of(path: Path) -> str:
    """The layer or top module a file belongs to: "mqtt", "cli"."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


IMPORTS = [(part_of(path), path, name) for path in sorted(PACKAGE.rglob("*.py")) for name in imports(path)]


def test_the_contracts_of_import_linter_hold() -> None:
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
        "--no-cache",
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("library", ALLOWED)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    found = {part for part, _, name in IMPORTS if name.split(".")[0] == library}
    assert found <= ALLOWED[library]


def test_pure_packages_import_the_standard_library_and_pure_packages_only() -> None:
    for part, path, name in IMPORTS:
        if part in PURE:
            top, _, rest = name.partition(".")
            own = top == "kaproxy" and rest.split(".")[0] in PURE
            assert own or top in sys.stdlib_module_names, f"{path} imports {name}"


def test_pure_packages_touch_no_clock_socket_or_process() -> None:
    forbidden = {
        "time",
        "socket",
        "select",
        "ssl",
        "os",
        "threading",
        "logging",
        "random",
        "subprocess",
        "asyncio",
    }
    found = [
        (str(path), name) for part, path, name in IMPORTS if part in PURE and name.split(".")[0] in forbidden
    ]
    assert not found


def test_the_relay_knows_facts_and_packets_only() -> None:
    own = {"connection", "mqtt", "relay"}
    for part, path, name in IMPORTS:
        if part == "relay" and name.startswith("kaproxy."):
            assert name.split(".")[1] in own, f"{path} imports {name}"


def test_nothing_but_the_commands_imports_the_commands() -> None:
    for part, path, name in IMPORTS:
        if name.startswith(("kaproxy.cli", "kaproxy.serve", "kaproxy.docs")):
            assert part in {"cli", "serve", "docs", "__main__", "demo"}, f"{path} imports {name}"


def test_every_module_says_what_it_is() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), f"{path} has no docstring"

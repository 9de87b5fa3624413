"""What is shipped: the version in one place, the command, the types, and no dependency too few or too many."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Collection
from importlib import import_module
from pathlib import Path

import kaproxy

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
DEPENDENCIES = {re.split(r"[<>=!~ \[]", line)[0] for line in PROJECT["project"]["dependencies"]}
#: Part of kaproxy -> the extras that bring what it imports beside the declared dependencies.
EXTRAS = {"demo": ("demo",), "analysis": ("analyze", "report"), "admin": ("admin",)}
#: Import name -> distribution, where they differ or come along with another.
DISTRIBUTIONS = {
    "pydantic_core": "pydantic",
    "paho": "paho-mqtt",
    "prometheus_client": "prometheus-client",
    "vl_convert": "vl-convert-python",
}


def extra(*names: str) -> set[str]:
    """The distributions of these extras."""
    lines = (line for name in names for line in PROJECT["project"]["optional-dependencies"][name])
    return {re.split(r"[<>=!~ \[]", line)[0] for line in lines}


def third_parties(*folders: Path, without: Collection[str] = ()) -> set[str]:
    """The distributions that the Python files there import."""
    found = set()
    for folder in folders:
        for path in folder.rglob("*.py"):
            if set(without) & set(path.relative_to(ROOT).parts):
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module.split(".")[0])
    tops = found - set(sys.stdlib_module_names) - {"kaproxy", "tests", "benchmarks"}
    return {DISTRIBUTIONS.get(top, top) for top in tops}


def test_the_version_stands_in_one_place() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+([ab]\d+|rc\d+)?", kaproxy.__version__)
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "kaproxy/__init__.py"


def test_the_command_exists() -> None:
    module, name = PROJECT["project"]["scripts"]["kaproxy"].split(":")
    assert callable(getattr(import_module(module), name))


def test_the_package_is_typed() -> None:
    assert (ROOT / "kaproxy" / "py.typed").is_file()


def test_the_proxy_imports_nothing_that_is_not_declared() -> None:
    assert third_parties(ROOT / "kaproxy", without=EXTRAS) <= DEPENDENCIES | {"prometheus-client"}
    for part, extras in EXTRAS.items():
        assert third_parties(ROOT / "kaproxy" / part) <= DEPENDENCIES | extra(*extras)


def test_every_declared_dependency_is_imported() -> None:
    assert third_parties(ROOT / "kaproxy") >= DEPENDENCIES


def test_every_folder_of_code_is_a_package() -> None:
    for path in (ROOT / "kaproxy").rglob("*.py"):
        assert (path.parent / "__init__.py").is_file(), f"{path.parent} has no __init__.py"


def test_no_file_of_the_package_names_a_place_on_a_machine() -> None:
    for path in (ROOT / "kaproxy").rglob("*.py"):
        assert not re.search(r"/(home|root|Users|work)/", path.read_text("utf-8")), path

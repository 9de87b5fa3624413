"""Both builds: the sources as they are here, and the wheel whose hot packages are compiled from them.

`.ci/compiled --test` unpacks that wheel beside a copy of these tests and runs them there once more, with
KAPROXY_EXPECTS_BUILD set; so a compiled build that is none, or a .so that shadows a source here, is found.
"""

from __future__ import annotations

import os
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import kaproxy
from kaproxy.build import COMPILED, PURE, build

ROOT = Path(__file__).resolve().parents[1]
EXPECTED = os.environ.get("KAPROXY_EXPECTS_BUILD", PURE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
HOOK = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]
LEFT_OUT = {ROOT / name for name in HOOK["exclude"]}
NATIVE = ROOT / "kaproxy/relay/_syscalls"  # C of its own
HOT = sorted({path for pattern in HOOK["include"] for path in ROOT.glob(pattern)} - LEFT_OUT)


def name_of(path: Path) -> str:
    """The import name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_what_is_tested_here_is_the_build_expected_here() -> None:
    assert build() == EXPECTED
    assert Path(str(kaproxy.__file__)).parent.parent == ROOT


@pytest.mark.parametrize("path", HOT, ids=name_of)
def test_every_hot_module_is_of_that_build(path: Path) -> None:
    suffix = Path(str(import_module(name_of(path)).__file__)).suffix
    assert suffix == (".so" if EXPECTED == COMPILED else ".py")


def test_no_other_module_is_machine_code() -> None:
    hot = {path.with_suffix("") for path in HOT}
    machine_code = {path.parent / path.name.split(".")[0] for path in (ROOT / "kaproxy").rglob("*.so")}
    assert machine_code == (hot | {NATIVE} if EXPECTED == COMPILED else set())


def test_what_is_left_out_of_the_compiled_build_is_there() -> None:
    assert all(path.is_file() for path in LEFT_OUT)


def test_an_untouched_build_is_pure() -> None:
    assert HOOK["enable-by-default"] is False

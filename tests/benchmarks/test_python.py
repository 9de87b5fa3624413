"""The Python that is measured on: which is chosen, and what is said of it."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from benchmarks import python
from benchmarks.python import OWN, Python, built, chosen, package_of, told


def laid_out(monkeypatch: pytest.MonkeyPatch, place: Path, *files: str) -> Python:
    """A distribution's Python of which these files are there."""
    for name in files:
        (place / name).touch()
    made = Python(place / "python", place / "tree")
    monkeypatch.setattr(python, "DISTRIBUTION", made)
    monkeypatch.setattr(python, "READY", place / "key")
    return made


def test_the_distributions_is_chosen_where_it_is_there_and_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = laid_out(monkeypatch, tmp_path, "python", "key")
    assert chosen() == made


@pytest.mark.parametrize("files", [(), ("key",), ("python",)])
def test_else_it_is_the_one_that_runs_the_benchmarks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: tuple[str, ...]
) -> None:
    laid_out(monkeypatch, tmp_path, *files)
    assert chosen() == OWN
    assert OWN.program == Path(sys.executable)


def test_what_it_was_configured_with_is_said_and_nothing_is_concluded_from_it() -> None:
    with_both = "'--enable-shared' '--enable-optimizations' '--with-lto' 'CC=gcc'"
    assert built(with_both) == "configured with --enable-optimizations --with-lto"
    assert built("'--enable-optimizations'") == "configured with --enable-optimizations"
    assert built("'--enable-shared'") == "configured without --enable-optimizations"


def test_a_program_of_no_package_is_nobodys(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.touch()
    assert package_of(str(program)) == ""


def test_a_package_is_told_with_its_version_and_the_distributions_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = {"--search": "python3.13-minimal:amd64: /usr/bin/python3.13\n", "--show": "3.13.5-2"}
    monkeypatch.setattr(python, "asked", lambda _program, what, *_rest: said[what])
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"NAME": "Some Linux"})
    assert package_of("/usr/bin/python3.13") == "Some Linux's package python3.13-minimal 3.13.5-2"


def test_a_python_tells_its_own_version_and_not_that_of_who_asks() -> None:
    version, words = told(OWN)
    assert version == platform.python_version()
    assert "package" in words or "configured with" in words

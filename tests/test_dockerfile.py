"""The Dockerfile's very steps, run in a clean folder: no container engine, but the same commands.

Every absolute folder of the build is moved under one temporary folder; COPY copies what `.dockerignore`
lets through, RUN runs. What comes out is started as the image's user on a tree it cannot write.
"""

from __future__ import annotations

import fnmatch
import functools
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUILD_FOLDERS = ("/opt/kaproxy", "/src")
ANYBODY = 65532

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(600), pytest.mark.xdist_group("image")]


def instructions() -> list[tuple[str, str]]:
    """(instruction, rest of it) of every step of the Dockerfile, continuation lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    steps = text.replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (step.partition(" ") for step in steps) if word]


def last(instruction: str) -> str:
    """What the last such instruction of the Dockerfile says."""
    return [rest for word, rest in instructions() if word == instruction][-1]


@functools.cache
def system_python() -> str:
    """A Python that every user may run, as the base image's is."""
    found = [
        shutil.which(f"python3{minor}", path="/usr/local/bin:/usr/bin") for minor in (".13", ".12", ".11", "")
    ]
    usable = [path for path in [*found, sys.executable] if path and _usable(path)]
    return usable[0]


def _usable(python: str) -> bool:
    wanted = (
        "import ensurepip, os, sys, sysconfig;"
        "header = os.path.join(sysconfig.get_path('include'), 'Python.h');"
        "sys.exit(sys.version_info < (3, 11) or not os.path.exists(header))"
    )
    try:
        tried: subprocess.CompletedProcess[bytes] = subprocess.run(
            [python, "-c", wanted], capture_output=True, check=False, **anybody()
        )
    except PermissionError:  # it lies in somebody's home
        return False
    return tried.returncode == 0


def anybody() -> dict[str, Any]:
    """How to start a child as the image's user; without root it stays the user who tests."""
    if os.geteuid() != 0:
        return {}
    return {"user": ANYBODY, "group": ANYBODY, "extra_groups": []}


@dataclass
class Image:
    """A build of the Dockerfile under one folder."""

    place: Path
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"

    def build(self) -> None:
        """Run every step that makes files."""
        base = self.place / "base"
        subprocess.run([system_python(), "-m", "venv", str(base)], check=True)
        steps = {"WORKDIR": self.enter, "COPY": self.copy, "RUN": self.run, "ENV": self.set}
        for word, rest in instructions():
            if word in steps:
                steps[word](rest)

    def here(self, text: str) -> str:
        """The same words with the build's folders moved under this image's."""
        for folder in BUILD_FOLDERS:
            text = re.sub(rf"(?<![\w.]){folder}(?![\w-])", f"{self.place}{folder}", text)
        return text

    def enter(self, folder: str) -> None:
        """WORKDIR."""
        self.workdir = folder
        Path(self.here(folder)).mkdir(parents=True, exist_ok=True)

    def copy(self, words: str) -> None:
        """COPY; from another stage it is the same folder here, so nothing needs to move."""
        if words.startswith("--from="):
            _, source, target = words.split()
            assert source == target
            return
        *sources, target = words.split()
        folder = Path(self.here(self.workdir))
        for source in sources:
            assert admitted(source), f"{source} is kept from the builder by .dockerignore"
            _copy(ROOT / source, folder / target, into_folder=target.endswith("/"))

    def run(self, command: str) -> None:
        """RUN, in the working folder, with the base image's Python first on the path.

        What apt-get would bring to the builder is to be on this machine already: `.ci/peers` sees to it.
        """
        if command.startswith("apt-get "):
            assert shutil.which("gcc")
            return
        path = f"{self.place}/base/bin:/usr/bin:/bin"
        subprocess.run(
            ["bash", "-euc", self.here(command)],
            cwd=self.here(self.workdir),
            env={**os.environ, "PATH": path, "VIRTUAL_ENV": ""},
            check=True,
        )

    def set(self, words: str) -> None:
        """ENV, without the path, which is this machine's."""
        for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|(\S+))', words):
            if name != "PATH":
                self.environment[name] = quoted or bare

    @contextmanager
    def started(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """What the image starts, as its user, with its environment and nothing of ours."""
        program = self.here(f"/opt/kaproxy/bin/{json.loads(last('ENTRYPOINT'))[0]}")
        process = subprocess.Popen(
            [program, *arguments],
            env={"PATH": "/usr/bin:/bin", **self.environment, **environment},
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **anybody(),
        )
        with process:
            try:
                yield process
            finally:
                process.kill()


def admitted(source: str) -> bool:
    """Does `.dockerignore` let this through? It forbids everything and then names exceptions."""
    lines = (ROOT / ".dockerignore").read_text().split()
    return any(line.startswith("!") and fnmatch.fnmatch(source, line[1:]) for line in lines)


def _copy(source: Path, target: Path, *, into_folder: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target / source.name if into_folder else target)


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The image, built once, then made read-only for everybody."""
    place = Path(tempfile.mkdtemp(prefix="kaproxy-image-"))
    try:
        built = Image(place)
        built.build()
        for path in [place, *place.rglob("*")]:
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod((mode | stat.S_IRGRP | stat.S_IROTH | (0o111 if path.is_dir() else 0)) & ~0o222)
        yield built
    finally:
        for path in [place, *place.rglob("*")]:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
        shutil.rmtree(place)


def test_the_image_starts_as_an_unprivileged_number_on_a_tree_it_cannot_write(image: Image) -> None:
    """`kaproxy --version` answers for the image's user."""
    assert last("USER") == f"{ANYBODY}:{ANYBODY}"
    with image.started("--version") as child:
        output, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors
    assert output.startswith("kaproxy")


def test_the_image_holds_what_runs_and_nothing_that_tests_or_demonstrates(image: Image) -> None:
    """Locked runtime dependencies and the wheel: no pip, no pytest, no broker."""
    packages = {
        path.name.split("-")[0].lower()
        for path in image.place.glob("opt/kaproxy/lib/*/site-packages/*.dist-info")
    }
    assert {
        "kaproxy",
        "trio",
        "structlog",
        "orjson",
        "hypercorn",
        "starlette",
        "prometheus_client",
    } <= packages
    assert not packages & {"pip", "pytest", "iotcore", "paho_mqtt", "hatchling", "mypy"}


def test_the_image_runs_the_compiled_build_and_holds_no_compiler(image: Image) -> None:
    """Machine code beside every source of the hot packages; what made it stays in the builder."""
    package = next(image.place.glob("opt/kaproxy/lib/*/site-packages/kaproxy"))
    assert {path.name.split(".")[0] for path in (package / "mqtt").glob("*.so")} >= {"decoder", "wire"}
    runtime = [rest for word, rest in instructions() if word == "RUN"][-1]
    assert "apt-get" not in runtime


def test_the_image_is_configured_by_environment_alone_and_ends_on_its_stop_signal(image: Image) -> None:
    """CMD with two variables proxies; STOPSIGNAL ends it at once where nobody is connected, its last line written."""
    command = json.loads(last("CMD"))
    with image.started(*command, KAPROXY_LISTEN="127.0.0.1:0", KAPROXY_UPSTREAM="127.0.0.1:9") as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        child.send_signal(getattr(signal, last("STOPSIGNAL")))
        output, errors = child.communicate(timeout=5)  # well below the drain time
    assert "proxy.started" in first, errors
    assert json.loads(first)["build"] == "compiled"
    assert child.returncode == 0, errors
    assert "proxy.stopped" in output.splitlines()[-1]


def test_the_image_can_have_workers_and_an_admin_side(image: Image) -> None:
    """By environment alone, as the image's user; it drains on its stop signal."""
    environ = {"KAPROXY_LISTEN": "127.0.0.1:0", "KAPROXY_UPSTREAM": "127.0.0.1:9", "KAPROXY_WORKERS": "2"}
    with image.started(*json.loads(last("CMD")), **environ, KAPROXY_ADMIN="127.0.0.1:0") as child:
        assert child.stdout is not None
        lines: list[dict[str, Any]] = []
        while not lines or lines[-1]["event"] != "proxy.started":
            lines.append(json.loads(child.stdout.readline()))
        with urllib.request.urlopen(f"http://{lines[-1]['admin']}/readyz", timeout=10) as answer:
            assert answer.status == 200
        child.send_signal(getattr(signal, last("STOPSIGNAL")))
        output, errors = child.communicate(timeout=20)
    assert [line["event"] for line in lines[:-1]] == ["worker.started"] * 2
    assert (child.returncode, errors) == (0, "")
    assert "proxy.stopped" in output.splitlines()[-1]


def test_every_step_that_installs_checks_hashes_or_takes_what_was_just_built() -> None:
    """No package comes into the image that no lock names."""
    installs = [
        part
        for word, rest in instructions()
        if word == "RUN"
        for part in rest.split("&&")
        if " install" in part and "apt-get" not in part
    ]
    assert installs
    assert all("--require-hashes" in part or "--no-index" in part for part in installs)


def test_the_runtime_lock_is_part_of_the_development_lock() -> None:
    """What is tested is what is shipped: the same versions, the same hashes."""
    ours = _pins("requirements.lock")
    assert _pins("requirements-runtime.lock").items() <= ours.items()


def _pins(name: str) -> dict[str, frozenset[str]]:
    blocks = re.split(r"\n(?=\S)", (ROOT / name).read_text())
    return {
        block.split("==")[0]: frozenset(re.findall(r"sha256:\w+", block))
        for block in blocks
        if "==" in block.split("\n")[0]
    }


@pytest.mark.parametrize(
    "name", ["requirements.lock", "requirements-runtime.lock", "requirements-build.lock"]
)
def test_a_lock_names_no_address_and_no_path(name: str) -> None:
    """Only names, versions, markers and hashes."""
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search(r"(^|\s)(/|-i |--index|--find)", text)

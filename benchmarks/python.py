"""Which Python kaproxy is measured on: the distribution's where `.ci/bench-peers` made a venv of it, else this one.

HAProxy and nginx are the distribution's packages, built with its optimisations; a developer's own Python may have been
compiled without. A Python's build is told by what it says of itself and by whose package it is, and by nothing else:
Debian's, for one, is optimised with a profile and does not say so. It may not know what is measured.
Read next: `relays.py`, which starts kaproxy on it.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OPTIMISATIONS = ("--enable-optimizations", "--with-lto")  # of its ./configure; the first is the profile's

TELLS = """
import json, os, platform, sys, sysconfig
program = os.path.realpath(sys._base_executable)
arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
print(json.dumps([platform.python_version(), program, arguments]))
"""


@dataclass(frozen=True)
class Python:
    """One that has what kaproxy needs; `compiled`: where the wheel built for it is unpacked, if it is."""

    program: Path
    compiled: Path


READY = ROOT / ".peers/distribution/key"  # written once everything is installed there
DISTRIBUTION = Python(ROOT / ".peers/distribution/bin/python", ROOT / "build/distribution/tree")
OWN = Python(Path(sys.executable), ROOT / "build/compiled/tree")


def chosen() -> Python:
    """The one to measure on."""
    return DISTRIBUTION if DISTRIBUTION.program.exists() and READY.exists() else OWN


def told(python: Python) -> tuple[str, str]:
    """Its version, and whose it is or how it was built, in words."""
    ran = subprocess.run([str(python.program), "-c", TELLS], capture_output=True, text=True, check=True)
    version, program, arguments = json.loads(ran.stdout)
    return version, package_of(program) or built(arguments)


def package_of(program: str) -> str:
    """Whose package a program is from, and its version; empty: of none that dpkg knows."""
    if not (found := asked("dpkg-query", "--search", program)):
        return ""
    package = found.split(":")[0]
    whose = platform.freedesktop_os_release().get("NAME", "the distribution")
    return f"{whose}'s package {package} {asked('dpkg-query', '--show', '--showformat=${Version}', package)}"


def asked(*command: str) -> str:
    """What a command says; nothing where it fails or is not there."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return ran.stdout if ran.returncode == 0 else ""


def built(arguments: str) -> str:
    """What it was configured with that makes it faster."""
    given = [option for option in OPTIMISATIONS if option in arguments]
    return f"configured with {' '.join(given)}" if given else f"configured without {OPTIMISATIONS[0]}"

"""The load generator, `load.c`: built with the machine's C compiler, called once per sample.

Knows its command line and its one JSON answer, and on which core it runs; not which relay it meets.
Read next: `load.c`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("load.c")
SAMPLE_LIMIT_S = 90


@dataclass(frozen=True)
class Generator:
    """A built load generator."""

    program: Path
    before: tuple[str, ...] = ()  # what its command begins with, where it is to run somewhere else

    @classmethod
    def build(cls, folder: Path) -> Generator:
        """Compiles `load.c` into `folder`. Needs `cc`."""
        program = folder / "load"
        subprocess.run(["cc", "-O2", "-o", str(program), str(SOURCE)], check=True)
        return cls(program)

    @staticmethod
    def relay_core(cores: str | None) -> int | None:
        """The core for the relay: the second of `cores`, else core 1 where there is one."""
        if cores:
            return int(cores.split(",")[1])
        return sorted(os.sched_getaffinity(0))[1] if len(os.sched_getaffinity(0)) > 1 else None

    @staticmethod
    def own_core(cores: str | None) -> int | None:
        """The core for the generator: the first of `cores`, else the first there is where there are two."""
        if cores:
            return int(cores.split(",")[0])
        return sorted(os.sched_getaffinity(0))[0] if len(os.sched_getaffinity(0)) > 1 else None

    def command(self, arguments: dict[str, object], core: int | None) -> list[str]:
        """The whole command line, pinned to `core`. Without a core of its own it sleeps, to leave the relay one."""
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        told = {"sleep": int(core is None), **arguments}
        options = [str(part) for name, value in told.items() for part in (f"--{name}", value)]
        return [*self.before, *pinned, str(self.program), *options]

    def run(self, arguments: dict[str, object], core: int | None) -> dict[str, Any]:
        """Runs to its end and returns its answer; raises where it could not do its work."""
        ran = subprocess.run(
            self.command(arguments, core), capture_output=True, text=True, timeout=SAMPLE_LIMIT_S, check=False
        )
        if ran.returncode:
            raise RuntimeError(f"{arguments}: {ran.stderr.strip()}")
        return dict(json.loads(ran.stdout.splitlines()[-1]))

    @contextmanager
    def hold(self, arguments: dict[str, object], core: int | None) -> Iterator[subprocess.Popen[str]]:
        """Holds idle connections: yields once all are established, lets go of them at the end."""
        process = subprocess.Popen(
            self.command(arguments, core), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with process:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise RuntimeError(f"{arguments}: the connections did not come up")
            yield process
            if process.poll() is None:
                process.communicate(timeout=SAMPLE_LIMIT_S)

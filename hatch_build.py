"""Builds `kaproxy/relay/_syscalls.c` into the wheel, beside what mypyc makes of the hot packages.

Only where build hooks are asked for (HATCH_BUILD_HOOKS_ENABLE), as for mypyc: an untouched build is pure.
Read next: `pyproject.toml`, where both are named.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULE = "kaproxy.relay._syscalls"


class SystemCalls(BuildHookInterface[Any]):
    """The one C source as an extension module."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and have the wheel take the result in. Raises where there is no C compiler."""
        from setuptools import Distribution, Extension  # only a build that asks for it needs these

        source = Path(self.root, *MODULE.split(".")).with_suffix(".c")
        extension = Extension(
            MODULE, [str(source)], extra_compile_args=["-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"]
        )
        self._place = tempfile.TemporaryDirectory(prefix="kaproxy-build-")
        build = Distribution({"ext_modules": [extension]}).get_command_obj("build_ext")
        build.build_lib = build.build_temp = self._place.name
        build.ensure_finalized()
        build.run()
        made = Path(build.get_ext_fullpath(MODULE))
        build_data["force_include"][str(made)] = f"kaproxy/relay/{made.name}"
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Nothing is left beside the sources."""
        self._place.cleanup()

"""Asking a saved log again takes less than a second, so what is not needed for it is not imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from kaproxy.analysis.store import load
from kaproxy.analysis.store.saved import save
from tests.fleets import fleet, plants

#: What only other reports and engines need. rich alone takes as long as all finders on a small log.
_NOT_NEEDED = [
    "scipy",
    "numpy",
    "pandas",
    "rich",
    "altair",
    "jinja2",
    "vl_convert",
    "http.client",
    "pydantic",
]
_ASK = f"""
import sys
from kaproxy.cli import main
main(["analyze", "--json", sys.argv[1]], standalone_mode=False)
print([each for each in {_NOT_NEEDED} if each in sys.modules], file=sys.stderr)
"""


def test_a_saved_log_is_asked_again_without_libraries_that_others_need(tmp_path: Path) -> None:
    fleet.write(tmp_path / "log", 800, 3, (plants.fights,))
    with load([str(tmp_path / "log")]) as engine:
        save(engine, str(tmp_path / "saved.parquet"))
    done = subprocess.run(
        [sys.executable, "-c", _ASK, str(tmp_path / "saved.parquet")],
        capture_output=True, timeout=100, check=False, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert json.loads(done.stdout)["findings"]

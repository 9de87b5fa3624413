"""Every event in every format, to the byte. `python -m tests.telemetry.test_golden` writes the files anew."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest import mock

import pytest

from kaproxy.telemetry.log import Log
from kaproxy.telemetry.recorder import Recorder
from tests.telemetry.life import EVENTS, VERDICT

GOLDEN = Path(__file__).parent / "golden"
FORMATS = ("json", "logfmt", "console")
NOW_NS = 1795414353_123456789


def lines(form: str, folder: Path) -> str:
    """What a recorder writes of all events, at one instant and with one verdict."""
    path = folder / form
    log = Log(path=str(path), form=form, level="debug")
    recorder = Recorder(log, judge=lambda _: VERDICT)
    with mock.patch("kaproxy.telemetry.log.time.time_ns", return_value=NOW_NS):
        for event in EVENTS:
            recorder.record(event)
    assert log.close() == 0
    return path.read_text()


@pytest.mark.parametrize("form", FORMATS)
def test_the_lines_of_all_events_are_the_golden_ones(form: str, tmp_path: Path) -> None:
    assert lines(form, tmp_path) == (GOLDEN / f"{form}.txt").read_text()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for each in FORMATS:
            (GOLDEN / f"{each}.txt").write_text(lines(each, Path(name)))

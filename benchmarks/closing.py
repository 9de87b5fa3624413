"""`python -m benchmarks.closing LOG`: what judging a connection's end and writing its line costs, by itself.

The evidence is read back from closing lines of a run, then recorded again by kaproxy's own recorder into a file: CPU
of this process, its log's writer included, per line. Which build that is, the place says where it is started; `idle.py`
starts it there, on the Python that kaproxy ran on.
Read next: `idle.py`, whose mass drop makes the lines.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from kaproxy.connection.events import Closed
from kaproxy.diagnosis.record import from_record
from kaproxy.telemetry.log import Log
from kaproxy.telemetry.recorder import Recorder

MOST = 2000  # lines


def endings(log: Path) -> list[Closed]:
    """What was recorded there, as it was when it was to be recorded."""
    with log.open("rb") as lines:
        closed = (line for line in lines if b'"connection.closed"' in line)
        return [Closed(from_record(json.loads(line))) for line, _ in zip(closed, range(MOST), strict=False)]


def cost_us(events: Sequence[Closed], path: Path) -> float:
    """CPU per line, microseconds."""
    log = Log(path=str(path))
    recorder = Recorder(log)
    started = time.process_time()
    for event in events:
        recorder.record(event)
    log.close()
    return 1e6 * (time.process_time() - started) / len(events)


def main() -> int:
    """Once to warm up, then what counts."""
    events = endings(Path(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder:
        cost_us(events, Path(folder) / "first.log")
        print(json.dumps({"lines": len(events), "us": cost_us(events, Path(folder) / "second.log")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

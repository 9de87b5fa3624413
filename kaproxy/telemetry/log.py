"""The log: structlog set up for speed, the head of every line, and the sink behind it.

A line's fields are handed over as one dict (`record`), not as keyword arguments: 70 of those would be copied
three times. It may not know what an event means (`recorder.py`) nor how a line is spelled (`formats.py`).
Read next: `sink.py`, where the line goes.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from kaproxy.telemetry.formats import Format, format_named
from kaproxy.telemetry.schema import SCHEMA
from kaproxy.telemetry.sink import Dropped, Sink

_NUMBERS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Clock:
    """Wall-clock time stamps, ISO 8601 UTC with microseconds; the text of a second is made once."""

    def __init__(self) -> None:
        self._second: tuple[int, str] = (-1, "")

    def stamp(self, ns: int) -> str:
        """`ns` nanoseconds since the epoch as "2026-11-23T06:11:00.123456Z"."""
        second, rest = divmod(ns, 1_000_000_000)
        cached, text = self._second
        if second != cached:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = (second, text)
        return f"{text}.{rest // 1000:06d}Z"


class LineMaker:
    """The structlog processor that puts a line together: head first, then the record, then bytes."""

    def __init__(self, worker: str, spell: Format) -> None:
        self._worker = worker
        self._spell = spell
        self._clock = Clock()

    def __call__(self, logger: object, level: str, event_dict: EventDict) -> bytes:
        return self.line(level, event_dict["event"], event_dict.get("record", {}))

    def line(self, level: str, event: str, record: Mapping[str, Any]) -> bytes:
        """The finished line."""
        fields: dict[str, Any] = {
            "timestamp": self._clock.stamp(time.time_ns()),
            "level": level,
            "event": event,
            "schema": SCHEMA,
            "worker": self._worker,
        }
        if "conn_id" in record:
            fields["conn_id"] = record["conn_id"]
        return self._spell({**fields, **record, **fields})


class _SinkLogger:
    """What structlog calls with the finished line."""

    def __init__(self, sink: Sink) -> None:
        self.debug = self.info = self.warning = self.error = sink.write


class Log:
    """Where lines are written. Raises OSError where the file cannot be opened; never blocks afterwards."""

    def __init__(
        self,
        *,
        path: str = "-",
        form: str = "json",
        level: str = "info",
        buffer: int = 8 << 20,
        worker: str = "1",
        lock: int | None = None,
    ) -> None:
        """`lock`: a descriptor all processes that write to the same place have of the same file."""
        self.sink = Sink(path, buffer, self._dropped_line, self._failed_reopen_line, lock)
        color = self.sink.is_terminal and not os.environ.get("NO_COLOR")
        self._maker = LineMaker(worker, format_named(form, color))
        self.set_level(level)

    def set_level(self, level: str) -> None:
        """Write only lines at least this severe from now on."""
        self._logger = cast(
            "FilteringBoundLogger",
            structlog.wrap_logger(
                _SinkLogger(self.sink),
                processors=[self._maker],
                wrapper_class=structlog.make_filtering_bound_logger(_NUMBERS[level]),
                cache_logger_on_first_use=True,
            ).bind(),
        )
        self.level = level

    def wants(self, level: str) -> bool:
        """Whether a line of this level would be written, to spare the making of its record."""
        return _NUMBERS[level] >= _NUMBERS[self.level]

    def write(self, level: str, event: str, record: Mapping[str, Any]) -> None:
        """Write one line: its level, its event, its fields in order (`conn_id` goes to the head)."""
        self._logger.log(_NUMBERS[level], event, record=record)

    def reopen(self) -> None:
        """Open the log file anew, for log rotation; nothing happens on standard output."""
        self.sink.reopen()

    def close(self, deadline_s: float = 2.0) -> int:
        """Flush for at most `deadline_s` seconds; the number of bytes that could not be written."""
        return self.sink.close(deadline_s)

    def _dropped_line(self, dropped: Dropped) -> bytes:
        return self._maker.line("warning", "log.dropped", asdict(dropped))

    def _failed_reopen_line(self, error: OSError) -> bytes:
        record = {"file": self.sink.path, "error": error.strerror or str(error)}
        return self._maker.line("error", "log.reopen_failed", record)

"""The log: structlog set up for speed, the head of every line, and the sink behind it.

A line is one dict from its head on, which whoever writes it may fill in place, and no keyword arguments: 70 of
those would be copied three times. It may not know what an event means (`recorder.py`) nor how a line is spelled
(`formats.py`).
Read next: `sink.py`, where the line goes.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final, TypeAlias

import structlog
from structlog.typing import EventDict

from kaproxy.diagnosis.numbers import with_micros
from kaproxy.telemetry.formats import Format, format_named
from kaproxy.telemetry.schema import SCHEMA
from kaproxy.telemetry.sink import Dropped, Sink

Line: TypeAlias = dict[str, Any]
_NS: Final = 1_000_000_000
_NUMBERS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class LineMaker:
    """Puts a line together, head first; as a structlog processor, spells the line that is the event."""

    def __init__(self, worker: str, spell: Format) -> None:
        self._worker = worker
        self._spell = spell

    def __call__(self, logger: object, level: str, event_dict: EventDict) -> bytes:
        return self._spell(event_dict)

    def head(self, level: str, event: str) -> Line:
        """A line as far as the log knows it."""
        ns = time.time_ns()
        return {
            "timestamp": with_micros(ns // _NS, ns % _NS // 1000),
            "level": level,
            "event": event,
            "schema": SCHEMA,
            "worker": self._worker,
        }

    def line(self, level: str, event: str, record: Mapping[str, Any]) -> Line:
        """The whole line; what the head says is not said otherwise by the record."""
        head = self.head(level, event)
        if "conn_id" in record:
            head["conn_id"] = record["conn_id"]
        return {**head, **record, **head}

    def spelled(self, level: str, event: str, record: Mapping[str, Any]) -> bytes:
        """The finished line, past structlog."""
        return self._spell(self.line(level, event, record))


class _LineLogger(structlog.BoundLoggerBase):
    """The bound logger: takes a line as it is. What is not severe enough does not come this far.

    Nothing is ever bound, so the line goes to the processors itself: structlog's own way copies what is bound and
    what is given into a dict of its own first.
    """

    def write(self, level: str, line: Line) -> None:
        """Have the line spelled and sent."""
        event: Any = line
        for process in self._processors:
            event = process(self._logger, level, event)
        getattr(self._logger, level)(event)


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
        self._logger: _LineLogger = structlog.wrap_logger(
            _SinkLogger(self.sink), processors=[self._maker], wrapper_class=_LineLogger, context_class=dict
        ).bind()
        self.set_level(level)

    def set_level(self, level: str) -> None:
        """Write only lines at least this severe from now on."""
        self.level = level
        self._least = _NUMBERS[level]

    def wants(self, level: str) -> bool:
        """Whether a line of this level would be written, to spare the making of its record."""
        return _NUMBERS[level] >= self._least

    def head(self, level: str, event: str) -> Line:
        """The head of a line, to be filled (`conn_id` first, no field of the head again) and given to `write_line`."""
        return self._maker.head(level, event)

    def write_line(self, level: str, line: Line) -> None:
        """Write a line that was begun with `head`, where its level is wanted."""
        if self.wants(level):
            self._logger.write(level, line)

    def write(self, level: str, event: str, record: Mapping[str, Any]) -> None:
        """Write one line: its level, its event, its fields in order (`conn_id` goes to the head)."""
        if self.wants(level):
            self._logger.write(level, self._maker.line(level, event, record))

    def reopen(self) -> None:
        """Open the log file anew, for log rotation; nothing happens on standard output."""
        self.sink.reopen()

    def close(self, deadline_s: float = 2.0) -> int:
        """Flush for at most `deadline_s` seconds; the number of bytes that could not be written."""
        return self.sink.close(deadline_s)

    def _dropped_line(self, dropped: Dropped) -> bytes:
        return self._maker.spelled("warning", "log.dropped", asdict(dropped))

    def _failed_reopen_line(self, error: OSError) -> bytes:
        record = {"file": self.sink.path, "error": error.strerror or str(error)}
        return self._maker.spelled("error", "log.reopen_failed", record)

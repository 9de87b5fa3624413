"""The recorder: each event of a connection becomes its line, and a closed one is judged here, once.

`record` never raises: where judging or writing out fails, the closing line still goes out with the facts that
can be told, and says that the fault is kaproxy's. It may not hold a rule nor format a line.
Read next: `kaproxy/diagnosis` for the verdict, `schema.py` for the fields, `log.py` for the writing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

from kaproxy.connection.events import Accepted, Closed, Established, Event, LookSooner, ObserverFailed
from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Origin
from kaproxy.diagnosis import Verdict, diagnose
from kaproxy.diagnosis.numbers import to_millionths
from kaproxy.diagnosis.record import put_relay, to_record
from kaproxy.diagnosis.shapes import FACTS, MEASURED, ORIGIN, STATED, STORY, USUAL, WHO
from kaproxy.diagnosis.verdict import CLEAN_CAUSES, Cause, Confidence, Owner
from kaproxy.diagnosis.writers import put
from kaproxy.telemetry.log import Log
from kaproxy.telemetry.tally import Traffic
from kaproxy.telemetry.warnings import WARNINGS

Record: TypeAlias = dict[str, Any]


def level_of(cause: str) -> str:
    """The level of a closing line: info for a clean end, error for kaproxy's own fault, else warning."""
    if cause in CLEAN_CAUSES:
        return "info"
    return "error" if cause == Cause.PROXY_ERROR else "warning"


class Recorder:
    """Turns events into lines, and counts what `proxy.stopped` tells."""

    def __init__(
        self,
        log: Log,
        on_verdict: Callable[[Evidence, Verdict], None] | None = None,
        judge: Callable[[Evidence], Verdict] = diagnose,
    ) -> None:
        self._log = log
        self._on_verdict = on_verdict
        self._judge = judge
        self.accepted = 0
        self.verdicts: Counter[tuple[str, str, str]] = Counter()  # cause, root ("": none), owner
        self.warnings: Counter[str] = Counter()  # by event
        self.traffic = Traffic()  # of connections it was told of as `opened`

    @property
    def causes(self) -> Counter[str]:
        """Closing lines by cause."""
        causes: Counter[str] = Counter()
        for (cause, _, _), count in self.verdicts.items():
            causes[cause] += count
        return causes

    def record(self, event: Event) -> None:
        """Write the event's line. Never raises, never blocks."""
        if isinstance(event, Closed):
            self._closed(event)
        elif isinstance(event, Established):
            self._established(event)
        elif isinstance(event, Accepted):
            self._accepted(event)
        elif not isinstance(event, LookSooner):  # which has nothing to tell
            self._told(event)

    def _accepted(self, event: Accepted) -> None:
        self.accepted += 1
        if self._log.wants("debug"):
            self._write("debug", "connection.accepted", _accepted(event.origin))

    def _established(self, event: Established) -> None:
        if not self._log.wants("info"):
            return
        try:
            line = self._log.head("info", "connection.established")
            _put_established(line, event)
        except Exception as error:
            self._not_told(error)
        else:
            self._write_line("info", line)

    def _told(self, event: Event) -> None:
        try:
            level, name, record = _LINES[type(event)](event)
        except Exception as error:  # a line that cannot be made is told, not raised
            self._not_told(error)
            return
        if level == "warning":
            self.warnings[name] += 1
        self._write(level, name, _known(record))

    def _not_told(self, error: Exception) -> None:
        self._write("error", "observer.failed", {"error": _words(error)})

    def _closed(self, event: Closed) -> None:
        evidence = event.evidence
        self.traffic.closed(evidence.origin.conn_id)
        try:
            verdict = self._judge(evidence)
            level = _LEVELS[verdict.cause._value_]
            line = self._log.head(level, "connection.closed")
            if self._log.wants(level):
                to_record(evidence, verdict, line)
            counted = (verdict.cause._value_, verdict.root or "", verdict.owner._value_)
            self._tell_verdict(evidence, verdict)
        except Exception as error:
            self._closed_despite(evidence, error)
            return
        self.verdicts[counted] += 1
        self._write_line(level, line)

    def _tell_verdict(self, evidence: Evidence, verdict: Verdict) -> None:
        """What is learned from a verdict must not cost its line."""
        if self._on_verdict is not None:
            try:
                self._on_verdict(evidence, verdict)
            except Exception:
                return

    def _closed_despite(self, evidence: Evidence, error: Exception) -> None:
        self.verdicts[str(Cause.UNKNOWN), "", str(Owner.PROXY)] += 1
        self._write("error", "connection.closed", closing_record_despite(evidence, error))

    def _write(self, level: str, event: str, record: Record) -> None:
        self._write_line(level, {**self._log.head(level, event), **record})

    def _write_line(self, level: str, line: Record) -> None:
        """Write, or where even that fails, a line with the fault and whose connection it was."""
        try:
            self._log.write_line(level, line)
        except Exception as error:
            whose = {"conn_id": str(line.get("conn_id"))}
            self._log.write("error", line["event"], {**whose, **_verdict_despite(error)})


def closing_record_despite(evidence: Evidence, error: Exception) -> Record:
    """A closing line where judging failed: the facts as far as they can be told, and kaproxy's fault named."""
    words = _verdict_despite(error)
    try:
        verdict = Verdict(
            cause=Cause.UNKNOWN,
            root=None,
            owner=Owner.PROXY,
            confidence=Confidence.UNCLEAR,
            code="??",
            explanation=words["explanation"],
            advice=words["advice"],
        )
        return to_record(evidence, verdict)
    except Exception:  # not even the facts can be told in their usual way
        return {**_facts_one_by_one(evidence), **words}


def _verdict_despite(error: Exception) -> Record:
    return {
        "cause": str(Cause.UNKNOWN),
        "owner": str(Owner.PROXY),
        "confidence": str(Confidence.UNCLEAR),
        "code": "??",
        "explanation": f"kaproxy failed to judge this connection: {_words(error)}. "
        "That is a fault of kaproxy's own and says nothing of the client or the broker.",
        "advice": "Report this line; judge the connection by the facts in it.",
        "ruled_out": [],
    }


def _words(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def _facts_one_by_one(evidence: Evidence) -> Record:
    """Every field that can be told, each on its own, so that one that cannot takes no other with it."""
    record: Record = {}
    for source, group in (
        (evidence.origin, ORIGIN),
        *((evidence, group) for group in (WHO, FACTS, STATED, MEASURED, STORY)),
    ):
        for field in group:
            with suppress(Exception):
                put(record, source, (field,), USUAL)
    with suppress(Exception):
        put_relay(record, evidence.relay)
    return record


def _accepted(origin: Origin) -> Record:
    return {
        "conn_id": origin.conn_id,
        "listener": origin.listener,
        "client_addr": origin.client_addr,
        "client_port": origin.client_port,
        "broker_addr": origin.broker_addr,
        "transport": origin.transport,
    }


def _put_established(line: Record, event: Established) -> None:
    origin = event.origin
    line["conn_id"] = origin.conn_id
    line["listener"] = origin.listener
    line["client_addr"] = origin.client_addr
    line["client_port"] = origin.client_port
    line["broker_addr"] = origin.broker_addr
    line["client_id"] = event.client_id
    line["protocol_version"] = event.protocol_version
    line["keep_alive"] = event.keep_alive
    line["effective_keep_alive"] = event.effective_keep_alive
    if event.limit_low_s is not None:
        line["limit_low_s"] = event.limit_low_s
    if event.limit_high_s is not None:
        line["limit_high_s"] = event.limit_high_s
    line["clean_start"] = event.clean_start
    line["session_present"] = event.session_present
    line["will_present"] = event.will_present
    line["connack_s"] = to_millionths(event.connack_s)


def _observer_failed(event: ObserverFailed) -> tuple[str, str, Record]:
    record = {
        "conn_id": event.origin.conn_id,
        "client_addr": event.origin.client_addr,
        "error": event.error,
    }
    return "error", "observer.failed", record


def _known(record: Record) -> Record:
    """The record without what is not known, as in the closing line."""
    return {name: value for name, value in record.items() if value is not None}


_LEVELS: Final = {cause.value: level_of(cause) for cause in Cause}
#: How an event that is neither frequent nor counted becomes its line.
_LINES: dict[type, Callable[[Any], tuple[str, str, Record]]] = {ObserverFailed: _observer_failed, **WARNINGS}

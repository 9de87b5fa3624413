"""Whose story: the connections of one client identifier, or one connection, out of the lines of a log.

One pass, keeping only what is asked for; an unknown name is answered with the nearest ones seen. What a closing
line says (`Said`) stands beside its evidence, since a newer version wrote or will judge it differently. It may
not know files nor screens.
Read next: `timeline.py` and `whatif.py`, which compute from a connection.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from kaproxy.analysis.logs import Fields, Line
from kaproxy.connection.evidence import Evidence
from kaproxy.diagnosis import diagnose
from kaproxy.diagnosis.record import RecordError, from_record
from kaproxy.diagnosis.verdict import CLEAN_CAUSES

CLOSED, ESTABLISHED, ACCEPTED, DROPPED = (
    "connection.closed",
    "connection.established",
    "connection.accepted",
    "log.dropped",
)
#: Endings that were meant, and are no drops.
MEANT = CLEAN_CAUSES

Pairs: TypeAlias = tuple[tuple[str, str], ...]


class UnknownTargetError(Exception):
    """Nothing in the log has this client identifier or conn_id; `near` are the nearest that it has."""

    def __init__(self, kind: str, given: str, near: Sequence[str], known: int) -> None:
        self.kind = kind
        self.given = given
        self.near = tuple(near)
        self.known = known
        super().__init__(kind, given)


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for: a client identifier or a conn_id, exactly one of them."""

    client_id: str | None = None
    conn_id: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """The verdict as a closing line has it; words unknown to this version are kept."""

    cause: str
    root: str | None
    owner: str
    confidence: str
    code: str
    explanation: str
    advice: str
    ruled_out: Pairs
    would_settle: str | None

    @property
    def name(self) -> str:
        """Cause and root: "keep_alive_timeout / pinged_late"."""
        return " / ".join(filter(None, (self.cause, self.root)))


@dataclass(frozen=True, slots=True)
class Closing:
    """A closing line: where it stood, what it says, and its evidence, or why that cannot be read."""

    line: int
    said: Said
    evidence: Evidence | None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Warned:
    """A line that came before the ending. `at`: wall clock, seconds since the epoch; None: not readable."""

    event: str
    at: float | None
    fields: Fields


@dataclass(slots=True)
class Connection:
    """What a log has of one connection, in any order of its lines."""

    conn_id: str
    opened: Fields | None = None  # connection.established
    closing: Closing | None = None
    warnings: list[Warned] = field(default_factory=list)
    last_at: float = 0.0  # of its newest line, wall clock

    @property
    def evidence(self) -> Evidence | None:
        """The evidence, where there is a closing line that can be read."""
        return self.closing.evidence if self.closing else None

    @property
    def opened_at(self) -> float:
        """When it was accepted, wall clock; without a closing line, when CONNACK passed; else its newest line."""
        known = self.evidence
        if known is not None:
            return known.origin.opened_at
        return (moment(self.opened.get("timestamp")) if self.opened else None) or self.last_at

    @property
    def ended_at(self) -> float:
        """The first ending, wall clock; of a connection without one, its newest line."""
        known = self.evidence
        return known.origin.opened_at + known.duration_s if known else self.last_at

    @property
    def dropped(self) -> bool:
        """Did it end in a way nobody meant?"""
        return self.closing is not None and self.closing.said.cause not in MEANT


@dataclass(slots=True)
class Found:
    """The connections asked for, oldest first, and how many lines kaproxy itself says it lost."""

    target: Target
    connections: list[Connection]
    lost: int = 0

    def chosen(self) -> Connection:
        """The one to tell in detail: the newest drop, else the newest ended, else the newest."""
        return max(self.connections, key=lambda each: (each.dropped, each.closing is not None, each.ended_at))


def select(lines: Iterable[Line], target: Target) -> Found:
    """The connections of `target` in the lines. Raises UnknownTargetError."""
    picking = _Picking(target)
    for line in lines:
        picking.take(line)
    if not picking.connections:
        kind, given = (
            ("connection", target.conn_id) if target.conn_id is not None else ("client", target.client_id)
        )
        raise UnknownTargetError(kind, given or "", near(given or "", picking.seen), len(picking.seen))
    ordered = sorted(picking.connections.values(), key=lambda each: each.opened_at)
    return Found(target, ordered, picking.lost)


class _Picking:
    """One pass over the lines."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.connections: dict[str, Connection] = {}
        self.seen: dict[str, None] = {}  # the other names of this kind, in order
        self.lost = 0
        self._early: dict[str, list[Fields]] = {}  # warnings of connections whose client is not known yet

    def take(self, line: Line) -> None:
        fields = line.fields
        event, conn_id = fields["event"], fields.get("conn_id")
        if event == DROPPED and isinstance(fields.get("lines"), int):
            self.lost += fields["lines"]
        if not isinstance(conn_id, str):
            return
        for owner in _connections_of(fields):
            if self._wanted(fields, owner):
                self._keep(line, owner)
            elif owner == conn_id and fields.get("client_id") is None and event not in (CLOSED, ACCEPTED):
                self._early.setdefault(owner, []).append(fields)
            elif event == CLOSED:
                self._early.pop(owner, None)

    def _wanted(self, fields: Fields, conn_id: str) -> bool:
        name = conn_id if self.target.conn_id is not None else fields.get("client_id")
        if isinstance(name, str):
            self.seen[name] = None
        wanted = self.target.conn_id if self.target.conn_id is not None else self.target.client_id
        return name == wanted or conn_id in self.connections

    def _keep(self, line: Line, conn_id: str) -> None:
        found = self.connections.setdefault(conn_id, Connection(conn_id))
        for early in self._early.pop(conn_id, ()):
            found.warnings.append(warned(early))
        fields = line.fields
        found.last_at = moment(fields.get("timestamp")) or found.last_at
        if fields["event"] == CLOSED and fields["conn_id"] == conn_id:
            found.closing = closing(line)
        elif fields["event"] == ESTABLISHED and fields["conn_id"] == conn_id:
            found.opened = fields
        elif fields["event"] not in (ACCEPTED, CLOSED, ESTABLISHED):
            found.warnings.append(warned(fields))


def _connections_of(fields: Fields) -> Iterator[str]:
    """The connections a line is about: its own, and those it names ("holder_conn_id")."""
    if fields["event"] == CLOSED:
        yield fields["conn_id"]
        return
    for name, value in fields.items():
        if name.endswith("conn_id") and isinstance(value, str):
            yield value


def closing(line: Line) -> Closing:
    """A closing line taken apart; never raises."""
    try:
        return Closing(line.number, said(line.fields), from_record(line.fields))
    except RecordError as error:
        return Closing(line.number, said(line.fields), None, str(error))


def said(record: Fields) -> Said:
    """The verdict in a closing line, as far as there is one."""
    return Said(
        cause=_text(record, "cause") or "unknown",
        root=_text(record, "root"),
        owner=_text(record, "owner") or "nobody",
        confidence=_text(record, "confidence") or "unclear",
        code=_text(record, "code") or "??",
        explanation=_text(record, "explanation") or "",
        advice=_text(record, "advice") or "",
        ruled_out=tuple(_ruled_out(record.get("ruled_out"))),
        would_settle=_text(record, "would_settle"),
    )


def _text(record: Fields, name: str) -> str | None:
    value = record.get(name)
    return value if isinstance(value, str) else None


def _ruled_out(value: Any) -> Iterator[tuple[str, str]]:
    for each in value if isinstance(value, list) else ():
        if isinstance(each, Mapping):
            yield str(each.get("cause", "")), str(each.get("because", ""))


def warned(fields: Fields) -> Warned:
    """A warning's line."""
    return Warned(str(fields["event"]), moment(fields.get("timestamp")), fields)


def moment(text: object) -> float | None:
    """ISO 8601 as seconds since the epoch; None where it is none."""
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None


def judged_anew(found: Closing) -> str | None:
    """Cause and root as today's rules find them, where that is not what the line says."""
    if found.evidence is None:
        return None
    verdict = diagnose(found.evidence)
    if (str(verdict.cause), verdict.root) == (found.said.cause, found.said.root):
        return None
    return " / ".join(filter(None, (str(verdict.cause), verdict.root))) + f" ({verdict.confidence})"


def near(given: str, known: Iterable[str]) -> list[str]:
    """Up to three names most like the given one, those that contain it or begin alike first."""
    names = list(known)[:_COMPARED]
    low = given.casefold()
    alike = [name for name in names if low and (low in name.casefold() or name.casefold() in low)]
    alike += difflib.get_close_matches(given, names, n=_NEAR, cutoff=0.6)
    return list(dict.fromkeys(filter(None, alike)))[:_NEAR]


_COMPARED = 50_000
_NEAR = 3

"""The lines of a fleet's log, in the order of their times, by the proxy's own recorder, warnings and JSON writer.

Ordinary endings (`ALIKE`) are judged once per kind of device and age, then written for others with another name;
every other one is judged by itself. It may not know what was planted. Read next: `fleet.py`, `noise.py`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random
from typing import Any, NamedTuple, cast

from kaproxy.connection.events import Closed, Established, Event
from kaproxy.connection.facts import Origin
from kaproxy.diagnosis.kinds import TIME
from kaproxy.diagnosis.numbers import with_micros
from kaproxy.telemetry.formats import json_line
from kaproxy.telemetry.log import Log
from kaproxy.telemetry.recorder import Recorder
from kaproxy.telemetry.schema import SCHEMA
from tests.fleets.crowd import Crowd
from tests.fleets.endings import evidence_of
from tests.fleets.living import limits_of
from tests.fleets.replay import Lived, lived
from tests.fleets.world import Group, Life

#: Endings that differ between two devices of a kind, and of an age, in nothing but names and addresses.
ALIKE = frozenset({"clean", "probe", "refused", "denied"})
#: Endings before a CONNACK with success.
NEVER_STOOD = frozenset({"probe", "refused", "denied"})
#: How long the closing line waits for the look after the ending, seconds.
_LOOK_S = {"gone": 3.0, "gave_up": 0.001, "clean": 0.02, "refused": 0.001}
_USUAL_LOOK_S = 1.02
#: A client group is an identifier with these replaced.
_DIGITS = re.compile(r"[0-9a-fA-F]{8,}|[0-9]+")


class Told(NamedTuple):
    """A line that is no connection's opening or ending: when, whose, and its event or its fields."""

    at: float
    worker: str
    make: Callable[[], Event | tuple[str, str, Mapping[str, Any]]]


class _Page:
    """Where the recorder writes: bytes with the head of whose turn it is, and when."""

    def __init__(self) -> None:
        self.worker, self.at = "", 0.0
        self.events: Counter[str] = Counter()
        self.causes: Counter[str] = Counter()
        self.line = b""
        self.level, self.record = "", cast("Mapping[str, Any]", {})

    def wants(self, level: str) -> bool:
        return level != "debug"

    def head(self, level: str, event: str) -> dict[str, Any]:
        return {
            "timestamp": with_micros(*divmod(int(self.at * 1e6), 1_000_000)),
            "level": level,
            "event": event,
            "schema": SCHEMA,
            "worker": self.worker,
        }

    def write(self, level: str, event: str, record: Mapping[str, Any]) -> None:
        head = self.head(level, event)
        if "conn_id" in record:
            head["conn_id"] = record["conn_id"]
        self.write_line(level, {**head, **record, **head})

    def write_line(self, level: str, line: dict[str, Any]) -> None:
        self.level, self.record = level, line
        self.events[line["event"]] += 1
        if line["event"] == "connection.closed":
            self.causes[str(line["cause"])] += 1
        self.line = json_line(line)


class Scribe:
    """Writes lives down."""

    def __init__(self, lives: list[Life], rng: Random) -> None:
        self.page = _Page()
        self.crowd = Crowd(lives)
        self.lived: dict[str, list[Lived]] = defaultdict(list)
        self._rng = rng
        self._recorder = Recorder(cast("Log", self.page))
        self._alike: dict[tuple[str, str, str, float], tuple[str, Mapping[str, Any]]] = {}
        self._opened: dict[tuple[Group, str], Mapping[str, Any]] = {}

    def lines(self, lives: Iterable[Life], told: Iterable[Told]) -> Iterator[bytes]:
        """Every line, in order of time."""
        turns: list[tuple[float, int, Life | Told]] = []
        for life in lives:
            turns.append((life.ended + _look(life), 2, life))
            if life.ending not in NEVER_STOOD:
                turns.append((life.opened + 0.002, 0, life))
        turns += [(each.at, 1, each) for each in told]
        turns.sort(key=lambda turn: turn[:2])
        for at, kind, whose in turns:
            self.page.at = at
            self._write(whose, kind)
            yield self.page.line

    def _write(self, whose: Life | Told, kind: int) -> None:
        if isinstance(whose, Told):
            self.page.worker = whose.worker
            made = whose.make()
            if isinstance(made, tuple):
                self.page.write(*made)
            else:
                self._recorder.record(made)
        else:
            self.page.worker = whose.client.worker
            (self._closed if kind else self._established)(whose)

    def _established(self, life: Life) -> None:
        key = (life.client.group, life.client.site.name)
        found = self._opened.get(key)
        if found is not None and not life.facts:
            own = {**found, **_names(life), "client_id": life.client.id}
            own["connack_s"] = round(self._rng.uniform(0.0004, 0.003), 6)
            return self.page.write("info", "connection.established", own)
        self._recorder.record(_established(life))
        if not life.facts:
            self._opened[key] = self.page.record
        return None

    def _closed(self, life: Life) -> None:
        key = (life.client.group.name, life.client.site.name, life.ending, life.lasted)
        if life.ending in ALIKE and not life.facts:
            found = self._alike.get(key)
            if found is not None:
                level, record = found
                return self.page.write(level, "connection.closed", self._renamed(record, life))
        evidence = evidence_of(life, self._rng, None, self.crowd.together(life))
        if (known := lived(life, evidence)) is not None:
            self.lived[_DIGITS.sub("#", life.client.id)].append(known)
        self._recorder.record(Closed(self.crowd.known(life, evidence)))
        if life.ending in ALIKE and not life.facts:
            self._alike[key] = (self.page.level, self.page.record)
        return None

    def _renamed(self, record: Mapping[str, Any], life: Life) -> dict[str, Any]:
        """Another device's line: who and when are its own."""
        own = {
            **record,
            **_names(life),
            "opened_at": TIME.write(life.opened),
        }
        if "client_id" in record:
            own["client_id"] = life.client.id
        together = self.crowd.together(life)
        own.pop("closed_within_1s", None)
        return own if together == 1 else own | {"closed_within_1s": together}


def _names(life: Life) -> dict[str, Any]:
    return {"conn_id": life.conn_id, "client_addr": life.client.addr, "client_port": life.port}


def _established(life: Life) -> Established:
    group = life.client.group
    low, high = limits_of(life) if group.keep_alive else (None, None)
    return Established(
        origin=origin(life),
        client_id=life.client.id,
        protocol_version=group.version,
        keep_alive=group.keep_alive,
        effective_keep_alive=life.facts.get("effective_keep_alive", group.keep_alive),
        limit_low_s=low,
        limit_high_s=high,
        clean_start=group.clean_start,
        session_present=False,
        will_present=group.will,
        connack_s=0.0007,
    )


def origin(life: Life) -> Origin:
    """Who is connected to whom."""
    client, site = life.client, life.client.site
    return Origin(life.conn_id, site.listener, client.addr, life.port, site.broker, life.opened)


def _look(life: Life) -> float:
    return _LOOK_S.get(life.ending, _USUAL_LOOK_S)

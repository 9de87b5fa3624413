"""Worst margins: who survived a silence that came close to the broker's limit, and will not every time.

The margin is what was left of the limit at the longest silence that was survived: `margin_min_s` of connections that
ended cleanly, limit less `gap_max_s` of those dropped for another reason, `margin_s` of a keep_alive.late warning.
Clients that the broker did expire are told of elsewhere. It may not know how often a client means to ping.
Read next: `late_pingers.py`, which does.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from kaproxy.analysis.findings.asking import connections, one_of, percent
from kaproxy.analysis.findings.finding import CONNECTIONS_KEPT, Finding
from kaproxy.analysis.store.engine import Engine
from kaproxy.diagnosis.verdict import Cause, Confidence, Owner
from kaproxy.diagnosis.wording import counted, seconds

#: A margin below this part of the limit is thin.
THIN = 0.1
#: So many thin connections or warnings before a group is told of, unless its margin was gone altogether.
FEWEST = 3
_MOST_TOLD, _NAMED = 5, 5

_MARGIN = "case when clean = 1 then margin_min_s when counts = 'packets' then limit_low_s - gap_max_s end"
SURVIVED_THIN = (
    f"limit_low_s > 0 and cause <> '{Cause.KEEP_ALIVE_TIMEOUT}' and {_MARGIN} < {THIN} * limit_low_s"
)
_WARNED_THIN = f"event = 'keep_alive.late' and margin_s < {THIN} * (margin_s + gap_s)"
_DIGITS = re.compile(r"[0-9a-fA-F]{8,}|[0-9]+")
_WARNINGS_READ = 5000


@dataclass(slots=True)
class Thin:
    """What a client group survived narrowly. `worst`: client identifier -> its smallest margin, seconds."""

    connections: int = 0
    warnings: int = 0
    known_broker: bool = True
    worst: dict[str, float] = field(default_factory=dict)
    conn_ids: list[str] = field(default_factory=list)
    margin_s: float = math.inf  # the smallest of all
    limit_s: float = 0.0
    first_us: int | None = None
    last_us: int | None = None

    def note(self, client: str, margin_s: float, limit_s: float) -> None:
        """One client's smallest margin, and the limit it was held against."""
        if margin_s < self.margin_s:
            self.margin_s, self.limit_s = margin_s, limit_s
        self.worst[client] = min(margin_s, self.worst.get(client, margin_s))

    def seen(self, first_us: int, last_us: int) -> None:
        """It happened then, too."""
        self.first_us = min(first_us, self.first_us or first_us)
        self.last_us = max(last_us, self.last_us or last_us)


def find(engine: Engine) -> list[Finding]:
    """The client groups with the most clients that survived narrowly."""
    groups: dict[str, Thin] = {}
    _from_closings(engine, groups)
    _from_warnings(engine, groups)
    told = [
        (name, thin)
        for name, thin in groups.items()
        if thin.connections + thin.warnings >= FEWEST or thin.margin_s <= 0
    ]
    told.sort(key=lambda each: (-len(each[1].worst), each[1].margin_s, each[0]))
    return [_finding(engine, name, thin) for name, thin in told[:_MOST_TOLD]]


def _from_closings(engine: Engine, groups: dict[str, Thin]) -> None:
    rows = engine.rows(
        f"select client_group, client_id, count(*), min({_MARGIN}) as margin, min(limit_low_s), "
        "max(case when broker_profile = 'unknown' or broker_profile like 'learned%' then 1 else 0 end), "
        "min(ended_us), max(ended_us) "
        f"from {{closed}} where {SURVIVED_THIN} group by client_group, client_id order by margin, client_id"
    )
    for group, client, count, margin, limit, unknown, first, last in rows:
        thin = groups.setdefault(str(group), Thin())
        thin.connections += int(count)
        thin.note(str(client), float(margin), float(limit))
        thin.known_broker = thin.known_broker and not unknown
        thin.seen(int(first), int(last))


def _from_warnings(engine: Engine, groups: dict[str, Thin]) -> None:
    """Those of connections that still stand, or whose closing line is not in the log, are in it too."""
    rows = engine.rows(
        "select client_id, conn_id, count(*), min(margin_s) as margin, min(margin_s + gap_s), min(at_us), max(at_us) "
        f"from {{warnings}} where {_WARNED_THIN} group by client_id, conn_id order by margin, conn_id "
        f"limit {_WARNINGS_READ}"
    )
    expired = _expired(engine, [str(row[1]) for row in rows])
    for client, conn_id, count, margin, limit, first, last in rows:
        if (client, conn_id) in expired:
            continue
        thin = groups.setdefault(_DIGITS.sub("#", str(client)), Thin())
        thin.warnings += int(count)
        thin.conn_ids.append(str(conn_id))
        thin.note(str(client), float(margin), float(limit))
        thin.seen(int(first), int(last))


def _expired(engine: Engine, conn_ids: list[str]) -> set[tuple[str, str]]:
    """Client and connection of those that the broker expired after all."""
    if not conn_ids:
        return set()
    known = f"cause = '{Cause.KEEP_ALIVE_TIMEOUT}' and {one_of(engine, 'conn_id', conn_ids)}"
    return {
        (client, conn_id)
        for client, conn_id in engine.rows(f"select client_id, conn_id from {{drops}} where {known}")
    }


def _finding(engine: Engine, group: str, thin: Thin) -> Finding:
    clients = counted(len(thin.worst), "client")
    left = (
        f"the narrowest had {seconds(thin.margin_s)} left of {seconds(thin.limit_s)}"
        if thin.margin_s > 0
        else f"the longest silence went {seconds(-thin.margin_s)} beyond the limit of {seconds(thin.limit_s)}"
    )
    worst = sorted(thin.worst.items(), key=lambda each: (each[1], each[0]))[:_NAMED]
    mine = f"{SURVIVED_THIN} and {one_of(engine, 'client_group', [group])}"
    ids = (*connections(engine, mine, "{closed}"), *thin.conn_ids)
    return Finding(
        "thin_margin",
        f"{clients} of {group} came within {percent(THIN, 1)} of the broker's limit and survived; {left}",
        Owner.CLIENT_LIBRARY,
        Confidence.LIKELY if thin.known_broker else Confidence.UNCLEAR,
        "Raise the Keep Alive, or see what delays the pings, before the first of them is expired.",
        "Silences measured here, held against the shortest silence after which this broker may expire a client"
        + ("." if thin.known_broker else "; which broker it is, is not known: set broker.profile."),
        subject=group,
        numbers={
            "clients": len(thin.worst),
            "connections": thin.connections,
            "warnings": thin.warnings,
            "margin_min_s": round(thin.margin_s, 3),
            "limit_low_s": thin.limit_s,
            "worst_clients": {client: round(margin, 3) for client, margin in worst},
        },
        connections=tuple(dict.fromkeys(ids))[:CONNECTIONS_KEPT],
        first_us=thin.first_us,
        last_us=thin.last_us,
    )

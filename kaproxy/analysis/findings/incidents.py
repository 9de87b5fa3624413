"""Incidents: drops that belong together, whoever's proxy saw them; what they did, and how the clients came back.

Bursts of one broker and family of causes are taken together where they overlap in time, then asked for their rows:
first mover, part of the live connections, kind, recovery. Clients that came together and end at one age are no
incident, and what recurs is told once. It may not decide what an incident was: `incident_words.py` does.
Read next: `bursts.py`, `incident_words.py`, `aftermath.py`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from kaproxy.analysis.findings import incident_words
from kaproxy.analysis.findings.aftermath import Return, spread
from kaproxy.analysis.findings.asking import DROP, SECOND_US, Span, span
from kaproxy.analysis.findings.attempts import Attempt, attempts_after
from kaproxy.analysis.findings.bursts import APART_US, Burst, Counted, search
from kaproxy.analysis.findings.families import (
    ATTEMPTS,
    FAMILIES,
    FEWEST_CLIENTS,
    REFUSED,
    SILENCE,
    STOOD,
    family_sql,
    in_families,
)
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.findings.live import live_at
from kaproxy.analysis.store.engine import Engine, Row
from kaproxy.diagnosis.verdict import Cause

MOST_TOLD = 12
#: Incidents looked into, the largest first, and rows read of them together.
_LOOKED_INTO, _READ = 30, 30_000
#: Clients are waited for so long (microseconds) after the last drop.
RETURN_US = 900 * SECOND_US
#: Incidents of several brokers that begin within this time, and last no longer than that, are one (microseconds).
ALIKE_US, _SHORT_US = 3 * SECOND_US, 15 * SECOND_US
_HALF = 0.5
_FEWEST_OF_ALL = 3
#: Ages that differ by less than this part of what their ends do are what ended them.
_SAME_AGE = 0.3
_RECURS = 3


class Drop(NamedTuple):
    """One drop of an incident."""

    conn_id: str
    process: str
    broker: str
    client: str
    group: str
    net: str
    cause: str
    root: str | None
    confidence: str
    closed_by: str
    ended_us: int
    lasted_s: float
    live: int
    dials_refused: int


@dataclass(frozen=True, slots=True)
class Incident:
    """Drops that belong together. `count` is of the whole, `drops` may be a part of it where it is very large."""

    families: tuple[str, ...]
    brokers: tuple[str, ...]
    start_us: int
    end_us: int
    count: int
    drops: tuple[Drop, ...] = ()
    live: int = 0
    returns: tuple[Return, ...] = ()
    refused: int = 0  # attempts that came to nothing until the clients were back
    moments_s: tuple[float, ...] = field(default=(), repr=False)  # of all attempts, from the first drop

    @property
    def clients(self) -> int:
        """How many clients are in it."""
        return len({each.client for each in self.drops})


def find(engine: Engine) -> list[Finding]:
    """The incidents by time, each followed by the storm it set off."""
    whole = span(engine)
    if not whole.drops:
        return []
    stood = _incidents(engine, whole, FAMILIES, STOOD)
    tried = _incidents(engine, whole, ATTEMPTS, f"not ({STOOD})", after=stood)
    once, again = _sorted_out([*stood, *tried])
    once.sort(key=lambda each: (-each.count, each.start_us))
    told = _with_returns(engine, sorted(once[:MOST_TOLD], key=lambda each: each.start_us))
    found = [finding for each in told for finding in incident_words.findings(each)]
    return [*found, *(incident_words.recurring(each) for each in again)]


def _follows(attempts: Incident, incident: Incident) -> bool:
    """Are these the attempts to come back from that incident?"""
    near = incident.start_us - APART_US <= attempts.start_us <= incident.end_us + RETURN_US
    return near and bool(set(attempts.brokers) & set(incident.brokers))


def _incidents(
    engine: Engine,
    whole: Span,
    families: Mapping[str, tuple[Cause, ...]],
    phase: str,
    after: Sequence[Incident] = (),
) -> list[Incident]:
    """What stands out among the drops of these families; what only follows the incidents `after` is theirs."""
    condition = f"{DROP} and {phase} and {in_families(families)}"
    counted = Counted("{drops}", "ended_us", ("broker_addr", family_sql(families)), condition)
    bursts = search(engine, counted, whole.seconds, batched=(SILENCE,))
    crowds = [each for each in _together(bursts) if not any(_follows(each, other) for other in after)]
    crowds = sorted(crowds, key=lambda each: -each.count)[:_LOOKED_INTO]
    own = [
        trimmed
        for each in _with_live(engine, _with_drops(engine, crowds, condition))
        if (trimmed := _own(each)) is not None
    ]
    return _of_one_second(own)


def _together(bursts: Sequence[Burst]) -> list[Incident]:
    """Bursts of one broker that overlap in time, of all families."""
    crowds: dict[str, list[Incident]] = defaultdict(list)
    for burst in bursts:
        broker, family = burst.key
        last = crowds[broker][-1] if crowds[broker] else None
        if last is not None and burst.start_us <= last.end_us:
            crowds[broker][-1] = _joined(
                last, Incident((family,), (broker,), burst.start_us, burst.end_us, burst.count)
            )
        else:
            crowds[broker].append(Incident((family,), (broker,), burst.start_us, burst.end_us, burst.count))
    return [crowd for its in crowds.values() for crowd in its]


def _joined(one: Incident, other: Incident) -> Incident:
    return replace(
        one,
        families=tuple(dict.fromkeys((*one.families, *other.families))),
        brokers=tuple(dict.fromkeys((*one.brokers, *other.brokers))),
        start_us=min(one.start_us, other.start_us),
        end_us=max(one.end_us, other.end_us),
        count=one.count + other.count,
        drops=tuple(sorted((*one.drops, *other.drops), key=lambda each: each.ended_us)),
        live=one.live + other.live,
    )


def _of_one_second(incidents: list[Incident]) -> list[Incident]:
    """Incidents of several brokers as one, where all of them are short, of the same kind and begin together."""
    whole: list[Incident] = []
    for each in sorted(incidents, key=lambda each: each.start_us):
        last = whole[-1] if whole else None
        if (
            last is not None
            and last.families == each.families
            and each.start_us - last.start_us <= ALIKE_US
            and max(last.end_us - last.start_us, each.end_us - each.start_us) <= _SHORT_US
        ):
            whole[-1] = _joined(last, each)
        else:
            whole.append(each)
    return whole


def _with_drops(engine: Engine, crowds: list[Incident], condition: str) -> list[Incident]:
    if not crowds:
        return []
    during = " or ".join(f"(ended_us >= {each.start_us} and ended_us < {each.end_us})" for each in crowds)
    rows = engine.rows(
        "select conn_id, source, worker, broker_addr, client_id, client_group, client_net, cause, root, confidence, "
        "closed_by, ended_us, duration_s, neighbours_live, neighbours_dials_refused from {drops} "
        f"where ({during}) and {condition} "
        f"order by ended_us, conn_id limit {_READ}"
    )
    drops = [_drop(row) for row in rows]
    ends = [each.ended_us for each in drops]
    return [
        replace(
            crowd,
            drops=tuple(
                each
                for each in drops[bisect_left(ends, crowd.start_us) : bisect_left(ends, crowd.end_us)]
                if each.broker in crowd.brokers
            ),
        )
        for crowd in crowds
    ]


def _drop(row: Row) -> Drop:
    conn_id, source, worker, broker, client, group, net, *verdict, ended, lasted, live, refused = row
    cause, root, confidence, closed_by = verdict
    return Drop(
        str(conn_id),
        f"{source}/{worker}",
        str(broker),
        client or net or "",
        group or "",
        net or "",
        str(cause),
        root or None,
        str(confidence),
        str(closed_by),
        int(ended),
        float(lasted or 0.0),
        int(live or 0),
        int(refused or 0),
    )


def _with_live(engine: Engine, crowds: list[Incident]) -> list[Incident]:
    """How many connections of the brokers stood just before."""
    live = live_at(engine, [(each.brokers, each.start_us) for each in crowds])
    return [
        replace(crowd, live=max(count, len({(each.conn_id, each.process) for each in crowd.drops})))
        for crowd, count in zip(crowds, live, strict=True)
    ]


def _own(crowd: Incident) -> Incident | None:
    """The incident proper: enough clients of each family, not ended by their age; trimmed to its drops."""
    clients: dict[str, set[str]] = defaultdict(set)
    for each in crowd.drops:
        clients[_family(each, crowd)].add(each.client)
    kept = [
        family
        for family, its in clients.items()
        if len(its) >= FEWEST_CLIENTS[family]
        or (len(its) >= _FEWEST_OF_ALL and len(its) >= _HALF * crowd.live and family != REFUSED)
    ]
    drops = tuple(each for each in crowd.drops if _family(each, crowd) in kept)
    if not drops or _ended_by_age(drops):
        return None
    brokers = tuple(dict.fromkeys(each.broker for each in drops))
    count = max(len(drops), crowd.count) if len(drops) == len(crowd.drops) else len(drops)
    return replace(
        crowd,
        families=tuple(kept),
        brokers=brokers,
        start_us=drops[0].ended_us,
        end_us=drops[-1].ended_us + 1,
        count=count,
        drops=drops,
    )


_FAMILY_OF = {
    **{str(cause): family for family, causes in ATTEMPTS.items() for cause in causes},
    **{str(cause): family for family, causes in FAMILIES.items() for cause in causes},
}


def _family(drop: Drop, crowd: Incident) -> str:
    return REFUSED if crowd.families == (REFUSED,) else _FAMILY_OF[drop.cause]


def _ended_by_age(drops: Sequence[Drop]) -> bool:
    """Did they come one after the other and end at one age: a lifetime, which starts together, not an incident?"""
    ages, ends = [each.lasted_s for each in drops], [each.ended_us / SECOND_US for each in drops]
    (young, old), (early, late) = spread(ages), spread(ends)
    return young > 0 and late - early > 1.0 and old - young <= _SAME_AGE * (late - early)


def _sorted_out(incidents: list[Incident]) -> tuple[list[Incident], list[list[Incident]]]:
    """Those that happened once, and those that recur: the same families, brokers and client group again and again."""
    alike: dict[tuple[object, ...], list[Incident]] = defaultdict(list)
    for each in incidents:
        ((group, most),) = Counter(drop.group for drop in each.drops).most_common(1)
        whose = group if most >= _HALF * len(each.drops) and len({d.group for d in each.drops}) <= 2 else each
        alike[each.families, each.brokers, whose if isinstance(whose, str) else id(each)].append(each)
    once = [each for its in alike.values() if len(its) < _RECURS for each in its]
    return once, [
        sorted(its, key=lambda each: each.start_us) for its in alike.values() if len(its) >= _RECURS
    ]


def _with_returns(engine: Engine, incidents: list[Incident]) -> list[Incident]:
    """The clients' attempts after each incident, until they were back."""
    return [
        _returned(each, attempts_after(engine, each.brokers, each.start_us, each.end_us + RETURN_US))
        for each in incidents
    ]


def _returned(incident: Incident, tries: Sequence[Attempt]) -> Incident:
    first = incident.start_us
    lost = {each.client: each for each in incident.drops}
    by_client: dict[str, list[tuple[int, bool]]] = {client: [] for client in lost}
    for client, moment, stood in tries:
        if client in by_client:
            by_client[client].append((moment, bool(stood)))
    returns, moments, refused = [], [], 0
    for client, drop in lost.items():
        tried, back = _until_back(by_client[client], drop.ended_us)
        returns.append(Return(drop.group, tuple((each - drop.ended_us) / SECOND_US for each in tried), back))
        moments += [(each - first) / SECOND_US for each in tried]
        refused += len(tried) - back
    return replace(incident, returns=tuple(returns), moments_s=tuple(moments), refused=refused)


def _until_back(attempts: list[tuple[int, bool]], dropped_us: int) -> tuple[list[int], bool]:
    """The moments of a client's attempts after its drop, up to the first that stood."""
    tried: list[int] = []
    for moment, success in attempts:
        if moment > dropped_us:
            tried.append(moment)
            if success:
                return tried, True
    return tried, False

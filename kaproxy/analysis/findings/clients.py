"""Clients by drops per day: are they spread over the fleet, or do a few clients make most of them?

A client stands out where chance would hardly give any client so many: given the median of its client group, or, where
it has no such peers, the mean of the fleet. It may not know why a client drops but by the names of its causes.
Read next: `fights.py`, for the commonest reason of all.
"""

from __future__ import annotations

import math
from itertools import groupby
from statistics import median

from kaproxy.analysis.findings.asking import (
    DROP,
    Span,
    catalogue,
    connections,
    named,
    one_of,
    percent,
    share_of,
    span,
)
from kaproxy.analysis.findings.chance import LEVEL, poisson_tail
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.store.engine import Engine, Row
from kaproxy.diagnosis.verdict import Cause, Confidence, Owner
from kaproxy.diagnosis.wording import counted

#: So many drops at least, and so many times the usual, before a client is told of.
FEWEST_DROPS = 5
TIMES_THE_USUAL = 3.0
MOST_TOLD = 10
#: A group of fewer clients has no usual number of drops.
FEWEST_PEERS = 3
_LEAST_USUAL = 0.5
_LOOKED_AT, _PEERS_COUNTED = 2000, 1000
#: Half of the drops from this part of the clients, or less, is called a few.
FEW = 0.05
_HOUR_DAYS = 1 / 24
#: A dial that the broker's host refused, or did not answer, is no drop of the client whose dial it was.
_ITS_OWN = f"{DROP} and cause not in ('{Cause.BROKER_REFUSED}', '{Cause.DIAL_TIMEOUT}')"
_ITS_DROPS = f"sum(case when {_ITS_OWN} then lines else 0 end)"


def find(engine: Engine) -> list[Finding]:
    """One finding on how the drops spread over the clients, and one on each of the worst."""
    whole, spread = span(engine), _spread(engine)
    drops = sum(count * clients for count, clients in spread)
    if not drops:
        return []
    return [_whole(whole, spread, drops), *_worst(engine, whole, spread, drops)]


def _spread(engine: Engine) -> list[tuple[int, int]]:
    """(drops, how many clients have so many), most drops first; clients without a drop are in it."""
    per_client = (
        f"select client_id, {_ITS_DROPS} as drops from {{clients}} as counted "
        "where client_id is not null group by client_id"
    )
    rows = engine.rows(
        f"select drops, count(*) from ({per_client}) as clients group by drops order by drops desc"
    )
    return [(int(drops), int(clients)) for drops, clients in rows]


def half_of(spread: list[tuple[int, int]], drops: int) -> int:
    """The fewest clients that have half of the drops between them."""
    wanted, taken = drops / 2, 0
    for count, clients in spread:
        needed = -(-wanted // count) if count else 0
        if needed <= clients:
            return taken + int(needed)
        wanted, taken = wanted - count * clients, taken + clients
    return taken


def _whole(whole: Span, spread: list[tuple[int, int]], drops: int) -> Finding:
    clients = sum(number for _, number in spread)
    dropped = sum(number for count, number in spread if count)
    half = half_of(spread, drops)
    few = half <= max(1, FEW * clients) < clients
    told = (
        f"{half} of {clients} clients make half of all drops: begin with them"
        if few
        else f"Drops are spread over the clients: half of them are those of {half} of {clients} clients"
    )
    return Finding(
        "drops_by_client",
        told,
        Owner.NOBODY,
        Confidence.SETTLED,
        "Look at the clients named below first."
        if few
        else "Look at what the clients share, not at one of them.",
        "Closing lines counted by client identifier; connections without CONNECT have none, and dials that the broker "
        "refused are nobody's.",
        drops=drops,
        numbers={
            "clients": clients,
            "clients_dropped": dropped,
            "clients_never_dropped_share": share_of(clients - dropped, clients),
            "half_of_drops_clients": half,
            "drops_per_client_day": round(drops / clients / whole.days, 3)
            if whole.days >= _HOUR_DAYS
            else None,
            "most_drops_of_a_client": spread[0][0],
        },
        first_us=whole.first_us,
        last_us=whole.last_us,
    )


def _worst(engine: Engine, whole: Span, spread: list[tuple[int, int]], drops: int) -> list[Finding]:
    clients = sum(number for _, number in spread)
    usual = _usual(engine, drops / clients)
    rows = engine.rows(
        "select client_id, client_group, count(*) as drops, min(ended_us), max(ended_us) from {drops} "
        f"where {_ITS_OWN} and client_id is not null group by client_id, client_group "
        f"having count(*) >= {FEWEST_DROPS} order by drops desc, client_id limit {_LOOKED_AT}"
    )
    worst = [
        (row, usual[str(row[1])]) for row in rows if _stands_out(int(row[2]), usual[str(row[1])], clients)
    ]
    worst = sorted(worst, key=lambda each: -_beyond(int(each[0][2]), each[1]))[:MOST_TOLD]
    causes = _causes(engine, [str(row[0]) for row, _ in worst])
    return [_one(engine, whole, row, each, causes[str(row[0])]) for row, each in worst]


def _beyond(drops: int, usual: float) -> float:
    """How far so many are beyond the usual (Poisson deviance)."""
    return drops * math.log(drops / usual) - (drops - usual)


def _stands_out(drops: int, usual: float, clients: int) -> bool:
    return drops >= TIMES_THE_USUAL * usual and poisson_tail(drops, usual) * clients <= LEVEL


def _usual(engine: Engine, mean: float) -> dict[str, float]:
    """Client group -> drops of a client that are usual: the group's median, or the fleet's mean for few peers."""
    per_client = (
        f"select client_group, client_id, {_ITS_DROPS} as drops from {{clients}} as counted "
        "where client_id is not null group by client_group, client_id"
    )
    rows = engine.rows(
        f"select client_group, drops, count(*) from ({per_client}) as clients group by client_group, drops "
        "order by client_group, drops"
    )
    usual: dict[str, float] = {}
    for group, its in groupby(rows, key=lambda row: str(row[0])):
        counts = [int(drops) for _, drops, clients in its for _ in range(min(int(clients), _PEERS_COUNTED))]
        usual[group] = max(_LEAST_USUAL, median(counts)) if len(counts) >= FEWEST_PEERS else mean
    return usual


def _causes(engine: Engine, clients: list[str]) -> dict[str, list[Row]]:
    """Client identifier -> (client identifier, cause, root, drops), its commonest cause first."""
    rows = engine.rows(
        f"select client_id, cause, root, count(*) as drops from {{drops}} where {_ITS_OWN} and "
        f"{one_of(engine, 'client_id', clients)} group by client_id, cause, root "
        "order by client_id, drops desc, cause, root"
    )
    return {str(client): list(its) for client, its in groupby(rows, key=lambda row: row[0])}


def _one(engine: Engine, whole: Span, row: Row, usual: float, causes: list[Row]) -> Finding:
    client, _, drops, first, last = row
    _, cause, root, most = causes[0]
    said = catalogue(str(cause), root or None)
    a_day = drops / whole.days if whole.days >= _HOUR_DAYS else None
    often = f"{a_day:.1f} times a day" if a_day else counted(int(drops), "time")
    return Finding(
        "worst_client",
        f"{client} drops {often}: {drops} drops where {usual:.2g} are usual; {percent(most, drops)} of them "
        f"are {named(str(cause), root or None)}",
        said.owner,
        Confidence.LIKELY,
        said.advice,
        f"Chance would give a client so many in less than one log in {1 / LEVEL:.0f}.",
        drops=int(drops),
        subject=str(client),
        numbers={
            "drops": int(drops),
            "drops_per_day": round(a_day, 2) if a_day else None,
            "usual": round(usual, 3),
            "by_cause": {named(str(c), r or None): int(count) for _, c, r, count in causes},
        },
        connections=connections(engine, f"{_ITS_OWN} and {one_of(engine, 'client_id', [str(client)])}"),
        first_us=int(first),
        last_us=int(last),
    )

"""Who drops more often than the others: client groups, brokers and networks whose rate stands out.

The rate is drops per hour of connection, so that many clients or long lives make nobody conspicuous. Clients differ
and come back, so drops are no independent throws: counts are divided by their spread over the group's own clients
(quasi-Poisson) before chance is asked, so that one bad client makes no bad group. It may not know causes but by name.
Read next: `changes.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from kaproxy.analysis.findings.asking import (
    DAY_S,
    DROP,
    catalogue,
    connections,
    named,
    one_of,
    percent,
    share_of,
)
from kaproxy.analysis.findings.chance import LEVEL, poisson_tail
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.store.engine import Engine
from kaproxy.diagnosis.verdict import Confidence

#: So many times the rate of the others, and so many clients that dropped, before a group is told of.
RATIO_TOLD = 3.0
FEWEST_CLIENTS = 3
_TOLD = 5
#: Others that hardly drop may have been lucky: so many drops are added to theirs.
_AT_LEAST = 3.0
_LOOKED_AT = 300
#: A broker or network nearly all of whose drops are those of one group told of says nothing new.
_SAME = 0.8

#: Column -> what its values are called.
DIMENSIONS = {
    "client_group": "client group",
    "broker_addr": "broker",
    "client_net": "network",
}


@dataclass(frozen=True, slots=True)
class Rate:
    """Drops of some clients: how many, over how many connection seconds, and how they spread over clients."""

    drops: float
    seconds: float
    clients: float
    dropped: float  # clients with at least one drop
    squares: float  # sum over clients of their drops squared

    def __sub__(self, other: Rate) -> Rate:
        return Rate(
            self.drops - other.drops,
            self.seconds - other.seconds,
            self.clients - other.clients,
            self.dropped - other.dropped,
            self.squares - other.squares,
        )

    @property
    def per_day(self) -> float:
        """Drops per day of connection."""
        return self.drops / self.seconds * DAY_S if self.seconds > 0 else 0.0

    @property
    def spread(self) -> float:
        """Variance over mean of the drops per client, at least 1."""
        if self.clients <= 1 or self.drops <= 0:
            return 1.0
        mean = self.drops / self.clients
        return max(1.0, (self.squares / self.clients - mean * mean) / mean)


def stands_out(one: Rate, rest: Rate, looks: int) -> bool:
    """Does it drop clearly more often than the rest, and is that no chance?"""
    if one.dropped < FEWEST_CLIENTS or one.seconds <= 0 or rest.seconds <= 0:
        return False
    if one.per_day < RATIO_TOLD * rest.per_day:
        return False
    expected = (rest.drops + _AT_LEAST) / rest.seconds * one.seconds
    return poisson_tail(int(one.drops / one.spread), expected / one.spread) * looks <= LEVEL


def find(engine: Engine) -> list[Finding]:
    """Groups that stand out, then brokers and networks whose drops are not those of such a group."""
    found: list[Finding] = []
    groups: list[str] = []
    for column, noun in DIMENSIONS.items():
        rates = _rates(engine, column)
        whole = _sum(rates)
        hits = [
            (name, rate)
            for name, rate in rates.items()
            if name and stands_out(rate, whole - rate, len(rates))
        ]
        for name, rate in hits[:_TOLD]:
            if column != "client_group" and _is_group(engine, column, name, rate, groups):
                continue
            found.append(_finding(engine, column, noun, name, (rate, whole - rate)))
            if column == "client_group":
                groups.append(name)
    return found


def _rates(engine: Engine, column: str) -> dict[str, Rate]:
    """The rates by a column, most drops first; what is beyond the first few hundred is one nameless rest."""
    per_client = (
        f"select {column} as part, client_id, sum(case when {DROP} then lines else 0 end) as drops, "
        f"sum(seconds) as lived from {{clients}} as counted where client_id is not null group by {column}, client_id"
    )
    rows = engine.rows(
        "select part, sum(drops) as dropped, sum(lived), count(*), sum(case when drops > 0 then 1 else 0 end), "
        f"sum(drops * drops) from ({per_client}) as clients group by part order by dropped desc, part"
    )
    rates: dict[str, Rate] = {}
    for place, (part, *numbers) in enumerate(rows):
        name = str(part or "") if place < _LOOKED_AT else ""
        rate = Rate(*(float(number or 0) for number in numbers))
        rates[name] = _sum({"": rates[name], "one": rate}) if name in rates else rate
    return rates


def _sum(rates: dict[str, Rate]) -> Rate:
    zero = Rate(0.0, 0.0, 0.0, 0.0, 0.0)
    for rate in rates.values():
        zero = rate - (Rate(0.0, 0.0, 0.0, 0.0, 0.0) - zero)
    return zero


def _is_group(engine: Engine, column: str, name: str, rate: Rate, groups: list[str]) -> bool:
    if not groups:
        return False
    theirs = f"{DROP} and {one_of(engine, column, [name])} and {one_of(engine, 'client_group', groups)}"
    (count,) = engine.rows(f"select count(*) from {{drops}} where {theirs}")[0]
    return bool(count >= _SAME * rate.drops)


def _finding(engine: Engine, column: str, noun: str, name: str, rates: tuple[Rate, Rate]) -> Finding:
    one, rest = rates
    what = f"{DROP} and {one_of(engine, column, [name])}"
    cause, root, count, first, last = engine.rows(
        "select cause, root, count(*) as drops, min(ended_us), max(ended_us) from {drops} "
        f"where {what} group by cause, root order by drops desc, cause, root limit 1"
    )[0]
    row = catalogue(str(cause), root or None)
    ratio = one.per_day / rest.per_day if rest.per_day else None
    often = f"{ratio:.1f} times as often as the others" if ratio else "and the others never do"
    return Finding(
        f"often_{column}",
        f"The {noun} {name} drops {often}: {one.per_day:.2g} drops per day of connection against "
        f"{rest.per_day:.2g}; {percent(count, one.drops)} of them are {named(str(cause), root or None)}",
        row.owner,
        Confidence.LIKELY,
        f"{row.advice} Compare what sets this {noun} apart: version, Keep Alive, place.",
        f"At the rate of the others less than one log in {1 / LEVEL:.0f} would show so many drops, counted with care "
        "for clients that drop again and again.",
        drops=int(one.drops),
        subject=name,
        numbers={
            "drops": int(one.drops),
            "drops_per_connection_day": round(one.per_day, 4),
            "others_per_connection_day": round(rest.per_day, 4),
            "ratio": round(ratio, 2) if ratio else None,
            "clients": int(one.clients),
            "clients_dropped": int(one.dropped),
            "share_of_drops": share_of(one.drops, one.drops + rest.drops),
            "cause": cause,
            "root": root or None,
        },
        connections=connections(engine, what),
        first_us=int(first),
        last_us=int(last),
    )

"""Causes by their share of all drops: the whole first, then the few that make up most of it.

Counts of verdicts that were reached long ago; it may not judge them again. Who drops more often than others is in
`groups.py`, what began at a moment in `changes.py`. Read next: `groups.py`.
"""

from __future__ import annotations

from typing import NamedTuple

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
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.store.engine import Engine
from kaproxy.diagnosis.verdict import Confidence, Owner

#: A cause with a smaller share of the drops gets no finding of its own, unless it is among the first three.
SHARE_TOLD = 0.05
_FIRST, _MOST_TOLD = 3, 8


class Count(NamedTuple):
    """How many drops have this cause and root, of how many clients, how sure, and when."""

    cause: str
    root: str | None
    drops: int
    clients: int
    settled: int
    likely: int
    first_us: int
    last_us: int

    @property
    def name(self) -> str:
        """ "keep_alive_timeout/pinged_late"."""
        return named(self.cause, self.root)

    @property
    def confidence(self) -> Confidence:
        """As sure as their verdicts: settled where all are, likely where most are at least that."""
        return trusted(self.drops, self.settled, self.likely)


def trusted(drops: int, settled: int, likely: int) -> Confidence:
    """How far many verdicts may be trusted together."""
    if drops and settled == drops:
        return Confidence.SETTLED
    return Confidence.LIKELY if 2 * (settled + likely) >= drops else Confidence.UNCLEAR


def find(engine: Engine) -> list[Finding]:
    """One finding on all drops, and one on each cause that matters, the largest first."""
    whole, counts = span(engine), _counts(engine)
    if not whole.lines:
        return []
    told = [
        each
        for place, each in enumerate(counts[:_MOST_TOLD])
        if place < _FIRST or each.drops >= SHARE_TOLD * whole.drops
    ]
    return [_all(whole, counts), *(_one(engine, whole, each) for each in told)]


def _counts(engine: Engine) -> list[Count]:
    sure = ", ".join(
        f"sum(case when confidence = '{level}' then 1 else 0 end)"
        for level in (Confidence.SETTLED, Confidence.LIKELY)
    )
    rows = engine.rows(
        f"select cause, root, count(*) as drops, count(distinct client_id), {sure}, min(ended_us), max(ended_us) "
        f"from {{drops}} where {DROP} group by cause, root order by drops desc, cause, root"
    )
    return [Count(str(cause), root or None, *(int(n) for n in numbers)) for cause, root, *numbers in rows]


def _all(whole: Span, counts: list[Count]) -> Finding:
    shares = ", ".join(f"{percent(each.drops, whole.drops)} {each.name}" for each in counts[:_FIRST])
    title = f"{whole.drops} of {whole.lines} connections dropped ({percent(whole.drops, whole.lines)})"
    if not counts:
        return Finding(
            "causes",
            f"None of {whole.lines} connections dropped",
            Owner.NOBODY,
            Confidence.SETTLED,
            "Nothing to do.",
            "Every closing line tells of an end that somebody meant.",
            numbers={"connections": whole.lines, "drops": 0},
            first_us=whole.first_us,
            last_us=whole.last_us,
        )
    return Finding(
        "causes",
        f"{title}: {shares}",
        catalogue(counts[0].cause, counts[0].root).owner,
        trusted(whole.drops, sum(each.settled for each in counts), sum(each.likely for each in counts)),
        "Begin with the first of the causes below; each names who has to act.",
        "The verdicts of the closing lines, counted.",
        drops=whole.drops,
        numbers={
            "connections": whole.lines,
            "drops": whole.drops,
            "drops_share": share_of(whole.drops, whole.lines),
            "drops_per_day": round(whole.drops / whole.days, 2) if whole.days >= 1 else None,
            "by_cause": {each.name: each.drops for each in counts},
        },
        first_us=whole.first_us,
        last_us=whole.last_us,
    )


def _one(engine: Engine, whole: Span, count: Count) -> Finding:
    row = catalogue(count.cause, count.root)
    what = f"{DROP} and {one_of(engine, 'cause', [count.cause])} and {root_is(engine, count.root)}"
    clients = f"{count.clients} client{'' if count.clients == 1 else 's'}"
    return Finding(
        "cause",
        f"{count.name} is {percent(count.drops, whole.drops)} of the drops: {count.drops}, of {clients}"
        f". {row.meaning.rstrip('.')}",
        row.owner,
        count.confidence,
        row.advice,
        f"Of these verdicts {count.settled} are settled, {count.likely} likely, "
        f"{count.drops - count.settled - count.likely} unclear.",
        drops=count.drops,
        numbers={
            "cause": count.cause,
            "root": count.root,
            "drops": count.drops,
            "share": share_of(count.drops, whole.drops),
            "clients": count.clients,
            "settled": count.settled,
            "likely": count.likely,
        },
        connections=connections(engine, what),
        first_us=count.first_us,
        last_us=count.last_us,
    )


def root_is(engine: Engine, root: str | None) -> str:
    """Condition: the root is this one, or there is none."""
    return one_of(engine, "root", [root]) if root else "(root is null or root = '')"

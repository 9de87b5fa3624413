"""What changed: a cause that begins at a moment in a client group, or ends, and stays so.

Drops are counted per cause, client group and stretch of the log; the moment is the split with the largest Poisson
likelihood ratio, held against chance with counts divided by their own spread (quasi-Poisson). A single burst is an
incident and a daily rhythm is none either: a change has to last, over many stretches and several clients, and to
outdo the group's growth. It may not know why. Read next: `chance.py`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from kaproxy.analysis.findings.asking import (
    DAY_S,
    DROP,
    SECOND_US,
    Span,
    catalogue,
    connections,
    named,
    one_of,
    span,
    utc,
)
from kaproxy.analysis.findings.causes import root_is
from kaproxy.analysis.findings.chance import LEVEL, rates_differ
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.store.engine import Engine
from kaproxy.diagnosis.verdict import Cause, Confidence, Owner
from kaproxy.diagnosis.wording import counted

#: Stretches the log is cut into, none shorter than a minute.
STRETCHES, _SHORTEST_S = 160, 60.0
#: Drops and clients behind a change, how much the rate has to change, and over how many stretches it is to be seen.
FEWEST_DROPS, FEWEST_CLIENTS, RATIO, FEWEST_STRETCHES = 20, 3, 4.0, 6
MOST_TOLD = 5
_LOOKED_AT = 400
#: Of the stretches after (or before) the moment, this part has drops: else it is a burst, not a state.
_LASTING = 0.25
#: Counts above this quantile of their kind are cut down to it, so that a burst does not make a change.
_CUT = 0.95
#: A change this near to an end of the log (stretches, and part of it) may be that end: lives that began together.
_EDGE, _EDGE_PART = 3, 0.05


@dataclass(frozen=True, slots=True)
class Change:
    """From stretch `at` on the rate is another. Rates are drops per hour."""

    cause: str
    root: str | None
    group: str
    at: int
    before: float
    after: float
    drops: int

    @property
    def begins(self) -> bool:
        """Are there more since?"""
        return self.after > self.before


def find(engine: Engine) -> list[Finding]:
    """What began or ended, the largest changes first."""
    whole = span(engine)
    width = max(_SHORTEST_S, whole.seconds / STRETCHES)
    if whole.seconds < _EDGE * 2 * width:
        return []
    cells = _cells(engine, whole, width)
    changes = [
        change
        for cell, (clients, counts) in cells.items()
        if clients >= FEWEST_CLIENTS and (change := _change(cell, counts, width, len(cells))) is not None
    ]
    changes.sort(key=lambda each: -each.drops)
    lasting = (each for each in changes if not _grown(engine, whole, width, each))
    return [_finding(engine, whole, width, each) for each in islice(lasting, MOST_TOLD)]


def _cells(engine: Engine, whole: Span, width: float) -> dict[tuple[str, ...], tuple[int, list[int]]]:
    """(cause, root, client group) -> clients, and drops in each stretch; only of those with drops enough."""
    ours = f"{DROP} and client_id is not null and cause <> '{Cause.TAKEOVER}'"
    many = engine.rows(
        "select cause, coalesce(root, '') as reason, client_group, count(*) as drops, count(distinct client_id) "
        f"from {{drops}} where {ours} group by cause, coalesce(root, ''), client_group "
        f"having count(*) >= {FEWEST_DROPS} order by drops desc, cause, reason, client_group limit {_LOOKED_AT}"
    )
    cells: dict[tuple[str, ...], tuple[int, list[int]]] = {
        (str(cause), str(root), str(group)): (int(clients), [0] * _stretches(whole, width))
        for cause, root, group, _, clients in many
    }
    if not cells:
        return {}
    number = f"cast(floor((ended_us - {whole.first_us}) / {width * SECOND_US}) as {{INT}})"
    rows = engine.rows(
        f"select cause, coalesce(root, '') as reason, client_group, {number} as stretch, count(*) from {{drops}} "
        f"where {ours} and {one_of(engine, 'client_group', {cell[2] for cell in cells})} "
        f"group by cause, coalesce(root, ''), client_group, {number}"
    )
    for cause, root, group, stretch, count in rows:
        cell = cells.get((str(cause), str(root), str(group)))
        if cell is not None:
            cell[1][min(int(stretch), len(cell[1]) - 1)] += int(count)
    return cells


def _stretches(whole: Span, width: float) -> int:
    return max(1, math.ceil(whole.seconds / width))


def _change(cell: tuple[str, ...], counts: list[int], width: float, looks: int) -> Change | None:
    """The change in a cell's counts, None where there is none that lasts."""
    cut = sorted(counts)[min(len(counts) - 1, int(_CUT * len(counts)))]
    calm = [min(count, max(1, cut)) for count in counts]
    at = split(calm)
    if at is None:
        return None
    before, after = calm[:at], calm[at:]
    more, less = (after, before) if sum(after) * at > sum(before) * len(after) else (before, after)
    spread = max(_spread(more), _spread(less))
    chance = rates_differ(int(sum(more) / spread), len(more), int(sum(less) / spread + 0.5), len(less))
    lasting = sum(count > 0 for count in more)
    if (
        chance * looks * len(counts) > LEVEL
        or sum(more) / len(more) < RATIO * (sum(less) + 0.5) / len(less)
        or lasting < FEWEST_STRETCHES
        or lasting < _LASTING * len(more)
    ):
        return None
    cause, root, group = cell
    hours = width / 3600.0
    return Change(
        cause,
        root or None,
        group,
        at,
        sum(counts[:at]) / at / hours,
        sum(counts[at:]) / (len(counts) - at) / hours,
        sum(counts[at:]) if more is after else sum(counts[:at]),
    )


def split(counts: Sequence[int]) -> int | None:
    """Where the counts are best cut into two Poisson rates: the first index of the second; None at the very edges."""
    whole, seen, best, at = sum(counts), 0, -math.inf, None
    edge = max(_EDGE, int(_EDGE_PART * len(counts)))
    for place in range(1, len(counts)):
        seen += counts[place - 1]
        ratio = _fit(seen, place) + _fit(whole - seen, len(counts) - place)
        if edge <= place <= len(counts) - edge and ratio > best:
            best, at = ratio, place
    return at


def _fit(count: int, time: int) -> float:
    """The part of the log likelihood of a Poisson rate that depends on where it is cut."""
    return count * math.log(count / time) if count else 0.0


def _spread(counts: Sequence[int]) -> float:
    """Variance over mean, at least 1."""
    mean = sum(counts) / len(counts)
    return max(1.0, sum((count - mean) ** 2 for count in counts) / len(counts) / mean) if mean else 1.0


def _moment(whole: Span, width: float, change: Change) -> int:
    return whole.first_us + int(change.at * width * SECOND_US)


def _grown(engine: Engine, whole: Span, width: float, change: Change) -> bool:
    """Is it only that the group has as many times more (or fewer) clients since?"""
    moment = _moment(whole, width, change)
    (before, after) = engine.rows(
        f"select count(distinct case when first_us < {moment} then client_id end), "
        f"count(distinct case when last_us >= {moment} then client_id end) "
        f"from {{clients}} as clients where {one_of(engine, 'client_group', [change.group])}"
    )[0]
    low, high = sorted((change.before, change.after))
    fewer, more = (before, after) if change.begins else (after, before)
    return bool(fewer) and high < RATIO * low * max(1.0, more / fewer)


def _finding(engine: Engine, whole: Span, width: float, change: Change) -> Finding:
    moment = _moment(whole, width, change)
    side = f"ended_us >= {moment}" if change.begins else f"ended_us < {moment}"
    what = (
        f"{DROP} and {one_of(engine, 'cause', [change.cause])} and {root_is(engine, change.root)} "
        f"and {one_of(engine, 'client_group', [change.group])}"
    )
    brokers, first, last, clients = _which(engine, f"{what} and {side}")
    row = catalogue(change.cause, change.root)
    name = named(change.cause, change.root)
    days_before = (moment - whole.first_us) / SECOND_US / DAY_S
    rhythm = days_before < 1 or (whole.last_us - moment) / SECOND_US / DAY_S < _WORKING_DAY
    rates = f"{change.before:.2g} an hour before, {change.after:.2g} since"
    begins = f"{name} of {change.group} begins at {utc(first)}" if change.begins else ""
    return Finding(
        "change",
        f"{begins or f'{name} of {change.group} ends at {utc(last)}'}: {rates}, {counted(clients, 'client')}",
        row.owner if change.begins else Owner.NOBODY,
        Confidence.UNCLEAR if rhythm else Confidence.LIKELY,
        f"Look for what was changed just before: a rollout, a setting, a broker's version. {row.advice}"
        if change.begins
        else "Nothing to do; something put it right, or what it came from is gone.",
        f"The rate changes by far more than chance lets it (an exact test of two Poisson rates, made careful for "
        f"bursts); the moment is known to {width / 60:.0f} min."
        + (
            " The log does not show the same hours of another day, so a daily rhythm looks alike."
            if rhythm
            else ""
        ),
        drops=change.drops,
        subject=change.group,
        numbers={
            "cause": change.cause,
            "root": change.root,
            "begins": change.begins,
            "per_hour_before": round(change.before, 4),
            "per_hour_after": round(change.after, 4),
            "clients": clients,
            "brokers": brokers,
            "known_to_s": round(width, 1),
        },
        connections=connections(engine, f"{what} and {side}"),
        first_us=first if change.begins else moment,
        last_us=last,
    )


_WORKING_DAY = 10 / 24


def _which(engine: Engine, what: str) -> tuple[list[str], int, int, int]:
    """Brokers, first and last moment and number of clients of the drops under this condition."""
    rows = engine.rows(
        "select broker_addr, client_id, count(*), min(ended_us), max(ended_us) from {drops} "
        f"where {what} group by broker_addr, client_id"
    )
    brokers: Counter[str] = Counter()
    for broker, _, drops, _, _ in rows:
        brokers[str(broker)] += int(drops)
    return (
        [broker for broker, _ in brokers.most_common()],
        min(int(row[3]) for row in rows),
        max(int(row[4]) for row in rows),
        len({row[1] for row in rows}),
    )

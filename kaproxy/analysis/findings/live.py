"""How many connections of a broker stood at a moment, from the lines of those that ended and those that began.

One pass over either kind of line, however many moments: each line is counted between the moments around it.
Read next: `incidents.py` and `stalls.py`, which hold what happened against it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kaproxy.analysis.findings.families import STOOD
from kaproxy.analysis.store.engine import Engine

#: Place among the moments of a line without a time.
_NEVER = -1


class _Count(NamedTuple):
    """So many lines of which this many of the moments were over when they began, and when they ended."""

    began: int
    ended: int
    lines: int


def live_at(engine: Engine, moments: Sequence[tuple[Sequence[str], int]]) -> list[int]:
    """For each (brokers, microseconds): the larger of two counts, both from below.

    Connections closed since, that were open then; and those established before less those closed before, which counts
    the ones that are still open, where the log goes back far enough.
    """
    times = sorted({at_us for _, at_us in moments})
    if not times:
        return []
    stood = _counts(
        engine,
        f"select broker_addr, {_place('opened_us', times)} as began, {_place('ended_us', times)} as ended, count(*) "
        f"from {{closed}} where {STOOD} group by broker_addr, began, ended",
    )
    opened = _counts(
        engine,
        f"select broker_addr, {_place('at_us', times)} as began, {_NEVER} as ended, count(*) from {{warned}} "
        "where event = 'connection.established' group by broker_addr, began",
    )
    return [
        sum(_live(stood[broker], opened[broker], times.index(at_us)) for broker in brokers)
        for brokers, at_us in moments
    ]


def _live(stood: Sequence[_Count], opened: Sequence[_Count], place: int) -> int:
    open_then = sum(each.lines for each in stood if _NEVER < each.began <= place < each.ended)
    closed_before = sum(each.lines for each in stood if _NEVER < each.ended <= place)
    return max(open_then, sum(each.lines for each in opened if _NEVER < each.began <= place) - closed_before)


def _counts(engine: Engine, sql: str) -> Mapping[str, list[_Count]]:
    """By broker; none for one that has no such lines."""
    found: dict[str, list[_Count]] = defaultdict(list)
    for broker, *numbers in engine.rows(sql):
        found[str(broker)].append(_Count(*map(int, numbers)))
    return found


def _place(column: str, times: Sequence[int]) -> str:
    """SQL: how many of the moments were over by then; a decision tree, so that thirty cost five comparisons."""
    return f"case when {column} is null then {_NEVER} else {_tree(column, times, 0)} end"


def _tree(column: str, times: Sequence[int], over: int) -> str:
    if not times:
        return str(over)
    middle = len(times) // 2
    before = _tree(column, times[:middle], over)
    after = _tree(column, times[middle + 1 :], over + middle + 1)
    return f"case when {column} < {times[middle]} then {before} else {after} end"

"""Idle limits of the path: from gaps that were survived and gaps that were fatal, the limit of the box between.

Two ways in which a box shows. It cuts: many connections of different Keep Alive end at one idle time, and none in
that place outlives it. Or it forgets untold: clients whose Keep Alive is longer die in their first long silence,
while shorter ones live on. Where survived gaps exceed the fatal ones there is no box limit, and none is told.
It may not know a single connection. Read next: `idle_gaps.py` for the gaps, `kaproxy/diagnosis/limits.py` for owners.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from kaproxy.analysis.findings.asking import connections, literal
from kaproxy.analysis.findings.cuts import clusters, width
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.findings.idle_gaps import (
    CUT,
    FIRST,
    FORGOTTEN,
    SHORTEST_S,
    SILENT,
    Bin,
    Gaps,
    Place,
    Silences,
    gather,
)
from kaproxy.analysis.store.engine import Engine, Memory
from kaproxy.diagnosis.limits import EARLY_S, IDLE_LIMITS, LATE_S, IdleLimit
from kaproxy.diagnosis.verdict import Cause, Confidence, Owner
from kaproxy.diagnosis.wording import counted, seconds

#: A limit is that of so many clients; and so many that died in their first long silence make one.
FEWEST_CLIENTS, FEWEST_DIED = 2, 4
#: Surviving a gap this much longer (s, and part) than the cut one speaks against a box.
_BEYOND_S, _BEYOND = 1.5, 0.01
#: Peers' own timers run at these multiples of their Keep Alive.
_TIMERS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.25, 3.0)
_TIMER_NEAR_S = 1.5


@dataclass(frozen=True, slots=True)
class PathLimit:
    """The limit lies from `survived_s` (None: no idle gap was seen to be survived) to `fatal_s`, seconds.

    `forgets`: nothing was closed; connections died in silence, so the true limit may be well below `fatal_s`.
    """

    place: Place
    survived_s: float | None
    fatal_s: float
    longest_cut_s: float
    drops: int
    clients: int
    keep_alives: tuple[int, int]  # smallest and largest of those cut
    forgets: bool
    condition: str  # SQL of the connections it ended
    first_us: int | None = None
    last_us: int | None = None
    networks: int = 1
    judged: int = 0  # of the drops, those whose own verdict is idle_cut

    @property
    def safe_s(self) -> float:
        """The longest idle time (s) to rely on: a box that cuts tells its limit, one that forgets only what lived."""
        if not self.forgets:
            return self.fatal_s
        return self.survived_s if self.survived_s is not None else self.fatal_s / 2

    @property
    def in_silence(self) -> bool:
        """Did its connections die in silence, so that no idle time was seen to be fatal?"""
        return self.forgets and FORGOTTEN not in self.condition

    @property
    def owners(self) -> tuple[IdleLimit, ...]:
        """Known boxes whose default lies in the interval."""
        if not self.forgets:
            near = max(EARLY_S, 0.005 * self.fatal_s)
            return tuple(
                row
                for row in IDLE_LIMITS
                if self.fatal_s - LATE_S - near <= row.seconds <= self.fatal_s + near
            )
        low = (self.survived_s or SHORTEST_S) - LATE_S
        return tuple(row for row in IDLE_LIMITS if row.forgets and low <= row.seconds <= self.fatal_s)

    @property
    def confidence(self) -> Confidence:
        """Never settled: a rule of the application that ends idle connections looks the same from here."""
        told = self.clients >= _MANY_CLIENTS and self.survived_s is not None
        several = self.keep_alives[0] != self.keep_alives[1]
        if self.forgets:
            enough = told and self.drops >= _MANY_DIED and (self.survived_s or 0.0) >= self.fatal_s / 3
            return Confidence.LIKELY if enough else Confidence.UNCLEAR
        return Confidence.LIKELY if told and several else Confidence.UNCLEAR


_MANY_CLIENTS, _MANY_DIED = 3, 8


def find(engine: Engine) -> list[Finding]:
    """One finding per limit, the most drops first."""
    return [_finding(engine, limit) for limit in limits(engine)]


def limits(engine: Engine) -> list[PathLimit]:
    """The limits of all places, each told once: of a listener where several of its networks share it."""
    return engine.kept(_limits) if isinstance(engine, Memory) else _limits(engine)


def _limits(engine: Engine) -> list[PathLimit]:
    gaps = gather(engine)
    found: list[PathLimit] = []
    order = {"broker_addr": 0, "listener": 1, "client_net": 2}
    for place in sorted(
        {*gaps.cuts, *gaps.forgotten, *gaps.silences}, key=lambda p: (order[p.column], p.value)
    ):
        for limit in _of_place(engine, gaps, place):
            if _worth_telling(limit) and not any(_covers(other, limit) for other in found):
                found.append(limit)
    return sorted(found, key=lambda limit: -limit.drops)


def _worth_telling(limit: PathLimit) -> bool:
    return limit.clients >= FEWEST_CLIENTS and (limit.place.column != "listener" or limit.networks > 1)


def _covers(told: PathLimit, limit: PathLimit) -> bool:
    """Was this limit told already, of the listener its network comes through?"""
    same = abs(told.fatal_s - limit.fatal_s) <= width(told.fatal_s)
    return same and told.place.side == limit.place.side and told.forgets == limit.forgets


def _of_place(engine: Engine, gaps: Gaps, place: Place) -> Iterator[PathLimit]:
    survived = sorted(gaps.survived.get(place, ()))
    for cut in clusters(gaps.cuts.get(place, ())):
        limit = _cutting(engine, place, cut, survived)
        if limit is not None:
            yield limit
    forgotten = gaps.forgotten.get(place, ())
    if sum(each.count for each in forgotten) >= FEWEST_DIED:
        yield from _forgetting(engine, place, FORGOTTEN, min(each.low_s for each in forgotten), survived)
    died = _first_deadly(gaps.silences.get(place, ()))
    if died is not None:
        condition = f"{SILENT} and {FIRST} and effective_keep_alive >= {died.keep_alive}"
        yield from _forgetting(engine, place, condition, _latest_attempt(died), survived)


def _cutting(
    engine: Engine, place: Place, cut: Bin, survived: Sequence[tuple[float, int]]
) -> PathLimit | None:
    beyond = cut.high_s + max(_BEYOND_S, _BEYOND * cut.high_s)
    if sum(count for gap, count in survived if gap > beyond):
        return None
    condition = (
        f"{CUT} and idle_s >= {cut.low_s!r} and idle_s <= {cut.high_s!r} and closed_by = '{place.side}'"
    )
    limit = _measured(engine, place, condition, cut, survived, forgets=False)
    return None if limit is None or _is_a_timer(limit) else limit


def _is_a_timer(limit: PathLimit) -> bool:
    """One Keep Alive, and judged otherwise or at a simple multiple of it: a peer's own timer is as good a reason."""
    low, high = limit.keep_alives
    if low == high and limit.judged < limit.drops / 2:
        return True
    return low == high and any(abs(limit.fatal_s - low * times) <= _TIMER_NEAR_S for times in _TIMERS)


def _first_deadly(rows: Sequence[Silences]) -> Silences | None:
    """The shortest Keep Alive from which on nobody survived a silence of its length, and some died in the first."""
    deadly: list[Silences] = []
    for row in reversed(rows):
        if row.lived or row.lived_busy > row.died / 10:
            break
        deadly.append(row)
    if sum(row.died for row in deadly) < FEWEST_DIED:
        return None
    shortest = next(row for row in reversed(deadly) if row.died)
    total = list(accumulate(row.died for row in deadly))[-1]
    return Silences(shortest.keep_alive, 0, 0, total, shortest.back_s)


def _latest_attempt(died: Silences) -> float:
    """When the client tried at the latest: its ping was due at the Keep Alive, or it came back."""
    due = 1.1 * died.keep_alive + _TICK_S
    return min(due, died.back_s) if died.back_s is not None else due


_TICK_S = 5.0


def _forgetting(
    engine: Engine, place: Place, condition: str, fatal_s: float, survived: Sequence[tuple[float, int]]
) -> Iterator[PathLimit]:
    beyond = sum(count for gap, count in survived if gap > fatal_s + _BEYOND_S)
    if beyond:
        return
    found = _measured(engine, place, condition, Bin(fatal_s, fatal_s, 0), survived, forgets=True)
    if found is not None and found.drops >= FEWEST_DIED:
        yield found


def _measured(
    engine: Engine,
    place: Place,
    condition: str,
    cut: Bin,
    survived: Sequence[tuple[float, int]],
    *,
    forgets: bool,
) -> PathLimit | None:
    """The limit with what its connections have in common, asked once more and exactly."""
    whole = f"{condition} and {place.column} = {literal(engine, place.value)}"
    sql = (
        "select count(*), count(distinct client_id), min(effective_keep_alive), max(effective_keep_alive), "
        "min(ended_us), max(ended_us), count(distinct client_net), "
        f"sum(case when cause = '{Cause.IDLE_CUT}' then 1 else 0 end) from {{drops}} where {whole}"
    )
    drops, clients, low, high, first, last, networks, judged = engine.rows(sql)[0]
    if not drops:
        return None
    shorter = [gap for gap, _ in survived if gap <= cut.low_s + _BEYOND_S]
    return PathLimit(
        place=place,
        survived_s=round(min(max(shorter), cut.low_s), 1) if shorter else None,
        fatal_s=round(cut.low_s, 1),
        longest_cut_s=round(cut.high_s, 1),
        drops=int(drops),
        clients=int(clients),
        keep_alives=(int(low or 0), int(high or 0)),
        forgets=forgets,
        condition=whole,
        first_us=first,
        last_us=last,
        networks=int(networks),
        judged=int(judged or 0),
    )


def _finding(engine: Engine, limit: PathLimit) -> Finding:
    return Finding(
        kind="path_limit",
        title=_title(limit),
        owner=Owner.PATH,
        confidence=limit.confidence,
        advice=_advice(limit),
        basis=_basis(limit),
        drops=limit.drops,
        subject=limit.place.value,
        numbers=_numbers(limit),
        connections=connections(engine, limit.condition),
        first_us=limit.first_us,
        last_us=limit.last_us,
    )


_PLACES = {
    "client_net": "Between network {} and kaproxy",
    "listener": "Between all networks of listener {} and kaproxy",
    "broker_addr": "Between kaproxy and the broker {}",
}


def _title(limit: PathLimit) -> str:
    where = _PLACES[limit.place.column].format(limit.place.value)
    does = "something forgets idle connections" if limit.forgets else "something cuts idle connections"
    if limit.forgets:
        low = f"more than {seconds(limit.survived_s)} and " if limit.survived_s is not None else ""
        return f"{where} {does}, after {low}at most {seconds(limit.fatal_s)}{_who(limit)}"
    return f"{where} {does} after {seconds(limit.fatal_s)}{_who(limit)}"


def _who(limit: PathLimit) -> str:
    if not limit.owners:
        return ", which is nobody's known default"
    names = "; or ".join(f"{row.seconds} s: {row.who}" for row in limit.owners[:3])
    return f" ({names})"


def _advice(limit: PathLimit) -> str:
    largest = int(limit.safe_s / 1.5)
    return (
        f"Keep Alive of at most {largest} s for clients of this path (its limit / 1.5), or raise the limit of the box. "
        "TCP keep-alive of the client's host reaches some boxes and not others."
    )


def _basis(limit: PathLimit) -> str:
    keep_alives = " to ".join(dict.fromkeys(f"{each}" for each in limit.keep_alives))
    ended = (
        "died in their first silence of that length"
        if limit.forgets
        else "ended without a word at that idle time"
    )
    lived = (
        f"the longest idle gap that was survived there is {seconds(limit.survived_s)}, none longer than the limit"
        if limit.survived_s is not None
        else "no idle gap there is known to have been survived"
    )
    return (
        f"{counted(limit.drops, 'connection')} of {counted(limit.clients, 'client')} with Keep Alive {keep_alives} s "
        f"{ended}; {lived}. The configuration of the boxes on the path would settle it, or one client left idle on "
        "purpose."
    )


def _numbers(limit: PathLimit) -> dict[str, object]:
    return {
        "place": limit.place.column,
        "longest_survived_s": limit.survived_s,
        "shortest_fatal_s": limit.fatal_s,
        "longest_fatal_s": limit.longest_cut_s,
        "forgets": limit.forgets,
        "clients": limit.clients,
        "networks": limit.networks,
        "keep_alive_min": limit.keep_alives[0],
        "keep_alive_max": limit.keep_alives[1],
        "known_limits_s": [row.seconds for row in limit.owners],
        "owners": [row.who for row in limit.owners],
    }

"""Keepalive advice: per client group the range of Keep Alive that would have survived, its gain and its cost.

From above: the idle limit of the path divided by 1.5, and what the broker allows. From below: the worst answer with
the worst stall, four times the worst that is usual, twice the lateness of pings. Where the bounds cross, no value works
and the path must change; where pings come at 1.5 x any Keep Alive, the library. "Worst" leaves out one connection in
two hundred.
Read next: `fleet_what_if.py` for what one value would have done, `findings/path_limits.py` for the limits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

from kaproxy.analysis.advice_words import said
from kaproxy.analysis.constants import PING_BYTES, PING_WIRE_BYTES, SMALLEST_KEEP_ALIVE, service
from kaproxy.analysis.findings.asking import DAY_S, connections, one_of
from kaproxy.analysis.findings.buckets import Buckets, bucket_sql
from kaproxy.analysis.findings.cadences import Formula
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.findings.path_limits import PathLimit
from kaproxy.analysis.fleet_what_if import Habit, Known, habit_of, prevented
from kaproxy.analysis.store.engine import Engine
from kaproxy.analysis.whatif import Drops
from kaproxy.diagnosis.wording import seconds

_LARGEST = 0xFFFF
#: The path's limit, or the broker's window, is this many times the Keep Alive (MQTT 5.0 3.1.2-22; HiveMQ's guide).
PATIENCE = 1.5
#: Keep Alive covers this many times the worst usual answer and stall; lateness may use up the half that is grace.
COVERS, GRACE = 4, 2.0
_WORST = 0.995
_ENDED = "cause in ('keep_alive_timeout', 'idle_cut')"
#: Of these, what another Keep Alive may have changed: the client was cut while idle, or spoke after all.
_CURABLE = f"(cause = 'idle_cut' or ({_ENDED} and late_from_client_after_s is not null))"
_KNOWN = "client_group is not null and effective_keep_alive is not null"


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound on Keep Alive, seconds, and what sets it."""

    keep_alive: int
    why: str


@dataclass(frozen=True, slots=True)
class Advice:
    """Of one client group. `low` above `high`, or a `cadence` that grows too fast: no value works.

    Pings and bytes are per client and day.
    """

    group: str
    connections: int
    clients: int
    keep_alives: tuple[int, ...]  # in use, the commonest first
    low: Bound
    high: Bound | None  # None: nothing seen sets one
    suggested: int | None
    prevented: Drops
    of: int  # keepalive timeouts and idle cuts in the log
    curable: int  # of these, those of clients that were alive
    pings_now: float
    pings_then: float
    limit: PathLimit | None = None
    cadence: Formula | None = None  # its pings come too late with any Keep Alive
    fitting: Sequence[Formula] = ()  # all that fit its late pings

    @property
    def possible(self) -> bool:
        """Is there a value between the bounds, and would it help?"""
        between = self.high is None or self.low.keep_alive <= self.high.keep_alive
        return between and self.cadence is None

    @property
    def changes(self) -> bool:
        """Is another value advised than those in use?"""
        return self.suggested is not None and any(each != self.suggested for each in self.keep_alives)

    @property
    def fine(self) -> bool:
        """Are all the values in use within the bounds?"""
        high = self.high.keep_alive if self.high else _LARGEST
        return all(self.low.keep_alive <= each <= high for each in self.keep_alives)

    @property
    def bytes_then(self) -> tuple[float, float]:
        """Per client and day: of MQTT, and with TCP/IPv4 headers (TLS adds about 58 bytes a ping)."""
        return self.pings_then * PING_BYTES, self.pings_then * PING_WIRE_BYTES


@dataclass(slots=True)
class _Group:
    """What the log has of a group."""

    name: str
    connections: int = 0
    clients: int = 0
    pingreqs: float = 0.0
    seconds: float = 0.0
    drops: int = 0  # keepalive timeouts and idle cuts
    curable: int = 0


def table(engine: Engine) -> list[Advice]:
    """Advice for every client group, the one with the most to prevent first."""
    known = Known.of(engine)
    worst, keep_alives, above = _worst(engine), _keep_alives(engine), _above(engine, known.limits)
    rows = [
        _advice(group, keep_alives.get(name, ()), worst.get(name, Worst()), above.get(name, ()), known)
        for name, group in _measured(engine, known).items()
    ]
    return sorted(_with_gain(engine, rows, known), key=lambda each: (-each.prevented.most, each.group))


def _with_gain(engine: Engine, rows: Iterable[Advice], known: Known) -> Iterator[Advice]:
    """Each with the drops it would have prevented: asked once for all groups that want the same Keep Alive."""
    wanting: dict[int | None, list[Advice]] = defaultdict(list)
    for row in rows:
        wanting[row.suggested if row.changes else None].append(row)
    yield from wanting.pop(None, ())
    for keep_alive, those in wanting.items():
        gain = prevented(engine, keep_alive or 0, [each.group for each in those], known)
        yield from (replace(each, prevented=gain.get(each.group, Drops())) for each in those)


def find(engine: Engine) -> list[Finding]:
    """A finding for each group whose Keep Alive should change, or cannot help; none where it is well chosen."""
    return [said(each, _examples(engine, each)) for each in table(engine) if _worth_saying(each)]


def _examples(engine: Engine, advice: Advice) -> tuple[str, ...]:
    return connections(engine, f"{_ENDED} and {one_of(engine, 'client_group', [advice.group])}")


def _worth_saying(advice: Advice) -> bool:
    if not advice.possible:
        return advice.curable > 0
    return not advice.fine and advice.prevented.most > 0


def _measured(engine: Engine, known: Known) -> dict[str, _Group]:
    sql = (
        "select client_group, sum(lines), count(distinct client_id), sum(pings), sum(seconds) "
        f"from {{clients}} as clients where {_KNOWN} group by client_group"
    )
    drops = _dropped(engine, known)
    return {
        str(name): _Group(
            str(name),
            int(lines),
            int(clients),
            float(pings or 0),
            float(lived or 0),
            *drops.get(str(name), (0, 0)),
        )
        for name, lines, clients, pings, lived in engine.rows(sql)
    }


def _dropped(engine: Engine, known: Known) -> dict[str, tuple[int, int]]:
    """Per group: keepalive timeouts and idle cuts, and how many of these were curable."""
    sql = (
        f"select client_group, sum(case when {_ENDED} or {known.boxed} then 1 else 0 end), "
        f"sum(case when {_CURABLE} or {known.boxed} then 1 else 0 end) from {{drops}} "
        f"where clean = 0 and {_KNOWN} group by client_group"
    )
    return {str(name): (int(drops or 0), int(curable or 0)) for name, drops, curable in engine.rows(sql)}


def _keep_alives(engine: Engine) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    sql = (
        f"select client_group, effective_keep_alive, sum(lines) as many from {{clients}} as clients where {_KNOWN} "
        "group by client_group, effective_keep_alive order by many desc, effective_keep_alive"
    )
    for group, keep_alive, _ in engine.rows(sql):
        found[str(group)].append(int(keep_alive))
    return found


@dataclass(frozen=True, slots=True)
class Worst:
    """Of a group, seconds: the worst answer with its stall, the worst usual one, the worst lateness of a ping.

    The last answer of each connection is a sample of the usual; an outage of the broker is in the longest only.
    """

    answer_s: float = 0.0
    usual_s: float = 0.0
    late_s: float = 0.0


def _worst(engine: Engine) -> dict[str, Worst]:
    stall = "coalesce(client_leg_stalled_s, 0) + coalesce(broker_leg_stalled_s, 0)"
    answers = _quantiles(engine, f"(ping_rtt_max_ms / 1000 + {stall})", "ping_rtt_max_ms is not null")
    last = "coalesce(ping_rtt_last_ms, ping_rtt_max_ms)"
    usual = _quantiles(engine, f"({last} / 1000 + {stall})", "ping_rtt_max_ms is not null")
    late = _quantiles(
        engine,
        "(gap_max_s - effective_keep_alive)",
        "late_gaps > 0 and effective_keep_alive > 0 and pingreqs > 0 and gap_max_s > effective_keep_alive",
    )
    return {
        group: Worst(answers.get(group, 0.0), usual.get(group, 0.0), late.get(group, 0.0))
        for group in {*answers, *late}
    }


def _quantiles(engine: Engine, value: str, condition: str) -> dict[str, float]:
    sql = (
        f"select client_group, {bucket_sql(value)} as step, count(*) from {{closed}} where {_KNOWN} and {condition} "
        "group by client_group, step"
    )
    counts: dict[str, Buckets] = defaultdict(Buckets)
    for group, step, count in engine.rows(sql):
        if step is not None:
            counts[str(group)].add(int(step), int(count))
    return {group: buckets.quantile(_WORST) or 0.0 for group, buckets in counts.items()}


def _above(engine: Engine, limits: Iterable[PathLimit]) -> dict[str, list[tuple[Bound, PathLimit | None]]]:
    """Per group, what bounds its Keep Alive from above: limits of its paths, its broker, what the operator told."""
    found: dict[str, list[tuple[Bound, PathLimit | None]]] = defaultdict(list)
    for limit in limits:
        where = one_of(engine, limit.place.column, [limit.place.value])
        bound = Bound(int(limit.safe_s / PATIENCE), f"the path's idle limit of {seconds(limit.safe_s)}")
        for (group,) in engine.rows(
            f"select distinct client_group from {{clients}} as clients where {_KNOWN} and {where}"
        ):
            found[str(group)].append((bound, limit))
    sql = (
        "select client_group, broker_profile, min(path_limit_s) from {clients} as clients "
        f"where {_KNOWN} group by client_group, broker_profile"
    )
    for group, profile, told in engine.rows(sql):
        allowed = service(str(profile))
        if allowed.keep_alive_max is not None:
            found[str(group)].append((Bound(allowed.keep_alive_max, f"the maximum of {allowed.who}"), None))
        if told:
            found[str(group)].append((Bound(int(told / PATIENCE), "the configured path_idle_limit"), None))
    return found


def _advice(
    group: _Group,
    keep_alives: Sequence[int],
    worst: Worst,
    above: Iterable[tuple[Bound, PathLimit | None]],
    known: Known,
) -> Advice:
    low = _low(worst)
    high, limit = min(above, key=lambda each: each[0].keep_alive, default=(None, None))
    fitting = known.cadences.get(group.name, ())
    cadence = _hopeless(fitting)
    suggested = _suggested(low, high, keep_alives) if cadence is None else None
    return Advice(
        group=group.name,
        connections=group.connections,
        clients=group.clients,
        keep_alives=tuple(keep_alives),
        low=low,
        high=high,
        suggested=suggested,
        prevented=Drops(),
        of=group.drops,
        curable=group.curable,
        pings_now=group.pingreqs / group.seconds * DAY_S if group.seconds else 0.0,
        pings_then=DAY_S / suggested if suggested else 0.0,
        limit=limit,
        cadence=cadence,
        fitting=fitting,
    )


def _hopeless(formulas: Sequence[Formula]) -> Formula | None:
    """The cadence that leaves no Keep Alive any margin, where no other fits."""
    if habit_of(formulas) is not Habit.GROWS:
        return None
    least = min(formulas, key=lambda each: each.times or 0.0)
    return least if (least.times or 0.0) >= PATIENCE - _HAIR else None


_HAIR = 0.02


def _low(worst: Worst) -> Bound:
    smallest = Bound(SMALLEST_KEEP_ALIVE, "the smallest that libraries take")
    late = Bound(ceil(GRACE * worst.late_s) + 1, f"pings up to {seconds(round(worst.late_s, 2))} late")
    bounds = (
        smallest,
        Bound(ceil(worst.answer_s), f"the worst round trip and stall, {seconds(round(worst.answer_s, 2))}"),
        Bound(
            ceil(COVERS * worst.usual_s),
            f"{COVERS} x the worst usual round trip and stall, {seconds(round(worst.usual_s, 2))}",
        ),
        late if worst.late_s > 0 else smallest,
    )
    return max(bounds, key=lambda each: each.keep_alive)


def _suggested(low: Bound, high: Bound | None, keep_alives: Sequence[int]) -> int | None:
    """The commonest value in use where it is within the bounds, else the largest round one, which costs least."""
    most = high.keep_alive if high else _LARGEST
    if low.keep_alive > most:
        return None
    within = [each for each in keep_alives if low.keep_alive <= each <= most]
    if within and (high is None or within[0] == keep_alives[0]):
        return within[0]
    if high is None:
        return _round_up(low.keep_alive)
    rounded = most // 10 * 10
    return rounded if rounded >= low.keep_alive else most


def _round_up(value: int) -> int:
    return -(-value // 10) * 10

"""Keepalive advice: per client group the range of Keep Alive that would have survived, its gain and its cost.

From above: the idle limit of the path divided by 1.5, and what the broker allows. From below: four times the worst
ping round trip with the worst stall, twice the lateness of pings, and what the broker demands. Where the bounds
cross, no value works and the path must change. "Worst" leaves out one connection in two hundred.
Read next: `fleet_what_if.py` for what one value would have done, `findings/path_limits.py` for the limits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from kaproxy.analysis.constants import PING_BYTES, PING_WIRE_BYTES, SMALLEST_KEEP_ALIVE, service
from kaproxy.analysis.findings.asking import DAY_S, connections, one_of
from kaproxy.analysis.findings.buckets import Buckets, bucket_sql
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.findings.path_limits import PathLimit, limits
from kaproxy.analysis.fleet_what_if import what_if
from kaproxy.analysis.store.engine import Engine
from kaproxy.analysis.whatif import Drops
from kaproxy.diagnosis.verdict import Confidence, Owner
from kaproxy.diagnosis.wording import counted, seconds

_LARGEST = 0xFFFF
#: The path's limit, or the broker's window, is this many times the Keep Alive (MQTT 5.0 3.1.2-22; HiveMQ's guide).
PATIENCE = 1.5
#: Keep Alive covers this many times the worst answer and stall; lateness may use up the half that is grace.
COVERS, GRACE = 4, 2.0
_WORST = 0.995
_ENDED = "cause in ('keep_alive_timeout', 'idle_cut')"
_KNOWN = "client_group is not null and effective_keep_alive is not null"


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound on Keep Alive, seconds, and what sets it."""

    keep_alive: int
    why: str


@dataclass(frozen=True, slots=True)
class Advice:
    """Of one client group. `low` above `high`: no value works. Pings and bytes are per client and day."""

    group: str
    connections: int
    clients: int
    keep_alives: tuple[int, ...]  # in use, the commonest first
    low: Bound
    high: Bound | None  # None: nothing seen sets one
    suggested: int | None
    prevented: Drops
    of: int  # keepalive timeouts and idle cuts in the log
    pings_now: float
    pings_then: float
    limit: PathLimit | None = None

    @property
    def possible(self) -> bool:
        """Is there a value between the bounds?"""
        return self.high is None or self.low.keep_alive <= self.high.keep_alive

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


def table(engine: Engine) -> list[Advice]:
    """Advice for every client group, the one with the most to prevent first."""
    measured = _measured(engine)
    worst = _worst(engine)
    keep_alives = _keep_alives(engine)
    above = _above(engine)
    rows = [
        _advice(engine, group, keep_alives.get(name, ()), worst.get(name, (0.0, 0.0)), above.get(name, ()))
        for name, group in measured.items()
    ]
    return sorted(rows, key=lambda each: (-each.prevented.most, each.group))


def find(engine: Engine) -> list[Finding]:
    """A finding for each group whose Keep Alive should change, or cannot help; none where it is well chosen."""
    return [_finding(engine, each) for each in table(engine) if _worth_saying(each)]


def _worth_saying(advice: Advice) -> bool:
    if not advice.possible:
        return advice.of > 0
    return not advice.fine and advice.prevented.most > 0


def _measured(engine: Engine) -> dict[str, _Group]:
    sql = (
        "select client_group, count(*), count(distinct client_id), sum(pingreqs), sum(duration_s), "
        f"sum(case when {_ENDED} then 1 else 0 end) from {{closed}} "
        f"where {_KNOWN} group by client_group"
    )
    return {
        str(name): _Group(
            str(name), int(count), int(clients), float(pings or 0), float(lived or 0), int(drops or 0)
        )
        for name, count, clients, pings, lived, drops in engine.rows(sql)
    }


def _keep_alives(engine: Engine) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    sql = (
        f"select client_group, effective_keep_alive, count(*) as many from {{closed}} where {_KNOWN} "
        "group by client_group, effective_keep_alive order by many desc"
    )
    for group, keep_alive, _ in engine.rows(sql):
        found[str(group)].append(int(keep_alive))
    return found


def _worst(engine: Engine) -> dict[str, tuple[float, float]]:
    """Per group: the worst answer with its stall, and the worst lateness of a ping (both s)."""
    stall = "coalesce(client_leg_stalled_s, 0) + coalesce(broker_leg_stalled_s, 0)"
    answers = _quantiles(engine, f"(ping_rtt_max_ms / 1000 + {stall})", "ping_rtt_max_ms is not null")
    late = _quantiles(
        engine,
        "(gap_max_s - effective_keep_alive)",
        "late_gaps > 0 and effective_keep_alive > 0 and pingreqs > 0 and gap_max_s > effective_keep_alive",
    )
    return {group: (answers.get(group, 0.0), late.get(group, 0.0)) for group in {*answers, *late}}


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


def _above(engine: Engine) -> dict[str, list[tuple[Bound, PathLimit | None]]]:
    """Per group, what bounds its Keep Alive from above: limits of its paths, its broker, what the operator told."""
    found: dict[str, list[tuple[Bound, PathLimit | None]]] = defaultdict(list)
    for limit in limits(engine):
        where = one_of(engine, limit.place.column, [limit.place.value])
        bound = Bound(int(limit.safe_s / PATIENCE), f"the path's idle limit of {seconds(limit.safe_s)}")
        for (group,) in engine.rows(
            f"select distinct client_group from {{closed}} where {_KNOWN} and {where}"
        ):
            found[str(group)].append((bound, limit))
    sql = (
        "select client_group, broker_profile, min(path_idle_limit_s) from {closed} "
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
    engine: Engine,
    group: _Group,
    keep_alives: Sequence[int],
    worst: tuple[float, float],
    above: Iterable[tuple[Bound, PathLimit | None]],
) -> Advice:
    low = _low(*worst)
    high, limit = min(above, key=lambda each: each[0].keep_alive, default=(None, None))
    suggested = _suggested(low, high, keep_alives)
    changes = suggested is not None and any(each != suggested for each in keep_alives)
    prevented = what_if(engine, f"keep_alive={suggested}", group.name).whole.prevented if changes else Drops()
    return Advice(
        group=group.name,
        connections=group.connections,
        clients=group.clients,
        keep_alives=tuple(keep_alives),
        low=low,
        high=high,
        suggested=suggested,
        prevented=prevented,
        of=group.drops,
        pings_now=group.pingreqs / group.seconds * DAY_S if group.seconds else 0.0,
        pings_then=DAY_S / suggested if suggested else 0.0,
        limit=limit,
    )


def _low(answer_s: float, lateness_s: float) -> Bound:
    bounds = (
        Bound(SMALLEST_KEEP_ALIVE, "the smallest that libraries take"),
        Bound(
            ceil(COVERS * answer_s),
            f"{COVERS} x the worst round trip and stall, {seconds(round(answer_s, 2))}",
        ),
        Bound(ceil(GRACE * lateness_s) + 1, f"pings up to {seconds(round(lateness_s, 2))} late")
        if lateness_s > 0
        else Bound(SMALLEST_KEEP_ALIVE, "the smallest that libraries take"),
    )
    return max(bounds, key=lambda each: each.keep_alive)


def _suggested(low: Bound, high: Bound | None, keep_alives: Sequence[int]) -> int | None:
    """The commonest value in use where it is within the bounds, else the largest round one, which costs least."""
    most = high.keep_alive if high else _LARGEST
    if low.keep_alive > most:
        return None
    current = next((each for each in keep_alives if low.keep_alive <= each <= most), None)
    if current is not None:
        return current
    if high is None:
        return _round_up(low.keep_alive)
    rounded = most // 10 * 10
    return rounded if rounded >= low.keep_alive else most


def _round_up(value: int) -> int:
    return -(-value // 10) * 10


def _finding(engine: Engine, advice: Advice) -> Finding:
    used = ", ".join(f"{each}" for each in advice.keep_alives[:4])
    high = f"{advice.high.keep_alive} s ({advice.high.why})" if advice.high else "no upper bound seen"
    bounds = f"At least {advice.low.keep_alive} s ({advice.low.why}), at most {high}."
    return Finding(
        kind="keep_alive_advice",
        title=_title(advice, used),
        owner=Owner.OPERATOR,
        confidence=Confidence.LIKELY if advice.prevented.least else Confidence.UNCLEAR,
        advice=_what_to_do(advice),
        basis=f"{bounds} From the gaps of {counted(advice.connections, 'connection')}; what a client would do with "
        "another Keep Alive is not recorded (one that is late by a multiple of it stays late), and trying it on a few "
        "would settle it.",
        drops=advice.prevented.most,
        subject=advice.group,
        numbers=_numbers(advice),
        connections=connections(
            engine,
            f"{_ENDED} and {one_of(engine, 'client_group', [advice.group])}",
        ),
    )


def _title(advice: Advice, used: str) -> str:
    if not advice.possible:
        return f"No Keep Alive works for {advice.group} (now {used} s): the path must change"
    prevented = advice.prevented
    many = (
        f"{prevented.least} to {prevented.most}" if prevented.least < prevented.most else f"{prevented.most}"
    )
    return (
        f"Keep Alive {advice.suggested} s instead of {used} s would have prevented {many} of "
        f"{counted(advice.of, 'drop')} of {advice.group}"
    )


def _what_to_do(advice: Advice) -> str:
    if not advice.possible:
        return (
            "Raise the idle limit of the path, or take what is slow out of it; no Keep Alive can bridge both."
        )
    plain, wire = advice.bytes_then
    return (
        f"Set Keep Alive {advice.suggested} s. An idle client then sends {advice.pings_then:.0f} pings a day "
        f"({plain / 1000:.1f} kB of MQTT, {wire / 1000:.0f} kB with TCP/IP headers); now {advice.pings_now:.0f}."
    )


def _numbers(advice: Advice) -> dict[str, object]:
    plain, wire = advice.bytes_then
    return {
        "keep_alives": list(advice.keep_alives),
        "low": advice.low.keep_alive,
        "low_why": advice.low.why,
        "high": advice.high.keep_alive if advice.high else None,
        "high_why": advice.high.why if advice.high else None,
        "suggested": advice.suggested,
        "prevented_least": advice.prevented.least,
        "prevented_most": advice.prevented.most,
        "of": advice.of,
        "clients": advice.clients,
        "pings_per_day_now": round(advice.pings_now, 1),
        "pings_per_day": round(advice.pings_then, 1),
        "bytes_per_day": round(plain),
        "wire_bytes_per_day": round(wire),
    }

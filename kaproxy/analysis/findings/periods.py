"""Periodicity: clients and fleets that drop every so often, the clock they follow, and whose time it may be.

Three clocks (and each is a different owner): since connect (the same age at death: lifetimes, leases), since the last
byte or packet (the same silence: limits of services; `path_limits.py` has those of boxes), wall clock (the same phase
of hour or day: jobs). What chance would bring about is no period; a time that follows from Keep Alive is none either;
and where a fleet began all at once, age and wall clock coincide and cannot be told apart.
Read next: `clocks.py` for the statistics, `kaproxy/analysis/constants.py` for known times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kaproxy.analysis.constants import Clock, known
from kaproxy.analysis.findings.asking import DROP, connections, one_of
from kaproxy.analysis.findings.buckets import bucket_sql, edges
from kaproxy.analysis.findings.chance import binomial_tail, poisson_tail
from kaproxy.analysis.findings.clocks import Follows, Lives, follows
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.findings.path_limits import limits
from kaproxy.analysis.findings.repeats import Repeats, told
from kaproxy.analysis.findings.schedules import by_wall_clock
from kaproxy.analysis.store.engine import Engine, Row
from kaproxy.diagnosis.verdict import Cause, Confidence

#: Shorter ages and silences (s) are reconnect loops and chance.
SHORTEST_AGE_S, SHORTEST_SILENCE_S = 30.0, 20.0
FEWEST, SHARE = 5, 0.15
_CHANCE, _CHANCE_OF_FEW = 1e-6, 5e-5
_ROWS, _LOOKED_AT = 4000, 15
_OPEN = "phase in ('established', 'closing')"
#: Endings whose own rule names the clock: Keep Alive, or the patience of a ping; and the broker's restarts.
_OWN_CLOCK = (
    f"((cause = '{Cause.KEEP_ALIVE_TIMEOUT}' and coalesce(root, '') <> 'client_unreachable') "
    f"or cause in ('{Cause.PING_TIMEOUT}', '{Cause.CONNECT_REFUSED}') or coalesce(root, '') = 'restart')"
)
#: Of those that reached an age: it was in use until shortly before.
_AGED = f"{DROP} and {_OPEN} and not {_OWN_CLOCK} and duration_s >= {SHORTEST_AGE_S} and idle_s < 0.5 * duration_s"
_WORDLESS = (
    f"cause in ('{Cause.CLIENT_CLOSED}', '{Cause.CLIENT_RESET}', '{Cause.BROKER_CLOSED}', '{Cause.BROKER_RESET}', "
    f"'{Cause.BROKER_DISCONNECT}', '{Cause.UNKNOWN}')"
)
_SILENT = f"{DROP} and {_OPEN} and {_WORDLESS} and silence_s >= {SHORTEST_SILENCE_S}"


def find(engine: Engine) -> list[Finding]:
    """One finding per fleet or client and clock, the most drops first."""
    ages = list(_fleets_by_age(engine))
    fleets = {each.subject for each in ages}
    ages += [each for each in _clients_by_age(engine) if each.group not in fleets]
    walls = [each for each in by_wall_clock(engine) if not any(_told(each, age) for age in ages)]
    ages = [
        each for each in ages if each.clock is not Clock.WALL or not any(_same(wall, each) for wall in walls)
    ]
    found = sorted([*ages, *walls, *_silences(engine)], key=lambda each: -each.drops)
    return [told(each, connections(engine, each.condition)) for each in found]


def _told(wall: Repeats, age: Repeats) -> bool:
    """Are these drops told already: by the age at which they ended, or as a fleet's schedule of its clients' own?"""
    whole_fleet = wall.subject == wall.group
    return _same(wall, age) and (age.clock is not Clock.WALL or not whole_fleet)


def _same(wall: Repeats, age: Repeats) -> bool:
    whose = {age.subject, age.group}
    near = 0.75 * wall.period_s <= age.period_s <= 1.02 * wall.period_s
    return bool(whose & {wall.subject, wall.group}) and near


# --- since connect -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cluster:
    """Values of one group that gather between two bounds, far more than around them."""

    group: str
    low: float
    high: float
    count: int
    of: int


def _fleets_by_age(engine: Engine) -> Iterator[Repeats]:
    for cluster in _clusters(engine, _AGED, "duration_s"):
        where = f"{_AGED} and {one_of(engine, 'client_group', [cluster.group])}"
        found = _aged(engine, where, cluster)
        if found is not None:
            yield found


def _clusters(engine: Engine, condition: str, value: str) -> list[Cluster]:
    """Where a group's values gather beyond chance, at most one place per group, the largest first."""
    sql = (
        f"select client_group, {bucket_sql(value)} as step, count(*) from {{drops}} "
        f"where {condition} and client_group is not null group by client_group, step order by client_group, step"
    )
    groups: dict[str, dict[int, int]] = {}
    for group, step, count in engine.rows(sql):
        groups.setdefault(str(group), {})[int(step)] = int(count)
    found = [cluster for group, counts in groups.items() if (cluster := _densest(group, counts))]
    return sorted(found, key=lambda each: -each.count)[:_LOOKED_AT]


def _densest(group: str, counts: dict[int, int]) -> Cluster | None:
    whole = sum(counts.values())
    at = max(counts, key=lambda step: counts[step] + counts.get(step + 1, 0))
    inside = counts[at] + counts.get(at + 1, 0)
    sides = (range(-_AROUND, 0), range(2, _AROUND + 2))
    around = max(sum(counts.get(at + off, 0) for off in side) for side in sides)
    expected = max(2 * around / _AROUND, _LEAST_EXPECTED * whole)
    if inside < FEWEST or inside < SHARE * whole or poisson_tail(inside, expected) > _CHANCE:
        return None
    if around and binomial_tail(inside, inside + around, 2 / (2 + _AROUND)) > _CHANCE_OF_FEW:
        return None  # so few lie around it that how many to expect is itself a guess
    return Cluster(group, edges(at - 1)[0], edges(at + 2)[1], inside, whole)


#: Buckets on either side, a quarter of an octave each, of which the fuller side counts (no silence is longer than the
#: pause of a client that pings); and what an even spread over ages would put into two.
_AROUND, _LEAST_EXPECTED = 8, 0.02


def _aged(engine: Engine, where: str, cluster: Cluster) -> Repeats | None:
    """What the connections that ended at that age have in common; None where it is their Keep Alive."""
    condition = f"{where} and duration_s >= {cluster.low!r} and duration_s <= {cluster.high!r}"
    rows = engine.rows(
        "select opened_us, ended_us, client_id, client_group, keep_alive, cause, root from {drops} "
        f"where {condition} order by ended_us, conn_id limit {_ROWS}"
    )
    lives = _lives(rows)
    if len(rows) < FEWEST or lives.spread_s > _LOOSE * lives.age_s or _of_keep_alive(rows, lives.age_s):
        return None
    verdict = follows(lives)
    fits = known(Clock.CONNECT, lives.age_s)
    if verdict is Follows.EITHER and lives.rounds <= 1 and not fits:
        return None  # one crowd that ended together: an incident, no period
    return _repeats(rows, lives, verdict, cluster, condition)


_LOOSE = 0.03


def _lives(rows: Sequence[Row]) -> Lives:
    return Lives([r[0] / 1e6 for r in rows], [r[1] / 1e6 for r in rows], [r[2] for r in rows])


def _of_keep_alive(rows: Sequence[Row], age_s: float) -> bool:
    """Is the age a small multiple of the one Keep Alive they all have? Then it is counted in pings."""
    keep_alives = {int(r[4] or 0) for r in rows}
    if len(keep_alives) != 1 or not (keep_alive := keep_alives.pop()):
        return False
    pings = age_s / (0.5 * keep_alive)
    return pings <= _FEW_PINGS and abs(pings - round(pings)) * 0.5 * keep_alive <= max(1.0, 0.02 * age_s)


_FEW_PINGS = 10.5


def _repeats(
    rows: Sequence[Row], lives: Lives, verdict: Follows, cluster: Cluster, condition: str
) -> Repeats:
    clock = Clock.WALL if verdict is Follows.WALL else Clock.CONNECT
    crowds = lives.crowds
    return Repeats(
        subject=cluster.group,
        group=str(rows[0][3] or ""),
        clock=clock,
        period_s=_own_period(lives) if clock is Clock.WALL else lives.age_s,
        drops=len(rows),
        of=cluster.of,
        condition=condition,
        confidence=Confidence.UNCLEAR if verdict is Follows.EITHER else Confidence.LIKELY,
        either=verdict is Follows.EITHER,
        clients=len(set(lives.clients)),
        spread_s=lives.spread_s,
        cause=_commonest(rows),
        first_us=int(rows[0][1]),
        last_us=int(rows[-1][1]),
        numbers={"moments": len(crowds), "age_s": round(lives.age_s, 1)},
    )


def _own_period(lives: Lives) -> float:
    """From one end of a client to its next, in the middle; the age itself where none came back."""
    last: dict[object, float] = {}
    apart: list[float] = []
    for client, ended in zip(lives.clients, lives.ended, strict=True):
        if ended - last.get(client, ended) > 1.0:
            apart.append(ended - last[client])
        last[client] = ended
    near = sorted(each for each in apart if each < 1.5 * lives.age_s)
    return near[len(near) // 2] if near else lives.age_s


def _commonest(rows: Sequence[Row]) -> tuple[str, str | None]:
    """The cause and root that most of them have."""
    return Counter((str(r[5]), r[6] or None) for r in rows).most_common(1)[0][0]


def _clients_by_age(engine: Engine) -> Iterator[Repeats]:
    """Single clients whose connections all live equally long."""
    mean, square = "(sum(duration_s) / count(*))", "(sum(duration_s * duration_s) / count(*))"
    sql = (
        f"select client_id, count(*) as lives, min(duration_s), max(duration_s) from {{drops}} where {_AGED} "
        f"and client_id is not null group by client_id having count(*) >= {FEWEST} "
        f"and {square} - {mean} * {mean} < {_LOOSE**2} * {mean} * {mean} order by lives desc, client_id "
        f"limit {_LOOKED_AT}"
    )
    for client, count, low, high in engine.rows(sql):
        where = f"{_AGED} and {one_of(engine, 'client_id', [str(client)])}"
        found = _aged(engine, where, Cluster(str(client), float(low), float(high), int(count), int(count)))
        if found is not None:
            yield found


# --- since the last byte or packet -------------------------------------------------------------------------------


def _silences(engine: Engine) -> list[Repeats]:
    """Those that are no limit of the path: `path_limits.py` tells of these."""
    found = list(_by_silence(engine))
    if not any(each.clock is Clock.LAST_BYTE for each in found):
        return found
    lengths = [limit.fatal_s for limit in limits(engine)]
    return [
        each
        for each in found
        if each.clock is not Clock.LAST_BYTE
        or not any(abs(each.period_s - length) <= max(2.0, 0.02 * length) for length in lengths)
    ]


def _by_silence(engine: Engine) -> Iterator[Repeats]:
    """Fleets that end at one silence, which is no multiple of their Keep Alive and no cut of the path's."""
    for cluster in _clusters(engine, _SILENT, "silence_s"):
        condition = (
            f"{_SILENT} and {one_of(engine, 'client_group', [cluster.group])} "
            f"and silence_s >= {cluster.low!r} and silence_s <= {cluster.high!r}"
        )
        rows = engine.rows(
            "select opened_us, ended_us, client_id, client_group, keep_alive, cause, root, silence_s, idle_s, "
            f"duration_s from {{drops}} where {condition} order by ended_us, conn_id limit {_ROWS}"
        )
        found = _silenced(rows, cluster, condition)
        if found is not None:
            yield found


def _silenced(rows: Sequence[Row], cluster: Cluster, condition: str) -> Repeats | None:
    silences = sorted(float(r[7]) for r in rows)
    middle = silences[len(silences) // 2]
    last = len(silences) - 1
    spread = (silences[round(last * 5 / 6)] - silences[round(last / 6)]) / 2
    if len(rows) < FEWEST or spread > _LOOSE * middle or _timer(rows, middle):
        return None
    both = sum(float(r[8] or 0.0) >= 0.95 * float(r[7]) for r in rows) >= 0.8 * len(rows)
    return Repeats(
        subject=cluster.group,
        group=cluster.group,
        clock=Clock.LAST_BYTE if both else Clock.LAST_PACKET,
        period_s=middle,
        drops=len(rows),
        of=cluster.of,
        condition=condition,
        confidence=Confidence.LIKELY if len({r[4] for r in rows}) > 1 else Confidence.UNCLEAR,
        either=False,
        clients=len({r[2] for r in rows}),
        spread_s=spread,
        cause=_commonest(rows),
        first_us=int(rows[0][1]),
        last_us=int(rows[-1][1]),
    )


def _timer(rows: Sequence[Row], silence_s: float) -> bool:
    """A simple multiple of the one Keep Alive: a peer's own timer, which its verdicts speak of."""
    keep_alives = {int(r[4] or 0) for r in rows}
    keep_alive = keep_alives.pop() if len(keep_alives) == 1 else 0
    times = silence_s / (0.25 * keep_alive) if keep_alive else 0.0
    return bool(times) and times <= _FEW_PINGS * 2 and abs(times - round(times)) <= 0.1

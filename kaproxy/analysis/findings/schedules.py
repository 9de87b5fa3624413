"""Drops that keep to the wall clock: of a fleet, of everybody, of a single client.

Fleets show as minutes with a crowd of drops, so that what is always there and what happened once does not count;
clients by their single drops. It may not know ages. Read next: `clocks.py` for the test, `periods.py` for its use.
"""

from __future__ import annotations

from collections.abc import Iterator

from kaproxy.analysis.constants import Clock
from kaproxy.analysis.findings.asking import DROP, one_of, span
from kaproxy.analysis.findings.chance import surprising
from kaproxy.analysis.findings.clocks import Beat, beat
from kaproxy.analysis.findings.repeats import Repeats
from kaproxy.analysis.store.engine import Engine
from kaproxy.diagnosis.verdict import Confidence

_MINUTE_US, _LOOKED_AT = 60_000_000, 15
#: A log has to be this long (s) to show a schedule.
_SHORTEST_S = 1200.0


def by_wall_clock(engine: Engine) -> Iterator[Repeats]:
    """Fleets first, then all together where no fleet stands out, then single clients of other fleets."""
    covered = span(engine)
    if covered.seconds < _SHORTEST_S:
        return
    minutes = _minutes(engine)
    looks = len(minutes) + 1
    fleets = list(_beating(engine, minutes, covered.seconds / 60, looks))
    if not fleets:
        whole: dict[int, int] = {}
        for counts in minutes.values():
            for minute, count in counts.items():
                whole[minute] = whole.get(minute, 0) + count
        fleets = list(_beating(engine, {"": whole}, covered.seconds / 60, looks))
    yield from fleets
    known_groups = {each.subject for each in fleets}
    for client, group, moments in _clients(engine):
        found = beat(moments, looks=_CLIENTS_LOOKED_AT)
        if found is not None and group not in known_groups and "" not in known_groups:
            yield _on_the_clock(engine, "client_id", client, group, found, 1)


_CLIENTS_LOOKED_AT = 1000


def _minutes(engine: Engine) -> dict[str, dict[int, int]]:
    """Drops per group and minute; minutes with a single drop are no crowd."""
    sql = (
        f"select client_group, cast(floor(ended_us / {_MINUTE_US}) as {{INT}}) as minute, count(*) from {{drops}} "
        f"where {DROP} and client_group is not null group by client_group, minute having count(*) >= 2"
    )
    groups: dict[str, dict[int, int]] = {}
    for group, minute, count in engine.rows(sql):
        groups.setdefault(str(group), {})[int(minute)] = int(count)
    return groups


def _beating(
    engine: Engine, groups: dict[str, dict[int, int]], span_min: float, looks: int
) -> Iterator[Repeats]:
    for group, counts in groups.items():
        mean = sum(sorted(counts.values())[: -max(1, len(counts) // 10)] or [0]) / span_min
        crowd = max(_SMALLEST_CROWD, surprising(mean, 1.0))
        found = beat([minute for minute, count in counts.items() if count >= crowd], looks)
        if found is not None:
            yield _on_the_clock(engine, "client_group" if group else "", group, group, found, crowd)


_SMALLEST_CROWD = 3


def _clients(engine: Engine) -> Iterator[tuple[str, str, list[float]]]:
    """Single clients whose drops may gather at a phase: their minutes. A rough sieve, in SQL."""
    periods = (15, 60, 1440)
    turn = "6.283185307179586 * minute / {p}"
    strengths = " or ".join(
        f"pow(sum(cos({turn.format(p=p)})), 2) + pow(sum(sin({turn.format(p=p)})), 2) > {_SIEVE} * count(*)"
        for p in periods
    )
    inner = (
        f"select client_id, client_group, cast(floor(ended_us / {_MINUTE_US}) as {{INT}}) as minute from {{drops}} "
        f"where {DROP} and client_id is not null group by client_id, client_group, minute"
    )
    sql = (
        f"select client_id, max(client_group), count(*) as moments from ({inner}) as single group by client_id "
        f"having count(*) >= {_FEWEST_MOMENTS} and max(minute) - min(minute) >= 60 and ({strengths}) "
        f"order by moments desc, client_id limit {_LOOKED_AT}"
    )
    found = {str(client): str(group) for client, group, _ in engine.rows(sql)}
    moments: dict[str, list[float]] = {client: [] for client in found}
    if found:
        condition = f"{DROP} and {one_of(engine, 'client_id', found)}"
        for client, ended in engine.rows(f"select client_id, ended_us from {{drops}} where {condition}"):
            moments[str(client)].append(int(ended) // _MINUTE_US)
    for client, minutes in moments.items():
        yield client, found[client], minutes


_SIEVE, _FEWEST_MOMENTS = 6, 6


def _on_the_clock(engine: Engine, column: str, name: str, group: str, found: Beat, crowd: int) -> Repeats:
    period = round(found.period_min)
    minute = f"cast(floor(ended_us / {_MINUTE_US}) as {{INT}})"
    phases = sorted({int(found.phase_min + off) % period for off in (-1, 0, 1)})
    condition = f"{DROP} and {minute} % {period} in ({', '.join(map(str, phases))})"
    if column:
        condition += f" and {one_of(engine, column, [name])}"
    count, clients, first, last = engine.rows(
        f"select count(*), count(distinct client_id), min(ended_us), max(ended_us) from {{drops}} where {condition}"
    )[0]
    pairs = engine.rows(
        f"select cause, root, count(*) as many from {{drops}} where {condition} group by cause, root "
        "order by many desc, cause, root limit 1"
    )
    cause, root, _ = pairs[0] if pairs else ("unknown", None, 0)
    return Repeats(
        subject=name,
        group=group,
        clock=Clock.WALL,
        period_s=60.0 * found.period_min,
        drops=int(count),
        of=int(count),
        condition=condition,
        confidence=Confidence.LIKELY,
        either=False,
        clients=int(clients),
        spread_s=60.0,
        cause=(str(cause), root or None),
        first_us=first,
        last_us=last,
        phase_min=found.phase_min,
        numbers={
            "moments": found.events,
            "moments_elsewhere": found.of - found.events,
            "cycles": found.cycles,
            "strength": round(found.strength, 3),
            "rayleigh": found.rayleigh,
            "chance": found.chance,
            "crowd": crowd,
        },
    )

"""Late pingers: fleets whose cadence of PINGREQ leaves no margin, its formula, and the libraries it fits.

A cadence shows as one length: the longest gaps of a fleet's connections, and the gaps its warnings tell of, gather
at it, with any number of Keep Alives; or they follow the answers' round trip. A stall of one client, or gaps of all
lengths, are no cadence and are not told here. It may not know why a library ticks.
Read next: `kaproxy/diagnosis/libraries.py` for the cadences of libraries, `cadences.py` for the formulas.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import sqrt

from kaproxy.analysis.findings.asking import connections, one_of, percent
from kaproxy.analysis.findings.cadences import Formula, formulas, libraries, round_trip
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.store.engine import Engine
from kaproxy.diagnosis.verdict import Cause, Confidence, Owner
from kaproxy.diagnosis.wording import counted, seconds

#: A gap so much (s) over the Keep Alive is late: below it lie scheduling and the network.
LATE_S = 0.15
#: No margin: less than this part of the Keep Alive, or this many seconds, before the broker may expire.
MARGIN, MARGIN_S = 0.1, 1.0
#: A cadence: this part of the late gaps within one window, and of the connections that pinged late at all.
GATHERED, HABIT = 0.6, 0.5
_WINDOW_S, _WINDOW = 0.6, 0.02
FEWEST = 3
_PINGED_LATE = f"cause = '{Cause.KEEP_ALIVE_TIMEOUT}' and root = 'pinged_late'"
_LATE = f"gap_max_s > effective_keep_alive + {LATE_S}"
_PINGS = "effective_keep_alive > 0 and gap_max_s is not null and pingreqs > 0 and client_group is not null"


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over the late connections: excess over Keep Alive and longest RTT (s), for a straight line."""

    n: int = 0
    excess: float = 0.0
    excess2: float = 0.0
    rtt: float = 0.0
    rtt2: float = 0.0
    both: float = 0.0

    @property
    def slope_and_fit(self) -> tuple[float, float]:
        """How much the excess grows with the RTT, and their correlation; zeros where nothing varies."""
        if self.n < FEWEST:
            return 0.0, 0.0
        spread_rtt = self.rtt2 - self.rtt**2 / self.n
        spread_excess = self.excess2 - self.excess**2 / self.n
        if spread_rtt <= self.n * _FLAT or spread_excess <= self.n * _FLAT:
            return 0.0, 0.0
        shared = self.both - self.excess * self.rtt / self.n
        return shared / spread_rtt, shared / sqrt(spread_rtt * spread_excess)


_FLAT = 0.01  # s2: an RTT that varies by less than 0.1 s explains nothing


@dataclass(slots=True)
class Fleet:
    """Clients of one group with one Keep Alive."""

    group: str
    keep_alive: int
    connections: int
    late: int
    clients: int
    pingreqs: int
    late_gaps: int
    limit_s: float
    margin_min_s: float | None
    longest_s: float
    drops: int
    sums: Sums
    versions: tuple[str, ...]
    steps: list[tuple[float, int]] = field(default_factory=list)  # late gaps: length, count

    @property
    def cadence(self) -> tuple[float, float]:
        """The length (s) at which the late gaps gather, and which part of them does."""
        width = max(_WINDOW_S, _WINDOW * self.keep_alive)
        steps = sorted(self.steps)
        best, at = 0, 0.0
        for low, _ in steps:
            inside = [(gap, count) for gap, count in steps if low <= gap <= low + width]
            total = sum(count for _, count in inside)
            if total > best:
                best, at = total, sum(gap * count for gap, count in inside) / total
        return at, best / max(1, sum(count for _, count in steps))

    @property
    def habitual(self) -> bool:
        """Is it late as a rule: most of its connections, or a good part of its pings?"""
        return self.late >= HABIT * self.connections or self.late_gaps >= _OFTEN * max(1, self.pingreqs)


_OFTEN = 0.3


def find(engine: Engine) -> list[Finding]:
    """One finding per client group and Keep Alive, the most drops first."""
    found = [
        _finding(engine, fleet, formula)
        for group in _by_group(engine).values()
        for fleet, formula in _late_ones(group)
    ]
    return sorted(found, key=lambda each: (-each.drops, each.subject))


def habits(engine: Engine) -> dict[str, tuple[Formula, ...]]:
    """By client group, the formulas that fit its cadence at all its Keep Alives, where it pings late as a rule."""
    known = {group: formulas(_gathered(_late(fleets))) for group, fleets in _by_group(engine).items()}
    return {group: found for group, found in known.items() if found}


def _by_group(engine: Engine) -> dict[str, list[Fleet]]:
    found: dict[str, list[Fleet]] = defaultdict(list)
    for fleet in _fleets(engine):
        found[fleet.group].append(fleet)
    return found


def _late(group: Sequence[Fleet]) -> list[Fleet]:
    return [each for each in group if each.habitual and each.late >= FEWEST]


def _gathered(late: Sequence[Fleet]) -> dict[int, float]:
    """The cadence (s) by Keep Alive, where it is one."""
    return {each.keep_alive: each.cadence[0] for each in late if each.cadence[1] >= GATHERED}


def _late_ones(group: Sequence[Fleet]) -> Iterable[tuple[Fleet, tuple[Formula, ...]]]:
    """Fleets of one group without margin, with the formulas that fit all its Keep Alives, else their own."""
    late = _late(group)
    gathered = _gathered(late)
    shared = formulas(gathered)
    for fleet in late:
        slope, fit = fleet.sums.slope_and_fit
        if fleet.keep_alive in gathered:
            at = gathered[fleet.keep_alive]
            found = shared or formulas({fleet.keep_alive: at})
        elif _ONE_LOW <= slope <= _ONE_HIGH and fit >= _CLOSE:
            at, found = fleet.longest_s, (round_trip(),)
        else:
            continue
        if _no_margin(fleet, at):
            yield fleet, found


_ONE_LOW, _ONE_HIGH, _CLOSE = 0.8, 1.2, 0.9


def _no_margin(fleet: Fleet, gap_s: float) -> bool:
    return fleet.limit_s - gap_s <= max(MARGIN_S, MARGIN * fleet.keep_alive) or fleet.drops >= FEWEST


def _fleets(engine: Engine) -> list[Fleet]:
    excess, rtt = "(gap_max_s - effective_keep_alive)", "(coalesce(ping_rtt_max_ms, 0) / 1000)"

    def late(value: str) -> str:
        return f"sum(case when {_LATE} then {value} else 0.0 end)"

    sql = (
        "select client_group, effective_keep_alive, count(*), count(distinct client_id), sum(pingreqs), "
        f"sum(late_gaps), min(limit_low_s), min(margin_min_s), max(gap_max_s), "
        f"sum(case when {_PINGED_LATE} then 1 else 0 end), "
        f"sum(case when {_LATE} then 1 else 0 end) as late_ones, {late(excess)}, {late(f'{excess} * {excess}')}, "
        f"{late(rtt)}, {late(f'{rtt} * {rtt}')}, {late(f'{excess} * {rtt}')}, "
        "min(protocol_version), max(protocol_version) "
        f"from {{closed}} where {_PINGS} group by client_group, effective_keep_alive"
    )
    steps = _steps(engine)
    return [_fleet(row, steps) for row in engine.rows(sql)]


def _fleet(row: Sequence[object], steps: dict[tuple[str, int], list[tuple[float, int]]]) -> Fleet:
    numbers = [float(each) if isinstance(each, int | float) else None for each in row[1:16]]
    keep_alive, count, clients, pings, gaps, limit, margin, longest, drops, late, *sums = numbers
    group, period = str(row[0]), int(keep_alive or 0)
    return Fleet(
        group=group,
        keep_alive=period,
        connections=int(count or 0),
        late=int(late or 0),
        clients=int(clients or 0),
        pingreqs=int(pings or 0),
        late_gaps=int(gaps or 0),
        limit_s=limit if limit is not None else 1.5 * period,
        margin_min_s=margin,
        longest_s=longest or 0.0,
        drops=int(drops or 0),
        sums=Sums(int(late or 0), *(each or 0.0 for each in sums)),
        versions=tuple(dict.fromkeys(str(each) for each in row[16:18] if each)),
        steps=steps.get((group, period), []),
    )


def _steps(engine: Engine) -> dict[tuple[str, int], list[tuple[float, int]]]:
    """Late gaps in steps of a quarter second, of closing lines (the longest of each) and of warnings."""
    found: dict[tuple[str, int], list[tuple[float, int]]] = defaultdict(list)
    lines = (
        "select client_group, effective_keep_alive, cast(floor(gap_max_s * 4) as {INT}) as step, avg(gap_max_s), "
        f"count(*) from {{closed}} where {_PINGS} and {_LATE} group by client_group, effective_keep_alive, step"
    )
    warnings = (
        "select client_group, keep_alive, cast(floor(gap_s * 4) as {INT}) as step, avg(gap_s), count(*) "
        f"from {{warnings}} where event = 'keep_alive.late' and gap_s > keep_alive + {LATE_S} "
        "and client_group is not null group by client_group, keep_alive, step"
    )
    for sql in (lines, warnings):
        for group, keep_alive, _, gap, count in engine.rows(sql):
            found[str(group), int(keep_alive)].append((float(gap), int(count)))
    return found


def _finding(engine: Engine, fleet: Fleet, found: tuple[Formula, ...]) -> Finding:
    gathers, share = fleet.cadence
    cadence = fleet.longest_s if found and found[0].by_round_trip else gathers
    fits = libraries(fleet.keep_alive, cadence, fleet.versions) if not _by_answer(found) else ()
    condition = (
        f"{_PINGS} and {_LATE} and effective_keep_alive = {fleet.keep_alive} "
        f"and {one_of(engine, 'client_group', [fleet.group])}"
    )
    return Finding(
        kind="late_pingers",
        title=_title(fleet, cadence, found),
        owner=Owner.CLIENT_LIBRARY,
        confidence=Confidence.LIKELY if fleet.late >= _SEVERAL else Confidence.UNCLEAR,
        advice=_advice(found, fits),
        basis=_basis(fleet, share, found, fits),
        drops=fleet.drops,
        subject=fleet.group,
        numbers=_numbers(fleet, cadence, found, fits),
        connections=connections(engine, condition, "{closed}"),
    )


_SEVERAL = 5


def _by_answer(found: Sequence[Formula]) -> bool:
    return any(each.by_round_trip for each in found)


def _title(fleet: Fleet, cadence: float, found: Sequence[Formula]) -> str:
    words = " or ".join(each.name for each in found[:2])
    how = f" ({words})" if words else ""
    left = fleet.limit_s - cadence
    before = f"{seconds(round(left, 2))} before" if left > 0 else "when"
    every = "up to" if _by_answer(found) else "every"
    pings = (
        f"{fleet.group} pings {every} {seconds(round(cadence, 2))} at Keep Alive {fleet.keep_alive} s{how}"
    )
    return f"{pings}, {before} the broker may expire it"


def _advice(found: Sequence[Formula], fits: Sequence[str]) -> str:
    longer = [each.keep_alive_from for each in found if each.keep_alive_from]
    raised = (
        f"A Keep Alive of {max(longer)} s or more leaves a quarter of it as margin"
        if longer and len(longer) == len(found)
        else "No other Keep Alive is sure to help where the cadence grows with it"
    )
    update = f"; see whether a newer release of the library ({fits[0]}?) pings in time" if fits else ""
    return f"{raised}{update}. A library must ping before the Keep Alive is over (MQTT 5.0 3.1.2.10)."


def _basis(fleet: Fleet, share: float, found: Sequence[Formula], fits: Sequence[str]) -> str:
    gathered = (
        "their lateness follows the longest round trip of their pings"
        if _by_answer(found)
        else f"{percent(share, 1.0)} of the late gaps lie within one window"
    )
    library = f"This cadence fits {', '.join(fits)}; several libraries may share it. " if fits else ""
    return (
        f"{fleet.late} of {counted(fleet.connections, 'connection')} of {counted(fleet.clients, 'client')} pinged "
        f"late, and {gathered}. {library}The library's name and version would settle whose cadence it is."
    )


def _numbers(
    fleet: Fleet, cadence: float, found: Sequence[Formula], fits: Sequence[str]
) -> dict[str, object]:
    return {
        "keep_alive": fleet.keep_alive,
        "cadence_s": round(cadence, 3),
        "limit_low_s": fleet.limit_s,
        "margin_s": round(fleet.limit_s - cadence, 3),
        "margin_min_s": fleet.margin_min_s,
        "formulas": [each.name for each in found],
        "libraries": list(fits),
        "connections": fleet.connections,
        "connections_late": fleet.late,
        "clients": fleet.clients,
        "late_gaps": fleet.late_gaps,
        "pingreqs": fleet.pingreqs,
    }

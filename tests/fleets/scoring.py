"""Findings held against the truth: what was planted and found, what was missed, and what was invented.

`KINDS` says which kinds of finding speak of which kind of plant and which of their numbers have to be right; `MAY`
says what else a finding may truly say of a plant. Everything of a scored kind that is about no plant is an invention.
It may not know how anything is found. Read next: `table.py`, which writes the score down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kaproxy.analysis.findings.finding import Finding
from tests.fleets import keeping
from tests.fleets.keeping import Held
from tests.fleets.truth import Plant, Truth

Check: TypeAlias = Callable[[Finding, Plant], bool]

#: A finding whose connections are a plant's to this part is about it.
_MOST = 0.5
_SECOND_US = 1_000_000
#: How far the time a finding gives may be from the truth's, seconds.
_NEAR_S = 30.0
#: The row of what-ifs, which are no findings.
WHAT_IF = "what_if"


@dataclass(frozen=True, slots=True)
class Sought:
    """What must be said of a kind of plant: by one of these kinds of finding, with these numbers right.

    `held` is asked as well, where being right takes the whole truth.
    """

    title: str
    kinds: tuple[str, ...]
    right: Check = lambda finding, plant: True
    held: Callable[[Finding, Plant, Truth], bool] = lambda finding, plant, truth: True


def number(names: Sequence[str], planted: str, tolerance: float, scale: float = 1.0) -> Check:
    """One of the finding's numbers is the planted one, within a part of it."""

    def check(finding: Finding, plant: Plant) -> bool:
        wanted = float(plant.numbers[planted])
        given = [
            finding.numbers[name] for name in names if isinstance(finding.numbers.get(name), (int, float))
        ]
        return any(abs(float(value) * scale - wanted) <= tolerance * wanted for value in given)  # type: ignore[arg-type]

    return check


def when(finding: Finding, plant: Plant) -> bool:
    """The finding is of that time."""
    at = int(plant.numbers["at_us"])
    first, last = finding.first_us, finding.last_us
    near = _NEAR_S * _SECOND_US
    return first is not None and first - near <= at <= (last or first) + near


def _addresses(finding: Finding, plant: Plant) -> bool:
    """Both sides' addresses are named."""
    said = repr(finding.numbers) + finding.title
    return all(address in said for address in plant.numbers["addresses"])


def both(*checks: Check) -> Check:
    """All of these."""
    return lambda finding, plant: all(check(finding, plant) for check in checks)


def clock(finding: Finding, plant: Plant) -> bool:
    """The finding says that this clock is followed ("connect", "wall" …)."""
    return str(plant.numbers["clock"]) in str(finding.numbers.get("clock", ""))


#: What each kind of plant is, in the words of the score's table, and what has to be said of it.
KINDS: Mapping[str, Sought] = {
    "incident": Sought("outages of a broker", ("incident",), when),
    "storm": Sought("reconnect storms", ("reconnect_storm",), when),
    "takeover_fight": Sought(
        "fights over a client identifier",
        ("takeover_fight",),
        both(_addresses, number(("every_s",), "every_s", 0.25)),
    ),
    "lifetime": Sought(
        "lifetimes counted from CONNECT", ("period",), both(clock, number(("period_s",), "period_s", 0.01))
    ),
    "lease": Sought(
        "leases of each device's own clock", ("period",), both(clock, number(("period_s",), "period_s", 0.01))
    ),
    "job": Sought(
        "jobs by the wall clock", ("period",), both(clock, number(("period_s",), "period_s", 0.01))
    ),
    "late_pingers": Sought(
        "fleets that ping too late", ("late_pingers",), number(("cadence_s",), "cadence_s", 0.02)
    ),
    "worst_clients": Sought("clients with most of the drops", ("worst_client",)),
    "idle_limit": Sought(
        "idle limits of a path",
        ("path_limit",),
        number(("limit_s", "fatal_s", "shortest_fatal_s"), "limit_s", 0.03),
    ),
    "broker_premature": Sought("brokers that expire too soon", ("broker_premature",)),
    "broker_stall": Sought("stalls of a broker", ("broker_stall",), when),
    "proxy_lag": Sought("times kaproxy itself was late", ("proxy_lag",)),
    "keep_alive": Sought(
        "Keep Alives that another value would mend, its range and gain",
        ("keep_alive_advice",),
        held=keeping.range_and_gain,
    ),
    "no_keep_alive": Sought(
        "Keep Alives that no value mends", ("keep_alive_advice",), held=keeping.none_works
    ),
    WHAT_IF: Sought("what-ifs, by question and client group", ()),
}

#: What a kind of finding may truly say of plants and decoys, beside what it is for.
#: Kinds that find no plant, and are inventions all the same where they speak of none: as which kind they count.
OTHERS: Mapping[str, str] = {
    "broker_closed_many": "incident",
    "went_silent": "incident",
    "clients_left": "incident",
    "recurring_incident": "incident",
}
_MANY = ("restarted_process", "two_brokers")  # decoys that drop more often than most
MAY: Mapping[str, tuple[str, ...]] = {
    "worst_client": (
        "takeover_fight",
        "lifetime",
        "lease",
        "job",
        "late_pingers",
        "idle_limit",
        "incident",
        *_MANY,
    ),
    "period": ("takeover_fight", "idle_limit"),
    "incident": ("broker_stall", "job", "proxy_lag"),
    "recurring_incident": ("job",),
    "clients_left": ("job", "broker_stall"),
    "broker_closed_many": ("incident", "proxy_lag"),
    "reconnect_storm": ("incident",),
    "keep_alive_advice": ("broker_premature",),
}


@dataclass(slots=True)
class Row:
    """The score of one kind of plant. `wrong`: found, with a number that is not right; these count as missed."""

    planted: int = 0
    found: int = 0
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)

    def add(self, other: Row) -> None:
        """Another log's."""
        self.planted += other.planted
        self.found += other.found
        self.missed += other.missed
        self.wrong += other.wrong
        self.invented += other.invented


Score: TypeAlias = dict[str, Row]


def score(findings: Sequence[Finding], truth: Truth) -> Score:
    """One log's findings against its truth, by kind of plant; inventions stand with the plants of their kind."""
    rows = {kind: Row() for kind in KINDS}
    for plant in truth.plants:
        rows[plant.kind].planted += 1
        about = [each for each in findings if each.kind in KINDS[plant.kind].kinds and speaks_of(each, plant)]
        sought = KINDS[plant.kind]
        right = [each for each in about if sought.right(each, plant) and sought.held(each, plant, truth)]
        if right:
            rows[plant.kind].found += 1
        elif about:
            rows[plant.kind].wrong.append(f"{plant.name}: {about[0].title} {dict(about[0].numbers)}")
        else:
            rows[plant.kind].missed.append(plant.name)
    for finding in findings:
        kind = next(
            (kind for kind, sought in KINDS.items() if finding.kind in sought.kinds), OTHERS.get(finding.kind)
        )
        if kind is not None and not any(_may(finding, each) for each in (*truth.plants, *truth.decoys)):
            rows[kind].invented.append(f"{finding.title}{_decoy(finding, truth)}")
    return rows


def _may(finding: Finding, plant: Plant) -> bool:
    sought = KINDS.get(plant.kind)
    said = (sought is not None and finding.kind in sought.kinds) or plant.kind in MAY.get(finding.kind, ())
    return said and speaks_of(finding, plant)


def speaks_of(finding: Finding, plant: Plant) -> bool:
    """By its subject, or by its connections; what has a time must be of that time."""
    if "at_us" in plant.numbers and not when(finding, plant):
        return False
    if finding.subject and finding.subject in plant.subjects:
        return True
    own = set(plant.conn_ids)
    shared = sum(each in own for each in finding.connections)
    return bool(finding.connections) and shared >= _MOST * len(finding.connections)


def _decoy(finding: Finding, truth: Truth) -> str:
    fooled = [each.name for each in truth.decoys if speaks_of(finding, each)]
    return f" [decoy: {', '.join(fooled)}]" if fooled else ""


def score_what_ifs(answers: Sequence[Held]) -> Row:
    """What-ifs of client groups; one that is vague is right as long as the truth is within it."""
    wrong = [each.words for each in answers if not each.right]
    return Row(len(answers), len(answers) - len(wrong), wrong=wrong)


def total(scores: Sequence[Score]) -> Score:
    """Several logs' scores in one."""
    whole = {kind: Row() for kind in KINDS}
    for each in scores:
        for kind, row in each.items():
            whole[kind].add(row)
    return whole


def shares(whole: Score) -> tuple[float, float]:
    """Found of planted, and right of all that was said (1.0: nothing was invented); what-ifs are neither."""
    rows = [row for kind, row in whole.items() if kind != WHAT_IF]
    planted, found = sum(row.planted for row in rows), sum(row.found for row in rows)
    invented = sum(len(row.invented) for row in rows)
    return found / max(1, planted), found / max(1, found + invented)


def as_dict(whole: Score) -> dict[str, Any]:
    """For printing."""
    return {kind: (row.found, row.planted, len(row.invented)) for kind, row in whole.items()}

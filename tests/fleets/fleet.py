"""A whole fleet put together: ordinary life, what is wrong, what only looks so, and its log with the truth beside it.

The same seed and number of lines give the same log, byte for byte. Read next: `plan.py`, `lines.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import kaproxy
from tests.fleets import bulk, decoys, plants, plants_keeping, plants_shared, silences
from tests.fleets.lines import Scribe
from tests.fleets.noise import with_noise
from tests.fleets.plan import Plan
from tests.fleets.truth import Truth, truth_of
from tests.fleets.world import SITES, START, Site

Part: TypeAlias = Callable[[Plan], None]
#: In this order: outages are known before the lives they end, and a stall changes lives that are there.
PARTS: tuple[Part, ...] = (
    plants_shared.outages,
    bulk.stayers,
    plants.fights,
    plants.lifetimes,
    plants.leases,
    plants.jobs,
    plants.late_pingers,
    plants.worst_clients,
    plants_shared.valves,
    plants_shared.idle_limits,
    plants_shared.premature,
    plants_shared.lag,
    decoys.batches,
    decoys.coincidences,
    decoys.duplicates,
    decoys.two_brokers,
    plants_shared.stall,
    plants_keeping.plants,
)
#: A fleet with nothing wrong: whatever is found there is invented.
HEALTHY = (
    bulk.stayers,
    plants_shared.valves,
    decoys.batches,
    decoys.coincidences,
    decoys.duplicates,
    decoys.two_brokers,
)
_FEWEST = 500


def planned(lines: int, seed: int, parts: Sequence[Part] = PARTS, *, faint: bool = False) -> Plan:
    """A fleet with about so many closing lines: what is planted first, ordinary life for the rest."""
    plan = Plan(seed, lines, faint=faint)
    for part in parts:
        part(plan)
    silences.warned(plan)
    bulk.reporters(plan, max(_FEWEST, lines - len(plan.lives)))
    for site in SITES:
        for place, worker in enumerate(site.workers):
            plan.tell(START - 1.0, worker, _started(site, 100 + place))
    return plan


def log_lines(plan: Plan) -> Iterator[bytes]:
    """The log; `plan.truth` is whole once they are all taken."""
    scribe = Scribe(plan.lives, plan.rng)
    yield from with_noise(scribe.lines(plan.lives, plan.told), plan.rng, plan.truth.noise)
    plan.truth.events.update(scribe.page.events)
    plan.truth.causes.update(scribe.page.causes)
    plan.truth.lived.update(scribe.lived)


def write(path: Path, lines: int, seed: int, parts: Sequence[Part] = PARTS, *, faint: bool = False) -> Truth:
    """A log at `path`, and its truth beside it."""
    plan = planned(lines, seed, parts, faint=faint)
    with path.open("wb") as log:
        log.writelines(log_lines(plan))
    plan.truth.save(truth_of(path))
    return plan.truth


def write_by_worker(folder: Path, log: Path) -> list[Path]:
    """The same lines as each process wrote them: a log per worker. Noise goes into the first."""
    names = [worker for site in SITES for worker in site.workers]
    logs = {b'"worker":"%s"' % name.encode(): folder / f"{name}.jsonl" for name in names}
    with ExitStack() as stack:
        files = {mark: stack.enter_context(path.open("wb")) for mark, path in logs.items()}
        first = next(iter(files.values()))
        for line in stack.enter_context(log.open("rb")):
            next((file for mark, file in files.items() if mark in line[:_HEAD]), first).write(line)
    return list(logs.values())


_HEAD = 160


def _started(site: Site, pid: int) -> Callable[[], tuple[str, str, dict[str, Any]]]:
    fields = {
        "version": kaproxy.__version__,
        "listen": "0.0.0.0:1883",
        "upstream": site.broker,
        "broker_profile": site.profile,
        "pid": pid,
    }
    return lambda: ("info", "proxy.started", fields)

"""A fleet being put together: its lives, the lines told beside them, its outages, and the truth.

Read next: `bulk.py`, `plants.py` and its neighbours, which fill it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from kaproxy.connection.events import Event
from tests.fleets.lines import Told
from tests.fleets.truth import Plant, Truth
from tests.fleets.world import SPAN, START, Client, Group, Life, Site, members

#: How a client's next connection will end: after how long, how, and the numbers of it.
Draw: TypeAlias = Callable[[float], tuple[float, str, Mapping[str, Any]]]
END = START + SPAN


@dataclass(frozen=True, slots=True)
class Outage:
    """A broker that ends all connections at `at` with `ending`, and refuses dials for `down_s` from then on."""

    site: Site
    at: float
    down_s: float
    ending: str
    plant: Plant


class Plan:
    """What will be written, so far.

    `scale` multiplies the clients of what is planted; a `faint` plan has a third of them, and shorter fights.
    """

    def __init__(self, seed: int, lines: int, *, faint: bool = False) -> None:
        self.rng = Random(seed)
        self.lines = lines
        self.scale = max(1, min(8, lines // 40_000))
        self.faint = faint
        self.lives: list[Life] = []
        self.told: list[Told] = []
        self.outages: list[Outage] = []
        self.truth = Truth(seed)

    def plant(self, name: str, kind: str, why: str, *subjects: str, **numbers: Any) -> Plant:
        """Something that is to be found."""
        made = Plant(name, kind, why, subjects, numbers)
        self.truth.plants.append(made)
        return made

    def decoy(self, name: str, kind: str, why: str, *subjects: str, **numbers: Any) -> Plant:
        """Something that looks like it, and is not to be found."""
        made = Plant(name, kind, why, subjects, numbers)
        self.truth.decoys.append(made)
        return made

    def live(
        self,
        client: Client,
        opened: float,
        lasted: float,
        ending: str,
        plant: Plant | None = None,
        **facts: Any,
    ) -> Life:
        """One more connection; `gaps` and `limit_s` among the facts are the life's own."""
        gaps, limit_s = facts.pop("gaps", ()), facts.pop("limit_s", None)
        life = Life(client, opened, lasted, ending, facts, conn_id=f"{self.rng.getrandbits(64):016x}")
        life.gaps, life.limit_s = tuple(gaps), limit_s
        self.lives.append(life)
        if plant is not None:
            life.plant = plant.name
            plant.add(life.conn_id, life.ended)
        return life

    def tell(
        self, at: float, worker: str, make: Callable[[], Event | tuple[str, str, dict[str, Any]]]
    ) -> None:
        """One more line that is no opening or ending."""
        self.told.append(Told(at, worker, make))

    def group(self, group: Group, site: Site, count: int, **more: Any) -> list[Client]:
        """So many clients, times the scale; a third of them, and at least two, in a faint plan."""
        whole = count * self.scale
        return members(group, site, max(2, round(whole / 3)) if self.faint else whole, **more)

    def outage_in(self, site: Site, start: float, end: float) -> Outage | None:
        """The first outage of a site between two moments."""
        found = [each for each in self.outages if each.site is site and start < each.at < end]
        return min(found, key=lambda each: each.at, default=None)

    def keep_on(
        self,
        client: Client,
        draw: Draw,
        plant: Plant | None = None,
        *,
        pause: Callable[[], float],
        retry: Callable[[], Iterator[float]] | None = None,
        until: float = END,
    ) -> None:
        """A client that connects again after every ending, but for its broker's outages; `draw` says how it ends."""
        at = START + self.rng.uniform(0, 120)
        while True:
            lasted, ending, facts = draw(at)
            outage = self.outage_in(client.site, at, at + lasted)
            if outage is not None:
                at = self._cut_by(outage, client, at, retry or backing_off(self.rng))
                continue
            if at + lasted >= until:
                break
            belongs = plant if ending != "clean" else None
            self.live(client, at, lasted, ending, belongs, **facts)
            at += lasted + pause()

    def _cut_by(
        self, outage: Outage, client: Client, at: float, retry: Callable[[], Iterator[float]]
    ) -> float:
        """The end in the outage, the dials while it lasts; returns when the client is back."""
        ended = outage.at + self.rng.uniform(0.0, 0.4)
        self.live(client, at, ended - at, outage.ending, outage.plant)
        at = ended
        for wait in retry():
            at += wait
            if at >= outage.at + outage.down_s:
                return at
            lasted = self.rng.choice((0.0004, 0.0005, 0.0006))
            self.live(client, at, lasted, "refused", outage.plant)
        return at


def backing_off(rng: Random, first_s: float = 1.0, most_s: float = 60.0) -> Callable[[], Iterator[float]]:
    """Waits that double, each with jitter of a half."""

    def waits() -> Iterator[float]:
        wait = first_s
        while True:
            yield wait * rng.uniform(0.5, 1.5)
            wait = min(most_s, wait * 2)

    return waits


def at_once(every_s: float) -> Callable[[], Iterator[float]]:
    """The same wait again and again, with no jitter."""

    def waits() -> Iterator[float]:
        while True:
            yield every_s

    return waits

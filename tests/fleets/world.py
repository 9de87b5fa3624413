"""Sites, groups, clients and the lives of their connections: who there is, before anything happens to them.

A site is a broker with the proxies before it; a group is a kind of device with its Keep Alive and the pace of its
pings; a client belongs to both; a life is one connection of it. Times are seconds since 1970. It may not know how
a line is written. Read next: `bulk.py`, which gives clients their ordinary lives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

#: The log's first second (2026-11-16, a Monday, 00:00 UTC) and how much time it covers.
START = 1_794_787_200.0
HOUR, DAY = 3600.0, 86400.0
SPAN = 3 * DAY


@dataclass(frozen=True, slots=True)
class Site:
    """A broker, its keepalive profile, the workers before it, and the address of its clients' first network."""

    name: str
    broker: str
    profile: str
    workers: tuple[str, ...]
    listener: str


@dataclass(frozen=True, slots=True)
class Group:
    """Devices of one kind. `pings_s` is the time between two control packets; 0: it never pings.

    `habit` says how that time follows from the Keep Alive: `times` grows with it, `plus` is it and some seconds.
    """

    name: str
    keep_alive: int
    pings_s: float
    jitter_s: float = 0.05
    version: str = "3.1.1"
    rtt_ms: float = 12.0
    net: str = "10.1.0"
    will: bool = False
    clean_start: bool = True
    habit: str = "times"


@dataclass(frozen=True, slots=True)
class Client:
    """One device. `worker` is the process its connections go through."""

    id: str
    addr: str
    group: Group
    site: Site
    worker: str


@dataclass(slots=True)
class Life:
    """One connection: `ending` names how it went (`endings.py`), `facts` the numbers of that.

    `plant` says to what it belongs; `gaps` are its survived pauses where each was drawn, `limit_s` where its path or
    broker ends silences (s). `connects` (CONNECTs of its identifier within a minute) and `previous_ended` are known
    once all lives are.
    """

    client: Client
    opened: float
    lasted: float
    ending: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    plant: str = ""
    conn_id: str = ""
    connects: int = 1
    previous_ended: float | None = None
    gaps: tuple[float, ...] = ()
    limit_s: float | None = None

    @property
    def port(self) -> int:
        """Its client's TCP port."""
        return 32768 + int(self.conn_id[:4], 16) % 28000

    @property
    def ended(self) -> float:
        """When it first ended."""
        return self.opened + self.lasted


SITES = (
    Site("north", "broker-north:1883", "mosquitto_2.0", ("north-1", "north-2"), "plain"),
    Site("south", "broker-south:1883", "aedes", ("south-1", "south-2"), "plain"),
    Site("east", "broker-east:8883", "hivemq", ("east-1",), "devices"),
)
NORTH, SOUTH, EAST = SITES


def members(group: Group, site: Site, count: int, first: int = 1, worker: str | None = None) -> list[Client]:
    """So many clients of a group at a site, numbered, each behind an address of its own in the group's network."""
    return [
        Client(
            f"{group.name}-{number}",
            address(group.net, number),
            group,
            site,
            worker or site.workers[number % len(site.workers)],
        )
        for number in range(first, first + count)
    ]


def address(net: str, number: int) -> str:
    """An address in a /24 given by its first three numbers; more than 250 clients go on in the next one."""
    first, second, third = net.split(".")
    more, host = divmod(number, 250)
    return f"{first}.{second}.{int(third) + more}.{host + 2}"


def moments(rng: Random, mean_s: float, start: float = START, end: float = START + SPAN) -> list[float]:
    """Moments that come at random, `mean_s` apart in the mean (Poisson)."""
    found = []
    at = start + rng.expovariate(1 / mean_s)
    while at < end:
        found.append(at)
        at += rng.expovariate(1 / mean_s)
    return found

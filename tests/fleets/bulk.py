"""Ordinary life: devices that report and leave, devices that stay, and drops that come at random.

Nothing here is to be found but in the shares of causes. Four closing lines of five are of devices that came, reported
and left in order, as in most fleets whose devices sleep; the proxy before Mosquitto writes 1580 bytes of one that
connects, publishes once and leaves, and 1960 of one whose frames fill the flight recorder. Read next: `plants.py`.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tests.fleets.plan import Plan
from tests.fleets.world import DAY, EAST, HOUR, NORTH, SOUTH, SPAN, START, Client, Group, Site, members

#: Devices that wake up, report and leave; how often, seconds.
REPORTERS = (
    (Group("badge", 60, 60.0, net="10.40.0"), NORTH, 900.0),
    (Group("scale", 120, 90.0, version="5.0", net="10.44.0"), EAST, 600.0),
    (Group("weather", 300, 225.0, net="10.48.0", rtt_ms=48.0), SOUTH, 1800.0),
)
#: Devices that stay.
STAYERS = (
    (Group("press", 60, 60.0, 0.02, net="10.52.0", will=True), NORTH),
    (Group("kiosk", 30, 20.0, 0.02, net="10.56.0"), SOUTH),
    (Group("door", 60, 45.0, 0.03, version="5.0", net="10.60.0", rtt_ms=30.0), EAST),
)
#: How drops at random end, and how often each.
_RANDOM_ENDINGS = {"gone": 38, "gave_up": 22, "left": 14, "reset": 14, "hung": 8, "broker_closed": 4}
_DROPS_EVERY_S = 2 * DAY
_DENIED_EVERY, _PROBE_EVERY_S = 400, 600.0
_AGES = 160


def stayers(plan: Plan) -> None:
    """Always there; each drops at random, and the log is to say no more of them than their causes."""
    for group, site in STAYERS:
        decoy = plan.decoy(f"random-{group.name}", "poisson", "drops at random", f"{group.name}-#")
        for client in members(group, site, max(30, plan.lines // 180)):
            plan.keep_on(client, random_drops(plan.rng, group), decoy, pause=lambda: plan.rng.uniform(1, 30))


def random_drops(rng: Random, group: Group, every_s: float = _DROPS_EVERY_S) -> Any:
    """Ends at random, every_s apart in the mean, and no sooner than its window allows."""
    kinds, weights = list(_RANDOM_ENDINGS), list(_RANDOM_ENDINGS.values())

    def draw(at: float) -> tuple[float, str, dict[str, Any]]:
        lasted = 4.0 * group.keep_alive + rng.expovariate(1 / every_s)
        return lasted, rng.choices(kinds, weights)[0], {}

    return draw


def reporters(plan: Plan, lines: int) -> None:
    """So many lines of devices that come, report and go in order; a few are not let in, and checkers look by."""
    rng = plan.rng
    per_client = sum(SPAN / every for _, _, every in REPORTERS) / len(REPORTERS)
    count = max(1, round(lines / per_client / len(REPORTERS)))
    for group, site, every in REPORTERS:
        ages = [round(rng.uniform(1.2, 9.0), 3) for _ in range(_AGES)]
        for client in members(group, site, count):
            _report(plan, client, every, ages)
    for site in (NORTH, SOUTH):
        _checks(plan, site)


def _report(plan: Plan, client: Client, every: float, ages: list[float]) -> None:
    rng = plan.rng
    at = START + rng.uniform(0, every)
    while at < START + SPAN - HOUR:
        if plan.outage_in(client.site, at - 60.0, at + 10.0) is None:
            denied = rng.randrange(_DENIED_EVERY) == 0
            plan.live(client, at, ages[0] if denied else rng.choice(ages), "denied" if denied else "clean")
        at += every * rng.uniform(0.97, 1.03)


def _checks(plan: Plan, site: Site) -> None:
    """A load balancer's health checks."""
    checker = Client("", "10.0.0.9", Group("checker", 0, 0.0), site, site.workers[0])
    at = START + plan.rng.uniform(0, 60)
    while at < START + SPAN:
        if plan.outage_in(site, at - 60.0, at + 1.0) is None:
            plan.live(checker, at, 0.002, "probe")
        at += _PROBE_EVERY_S

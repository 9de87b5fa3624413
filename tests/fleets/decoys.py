"""What only looks as if something were wrong: batches of expiries, coincidences, processes started twice.

A finding about one of these is an invention. Read next: `scoring.py`.
"""

from __future__ import annotations

from tests.fleets.plan import Draw, Plan
from tests.fleets.plants import rival
from tests.fleets.truth import Plant
from tests.fleets.world import DAY, EAST, HOUR, NORTH, SOUTH, START, Client, Group, Site, members, moments


def batches(plan: Plan) -> None:
    """mosquitto 2.0 looks every 6 s and closes the expired in one batch: devices of one cell went at other times."""
    decoy = plan.decoy(
        "batches", "batch", "a cell's devices expire in one batch, the broker being well", NORTH.broker
    )
    group = Group("sensor", 60, 60.0, net="10.90.0", rtt_ms=120.0)
    clients = members(group, NORTH, 40)
    at = START + 2 * HOUR
    while at < START + 2.9 * DAY:
        for client in plan.rng.sample(clients, plan.rng.randint(4, 7)):
            opened = at - plan.rng.uniform(400, 5 * HOUR)
            silence = plan.rng.uniform(90.1, 96.5)
            plan.live(
                client, opened, at + plan.rng.uniform(0, 0.004) - opened, "gone", decoy, silence=silence
            )
        at += plan.rng.uniform(5, 9) * HOUR


def coincidences(plan: Plan) -> None:
    """Four drops in one second, of as many brokers and causes."""
    decoy = plan.decoy("coincidences", "coincidence", "unlike drops in the same second")
    for place, at in enumerate(moments(plan.rng, 8 * HOUR, START + 4 * HOUR)):
        kinds = ((NORTH, "left"), (SOUTH, "gave_up"), (EAST, "reset"), (NORTH, "hung"))
        for other, (site, ending) in enumerate(kinds):
            client = _one(f"odd-{place * 4 + other}", site, f"10.91.{place % 200}.{other + 2}")
            ends = at + plan.rng.uniform(0, 0.8)
            _until(plan, client, ends - plan.rng.uniform(0.6, 3) * HOUR, ends, ending, decoy)


def duplicates(plan: Plan) -> None:
    """A supervisor starts one process again before the old one has gone: one takeover, now and then."""
    decoy = plan.decoy("restarts", "restarted_process", "one host replaces its own process", "logger-1")
    client = _one("logger-1", NORTH, "10.92.0.7")
    at = START + 100.0
    for ends in moments(plan.rng, 5 * HOUR, START + HOUR, START + 2.9 * DAY):
        if ends - at < HOUR:
            continue
        life = plan.live(client, at, ends - at, "taken_over", decoy)
        at = ends - 0.004
        life.facts = {"taken_over_by": rival(plan.live(client, at, 1.0, "clean"), 0.004)}
        plan.lives.pop()
    plan.live(client, at, HOUR, "clean")


def two_brokers(plan: Plan) -> None:
    """Devices that go from one broker to another and back, and one identifier that lives at two brokers at once."""
    decoy = plan.decoy(
        "two-brokers", "two_brokers", "one identifier at two brokers takes nothing over", "relay-1"
    )
    sides = [_one("relay-1", site, "10.93.0.5") for site in (NORTH, SOUTH)]
    at, turn = START + HOUR, 0
    while at < START + 2.5 * DAY:
        lasted = plan.rng.uniform(2, 12) * HOUR
        _until(plan, sides[turn % 2], at, at + lasted, "left", decoy)
        at, turn = at + lasted - plan.rng.uniform(-0.2, 0.2), turn + 1
    for client in (_one("twin-1", NORTH, "10.93.0.6"), _one("twin-1", EAST, "10.93.0.6")):
        plan.keep_on(client, _now_and_then(plan), decoy, pause=lambda: plan.rng.uniform(0.5, 9))


def _until(plan: Plan, client: Client, opened: float, ends: float, ending: str, decoy: Plant) -> None:
    """One life that ends then; it begins after its broker's outage where it would have seen one."""
    outage = plan.outage_in(client.site, opened, ends)
    if outage is not None:
        opened = outage.at + outage.down_s + plan.rng.uniform(1, 20)
    if opened + 300 < ends:
        plan.live(client, opened, ends - opened, ending, decoy)


def _now_and_then(plan: Plan) -> Draw:
    return lambda at: (60.0 + plan.rng.expovariate(1 / (9 * HOUR)), "broker_closed", {})


def _one(name: str, site: Site, addr: str) -> Client:
    return Client(name, addr, Group(name.split("-")[0], 60, 45.0), site, site.workers[0])

"""What is wrong with single clients and kinds of devices: fights, lifetimes, leases, jobs, late pings, bad devices.

One function per thing; each says in the truth what it planted. Read next: `plants_shared.py` for what brokers, boxes
and the proxy do, `decoys.py` for what only looks so.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from kaproxy.connection.events import ClientIdContested, KeepAliveLate
from kaproxy.connection.evidence import Rival
from tests.fleets.lines import origin
from tests.fleets.plan import Plan
from tests.fleets.truth import Plant
from tests.fleets.world import DAY, EAST, HOUR, NORTH, SOUTH, START, Client, Group, Life, Site, members

_CONTESTED_EVERY_S = 60.0
#: Fights are so much shorter, and bad devices drop so much more rarely, where things are faint.
_FAINT = 12.0
_LATE_TOLD_EVERY_S = 3600.0


def fights(plan: Plan) -> None:
    """Two hosts with one identifier: other settings; told by the broker; and through two workers, unseen by both."""
    old = Group("gateway", 60, 45.0, net="10.64.4")
    _fight(plan, NORTH, ("gateway-3", old, Group("gateway", 15, 12.0, net="10.65.9")), 13.0, 1.2 * HOUR)
    told = Group("line", 60, 45.0, version="5.0", net="10.66.1")
    _fight(
        plan,
        EAST,
        ("line-controller", told, Group("line", 60, 45.0, version="5.0", net="10.66.2")),
        40.0,
        4 * HOUR,
    )
    apart = Group("plc", 120, 90.0, net="10.67.1")
    both = ("plc-a7", apart, Group("plc", 120, 90.0, net="10.67.8"))
    _fight(plan, NORTH, both, 31.0, 3 * HOUR, apart=True)


def _fight(
    plan: Plan, site: Site, who: tuple[str, Group, Group], every_s: float, last_s: float, apart: bool = False
) -> None:
    name, *groups = who
    at = START + plan.rng.uniform(0.3, 2.5) * DAY
    workers = (site.workers[0], site.workers[-1] if apart else site.workers[0])
    sides = [
        Client(name, f"{group.net}.{11 + place}", group, site, worker)
        for place, (group, worker) in enumerate(zip(groups, workers, strict=True))
    ]
    planted = plan.plant(
        f"fight-{name}",
        "takeover_fight",
        "two hosts connect with one client identifier" + (", through two workers" if apart else ""),
        name,
        addresses=[each.addr for each in sides],
        keep_alives=sorted({group.keep_alive for group in groups}),
        every_s=every_s / 2,
    )
    lives = _taking_turns(plan, sides, at, every_s, last_s, planted)
    if not apart:
        _contested(plan, lives)


def _taking_turns(
    plan: Plan, sides: list[Client], at: float, every_s: float, last_s: float, planted: Plant
) -> list[Life]:
    """Each side comes back some seconds after it lost, and so takes the identifier again."""
    lives: list[Life] = []
    until, turn = at + (last_s / _FAINT if plan.faint else last_s), 0
    while at < until:
        lasted = every_s / 2 * plan.rng.uniform(0.8, 1.2)
        gap = plan.rng.uniform(0.001, 0.012)
        ending = "taken_over" if sides[0].group.version != "5.0" else "taken_over_told"
        lives.append(plan.live(sides[turn % 2], at, lasted + gap, ending, planted))
        at, turn = at + lasted, turn + 1
    last = lives.pop()
    plan.lives.remove(last)
    planted.conn_ids.pop()
    clean = plan.live(last.client, last.opened, 600.0, "clean")
    for older, newer in pairwise([*lives, clean]):
        if newer.client.worker == older.client.worker:
            gap = older.ended - newer.opened
            older.facts = {**older.facts, "taken_over_by": rival(newer, gap)}
            newer.facts = {**newer.facts, "took_over": rival(older, gap)}
    return lives


def rival(other: Life, gap: float) -> Rival:
    """Another connection, as the line of the one beside it names it."""
    group = other.client.group
    return Rival(
        other.conn_id,
        other.client.addr,
        round(gap, 6),
        group.keep_alive,
        group.version,
        group.clean_start,
        group.will,
    )


def _contested(plan: Plan, lives: list[Life]) -> None:
    """The warning, at most once a minute."""
    told, untold = 0.0, 0
    for older, newer in pairwise(lives):
        if newer.opened - told < _CONTESTED_EVERY_S:
            untold += 1
            continue
        event = ClientIdContested(
            origin(newer),
            newer.client.id,
            newer.client.group.keep_alive,
            origin(older),
            newer.opened - older.opened,
            min(newer.opened - older.opened, 2.0),
            older.client.group.keep_alive,
            untold,
        )
        plan.tell(newer.opened, newer.client.worker, lambda event=event: event)  # type: ignore[misc]
        told, untold = newer.opened, 0


def lifetimes(plan: Plan) -> None:
    """Tokens that are good for some time: the broker closes at a fixed age, whatever the clock on the wall says."""
    group, age_s = Group("meter", 300, 225.0, net="10.70.0"), plan.rng.choice((0.5, 1.0, 2.0, 4.0)) * HOUR
    planted = plan.plant(
        "token-meter",
        "lifetime",
        f"the broker closes every connection at the age of {age_s:g} s",
        "meter-#",
        period_s=age_s,
        clock="connect",
    )

    def draw(at: float) -> tuple[float, str, dict[str, Any]]:
        return age_s + plan.rng.uniform(0.02, 0.6), "broker_closed", {}

    for client in plan.group(group, SOUTH, 8):
        plan.keep_on(client, draw, planted, pause=lambda: plan.rng.uniform(2, 240))


def leases(plan: Plan) -> None:
    """Each device loses its address again and again by its own clock, however long it took to come back."""
    group, period_s = Group("cam", 60, 50.0, net="10.71.0"), plan.rng.choice((1.0, 2.0, 3.0)) * HOUR
    planted = plan.plant(
        "lease-cam",
        "lease",
        f"every {period_s:g} s of each device's own clock its link goes down",
        "cam-#",
        period_s=period_s,
        clock="wall",
    )
    for client in plan.group(group, NORTH, 8):
        _in_step(plan, client, planted, period_s, plan.rng.uniform(0, period_s), 0.4)


def jobs(plan: Plan) -> None:
    """A job at one minute of every hour takes the link from all tills at about the same time."""
    group, minute = Group("till", 60, 50.0, net="10.72.0"), plan.rng.randrange(3, 57)
    planted = plan.plant(
        "job-till",
        "job",
        f"at minute {minute} of every hour the tills' network is set up anew",
        "till-#",
        period_s=HOUR,
        minute=minute,
        clock="wall",
    )
    for client in plan.group(group, NORTH, 8):
        _in_step(plan, client, planted, HOUR, minute * 60.0, 40.0, misses=0.3)


def _in_step(
    plan: Plan,
    client: Client,
    planted: Plant,
    period_s: float,
    phase_s: float,
    spread_s: float,
    misses: float = 0.0,
) -> None:
    def draw(at: float) -> tuple[float, str, dict[str, Any]]:
        turn = int((at - START - phase_s) // period_s) + 1
        while True:
            ends = START + phase_s + turn * period_s + plan.rng.uniform(0, spread_s)
            if ends > at + 30.0 and plan.rng.random() >= misses:
                return ends - at, "reset", {}
            turn += 1

    plan.keep_on(client, draw, planted, pause=lambda: plan.rng.uniform(20, 200))


def late_pingers(plan: Plan) -> None:
    """A library that looks at its ping timer every half Keep Alive: pings at 1.5 x, where patience ends."""
    keep_alive = plan.rng.choice((10, 20, 30))
    group = Group("chiller", keep_alive, 1.5 * keep_alive, 0.002, net="10.73.0")
    planted = plan.plant(
        "late-chiller",
        "late_pingers",
        f"Keep Alive {keep_alive} and a ping every {1.5 * keep_alive:.2f} s: 1.5 x to the hundredth",
        "chiller-#",
        keep_alive=keep_alive,
        cadence_s=1.5 * keep_alive,
    )

    def draw(at: float) -> tuple[float, str, dict[str, Any]]:
        return 60.0 + plan.rng.expovariate(1 / (3 * HOUR)), "late", {}

    for client in plan.group(group, SOUTH, 8):
        plan.keep_on(client, draw, planted, pause=lambda: plan.rng.uniform(1, 5))
    for life in [each for each in plan.lives if each.plant == planted.name]:
        _late_told(plan, life)


def _late_told(plan: Plan, life: Life) -> None:
    """keep_alive.late as it is written with `warnings.interval` an hour."""
    group = life.client.group
    pace = group.pings_s
    at, untold = life.opened + pace, 0
    while at < life.ended - pace:
        gap = pace + abs(plan.rng.gauss(0, 0.002))
        late = max(1, int((at - life.opened) // pace))
        event = KeepAliveLate(origin(life), life.client.id, gap, group.keep_alive, pace - gap, late, untold)
        plan.tell(at, life.client.worker, lambda event=event: event)  # type: ignore[misc]
        at += _LATE_TOLD_EVERY_S
        untold = int(_LATE_TOLD_EVERY_S / pace) - 1


def worst_clients(plan: Plan) -> None:
    """Three pumps with bad radio have most of the drops of forty."""
    group = Group("pump", 60, 45.0, net="10.74.0", rtt_ms=85.0)
    bad = ("pump-4", "pump-9", "pump-17")
    planted = plan.plant("bad-pumps", "worst_clients", "three pumps with bad radio", *bad)
    decoy = plan.decoy("random-pump", "poisson", "drops at random", "pump-#")
    for client in members(group, NORTH, 40):
        worse = client.id in bad

        def draw(at: float, worse: bool = worse) -> tuple[float, str, dict[str, Any]]:
            bad_every = 40 * 60.0 * (_FAINT / 2 if plan.faint else 1.0)
            every = bad_every if worse else 3 * DAY
            return 240.0 + plan.rng.expovariate(1 / every), plan.rng.choice(("gone", "gave_up")), {}

        plan.keep_on(client, draw, planted if worse else decoy, pause=lambda: plan.rng.uniform(5, 60))

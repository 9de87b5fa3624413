"""What many clients suffer together: outages, stalls, boxes with an idle limit, an impatient broker, a late proxy.

Read next: `decoys.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kaproxy.connection.events import PingSlow, PingUnanswered, ProxyLagging
from kaproxy.connection.facts import RelayFacts
from tests.fleets.lines import origin
from tests.fleets.plan import Draw, Outage, Plan, at_once
from tests.fleets.truth import Plant
from tests.fleets.world import DAY, EAST, HOUR, NORTH, SOUTH, START, Group, Life, members

STALL_AT, STALL_S = START + DAY + 14.1 * HOUR, 71.0
#: How likely a device leaves in order after any packet.
_LEAVES = 0.004
LAG_AT, LAG_S = START + 16.4 * HOUR, 30.0


def outages(plan: Plan) -> None:
    """One broker crashes and is back after a while, another is stopped in order and is back after 2 s."""
    at, down_s = START + plan.rng.uniform(1.3, 1.5) * DAY, plan.rng.choice((20.0, 45.0, 90.0))
    crash = plan.plant(
        "crash-south",
        "incident",
        f"the south broker crashes; dials are refused for {down_s:g} s",
        SOUTH.broker,
        at_us=int(at * 1e6),
        recovery_s=down_s,
        storm="jitter and backoff for most, every second without for valves",
    )
    plan.outages.append(Outage(SOUTH, at, down_s, "broker_closed", crash))
    at = START + plan.rng.uniform(2.1, 2.4) * DAY
    stopped = plan.plant(
        "restart-east",
        "incident",
        "the east broker is restarted in order (0x8B)",
        EAST.broker,
        at_us=int(at * 1e6),
        recovery_s=2.0,
    )
    plan.outages.append(Outage(EAST, at, 2.0, "shut_down", stopped))


def valves(plan: Plan) -> None:
    """Devices that dial every second while the broker is down: a storm without backoff or jitter."""
    group = Group("valve", 60, 50.0, net="10.80.0")
    before = len(plan.lives)
    for client in plan.group(group, SOUTH, 10):
        plan.keep_on(
            client,
            lambda at: (plan.rng.uniform(1.5, 3.5) * DAY, "clean", {}),
            pause=lambda: plan.rng.uniform(1, 3),
            retry=at_once(1.0),
        )
    refused = [life for life in plan.lives[before:] if life.ending == "refused"]
    if refused:
        storm = plan.plant(
            "storm-valves",
            "storm",
            "the valves dial every second while their broker is down",
            "valve-#",
            at_us=int(refused[0].opened * 1e6),
        )
        for life in refused:
            storm.add(life.conn_id, life.ended)


def idle_limits(plan: Plan) -> None:
    """A NAT that cuts idle connections of one network and none of another; a balancer that forgets them, untold."""
    limit_s = float(plan.rng.choice((120, 180, 300, 600)))
    cut = plan.plant(
        "nat",
        "idle_limit",
        f"a NAT before network 10.81.5 cuts what was idle for {limit_s:g} s",
        "10.81.5.0/24",
        limit_s=limit_s,
    )
    free = plan.decoy("no-nat", "no_idle_limit", "the same devices, nothing between", "10.82.5.0/24")
    for first, times in ((1, 2), (101, 3)):
        for net, planted in (("10.81.5", cut), ("10.82.5", free)):
            group = Group("tracker", int(times * limit_s), 0.0, net=net)
            limit = limit_s if planted is cut else None
            for client in plan.group(group, NORTH, 5, first=first):
                plan.keep_on(
                    client, _until_idle(plan, limit_s, limit), planted, pause=lambda: plan.rng.uniform(1, 90)
                )
    _forgetting(plan)


def _until_idle(plan: Plan, usual_s: float, limit_s: float | None) -> Draw:
    """Packets at random until nothing passes for the limit; without one the device leaves in order, in its time."""

    def draw(at: float) -> tuple[float, str, dict[str, Any]]:
        gaps: list[float] = []
        for _ in range(300):
            gap = plan.rng.expovariate(4.3 / usual_s)
            if limit_s is not None and gap >= limit_s:
                idle = limit_s + plan.rng.uniform(0.02, 0.4)
                return sum(gaps) + idle, "cut", {"silence": idle, **_survived(gaps, limit_s)}
            gaps.append(min(gap, usual_s * 1.9))
            if plan.rng.random() < _LEAVES:
                break
        return sum(gaps) + 5.0, "clean", {"silence": 1.0, **_survived(gaps, limit_s)}

    return draw


def _survived(gaps: Sequence[float], limit_s: float | None) -> dict[str, Any]:
    return {"gap_max_s": max(gaps, default=0.0), "late_gaps": 0, "gaps": gaps, "limit_s": limit_s}


def _forgetting(plan: Plan) -> None:
    limit_s = float(plan.rng.choice((240, 350, 900)))
    group = Group("vault", int(limit_s * 4), 0.0, net="10.83.7")
    planted = plan.plant(
        "balancer",
        "idle_limit",
        f"a balancer before the east broker forgets connections that were idle for {limit_s:g} s, untold",
        EAST.broker,
        "10.83.7.0/24",
        limit_s=limit_s,
    )

    def draw(at: float) -> tuple[float, str, dict[str, Any]]:
        gaps: list[float] = []
        gap = 0.0
        while gap <= limit_s:
            if gap:
                gaps.append(gap)
                if plan.rng.random() < _LEAVES:
                    return sum(gaps) + 5.0, "clean", {"silence": 1.0, **_survived(gaps, limit_s)}
            gap = plan.rng.expovariate(4.3 / limit_s)
        return sum(gaps) + gap, "forgotten", {**_survived(gaps, limit_s), "gap_max_s": gap}

    for client in plan.group(group, EAST, 4):
        plan.keep_on(client, draw, planted, pause=lambda: plan.rng.uniform(1, 9))


def premature(plan: Plan) -> None:
    """A broker that ends sessions with 0x8D within a Keep Alive, to devices that ping in time."""
    group = Group("gate", 120, 90.0, version="5.0", net="10.84.0")
    early_s = plan.rng.uniform(40, 80)
    planted = plan.plant(
        "impatient-east",
        "broker_premature",
        f"the east broker says 0x8D after {early_s:.0f} s of silence and a few more at Keep Alive 120",
        EAST.broker,
        keep_alive=120,
    )

    def draw(at: float) -> tuple[float, str, dict[str, Any]]:
        return (
            300 + plan.rng.expovariate(1 / DAY),
            "premature",
            {"silence": (silence := plan.rng.uniform(early_s, early_s + 8)), "limit_s": silence},
        )

    for client in plan.group(group, EAST, 16):
        plan.keep_on(client, draw, planted, pause=lambda: plan.rng.uniform(1, 9))


def stall(plan: Plan) -> None:
    """The north broker answers nobody for 71 s: every PINGRESP is late at once, and some devices give up."""
    planted = plan.plant(
        "stall-north",
        "broker_stall",
        "the north broker stood still for 71 s",
        NORTH.broker,
        at_us=int(STALL_AT * 1e6),
        lasted_s=STALL_S,
    )
    for life in [each for each in plan.lives if _waits(each)]:
        _stalled(plan, life, planted)


def _waits(life: Life) -> bool:
    stood = life.opened < STALL_AT - 60 and life.ended > STALL_AT + STALL_S + 200
    return life.client.site is NORTH and stood and life.client.group.name in ("press", "pump")


def _stalled(plan: Plan, life: Life, planted: Plant) -> None:
    group = life.client.group
    pinged = STALL_AT + plan.rng.uniform(0, group.pings_s)
    waited = STALL_AT + STALL_S - pinged + plan.rng.uniform(0.001, 0.2)
    asked = PingUnanswered(origin(life), life.client.id, 5.0, 1, group.keep_alive, 30.0)
    plan.tell(pinged + 5.0, life.client.worker, lambda: asked)
    if waited > group.keep_alive:
        _give_up(plan, life, planted, pinged + group.keep_alive + 0.2)
        return
    slow = PingSlow(origin(life), life.client.id, waited * 1000, waited * 1000, group.keep_alive)
    plan.tell(pinged + waited, life.client.worker, lambda: slow)
    life.facts = {**life.facts, "ping_rtt_max_ms": round(waited * 1000, 3)}


def _give_up(plan: Plan, life: Life, planted: Plant, ends: float) -> None:
    """It closes, comes back, and its rest of life ends as it would have."""
    rest = life.ended - STALL_AT - STALL_S - 62.0
    again = plan.live(life.client, ends + plan.rng.uniform(3, 20), rest, life.ending, **life.facts)
    again.plant = life.plant
    for each in (*plan.truth.plants, *plan.truth.decoys):
        if each.name == life.plant:
            each.conn_ids[each.conn_ids.index(life.conn_id)] = again.conn_id
    life.lasted, life.ending, life.facts, life.plant = ends - life.opened, "ping_timeout", {}, planted.name
    planted.add(life.conn_id, life.ended)


def lag(plan: Plan) -> None:
    """One worker stands still for 30 s: devices whose time was nearly over are expired, and it is kaproxy's fault."""
    worker = SOUTH.workers[1]
    planted = plan.plant(
        "lag-south-2",
        "proxy_lag",
        "the process south-2 got no CPU for seconds at a time",
        worker,
        at_us=int(LAG_AT * 1e6),
        lag_max_ms=16500.0,
    )
    for place, lag_ms in enumerate((4200.0, 16500.0, 2600.0)):
        event = ProxyLagging(lag_ms, 60, place)
        plan.tell(LAG_AT + 10.0 * place, worker, lambda event=event: event)  # type: ignore[misc]
    group = Group("fan", 30, 29.0, net="10.85.0")
    facts = {"relay": RelayFacts(16.4, 16.5, 16.5), "gap_max_s": 29.1, "late_gaps": 0}
    for client in members(group, SOUTH, 6, worker=worker):
        opened = LAG_AT - plan.rng.uniform(2, 12) * HOUR
        lasted = LAG_AT + plan.rng.uniform(17, 24) - opened
        plan.live(client, opened, lasted, "late", planted, **facts)
        back = LAG_AT + LAG_S + plan.rng.uniform(2, 30)
        plan.live(client, back, plan.rng.uniform(1, 12) * HOUR, "clean")

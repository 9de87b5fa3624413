"""Devices whose Keep Alive is wrong for their path, their broker or their library, and those that none would help.

What is planted is what each group has to bear: `limit_s` of its path (or none), and `floor_s`, the longest that its
answers take or twice its lateness, below which a Keep Alive drops it. It has dice of its own, so that the rest of a
fleet is what it would be without. Read next: `keeping.py`, which holds the advice against it.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tests.fleets.plan import Plan
from tests.fleets.truth import Plant
from tests.fleets.world import HOUR, NORTH, SOUTH, Group

#: A device behind a box is cut about so often, and one whose pings or answers are late dropped, seconds.
_CUT_EVERY_S = 4 * HOUR
_DROPPED_EVERY_S = 3 * HOUR


def plants(plan: Plan) -> None:
    """All of them, and what is planted elsewhere as far as Keep Alive goes."""
    dice = Random(f"keeping {plan.truth.seed}")
    _trams(plan, dice)
    _buoys(plan, dice)
    _boilers(plan, dice)
    for name, kind, subject in (
        ("nat", "keep_alive", "tracker-#"),
        ("balancer", "keep_alive", "vault-#"),
        ("late-chiller", "no_keep_alive", "chiller-#"),
    ):
        _of_another(plan, name, kind, subject)


def _of_another(plan: Plan, name: str, kind: str, subject: str) -> None:
    """The same devices once more, as what their Keep Alive has to bear."""
    other = next((each for each in plan.truth.plants if each.name == name), None)
    if other is None:
        return
    numbers: dict[str, Any] = {}
    if "limit_s" in other.numbers:
        numbers = {"limit_s": other.numbers["limit_s"], "floor_s": 0.0}
    elif "keep_alive" in other.numbers:  # one cadence at one Keep Alive may be any of several formulas
        numbers = {"sure": other.numbers["keep_alive"] == _UNLIKE_ANY_OTHER}
    made = plan.plant(f"{name}-keep-alive", kind, other.why, subject, **numbers)
    made.conn_ids = list(other.conn_ids)


#: 45 s at Keep Alive 30 is 1.5 x it; 15 s at 10 and 30 s at 20 are also Keep Alive and a tick of 5 or 10 s.
_UNLIKE_ANY_OTHER = 30


def _box(plan: Plan, net: str, limit_s: float) -> Plant:
    return plan.plant(
        f"box-{net}",
        "idle_limit",
        f"a box before network {net} cuts what was idle for {limit_s:g} s",
        f"{net}.0/24",
        limit_s=limit_s,
    )


def _cut(plan: Plan, dice: Random, group: Group, planted: Plant, limit_s: float, first: int) -> None:
    """Devices that send when they have something to tell, and are cut when they have not for that long."""

    def draw(at: float) -> tuple[float, str, dict[str, Any]]:
        idle = limit_s + dice.uniform(0.02, 0.4)
        gaps = [limit_s * dice.uniform(0.3, 0.99) for _ in range(12)]
        facts = {"gap_max_s": max(gaps), "late_gaps": 0, "gaps": gaps, "limit_s": limit_s, "silence": idle}
        return 12 * limit_s + idle + dice.expovariate(1 / _CUT_EVERY_S), "cut", facts

    for client in plan.group(group, NORTH, 4, first=first):
        plan.keep_on(client, draw, planted, pause=lambda: dice.uniform(1, 60))


def _trams(plan: Plan, dice: Random) -> None:
    """A box at 90 or 150 s, answers of up to 4 s, pings up to 5 s late: a range with two ends."""
    limit_s = float(dice.choice((90, 150)))
    box = _box(plan, "10.86.1", limit_s)
    _cut(plan, dice, Group("tram", int(2.4 * limit_s), 0.0, net="10.86.1"), box, limit_s, 1)
    _cut(plan, dice, Group("tram", int(3.6 * limit_s), 0.0, net="10.86.1"), box, limit_s, 51)
    small = Group("tram", 20, 24.5, 0.1, net="10.86.1", rtt_ms=900.0, habit="plus")

    def stays(at: float) -> tuple[float, str, dict[str, Any]]:
        return (
            600.0 + dice.expovariate(1 / (8 * HOUR)),
            "clean",
            {"ping_rtt_max_ms": dice.uniform(1500, 4000)},
        )

    for client in plan.group(small, NORTH, 3, first=101):
        plan.keep_on(client, stays, pause=lambda: dice.uniform(60, 900))
    planted = plan.plant(
        "trams-keep-alive",
        "keep_alive",
        f"a box at {limit_s:g} s from above, answers of up to 4 s and pings 4.5 s late from below",
        "tram-#",
        limit_s=limit_s,
        floor_s=9.0,
    )
    planted.conn_ids = list(box.conn_ids)


def _buoys(plan: Plan, dice: Random) -> None:
    """Answers of up to 45 s over a satellite, and a box that cuts after 40 s: whatever pings, one of them strikes."""
    limit_s = 40.0
    box = _box(plan, "10.87.1", limit_s)
    _cut(plan, dice, Group("buoy", 90, 0.0, net="10.87.1", rtt_ms=700.0), box, limit_s, 1)
    _cut(plan, dice, Group("buoy", 150, 0.0, net="10.87.1", rtt_ms=700.0), box, limit_s, 51)
    waiting = Group("buoy", 30, 30.0, net="10.87.1", rtt_ms=700.0)
    planted = plan.plant(
        "buoys-keep-alive",
        "no_keep_alive",
        "answers take up to 45 s, and the path cuts after 40 s without a byte",
        "buoy-#",
        sure=True,
    )
    planted.conn_ids = list(box.conn_ids)

    def waits(at: float) -> tuple[float, str, dict[str, Any]]:
        last, longest = 1000 + dice.expovariate(1 / 5000), dice.uniform(18_000, 29_900)
        slow = {"ping_rtt_last_ms": min(last, longest), "ping_rtt_max_ms": longest}
        return 240.0 + dice.expovariate(1 / _DROPPED_EVERY_S), "ping_timeout", slow

    for client in plan.group(waiting, NORTH, 3, first=101):
        plan.keep_on(client, waits, planted, pause=lambda: dice.uniform(1, 30))


def _boilers(plan: Plan, dice: Random) -> None:
    """A library that ticks every 5 s pings 5 s after the Keep Alive: at 10 s too late, at 20 s in good time."""
    short = Group("boiler", 10, 15.0, 0.002, net="10.88.1", habit="plus")
    late = plan.plant(
        "late-boiler",
        "late_pingers",
        "Keep Alive 10 and a ping every 15 s, Keep Alive 20 and a ping every 25 s: a tick of 5 s",
        "boiler-#",
        keep_alive=10,
        cadence_s=15.0,
    )

    def draw(at: float) -> tuple[float, str, dict[str, Any]]:
        return 60.0 + dice.expovariate(1 / _DROPPED_EVERY_S), "late", {}

    for client in plan.group(short, SOUTH, 4):
        plan.keep_on(client, draw, late, pause=lambda: dice.uniform(1, 5))

    def stays(at: float) -> tuple[float, str, dict[str, Any]]:
        return 600.0 + dice.expovariate(1 / (8 * HOUR)), "clean", {}

    long = Group("boiler", 20, 25.0, 0.002, net="10.88.1", habit="plus")
    for client in plan.group(long, SOUTH, 4, first=51):
        plan.keep_on(client, stays, pause=lambda: dice.uniform(60, 900))
    planted = plan.plant(
        "boilers-keep-alive",
        "keep_alive",
        "pings 5 s after the Keep Alive",
        "boiler-#",
        limit_s=None,
        floor_s=10.0,
    )
    planted.conn_ids = list(late.conn_ids)

"""The warnings of a silence that ends in an expiry: that the Keep Alive has passed, and that the limit has.

Every life that goes silent for good is warned of, as the proxy does. Read next: `kaproxy/connection/watch.py`.
"""

from __future__ import annotations

from kaproxy.connection.events import KeepAliveMissed, KeepAliveOverdue
from kaproxy.connection.policy import Policy
from tests.diagnosis.build import DEAD, HEALTHY, KERNEL_ONLY
from tests.fleets.lines import origin
from tests.fleets.living import limits_of
from tests.fleets.plan import Plan
from tests.fleets.world import Life

_POLICY = Policy()
_LEGS = {"gone": DEAD, "hung": KERNEL_ONLY}


def warned(plan: Plan) -> None:
    """Both warnings for all lives that end so, and how long each was silent."""
    for life in plan.lives:
        if life.ending in _LEGS:
            _warn(plan, life)


def _warn(plan: Plan, life: Life) -> None:
    keep_alive = life.client.group.keep_alive
    low, high = limits_of(life)
    drawn = plan.rng.uniform(low + 0.002, max(low + 0.003, high - 0.05))
    silence = min(life.facts.get("silence", drawn), life.lasted - 0.02)
    life.facts = {**life.facts, "silence": silence}
    spoke, after = life.ended - silence, _POLICY.late_after(keep_alive)
    who, name, worker = origin(life), life.client.id, life.client.worker
    if silence > after:
        missed = KeepAliveMissed(who, name, after, keep_alive, low - after, "PINGREQ")
        plan.tell(spoke + after, worker, lambda: missed)
    if silence > low:
        legs = (_LEGS[life.ending], HEALTHY)
        overdue = KeepAliveOverdue(who, name, low + 0.0004, keep_alive, low, high, "PINGREQ", *legs)
        plan.tell(spoke + low, worker, lambda: overdue)

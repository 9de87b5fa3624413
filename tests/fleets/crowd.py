"""What the endings of others tell of one, as the proxy's own directory would have known it, worker by worker.

All lives are known beforehand, so that "within a second" can look ahead without waiting. It may not know why a life
ended. Read next: `kaproxy/connection/neighbourhood.py`, whose numbers these are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from kaproxy.connection.directory import (
    ALIKE_FACTOR,
    ALIKE_S,
    DEATHS_KEPT,
    NEAR_FACTOR,
    SHORTEST_AGE_S,
    SHORTEST_IDLE_S,
    Death,
)
from kaproxy.connection.evidence import Evidence, Neighbours
from kaproxy.connection.neighbourhood import unexplained_idle
from tests.fleets.world import Life

#: Endings without a word, of established connections.
BY_BROKER = frozenset({"gone", "hung", "late", "broker_closed", "broker_reset", "forgotten", "taken_over"})
BY_CLIENT = frozenset({"left", "reset", "cut", "ping_timeout"})
_HALF_S, _SECOND, _MINUTE = 0.5, 1.0, 60.0


class Crowd:
    """All the lives of a log, to be asked who else there was."""

    def __init__(self, lives: Sequence[Life]) -> None:
        self._opened: dict[str, list[float]] = defaultdict(list)
        self._ended: dict[str, list[float]] = defaultdict(list)
        self._by_broker: dict[str, list[float]] = defaultdict(list)
        self._refused: dict[str, list[float]] = defaultdict(list)
        self._deaths: dict[str, deque[Death]] = defaultdict(lambda: deque(maxlen=DEATHS_KEPT))
        for life in lives:
            worker = life.client.worker
            self._opened[worker].append(life.opened)
            self._ended[worker].append(life.ended)
            if life.ending in BY_BROKER:
                self._by_broker[worker].append(life.ended)
            elif life.ending == "refused":
                self._refused[worker].append(life.ended)
        for times in (self._opened, self._ended, self._by_broker, self._refused):
            for each in times.values():
                each.sort()
        _count_connects(lives)

    def together(self, life: Life) -> int:
        """Connections of its worker that first ended in the second around its end."""
        ended = self._ended[life.client.worker]
        return max(1, _between(ended, life.ended - _HALF_S, life.ended + _HALF_S))

    def live(self, worker: str, at: float) -> int:
        """Connections open just before."""
        return bisect_left(self._opened[worker], at) - bisect_left(self._ended[worker], at)

    def known(self, life: Life, evidence: Evidence) -> Evidence:
        """The evidence with what the others tell, where they are asked; in the order of the lines."""
        if life.ending not in BY_BROKER and life.ending not in BY_CLIENT:
            return evidence
        worker, at = life.client.worker, life.ended
        deaths = self._deaths[worker]
        death = Death(at, life.lasted, unexplained_idle(evidence), evidence.keep_alive or 0)
        idle = _alike(deaths, 2, death) if death.idle_s >= SHORTEST_IDLE_S else []
        near_idle = _near(deaths, 2, death) if death.idle_s >= SHORTEST_IDLE_S else 0
        near_age = _near(deaths, 1, death) if death.age_s >= SHORTEST_AGE_S else 0
        same_age = len(_alike(deaths, 1, death)) if death.age_s >= SHORTEST_AGE_S else 0
        keep_alives = len({death.keep_alive, *(each.keep_alive for each in idle)}) if idle else 0
        deaths.append(death)
        previous = life.previous_ended
        found = Neighbours(
            live=max(1, self.live(worker, at)),
            ended_by_broker=_between(self._by_broker[worker], at - _HALF_S, at + _HALF_S),
            dials_refused=_between(self._refused[worker], at - _SECOND, at + _SECOND),
            same_age=same_age,
            same_idle=len(idle),
            same_idle_keep_alives=keep_alives,
            near_age=near_age,
            near_idle=near_idle,
            connects_1m=life.connects,
            previous_ended_s=None if previous is None else life.opened - previous,
        )
        return replace(evidence, neighbours=found)


def _alike(deaths: Iterable[Death], what: int, death: Death) -> list[Death]:
    """Those alike in their age (1) or idle time (2), and not in the same second."""
    near = max(ALIKE_S, ALIKE_FACTOR * death[what])
    low, high = death[what] - near, death[what] + near
    return [each for each in deaths if low <= each[what] <= high and abs(each.at - death.at) > _SECOND]


def _near(deaths: Iterable[Death], what: int, death: Death) -> int:
    """Those of about its age (1) or idle time (2), and not in the same second."""
    low, high = death[what] / NEAR_FACTOR, death[what] * NEAR_FACTOR
    return sum(low <= each[what] <= high and abs(each.at - death.at) > _SECOND for each in deaths)


def _between(times: list[float], start: float, end: float) -> int:
    return bisect_right(times, end) - bisect_left(times, start)


def _count_connects(lives: Sequence[Life]) -> None:
    """CONNECTs of an identifier within a minute, and when its last connection ended, at the same worker."""
    past: dict[tuple[str, str], tuple[float, int, float]] = {}
    for life in sorted((each for each in lives if each.ending != "refused"), key=lambda each: each.opened):
        key = (life.client.worker, life.client.id)
        since, connects, ended = past.get(key, (life.opened, 0, 0.0))
        if life.opened - since > _MINUTE:
            since, connects = life.opened, 0
        life.connects = connects + 1
        life.previous_ended = ended if 0.0 < ended < life.opened else None
        past[key] = (since, life.connects, life.ended)

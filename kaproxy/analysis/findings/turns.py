"""Connections of one client identifier in their order: who takes it from whom, again and again, or once.

Plain sequences, no engine and no sentence. A takeover is seen where the broker ended a connection just when another of
the same identifier came, through whichever proxy; so those are joined that no proxy saw alone. A fight is told from
a client that came back by the loser's coming back too, and by its having been alive when it lost.
Read next: `fights.py`, which asks and tells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from kaproxy.analysis.findings.asking import SECOND_US

#: The newer one was accepted at most so long (microseconds) before the older one's end.
WITHIN_US = 2 * SECOND_US
#: Clocks of two hosts may differ by so much (microseconds); within one process there is one clock.
SKEW_US = SECOND_US // 2
#: So many takeovers, and so many there and back, make a fight.
FEWEST_TAKEOVERS, FEWEST_RETURNS = 3, 2
#: Where both sides look alike, they take turns at least this often (seconds).
SAME_SIDE_EVERY_S = 600.0
_MOSTLY = 0.5
_ALIVE_ROOTS = ("two_clients", "same_host_duplicate")
_HALF_OPEN = "reconnect_after_half_open"


class Side(NamedTuple):
    """What can be seen of a client beside its identifier."""

    client_addr: str
    keep_alive: int | None
    protocol_version: str | None
    clean_start: int | None
    will_present: int | None


class Turn(NamedTuple):
    """One connection of the identifier. `process`: which proxy's worker wrote its line."""

    conn_id: str
    process: str
    broker: str
    opened_us: int
    ended_us: int
    side: Side
    broker_ended: bool
    takeover: bool  # its verdict says so
    root: str | None
    silence_s: float | None
    taker_addr: str | None


@dataclass(frozen=True, slots=True)
class Takeover:
    """One connection lost to the next; `newer` is None where that one is not in the log."""

    older: Turn
    newer: Turn | None

    @property
    def sides(self) -> tuple[Side, Side | None]:
        """Who lost it, to whom."""
        return self.older.side, self.newer.side if self.newer else None

    @property
    def alive(self) -> bool:
        """Was the loser still there, as far as is seen?"""
        if self.older.root in _ALIVE_ROOTS:
            return True
        silent_s, keep_alive = self.older.silence_s, self.older.side.keep_alive
        return self.older.root != _HALF_OPEN and silent_s is not None and silent_s <= (keep_alive or silent_s)

    @property
    def unseen(self) -> bool:
        """Did no proxy see both, so that only the logs together tell?"""
        return self.newer is not None and self.newer.process != self.older.process


def takeovers(turns: Sequence[Turn]) -> list[Takeover]:
    """Every time the identifier was taken, from all of its connections by the time they were opened."""
    found = []
    for place, older in enumerate(turns):
        newer = _taker(older, turns[place + 1 :])
        if newer is not None or older.takeover:
            found.append(Takeover(older, newer))
    return sorted(found, key=lambda each: each.older.ended_us)


def _taker(older: Turn, later: Sequence[Turn]) -> Turn | None:
    """The first that came within the last moments of a connection that the broker ended."""
    if not (older.broker_ended or older.takeover):
        return None
    for turn in later[:_LOOKED_AT]:
        if turn.broker != older.broker:  # one identifier may live at each broker
            continue
        skew = 0 if turn.process == older.process else SKEW_US
        if turn.opened_us > older.ended_us + skew:
            return None
        if turn.opened_us >= older.ended_us - WITHIN_US:
            return turn
    return None


_LOOKED_AT = 8


@dataclass(frozen=True, slots=True)
class Fight:
    """An identifier that is taken again and again. `sides`: the two (or one, for a duplicate) seen most."""

    takeovers: tuple[Takeover, ...]
    returns: int
    sides: tuple[Side, ...]
    every_s: float

    @property
    def duplicate(self) -> bool:
        """Do both look alike, so that one host runs the client twice, or two hosts share an address?"""
        return len(self.sides) == 1

    @property
    def differs(self) -> tuple[str, ...]:
        """In what the two sides differ: names of the log's fields."""
        if self.duplicate:
            return ()
        one, other = self.sides[:2]
        return tuple(name for name in Side._fields if getattr(one, name) != getattr(other, name))


def fight(turns: Sequence[Turn]) -> Fight | None:
    """The fight over an identifier, None where its connections tell of none."""
    taken = takeovers(turns)
    alive = [each for each in taken if each.alive]
    if len(alive) < FEWEST_TAKEOVERS or len(alive) < _MOSTLY * len(taken):
        return None
    every_s = median(
        (after.older.ended_us - before.older.ended_us) / SECOND_US for before, after in pairwise(alive)
    )
    returns = _returns(alive)
    sides = Counter(side for each in alive for side in each.sides if side is not None)
    two = tuple(side for side, _ in sides.most_common(2))
    if returns >= FEWEST_RETURNS and returns >= _MOSTLY * (len(alive) - 1) / 2:
        return Fight(tuple(alive), returns, two, every_s)
    alike = [each for each in alive if each.newer is None or each.older.side == each.newer.side]
    if len(alike) >= _MOSTLY * len(alive) and every_s <= SAME_SIDE_EVERY_S:
        return Fight(tuple(alive), 0, two[:1], every_s)
    return None


def _returns(taken: Sequence[Takeover]) -> int:
    """How often the loser was the next one to take it: A lost to B, then B lost to A."""
    count = 0
    for before, after in pairwise(taken):
        loser, winner = before.sides
        if winner is None:
            addr = before.older.taker_addr
            count += addr is not None and addr == after.older.side.client_addr != loser.client_addr
        elif winner != loser and after.older.side == winner:
            count += after.sides[1] == loser or after.older.taker_addr == loser.client_addr
    return count

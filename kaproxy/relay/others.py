"""When the tasks beside the poller have their turn: the admin side, other workers' news, signals, timers.

A turn of trio costs as much as serving ten chunks and leaves cold caches behind, which the next client waits for. So
while sockets are busy it is not taken as often as somebody might want it, but looked for, which costs a fortieth:
whoever waits for a socket says so (`heed`), the rest is what trio tells of itself. In doubt they want their turn.
It may not know what anybody does with it. Read next: `poller.py`, which asks.
"""

from __future__ import annotations

import select
from typing import Final

import trio

SLICE_S: Final = 0.03
"""How often it is seen to whether somebody wants a turn; timers get theirs when they are due."""
EASE_S: Final = 0.02
"""From when on the first pause between busy sockets' batches is used for that: it then delays nobody."""
LONGEST_S: Final = 0.25
"""A turn comes at the latest after this, should what trio tells of itself not be all."""
_TRIOS_OWN: Final = 1  # it waits for a socket of its own, to be woken from other threads


class Others:
    """Every other task of the process, seen from the poller. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.stop = 0.0  # when to ask `due` even where sockets do not pause
        self.ease = 0.0  # from when on to ask in a pause
        self._latest = 0.0
        self._heeded = select.poll()
        self._known = _TRIOS_OWN

    def heed(self, fd: int) -> None:
        """Another task waits for something to read from that descriptor."""
        self._heeded.register(fd, select.POLLIN)
        self._known += 1

    def had_turn(self, now: float) -> None:
        """They had their turn just now; who is still to run gets another after one batch."""
        told = trio.lowlevel.current_statistics()
        wait_s = 0.0 if told.tasks_runnable else min(LONGEST_S, told.seconds_to_next_deadline)
        self._latest = now + wait_s
        self._go_on(now)

    def due(self, now: float) -> bool:
        """Whether it is their turn; if not, they are asked for again later."""
        if now >= self._latest or self._wanted():
            return True
        self._go_on(now)
        return False

    def by(self, when: float) -> None:
        """Their turn comes then, if not earlier."""
        self._latest = min(self._latest, when)
        self.stop = min(self.stop, when)
        self.ease = min(self.ease, when)

    def _go_on(self, now: float) -> None:
        self.stop = min(now + SLICE_S, self._latest)
        self.ease = min(now + EASE_S, self._latest)

    def _wanted(self) -> bool:
        """Has anybody something to do? Whoever waits for a socket that is not known here is taken to have."""
        told = trio.lowlevel.current_statistics()
        if told.tasks_runnable or told.run_sync_soon_queue_size:
            return True
        waiting = told.io_statistics
        if waiting.tasks_waiting_write or waiting.tasks_waiting_read > self._known:
            return True
        return bool(self._heeded.poll(0))

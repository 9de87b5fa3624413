"""The worker's loop: one epoll for all sockets under one trio task, one heap for all deadlines.

No connection has a task. Connections are told the time of their batch, deadlines are set lazily: a pair that
needs to be woken later than it is set to be is woken at the old time, looks, and is set again, so that nothing
is done about time per packet. It measures itself: how late the loop was, how long batches took.
It may not know what a pair does with what it is handed. Read next: `pair.py`.
"""

from __future__ import annotations

import math
import os
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol, cast

import trio

from kaproxy.relay.leg import FLOWS, IN, UNREGISTERED
from kaproxy.relay.peaks import RESOLUTION_S, Peaks

if TYPE_CHECKING:
    from kaproxy.relay.leg import Leg
    from kaproxy.relay.pair import Pair

BATCH: Final = 256
"""Most sockets served between two looks at the rest of the process."""
SLICE_S: Final = 0.02
"""How long sockets are served before the rest of the process gets its turn; a deadline is kept sooner, see GRACE_S."""
EASE_S: Final = 0.015
"""From when on the first pause between batches is used for that turn: it then delays nobody. Until then sockets that
are silent are waited for, or every chunk that comes alone would cost such a turn."""
GRACE_S: Final = 0.002
"""How long a task whose deadline has come waits for such a pause: the kernel sleeps up to a millisecond too long, so
what wakes us then is the first half of a round trip, and the answer is to be sent on before that turn."""
BUSY_S: Final = 0.001
"""Sockets are busy while batches come at least this often, on the whole: then the next one is about to come."""
SPIN_S: Final = 0.00006
"""How long busy sockets are asked before the kernel is told to wake us: being woken would take a client as long. Not
where that keeps those from running who are to answer, or other workers."""
_GAP_MOST_S: Final = 0.01
_GAPS: Final = 8  # over how many batches their distance is smoothed
HEARTBEAT_S: Final = 0.2
"""How often the loop checks how late it is."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds a connection is given; the meaning of each is in `RelayConfig`."""

    dial_timeout_s: float
    linger_s: float
    post_mortem_s: float


class Sleeper(Protocol):
    """What has a deadline: a pair."""

    alarm: float  # when it is set to be woken; infinity: not at all
    released: bool

    def wake(self, now: float) -> None: ...
    def judge(self, now: float) -> None: ...
    def fault(self, fault: Exception, now: float) -> None: ...


class Poller:
    """All legs and deadlines of one worker."""

    def __init__(
        self, timing: Timing, on_late: Callable[[float, float], None] | None = None, workers: int = 1
    ) -> None:
        """`on_late` is told how late the loop was (s), and when; `workers` share the cores this process may use."""
        self.timing = timing
        self._asks = (os.cpu_count() or 1) > 1 and workers <= len(os.sched_getaffinity(0))
        self._on_late = on_late
        self.batches = Peaks()
        self.turns = 0  # batches served
        self.live = 0  # pairs with a socket
        self.unjudged = 0  # pairs without one, whose closing line waits for their neighbours
        self.quiet = trio.Event()  # set whenever the last pair is released
        self._over: list[Sleeper] = []  # pairs whose line is to be written at the end of the batch
        self._serving = False
        self._stop = 0.0  # when others are to have their turn
        self._ease = 0.0  # from when on they may have it in a pause
        self._gap = _GAP_MOST_S  # between batches, smoothed (s)
        self._served_at = 0.0
        self._lags = Peaks()
        self._beat_due = math.inf
        self._epoll = select.epoll()
        self._legs: list[Leg | None] = []  # by descriptor, which the kernel keeps small and dense
        self._calls: dict[int, Callable[[], None]] = {}  # by a listener's descriptor
        self._heap: list[tuple[float, int, Sleeper]] = []
        self._order = count()
        self._dead = 0  # heap entries that mean nothing any more
        self._nap = trio.CancelScope()

    # -- sockets -------------------------------------------------------------------------------------

    def add(self, leg: Leg) -> None:
        """Know a leg by its socket's descriptor; it is not watched yet."""
        self._make_room(leg.fd)
        self._legs[leg.fd] = leg
        leg.mask = UNREGISTERED

    def answer(self, listener: socket.socket, on_call: Callable[[], None]) -> None:
        """Call `on_call` while clients wait in that listener's queue."""
        self._make_room(listener.fileno())
        self._calls[listener.fileno()] = on_call
        self._epoll.register(listener, IN)

    def ignore(self, listener: socket.socket) -> None:
        """Clients who call there are somebody else's, or have to wait. To be said before it is closed."""
        if self._calls.pop(listener.fileno(), None) is not None:
            self._epoll.unregister(listener)

    def watch(self, leg: Leg, mask: int) -> None:
        """Be woken for a leg by `mask` from now on, or by nothing at all (UNREGISTERED)."""
        if mask == leg.mask or (mask == 0 and leg.mask == FLOWS):
            return  # what it may still be told is told once, which is less than a call to have it not told
        if mask == UNREGISTERED:
            self._epoll.unregister(leg.fd)
        elif leg.mask == UNREGISTERED:
            self._epoll.register(leg.fd, mask)
        else:
            self._epoll.modify(leg.fd, mask)
        leg.mask = mask

    def watch_again(self, leg: Leg) -> None:
        """Be woken for what is left of what the kernel has told of already."""
        self._epoll.modify(leg.fd, leg.mask)

    def drop(self, leg: Leg) -> None:
        """Forget a leg whose socket is about to be closed, which takes it out of the kernel's set."""
        self._legs[leg.fd] = None
        leg.mask = UNREGISTERED

    def pairs(self) -> set[Pair]:
        """Every pair that still has a socket, or its closing line to come."""
        waiting = {cast("Pair", pair) for when, _, pair in self._heap if pair.alarm == when}
        waiting |= {cast("Pair", pair) for pair in self._over}
        return waiting | {leg.pair for leg in self._legs if leg is not None}

    def leave(self) -> None:
        """A pair's sockets are closed."""
        self.live -= 1
        self.unjudged += 1

    def release(self, pair: Sleeper) -> None:
        """A pair is gone."""
        if pair.alarm != math.inf:
            pair.alarm = math.inf
            self._dead += 1
            self._compact()
        self.unjudged -= 1
        if self.live == self.unjudged == 0:
            self.quiet.set()
            self.quiet = trio.Event()

    async def pump(self) -> None:
        """Serve sockets for ever."""
        fd = self._epoll.fileno()
        while True:
            await trio.lowlevel.wait_readable(fd)
            while self._serve():  # something may still come at once: trio's turn, but no waiting there
                await trio.lowlevel.checkpoint()

    def _serve(self) -> bool:
        """Serve batches until the sockets pause (False) or others are due (True).

        Going back to trio costs as much as serving ten chunks, and the answer to what was just sent on is
        often near, as is the next connection's chunk among many: so they are waited for here. Other tasks'
        deadlines are kept.
        """
        others = trio.lowlevel.current_statistics()
        now = monotonic()
        self._stop, self._ease = now if others.tasks_runnable else now + SLICE_S, now + EASE_S
        self._make_way(now + others.seconds_to_next_deadline)
        while ready := self._next():
            if self._turn(ready) >= self._stop:
                return True
        return self._gap <= BUSY_S and monotonic() < self._served_at + _GAP_MOST_S

    def _make_way(self, when: float) -> None:
        """Another task's deadline is then: it gets its turn in the first pause from there on, or soon after."""
        self._ease = min(self._ease, when)
        self._stop = min(self._stop, when + GRACE_S)

    def give_way(self) -> None:
        """Another task has something to do: it gets its turn once the batch is served."""
        self._stop = 0.0

    def _next(self) -> list[tuple[int, int]]:
        """The next batch; none until others are due. Busy sockets are asked first, then waited for."""
        now = monotonic()
        if self._gap <= BUSY_S and self._asks:
            until = now + SPIN_S
            while now <= until:
                if ready := self._epoll.poll(0, BATCH):
                    return ready
                now = monotonic()
        return self._epoll.poll(max(0.0, min(self._ease, self._stop) - now), BATCH)

    def _turn(self, ready: list[tuple[int, int]]) -> float:
        """Serve one batch of sockets that have something; returns when it was done.

        Alike after alike, as the code that is run stays in the processor's caches: first what simply flows.
        """
        now = monotonic()
        self.turns += 1
        self._gap += (min(now - self._served_at, _GAP_MOST_S) - self._gap) / _GAPS
        self._served_at = now
        self._serving = True
        legs = self._legs
        stirring: list[tuple[Leg, int]] = []
        calling: list[int] = []
        for fd, mask in ready:
            leg = legs[fd]
            if leg is None:  # closed by what was served before it in this batch, or a listener
                if fd in self._calls:
                    calling.append(fd)
            elif mask == IN and leg.through:
                try:
                    leg.relay(now)
                except Exception as fault:
                    self._end_faulty(leg, fault, now)
            else:
                stirring.append((leg, mask))
        if stirring:
            self._stir(stirring, now)
        # last, or a newcomer's socket would be told what was meant for one that this batch has closed
        for fd in calling:
            if (on_call := self._calls.get(fd)) is not None:
                on_call()
        self._serving = False
        if self._over:
            self._judge(now)
        done = monotonic()
        if done - now > RESOLUTION_S:
            self.batches.add(done - now, done)
        return done

    def _stir(self, stirring: list[tuple[Leg, int]], now: float) -> None:
        """What does not simply flow: first everything is read, then each pair does what follows, both legs known.

        A peer that was sent the last bytes has often ended its side by then, and need not be told of the end at all.
        """
        unsettled: list[Pair] = []
        for leg, mask in stirring:
            if not leg.open:  # closed by what was served before it in this batch
                continue
            pair = leg.pair
            try:
                pair.stir(leg, mask, now)
            except Exception as fault:
                pair.fault(fault, now)
            if not pair.unsettled:
                pair.unsettled = True
                unsettled.append(pair)
        for pair in unsettled:
            try:
                pair.settle(now)
            except Exception as fault:
                pair.fault(fault, now)

    def judge_soon(self, pair: Sleeper, now: float) -> None:
        """Have a pair without sockets judged: at the end of the batch, where one is being served.

        In between it would push what serves sockets out of the processor's caches, and have peers that were just
        sent something fall asleep and be woken for the next bytes: an eighth of what a short connection costs.
        """
        self._over.append(pair)
        if not self._serving:
            self._judge(now)

    def _judge(self, now: float) -> None:
        over, self._over = self._over, []
        for pair in over:
            try:
                pair.judge(now)
            except Exception as fault:
                pair.fault(fault, now)

    def _end_faulty(self, leg: Leg, fault: Exception, now: float) -> None:
        if (pair := getattr(leg, "pair", None)) is not None:  # a released leg has none
            pair.fault(fault, now)

    def close(self) -> None:
        """Give the epoll descriptor back."""
        self._epoll.close()

    # -- time ----------------------------------------------------------------------------------------

    def schedule(self, pair: Sleeper, when: float) -> None:
        """Wake `pair` at `when` at the latest; nothing to do where it is woken earlier anyway."""
        if when >= pair.alarm or pair.released:
            return
        if pair.alarm != math.inf:
            self._dead += 1
            self._compact()
        pair.alarm = when
        heappush(self._heap, (when, next(self._order), pair))
        if self._heap[0][2] is pair:
            self._make_way(when)
            self._nap.cancel()

    def wake_due(self, now: float) -> float:
        """Wake pairs whose time has come, a batch at most; returns when the next one's does."""
        heap = self._heap
        for _ in range(BATCH):
            if not heap or heap[0][0] > now:
                break
            when, _, pair = heappop(heap)
            if pair.alarm != when:
                self._dead = max(0, self._dead - 1)
                continue
            pair.alarm = math.inf
            try:
                pair.wake(now)
            except Exception as fault:
                pair.fault(fault, now)
        return heap[0][0] if heap else math.inf

    async def keep_time(self) -> None:
        """Wake pairs when their time comes, for ever."""
        while True:
            with trio.CancelScope() as self._nap:
                wait = self.wake_due(monotonic()) - monotonic()
                await trio.sleep(max(0.0, min(wait, 3600.0)))

    async def heartbeat(self) -> None:
        """Measure how late this loop is, for ever."""
        while True:
            self._beat_due = monotonic() + HEARTBEAT_S
            await trio.sleep(HEARTBEAT_S)
            now = monotonic()
            late = now - self._beat_due
            if late > RESOLUTION_S:
                self._lags.add(late, now)
                if self._on_late is not None:
                    self._on_late(late, now)

    def lag_since(self, opened: float, now: float) -> float:
        """How late the loop was at most since `opened`, a heartbeat overdue at this moment included."""
        overdue = min(now - self._beat_due, now - opened)
        return max(
            max(self._lags.since(opened), overdue), 0.0
        )  # two at a time, or the compiled build asks Python's own

    def _make_room(self, fd: int) -> None:
        if fd >= len(self._legs):
            self._legs.extend([None] * (fd + 64 - len(self._legs)))

    def _compact(self) -> None:
        """Most entries of short connections are dead long before their time: do not let them pile up."""
        if self._dead > 512 and self._dead * 2 > len(self._heap):
            self._heap[:] = [entry for entry in self._heap if entry[2].alarm == entry[0]]
            heapify(self._heap)
            self._dead = 0

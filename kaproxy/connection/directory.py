"""The connections that have to know of each other: those of this worker, and through `elsewhere.py` of others.

Which live connection holds a client identifier (a second CONNECT with it takes the Session over,
MQTT 5.0 3.1.4-3), and what can be learned from the endings of others: how many in the same second, at the
same age, after the same idle time. Everything is bounded, in number or in time.
Read next: `tracker.py`, which claims and releases; `neighbourhood.py`, which asks.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from kaproxy.connection.records import record
from kaproxy.connection.spread import PAUSE_BOUNDS, RTT_BOUNDS, Spread

if TYPE_CHECKING:
    from kaproxy.connection.elsewhere import Ended, Exchange, Mark
    from kaproxy.connection.facts import Origin
    from kaproxy.connection.tracker import ConnectionTracker

#: Times of endings are remembered this long (s): longer than the wait before a closing line.
ENDINGS_KEPT_S: Final = 10.0
#: Wordless endings remembered with age and idle time, and client identifiers remembered with their past.
DEATHS_KEPT: Final = 256
PASTS_KEPT: Final = 16384
#: So many of the latter are forgotten at once: a dictionary passes over all it has lost to find its first.
_PASTS_AT_ONCE: Final = 64
#: Ages and idle times this close are the same: a hundredth, and at least this many seconds.
ALIKE_FACTOR: Final = 0.01
ALIKE_S: Final = 0.5
#: Ages and idle times within this factor of one tell how many are alike by chance.
NEAR_FACTOR: Final = 1.25
#: Shorter ages and idle times (s) are too common to mean anything.
SHORTEST_AGE_S: Final = 30.0
SHORTEST_IDLE_S: Final = 10.0
_PRUNE_EVERY: Final = 1024
_MINUTE: Final = 60.0


@record(unsafe_hash=True, slots=True, init=False)
class Past:
    """CONNECTs of a client identifier since `since` (monotonic s, at most a minute), and its last ending."""

    since: float
    connects: int
    ended_at: float | None

    def __init__(self, since: float, connects: int, ended_at: float | None) -> None:
        self.since = since
        self.connects = connects
        self.ended_at = ended_at


#: Of no identifier, or before there is one.
NEW: Final = Past(0.0, 1, None)


class Death(NamedTuple):
    """A wordless ending of an established connection."""

    at: float
    age_s: float
    idle_s: float
    keep_alive: int


#: Where a death has its age and its idle time.
_AGE: Final = 1
_IDLE: Final = 2


class Settings(NamedTuple):
    """What a CONNECT asked for, to be held against another one's with the same client identifier."""

    keep_alive: int | None
    protocol_version: str | None
    clean_start: bool | None
    will_present: bool | None


class Remote:
    """A connection of another worker that shares a client identifier with one here. Times are monotonic seconds."""

    __slots__ = ("first_ending_at", "origin", "settings")

    def __init__(self, origin: Origin, settings: Settings, first_ending_at: float | None = None) -> None:
        self.origin = origin
        self.settings = settings
        self.first_ending_at = first_ending_at


class Times:
    """Moments, nearly in order as they come; those older than `ENDINGS_KEPT_S` are forgotten."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at: list[float] = []

    def add(self, now: float) -> None:
        """One more; of another worker it may be heard of a little late."""
        if not self._at or now >= self._at[-1]:
            self._at.append(now)
        else:
            insort(self._at, now)
        if len(self._at) % _PRUNE_EVERY == 0 and self._at[0] < now - ENDINGS_KEPT_S:
            del self._at[: bisect_left(self._at, now - ENDINGS_KEPT_S)]

    def between(self, start: float, end: float) -> int:
        """How many in [start, end]."""
        return bisect_right(self._at, end) - bisect_left(self._at, start)

    def __len__(self) -> int:
        return len(self._at)


class Directory:
    """Client identifier to live connection, and what endings have in common."""

    __slots__ = (
        "_deaths", "_former", "_holders", "_pasts", "broker_endings", "endings", "exchange", "live", "pauses",
        "ping_rtts", "refusals",
    )  # fmt: skip

    def __init__(self) -> None:
        self.live = 0  # connections between accept and their first ending
        self.endings = Times()  # first endings
        self.broker_endings = Times()  # those of established connections by the broker, without DISCONNECT
        self.refusals = Times()  # dials the broker's host refused
        self.ping_rtts = Spread(RTT_BOUNDS)  # PINGREQ to PINGRESP, s
        self.pauses = Spread(PAUSE_BOUNDS)  # pauses of clients, as parts of the broker's shortest patience
        self._holders: dict[str, ConnectionTracker] = {}
        self._pasts: dict[str, Past] = {}
        self._deaths: deque[Death] = deque(maxlen=DEATHS_KEPT)
        self.exchange: Exchange | None = None  # with other workers, where there are any
        # with an exchange: who had an identifier, and is not yet told of; by the identifier
        self._former: dict[str, list[ConnectionTracker]] = {}

    @property
    def live_everywhere(self) -> int:
        """`live`, with that of other workers."""
        return self.live + (self.exchange.live_there() if self.exchange is not None else 0)

    def count(self, by: int) -> None:
        """So many connections more are live, or fewer."""
        self.live += by
        if self.exchange is not None:
            self.exchange.counted(self.live)

    def claim(self, client_id: str, newcomer: ConnectionTracker, now: float) -> ConnectionTracker | None:
        """`newcomer` sent CONNECT with this identifier; returns the live connection here that held it, if any."""
        holder = self._holders.get(client_id)
        self._holders[client_id] = newcomer
        if holder is newcomer:
            holder = None
        if self.exchange is not None:
            if holder is not None:
                self._note_former(client_id, holder)
            self.exchange.claimed(client_id, newcomer, now)
        return holder

    def past_of(self, client_id: str, now: float, mark: Mark | None = None) -> Past:
        """The past of an identifier that connects now, this CONNECT counted; `mark`: what it is to other workers."""
        past = self._pasts.get(client_id)
        if mark is not None and self.exchange is not None:
            past = self.exchange.latest(mark, past)
        if past is None:
            return Past(now, 1, None)
        if now - past.since > _MINUTE:
            return Past(now, 1, past.ended_at)
        return Past(past.since, past.connects + 1, past.ended_at)

    def give_back(
        self, client_id: str, newcomer: ConnectionTracker, holder: ConnectionTracker | Remote | None
    ) -> None:
        """The broker refused `newcomer`: the identifier stays with whom it was."""
        if self.exchange is not None:
            self.exchange.turned_away(client_id, newcomer)
        if self._holders.get(client_id) is not newcomer:
            return
        if holder is None or isinstance(holder, Remote) or holder.first_ending_at is not None:
            del self._holders[client_id]
        else:
            self._holders[client_id] = holder

    def holders_of(self, client_id: str) -> list[ConnectionTracker]:
        """The connection here that holds the identifier, and those that had it and are not yet told of."""
        holder, former = self._holders.get(client_id), self._former.get(client_id, [])
        return [holder, *former] if holder is not None else former

    def lose(self, client_id: str, holder: ConnectionTracker) -> None:
        """The identifier went to a connection of another worker."""
        if self._holders.get(client_id) is holder:
            del self._holders[client_id]
        self._note_former(client_id, holder)

    def keep(self, client_id: str, holder: ConnectionTracker) -> None:
        """It stays with `holder` after all, unless somebody here has taken it meanwhile."""
        self._holders.setdefault(client_id, holder)

    def release(self, client_id: str, holder: ConnectionTracker, past: Past, now: float) -> None:
        """`holder` is ending; a later CONNECT with its identifier takes nothing over."""
        if self._holders.get(client_id) is holder:
            del self._holders[client_id]
        self.remember(client_id, past.since, past.connects, now)
        if self.exchange is not None:
            self._note_former(client_id, holder)
            self.exchange.left(holder, past, now)

    def forget(self, client_id: str, holder: ConnectionTracker) -> None:
        """The closing line of `holder` is out."""
        if self.exchange is None:
            return
        self.exchange.over(holder)
        former = self._former.get(client_id, [])
        if holder in former:
            former.remove(holder)
            if not former:
                del self._former[client_id]

    def _note_former(self, client_id: str, holder: ConnectionTracker) -> None:
        former = self._former.setdefault(client_id, [])
        if holder not in former:
            former.append(holder)

    def remember(self, client_id: str, since: float, connects: int, ended_at: float) -> None:
        """The past of an identifier whose connection has ended."""
        self._pasts.pop(client_id, None)  # so that the newest stands last
        self._pasts[client_id] = Past(since, connects, ended_at)
        if len(self._pasts) > PASTS_KEPT:
            for oldest in list(islice(self._pasts, _PASTS_AT_ONCE)):
                del self._pasts[oldest]

    def note_elsewhere(self, ended: Ended) -> None:
        """A connection of another worker has ended."""
        if ended.refused:
            self.refusals.add(ended.at)
        if ended.by_broker:
            self.broker_endings.add(ended.at)
        if ended.death is not None:
            self._deaths.append(Death(ended.at, *ended.death))

    def note_death(self, death: Death) -> None:
        """An established connection ended wordlessly."""
        self._deaths.append(death)

    def same_age(self, death: Death) -> tuple[int, int]:
        """Earlier deaths at this one's age, of the same or other identifiers, and those at about that age."""
        if death.age_s < SHORTEST_AGE_S:
            return 0, 0
        near = self._about(death, _AGE)
        return sum(_alike(each.age_s, death.age_s) for each in near), len(near)

    def same_idle(self, death: Death) -> tuple[int, int, int]:
        """Earlier deaths after this one's idle time, how many Keep Alives with its own, and deaths after about that.

        The last number tells how spread idle times are here: without it, how many are alike by chance is not known.
        """
        if death.idle_s < SHORTEST_IDLE_S:
            return 0, 0, 0
        near = self._about(death, _IDLE)
        found = [each.keep_alive for each in near if _alike(each.idle_s, death.idle_s)]
        return len(found), len({death.keep_alive, *found}) if found else 0, len(near)

    def _about(self, death: Death, what: int) -> list[Death]:
        """Deaths about as long, none of them of the same second: what dies together is alike, and says nothing."""
        low, high, at = death[what] / NEAR_FACTOR, death[what] * NEAR_FACTOR, death.at
        return [each for each in self._deaths if low <= each[what] <= high and abs(each.at - at) > 1.0]

    def __len__(self) -> int:
        return len(self._holders)


def _alike(one: float, other: float) -> bool:
    return abs(one - other) <= max(ALIKE_S, ALIKE_FACTOR * other)

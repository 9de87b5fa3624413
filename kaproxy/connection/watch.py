"""The watch: what is told before a drop, and when to look for it.

Each warning has a threshold in the policy and a limit on how often it is repeated. Nothing here is done
per control packet: the relay looks when `next_look` said so, and a late gap is noticed where it ends.
It may not know what becomes of a warning. Read next: `events.py` for what each one carries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from kaproxy.connection.events import (
    LOOK_SOONER,
    ClientIdContested,
    Event,
    KeepAliveLate,
    KeepAliveMissed,
    KeepAliveOverdue,
    KeepAliveRisky,
    LookSooner,
    NotReading,
    PingSlow,
    PingUnanswered,
)
from kaproxy.connection.facts import Side
from kaproxy.mqtt.codes import packet_name

if TYPE_CHECKING:
    from kaproxy.connection.tracker import ConnectionTracker


class Told(NamedTuple):
    """When a warning was last told, and how often it was not since."""

    at: float
    untold: int

    def next(self, now: float, interval_s: float) -> tuple[Told, int | None]:
        """Another reason to tell it: what to remember, and how many were kept back before; None: keep back."""
        if now - self.at < interval_s:
            return Told(self.at, self.untold + 1), None
        return Told(now, 0), self.untold


NEVER: Final = Told(-math.inf, 0)

#: Until CONNECT and CONNACK have passed there is nothing to watch; look again this often (s).
EARLY_LOOK_S: Final = 1.0
#: An idle connection is looked at once in this part of its Keep Alive, and at least this often (s): a peer
#: that does not read shows in its kernel's queue only to those who look.
IDLE_LOOK_FACTOR: Final = 0.5
IDLE_LOOK_S: Final = 30.0

#: A client that was told late within so many intervals will be again: telling it as missed too adds nothing.
_HABIT_INTERVALS: Final = 2

#: Why a Keep Alive is risky (`KeepAliveRisky.reason`), as told in the log.
RISKS: Final = {
    "zero": "Keep Alive 0: neither side ever notices that the other is gone (3.1.2.10)",
    "above_maximum": "above the service's maximum, which lowers it without a word to clients before 5.0",
    "path_limit": "the path cuts idle connections before this Keep Alive would have sent a packet",
}


class Watch:
    """What one connection was warned of already. Times are monotonic seconds."""

    __slots__ = (
        "contested", "due", "late_told", "missed", "missed_told", "overdue_told", "ping_told", "slow_told",
        "stalls_told",
    )  # fmt: skip

    def __init__(self) -> None:
        self.due = math.inf  # when the next look was said to be
        self.late_told = self.missed_told = self.slow_told = self.contested = NEVER
        self.missed: float | None = None  # the control packet after which the Keep Alive was seen to pass
        self.overdue_told: float | None = None  # the sign of life whose silence was told
        self.ping_told: float | None = None  # the PINGREQ whose wait was told
        self.stalls_told: dict[Side, float] | None = None  # when each side was last said not to read

    def late(self, tracker: ConnectionTracker, gap: float, now: float) -> KeepAliveLate | None:
        """A survived gap over the Keep Alive; None where one was told within the interval."""
        self.late_told, untold = self.late_told.next(now, tracker.policy.warning_interval_s)
        if untold is None:
            return None
        return KeepAliveLate(
            origin=tracker.origin,
            client_id=tracker.client_id,
            gap_s=gap,
            keep_alive=tracker.effective_keep_alive,
            margin_s=tracker.limits[0] - tracker.counted_gap if tracker.limits else None,
            late_gaps=tracker.late_gaps,
            suppressed=untold,
        )

    def next_look(self, tracker: ConnectionTracker, now: float) -> float:
        """The next moment anything could have to be told; `sooner` says when a PINGREQ has brought it nearer."""
        keep_alive = tracker.effective_keep_alive
        if tracker.established_at is None:
            return now + EARLY_LOOK_S
        wait = keep_alive * IDLE_LOOK_FACTOR
        if wait == 0.0 or wait > IDLE_LOOK_S:
            wait = IDLE_LOOK_S
        due = now + (wait if wait > EARLY_LOOK_S else EARLY_LOOK_S)
        oldest = None if tracker.pings is None else tracker.pings.oldest
        if oldest is not None and oldest != self.ping_told:
            due = min(due, oldest + tracker.policy.unanswered_after(keep_alive))
        counted, spoke_at = tracker.counted_at(), tracker.up.packet_at
        if tracker.limits is not None and counted != self.overdue_told:
            due = min(due, counted + tracker.limits[0])
        if keep_alive and spoke_at != self.missed:
            due = min(due, spoke_at + tracker.policy.late_after(keep_alive))
        self.due = due
        return due

    def sooner(self, tracker: ConnectionTracker, now: float) -> LookSooner | None:
        """A PINGREQ has come: is the next look too late to see it wait?"""
        if now + tracker.policy.unanswered_after(tracker.effective_keep_alive) < self.due:
            return LOOK_SOONER
        return None

    def look(self, tracker: ConnectionTracker, now: float) -> Sequence[Event]:
        """What has become suspicious by `now`."""
        if tracker.established_at is None or tracker.scene is not None:
            return ()
        found = (self._overdue(tracker, now) or self._missed(tracker, now), self._unanswered(tracker, now))
        return [event for event in found if event is not None]

    def _missed(self, tracker: ConnectionTracker, now: float) -> KeepAliveMissed | None:
        """The Keep Alive passes while the client is silent; None where its habit was told lately."""
        keep_alive, spoke_at = tracker.effective_keep_alive, tracker.up.packet_at
        if not keep_alive or spoke_at == self.missed:
            return None
        if now < spoke_at + tracker.policy.late_after(keep_alive):
            return None
        self.missed = spoke_at
        if now - self.late_told.at < _HABIT_INTERVALS * tracker.policy.warning_interval_s:
            return None
        self.missed_told, untold = self.missed_told.next(now, tracker.policy.warning_interval_s)
        if untold is None:
            return None
        return KeepAliveMissed(
            origin=tracker.origin,
            client_id=tracker.client_id,
            silence_s=now - spoke_at,
            keep_alive=keep_alive,
            left_s=tracker.limits[0] - (now - tracker.counted_at()) if tracker.limits else None,
            last_packet=packet_name(tracker.up.last) if tracker.up.last else None,
            suppressed=untold,
        )

    def _overdue(self, tracker: ConnectionTracker, now: float) -> KeepAliveOverdue | None:
        counted, limits = tracker.counted_at(), tracker.limits
        if limits is None or counted == self.overdue_told or now < counted + limits[0]:
            return None
        self.overdue_told = counted
        self.missed = tracker.up.packet_at  # that the Keep Alive has passed goes without saying now
        return KeepAliveOverdue(
            origin=tracker.origin,
            client_id=tracker.client_id,
            silence_s=now - counted,
            keep_alive=tracker.effective_keep_alive,
            limit_low_s=limits[0],
            limit_high_s=limits[1],
            last_packet=packet_name(tracker.up.last) if tracker.up.last else None,
        )

    def _unanswered(self, tracker: ConnectionTracker, now: float) -> PingUnanswered | None:
        pings, keep_alive = tracker.pings, tracker.effective_keep_alive
        oldest = None if pings is None else pings.oldest
        if pings is None or oldest is None or oldest == self.ping_told:
            return None
        if now < oldest + tracker.policy.unanswered_after(keep_alive):
            return None
        self.ping_told = oldest
        rtt = pings.rtt_max
        return PingUnanswered(
            origin=tracker.origin,
            client_id=tracker.client_id,
            ping_wait_s=now - oldest,
            pings_open=len(pings.open_at),
            keep_alive=keep_alive,
            ping_rtt_max_ms=None if rtt is None else rtt * 1000,
        )

    def slow(self, tracker: ConnectionTracker, now: float) -> PingSlow | None:
        """The PINGRESP that just came took long; None where one was told within the interval."""
        pings = tracker.pings
        if pings is None:
            return None
        rtt, slowest = pings.rtt_last, pings.rtt_max
        if rtt is None or slowest is None or rtt < tracker.policy.slow_after(tracker.effective_keep_alive):
            return None
        self.slow_told, untold = self.slow_told.next(now, tracker.policy.warning_interval_s)
        if untold is None:
            return None
        return PingSlow(
            origin=tracker.origin,
            client_id=tracker.client_id,
            ping_rtt_ms=rtt * 1000,
            ping_rtt_max_ms=slowest * 1000,
            keep_alive=tracker.effective_keep_alive,
            suppressed=untold,
        )

    def not_reading(
        self, tracker: ConnectionTracker, side: Side, stalled_s: float, now: float
    ) -> NotReading | None:
        """A peer has taken nothing for `stalled_s`; told once the threshold is passed, then at the interval."""
        if stalled_s < tracker.policy.not_reading_s or tracker.scene is not None:
            return None
        if self.stalls_told is None:
            self.stalls_told = {}
        if now - self.stalls_told.get(side, -math.inf) < tracker.policy.warning_interval_s:
            return None
        self.stalls_told[side] = now
        known = tracker.connect is not None
        return NotReading(
            origin=tracker.origin,
            client_id=tracker.client_id if known else None,
            side=side,
            stalled_s=stalled_s,
            keep_alive=tracker.effective_keep_alive if known else None,
        )

    def contested_by(
        self, holder: ConnectionTracker, newcomer: ConnectionTracker, now: float
    ) -> ClientIdContested | None:
        """`newcomer` came with the client identifier of the living `holder`, whose watch this is.

        The newcomer inherits what was told, so that a fight of many connections is told at the interval.
        """
        told, untold = self.contested.next(now, newcomer.policy.warning_interval_s)
        newcomer.watch.contested = told
        if untold is None:
            return None
        return ClientIdContested(
            origin=newcomer.origin,
            client_id=newcomer.client_id,
            keep_alive=newcomer.effective_keep_alive,
            holder=holder.origin,
            holder_age_s=now - holder.opened_at,
            holder_silence_s=now - holder.up.packet_at,
            holder_keep_alive=holder.effective_keep_alive,
            suppressed=untold,
        )

    def risky(self, tracker: ConnectionTracker) -> KeepAliveRisky | None:
        """What is wrong with the Keep Alive just agreed on, if anything; the worst first."""
        keep_alive, policy = tracker.effective_keep_alive, tracker.policy
        reason, limit = None, None
        if not keep_alive:
            reason = "zero"
        elif policy.path_idle_limit_s is not None and keep_alive >= policy.path_idle_limit_s:
            reason, limit = "path_limit", policy.path_idle_limit_s
        elif policy.keep_alive_max is not None and keep_alive > policy.keep_alive_max:
            reason, limit = "above_maximum", float(policy.keep_alive_max)
        if reason is None:
            return None
        return KeepAliveRisky(tracker.origin, tracker.client_id, keep_alive, reason, limit)

"""The watch: what is told before a drop, and when to look for it.

Each warning has a threshold in the policy and a limit on how often it is repeated. Nothing here is done
per control packet: the relay looks when `next_look` said so, and a late gap is noticed where it ends.
It may not know what becomes of a warning. Read next: `events.py` for what each one carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kaproxy.connection.events import Event, KeepAliveLate, KeepAliveOverdue, PingUnanswered
from kaproxy.mqtt.codes import packet_name

if TYPE_CHECKING:
    from kaproxy.connection.tracker import ConnectionTracker

#: Until CONNECT and CONNACK have passed there is nothing to watch; look again this often (s).
EARLY_LOOK_S = 1.0


class Watch:
    """What one connection was warned of already. Times are monotonic seconds."""

    __slots__ = ("late_told_at", "late_untold", "overdue_told", "ping_told")

    def __init__(self) -> None:
        self.late_told_at: float | None = None
        self.late_untold = 0
        self.overdue_told: float | None = None  # the sign of life whose silence was told
        self.ping_told: float | None = None  # the PINGREQ whose wait was told

    def late(self, tracker: ConnectionTracker, gap: float, now: float) -> KeepAliveLate | None:
        """A survived gap over the Keep Alive; None where one was told within the interval."""
        if self.late_told_at is not None and now - self.late_told_at < tracker.policy.warning_interval_s:
            self.late_untold += 1
            return None
        untold, self.late_untold = self.late_untold, 0
        self.late_told_at = now
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
        """The next moment anything could have to be told.

        A PINGREQ that comes after `now` cannot have waited too long before `now + patience`, so looking
        then is never late, and nothing has to be re-armed when a packet passes.
        """
        if tracker.established_at is None:
            return now + EARLY_LOOK_S
        patience = tracker.policy.unanswered_after(tracker.effective_keep_alive)
        due = now + patience
        oldest = tracker.pings.oldest
        if oldest is not None and oldest != self.ping_told:
            due = min(due, oldest + patience)
        counted = tracker.counted_at()
        if tracker.limits is not None and counted != self.overdue_told:
            due = min(due, counted + tracker.limits[0])
        return due

    def look(self, tracker: ConnectionTracker, now: float) -> Sequence[Event]:
        """What has become suspicious by `now`."""
        if tracker.established_at is None or tracker.scene is not None:
            return ()
        found = (self._overdue(tracker, now), self._unanswered(tracker, now))
        return [event for event in found if event is not None]

    def _overdue(self, tracker: ConnectionTracker, now: float) -> KeepAliveOverdue | None:
        counted, limits = tracker.counted_at(), tracker.limits
        if limits is None or counted == self.overdue_told or now < counted + limits[0]:
            return None
        self.overdue_told = counted
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
        oldest, keep_alive = tracker.pings.oldest, tracker.effective_keep_alive
        if oldest is None or oldest == self.ping_told:
            return None
        if now < oldest + tracker.policy.unanswered_after(keep_alive):
            return None
        self.ping_told = oldest
        rtt = tracker.pings.rtt_max
        return PingUnanswered(
            origin=tracker.origin,
            client_id=tracker.client_id,
            ping_wait_s=now - oldest,
            pings_open=len(tracker.pings.open_at),
            keep_alive=keep_alive,
            ping_rtt_max_ms=None if rtt is None else rtt * 1000,
        )

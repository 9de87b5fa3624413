"""The ping ledger: which PINGREQ was answered, how fast, and which still waits.

PINGRESP carries no identifier, so answers are matched first in, first out (MQTT 5.0 3.12, 3.13); a
client may have several PINGREQ open. It may not know any limit: only times are kept here.
"""

from __future__ import annotations

from typing import Final

#: Waiting PINGREQ remembered one by one; a client that floods is still counted, not timed.
OPEN_LIMIT: Final = 256


class PingLedger:
    """PINGREQ and PINGRESP of one connection. Times are monotonic seconds."""

    __slots__ = ("answered", "last_at", "open_at", "rtt_last", "rtt_max", "sent")

    def __init__(self) -> None:
        self.sent = 0
        self.answered = 0
        self.last_at: float | None = None
        self.rtt_last: float | None = None
        self.rtt_max: float | None = None
        self.open_at: list[float] = []

    def request(self, now: float) -> None:
        """A PINGREQ is complete."""
        self.sent += 1
        self.last_at = now
        if len(self.open_at) < OPEN_LIMIT:
            self.open_at.append(now)

    def response(self, now: float) -> float | None:
        """A PINGRESP is complete; it answers the oldest PINGREQ that waits, or none: returns after how long (s)."""
        self.answered += 1
        if not self.open_at:
            return None
        rtt = now - self.open_at.pop(0)
        self.rtt_last = rtt
        if self.rtt_max is None or rtt > self.rtt_max:
            self.rtt_max = rtt
        return rtt

    @property
    def oldest(self) -> float | None:
        """When the oldest unanswered PINGREQ was complete."""
        return self.open_at[0] if self.open_at else None

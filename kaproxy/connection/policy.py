"""The numbers a connection is measured against, as plain values.

They come from the configuration and from the broker's profile; this file may not know either.
Read next: `keepalive.py` for the window, `tracker.py` for where each number is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from kaproxy.connection.keepalive import Window

#: Timers and the network are granted a tenth of the Keep Alive, at most this many seconds, before a gap
#: counts as late: libraries that ping at exactly the Keep Alive arrive some milliseconds after it.
LATE_TOLERANCE_S: Final = 1.0
LATE_TOLERANCE_FACTOR: Final = 0.1


@dataclass(frozen=True, slots=True)
class Policy:
    """What to expect of the broker, what to warn of, how much to remember."""

    window: Window = field(default_factory=Window)
    profile: str = "unknown"
    frames: int = 16  # control packets the flight recorder holds, 0 to 255
    late_factor: float = 1.0  # a gap over this many Keep Alives (and the tolerance) is late
    ping_unanswered_s: float = 5.0  # warn when a PINGREQ waits longer, at most a third of the Keep Alive
    ping_slow_s: float = 1.0  # warn when a PINGRESP took longer, at most a quarter of the Keep Alive
    not_reading_s: float = 2.0  # warn when a peer has taken nothing of what is held for it for so long
    path_idle_limit_s: float | None = None  # the idle limit of the path, where it is known
    keep_alive_max: int | None = None  # the service's own maximum, where its profile has one
    warning_interval_s: float = 60.0  # at most one warning of a kind per connection in this time

    def late_after(self, keep_alive: int) -> float:
        """Seconds from one control packet of the client to the next that are no longer in time."""
        return self.late_factor * keep_alive + min(LATE_TOLERANCE_S, LATE_TOLERANCE_FACTOR * keep_alive)

    def unanswered_after(self, keep_alive: int) -> float:
        """Seconds a PINGREQ may wait for its PINGRESP before it is worth a warning.

        MQTT.js gives up after half the Keep Alive, and nobody sooner: a third still comes before.
        """
        return min(self.ping_unanswered_s, keep_alive / 3) if keep_alive else self.ping_unanswered_s

    def slow_after(self, keep_alive: int) -> float:
        """Seconds a PINGRESP may take before that is worth a warning."""
        return min(self.ping_slow_s, keep_alive / 4) if keep_alive else self.ping_slow_s

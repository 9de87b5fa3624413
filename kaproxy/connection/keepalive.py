"""The arithmetic of Keep Alive: when a broker may expire a client, and what it counts as a sign of life.

Pure numbers: seconds in, seconds out. It may not know which broker has which window; the table of
brokers is `kaproxy/diagnosis/profiles.py`, whose rows carry a `Window` each.
Rests on MQTT 5.0 3.1.2.10 (3.1.2-22: 1.5 times the Keep Alive) and on what brokers were measured to do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Counts(StrEnum):
    """What restarts a broker's keepalive clock."""

    PACKETS = "packets"  # a complete control packet from the client
    BYTES = "bytes"  # any byte from the client
    BOTH_WAYS = (
        "both_ways"  # a complete control packet from the client, or a write of the broker's own (rumqttd)
    )


class Rounding(StrEnum):
    """What a broker does with 1.5 x an odd Keep Alive."""

    EXACT = "exact"
    FLOOR = "floor"
    NEAREST = "nearest"


@dataclass(frozen=True, slots=True)
class Window:
    """When a broker expires a silent client: from `low` to `high` seconds after its last sign of life.

    low = round(1.5 x KA) - early_s; high = round(1.5 x KA) + spread + late_s, where the spread is
    (factor_high - 1.5) x KA, at least `spread_min_s` and at most `spread_max_s` seconds. `enforced` is
    False for brokers that never do. Keep Alive 0 means no limit at all (MQTT 5.0 3.1.2.10).
    """

    counts: Counts = Counts.PACKETS
    rounding: Rounding = Rounding.EXACT
    early_s: float = 0.0
    factor_high: float = 1.5
    late_s: float = 0.0
    enforced: bool = True
    spread_min_s: float = 0.0
    spread_max_s: float = math.inf

    def limits(self, keep_alive: int) -> tuple[float, float] | None:
        """(low, high) in seconds for an effective Keep Alive in seconds, or None where there is no limit."""
        if not keep_alive or not self.enforced:
            return None
        base = 1.5 * keep_alive
        if self.rounding is Rounding.FLOOR:
            base = float(int(base))
        elif self.rounding is Rounding.NEAREST:
            base = float(int(base + 0.5))
        low = max(0.0, base - self.early_s)
        spread = max(self.spread_min_s, min((self.factor_high - 1.5) * keep_alive, self.spread_max_s))
        return low, max(low, base + spread + self.late_s)

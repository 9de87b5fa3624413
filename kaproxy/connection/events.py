"""What a connection may tell while it lives, and once when it is over.

Events are past tense and carry numbers, not text; whoever is handed them decides what becomes of
them. They may not know of logs, metrics or rules.
Read next: `tracker.py`, which makes them; `kaproxy/telemetry`, which writes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import LegFacts, Origin


@dataclass(frozen=True, slots=True)
class Accepted:
    """A client's TCP connection was accepted."""

    origin: Origin


@dataclass(frozen=True, slots=True)
class Established:
    """CONNACK with success went to the client."""

    origin: Origin
    client_id: str
    protocol_version: str
    keep_alive: int
    effective_keep_alive: int
    limit_low_s: float | None
    limit_high_s: float | None
    clean_start: bool
    session_present: bool
    will_present: bool
    connack_s: float  # from the complete CONNECT to the complete CONNACK


@dataclass(frozen=True, slots=True)
class KeepAliveLate:
    """A gap longer than the Keep Alive that survived (3.1.2-20 is broken by the client)."""

    origin: Origin
    client_id: str
    gap_s: float
    keep_alive: int
    margin_s: float | None  # what was left to the low end of the broker's window; negative: beyond it
    late_gaps: int  # of this connection so far
    suppressed: int = 0  # earlier ones of this connection not told because of the rate limit


@dataclass(frozen=True, slots=True)
class KeepAliveOverdue:
    """The client's silence passed the limit and the connection still stands."""

    origin: Origin
    client_id: str
    silence_s: float
    keep_alive: int
    limit_low_s: float
    limit_high_s: float
    last_packet: str | None
    client_leg: LegFacts | None = None  # the relay adds what the kernel said at that moment
    broker_leg: LegFacts | None = None


@dataclass(frozen=True, slots=True)
class PingUnanswered:
    """A PINGREQ has waited longer than the threshold for its PINGRESP."""

    origin: Origin
    client_id: str
    ping_wait_s: float
    pings_open: int
    keep_alive: int
    ping_rtt_max_ms: float | None
    client_leg: LegFacts | None = None
    broker_leg: LegFacts | None = None


@dataclass(frozen=True, slots=True)
class ObserverFailed:
    """The observation of a connection failed; its bytes go on."""

    origin: Origin
    error: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is over. Exactly one per accepted connection."""

    evidence: Evidence


Event: TypeAlias = (
    Accepted | Established | KeepAliveLate | KeepAliveOverdue | PingUnanswered | ObserverFailed | Closed
)
Suspicion: TypeAlias = KeepAliveOverdue | PingUnanswered

"""What a connection may tell while it lives, and once when it is over.

Events are past tense and carry numbers, not text; whoever is handed them decides what becomes of
them. They may not know of logs, metrics or rules.
Read next: `tracker.py`, which makes them; `kaproxy/telemetry`, which writes them.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import LegFacts, Origin, Side
from kaproxy.connection.records import record


@record(unsafe_hash=True, slots=True, init=False)
class Accepted:
    """A client's TCP connection was accepted."""

    origin: Origin

    def __init__(self, origin: Origin) -> None:
        self.origin = origin


@record(unsafe_hash=True, slots=True, init=False)
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

    def __init__(
        self,
        origin: Origin,
        client_id: str,
        protocol_version: str,
        keep_alive: int,
        effective_keep_alive: int,
        limit_low_s: float | None,
        limit_high_s: float | None,
        clean_start: bool,
        session_present: bool,
        will_present: bool,
        connack_s: float,
    ) -> None:
        self.origin = origin
        self.client_id = client_id
        self.protocol_version = protocol_version
        self.keep_alive = keep_alive
        self.effective_keep_alive = effective_keep_alive
        self.limit_low_s = limit_low_s
        self.limit_high_s = limit_high_s
        self.clean_start = clean_start
        self.session_present = session_present
        self.will_present = will_present
        self.connack_s = connack_s


@record(frozen=True, slots=True)
class KeepAliveLate:
    """A gap longer than the Keep Alive that survived (3.1.2-20 is broken by the client)."""

    origin: Origin
    client_id: str
    gap_s: float
    keep_alive: int
    margin_s: float | None  # what was left to the low end of the broker's window; negative: beyond it
    late_gaps: int  # of this connection so far
    suppressed: int = 0  # earlier ones of this connection not told because of the rate limit


@record(frozen=True, slots=True)
class KeepAliveMissed:
    """The Keep Alive has passed without a control packet from the client, which is still silent (3.1.2-20)."""

    origin: Origin
    client_id: str
    silence_s: float
    keep_alive: int
    left_s: float | None  # what is left to the low end of the broker's window
    last_packet: str | None
    suppressed: int = 0


@record(frozen=True, slots=True)
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


@record(frozen=True, slots=True)
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


@record(frozen=True, slots=True)
class PingSlow:
    """A PINGRESP came, later than the threshold."""

    origin: Origin
    client_id: str
    ping_rtt_ms: float
    ping_rtt_max_ms: float  # of this connection so far, this one included
    keep_alive: int
    suppressed: int = 0


@record(frozen=True, slots=True)
class NotReading:
    """A peer does not take what is held for it: the other one is not read meanwhile."""

    origin: Origin
    client_id: str | None  # None: no CONNECT was understood yet
    side: Side
    stalled_s: float  # since when it has taken nothing
    keep_alive: int | None
    client_leg: LegFacts | None = None
    broker_leg: LegFacts | None = None


@record(frozen=True, slots=True)
class ClientIdContested:
    """CONNECT with the client identifier of a connection that is still alive here, in whichever worker."""

    origin: Origin
    client_id: str
    keep_alive: int
    holder: Origin
    holder_age_s: float  # how long the older connection had been open
    holder_silence_s: float  # and silent
    holder_keep_alive: int
    suppressed: int = 0


@record(frozen=True, slots=True)
class KeepAliveRisky:
    """At CONNACK: the Keep Alive agreed on cannot protect this connection. `reason`: see `watch.RISKS`."""

    origin: Origin
    client_id: str
    keep_alive: int
    reason: str
    limit_s: float | None  # what it collides with, where that is a number


@record(frozen=True, slots=True)
class ProxyLagging:
    """The worker's own loop was late: what it says of others in that time is worth less."""

    lag_ms: float
    connections_live: int
    suppressed: int = 0


@record(frozen=True, slots=True)
class ObserverFailed:
    """The observation of a connection failed; its bytes go on."""

    origin: Origin
    error: str


@record(unsafe_hash=True, slots=True, init=False)
class Closed:
    """The connection is over. Exactly one per accepted connection."""

    evidence: Evidence

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence


@record(frozen=True, slots=True)
class LookSooner:
    """Nothing to tell: asks whoever drives the tracker for `next_look` again, as it has come nearer."""


LOOK_SOONER: Final = LookSooner()

Event: TypeAlias = (
    Accepted
    | LookSooner
    | Established
    | KeepAliveLate
    | KeepAliveMissed
    | KeepAliveOverdue
    | KeepAliveRisky
    | PingSlow
    | PingUnanswered
    | NotReading
    | ClientIdContested
    | ProxyLagging
    | ObserverFailed
    | Closed
)
#: To these the relay adds what the kernel says of both legs at that moment.
Suspicion: TypeAlias = KeepAliveOverdue | PingUnanswered | NotReading

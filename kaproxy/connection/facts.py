"""The words facts are told in: sides, endings, phases, and what the kernel said of a leg.

This file may not know how a fact was learned (no socket, no errno) nor what it means (no cause).
The relay fills these records in, the tracker keeps them, the rules read them.
Read next: `evidence.py`, which collects them into one record per connection.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from kaproxy.connection.records import record


class Side(StrEnum):
    """One of the two peers. *Server* of the standard is *broker* here."""

    CLIENT = "client"
    BROKER = "broker"

    @property
    def other(self) -> Side:
        """The peer across the proxy."""
        return Side.BROKER if self is Side.CLIENT else Side.CLIENT


#: The members by themselves: to look one up in its enumeration takes longer than all that is done with it.
CLIENT: Final = Side.CLIENT
BROKER: Final = Side.BROKER


class Ending(StrEnum):
    """How a leg stopped, as the kernel told it. Only the first one of a connection can be its cause."""

    FIN = "fin"  # the peer closed its sending direction in order
    RST = "rst"  # the peer (or a box in its name) reset the leg
    TIMED_OUT = "timed_out"  # TCP gave up retransmitting, or a dial got no answer in time
    UNREACHABLE = "unreachable"  # no route, host unreachable, or the broker's name did not resolve
    REFUSED = "refused"  # the broker's host refused the dial
    LOCAL = "local"  # the proxy itself ended it


class Phase(StrEnum):
    """Where in its life a connection was when it first ended (RFC-free vocabulary of the log line)."""

    ACCEPTED = "accepted"
    PROXY_HEADER = "proxy_header"
    TLS = "tls"
    AWAITING_CONNECT = "awaiting_connect"
    DIALING = "dialing"
    AWAITING_CONNACK = "awaiting_connack"
    ESTABLISHED = "established"
    CLOSING = "closing"  # a DISCONNECT had been seen before the first ending


ESTABLISHED: Final = Phase.ESTABLISHED
#: The names of sides and endings as plain text: `.value` is slow too.
NAMES: Final[dict[str, str]] = {member: member.value for kind in (Side, Ending) for member in kind}


class ProxyAction(StrEnum):
    """Why the proxy itself ended a connection. Always told as `closed_by: proxy`."""

    SHUTDOWN = "shutdown"  # drained or stopped by SIGTERM / SIGINT
    LIMIT = "limit"  # max_connections, or no descriptor left
    ERROR = "error"  # a fault of the proxy's own


@record(unsafe_hash=True, slots=True, init=False)
class LegFacts:
    """What is known of one leg when the connection is judged.

    `unsent`, `unacked`, `window`, `rtt_ms` and `last_ack_s` are as they were at the first ending (or the
    last suspicion before it, where a reset has wiped them); `retransmits`, `backoff` and `fin_acked` are
    from the last look, after the forwarded FIN had its time. None: not known.
    """

    ending: Ending | None = None  # how the peer of this leg ended it; None while it never did
    ended_s: float | None = None  # seconds from accept to that ending
    unsent: int | None = (
        None  # bytes the proxy still held for this peer, plus those in its socket not yet sent
    )
    unacked: int | None = (
        None  # bytes sent to this peer and not acknowledged by its kernel (SIOCOUTQ - not sent)
    )
    retransmits: int | None = None  # unanswered retransmissions of the segment in flight (tcpi_retransmits)
    backoff: int | None = None  # tcpi_backoff
    rtt_ms: float | None = None  # smoothed round trip to the peer's kernel
    last_ack_s: float | None = None  # seconds since the peer's kernel acknowledged anything
    window: int | None = None  # the peer's receive window, bytes (tcpi_snd_wnd)
    fin_acked: bool | None = (
        None  # did its kernel acknowledge the FIN forwarded to it; None: none was forwarded
    )
    stalled_s: float = 0.0  # total seconds this peer did not take what was held for it
    stalled_now: bool = False  # was it not taking bytes at the first ending

    def __init__(
        self,
        ending: Ending | None = None,
        ended_s: float | None = None,
        unsent: int | None = None,
        unacked: int | None = None,
        retransmits: int | None = None,
        backoff: int | None = None,
        rtt_ms: float | None = None,
        last_ack_s: float | None = None,
        window: int | None = None,
        fin_acked: bool | None = None,
        stalled_s: float = 0.0,
        stalled_now: bool = False,
    ) -> None:
        self.ending = ending
        self.ended_s = ended_s
        self.unsent = unsent
        self.unacked = unacked
        self.retransmits = retransmits
        self.backoff = backoff
        self.rtt_ms = rtt_ms
        self.last_ack_s = last_ack_s
        self.window = window
        self.fin_acked = fin_acked
        self.stalled_s = stalled_s
        self.stalled_now = stalled_now


@record(unsafe_hash=True, slots=True, init=False)
class RelayFacts:
    """What the proxy measured of itself during the connection, in seconds."""

    dwell_max_s: float = 0.0  # longest time a chunk was held between read and written
    lag_max_s: float = 0.0  # longest time the worker's loop was late
    lag_recent_s: float = 0.0  # the same since the last silence or the oldest open PINGREQ began

    def __init__(self, dwell_max_s: float = 0.0, lag_max_s: float = 0.0, lag_recent_s: float = 0.0) -> None:
        self.dwell_max_s = dwell_max_s
        self.lag_max_s = lag_max_s
        self.lag_recent_s = lag_recent_s


@record(unsafe_hash=True, slots=True, init=False)
class Origin:
    """Who is connected to whom, known at accept."""

    conn_id: str
    listener: str
    client_addr: str
    client_port: int
    broker_addr: str
    opened_at: float  # wall clock, seconds since the epoch
    transport: str = "tcp"

    def __init__(
        self,
        conn_id: str,
        listener: str,
        client_addr: str,
        client_port: int,
        broker_addr: str,
        opened_at: float,
        transport: str = "tcp",
    ) -> None:
        self.conn_id = conn_id
        self.listener = listener
        self.client_addr = client_addr
        self.client_port = client_port
        self.broker_addr = broker_addr
        self.opened_at = opened_at
        self.transport = transport

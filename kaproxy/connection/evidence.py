"""Evidence: all that is known of one ended connection, in one record.

It holds facts and the policy numbers they were measured against, no opinion. Durations are seconds
unless the name says otherwise; "ago" and `*_s` silences are counted back from the first ending. No
monotonic clock value is in here, so a record read from last year's log is as good as a fresh one.
Read next: `tracker.py`, which gathers it; `kaproxy/diagnosis`, which judges it and writes it as a line.
"""

from __future__ import annotations

from typing import Final

from kaproxy.connection.facts import Ending, LegFacts, Origin, Phase, ProxyAction, RelayFacts
from kaproxy.connection.records import record

_NO_LEG: Final = LegFacts()
_NO_RELAY: Final = RelayFacts()


@record(unsafe_hash=True, slots=True, init=False)
class Sighting:
    """A control packet and how long before the first ending it was complete."""

    packet: str  # packet type name of the standard, "PINGREQ"
    ago_s: float

    def __init__(self, packet: str, ago_s: float) -> None:
        self.packet = packet
        self.ago_s = ago_s


@record(frozen=True, slots=True)
class Late:
    """The first complete control packet from a peer after the other leg's first ending."""

    packet: str
    after_s: float


@record(frozen=True, slots=True)
class PartialPacket:
    """A control packet that was incomplete when the connection ended; `size` None: length not yet known."""

    packet: str
    size: int | None
    seen: int


@record(frozen=True, slots=True)
class Rival:
    """The other connection of a takeover. `gap_s`: from the newer CONNECT to the older one's first ending."""

    conn_id: str
    client_addr: str
    gap_s: float | None = None
    keep_alive: int | None = None  # its CONNECT, to be held against this one's
    protocol_version: str | None = None
    clean_start: bool | None = None
    will_present: bool | None = None


@record(frozen=True, slots=True)
class Neighbours:
    """What other connections, of all workers, tell of this one's ending. An ending is wordless without DISCONNECT."""

    live: int = 0  # connections open just before the first ending, this one too
    ended_by_broker: int = 0  # of `closed_within_1s`, those the broker ended wordlessly, this one too
    dials_refused: int = 0  # dials refused by the broker's host from 1 s before the first ending to the line
    same_age: int = 0  # wordless endings at this age, not in the same second
    same_idle: int = 0  # wordless endings after this idle time, not in the same second
    same_idle_keep_alives: int = 0  # how many different Keep Alives those and this one had
    connects_1m: int = 1  # CONNECTs with this client identifier within a minute, this one's the last of them
    previous_ended_s: float | None = None  # from the last ending of that identifier to this CONNECT
    near_age: int = 0  # wordless endings at 0.8 to 1.25 times this age, `same_age` among them
    near_idle: int = 0  # wordless endings after 0.8 to 1.25 times this idle time, `same_idle` among them


@record(unsafe_hash=True, slots=True, init=False)
class Frame:
    """One entry of the flight recorder: a control packet, or a run of equal QoS 0 PUBLISH at one instant."""

    ago_s: float  # before the first ending; negative: after it
    from_client: bool
    first_byte: int
    size: int
    packet_id: int = 0
    count: int = 1

    def __init__(
        self,
        ago_s: float,
        from_client: bool,
        first_byte: int,
        size: int,
        packet_id: int = 0,
        count: int = 1,
    ) -> None:
        self.ago_s = ago_s
        self.from_client = from_client
        self.first_byte = first_byte
        self.size = size
        self.packet_id = packet_id
        self.count = count


@record(frozen=True, slots=True)
class Unreadable:
    """Where and why a direction stopped being understood."""

    side: str  # "client" or "broker": who sent it
    what: str  # stable name, kaproxy/mqtt/decoder.py; or the kind of a stranger: "tls", "http", …
    packet: str
    offset: int
    detail: str = ""


@record(unsafe_hash=True, slots=True, init=False)
class Evidence:
    """Facts of one connection, from accept to its first ending and the look after it.

    `scene.py` fills it in, a group of fields at a time, before anybody else has it; then nobody changes it. It is
    not frozen because to gather seventy fields first takes longer than to set them.
    """

    origin: Origin
    # life
    duration_s: float  # accept to first ending
    phase: Phase
    closed_by: str  # client broker proxy unknown
    close_how: str  # disconnect fin rst timed_out unreachable refused tls_alert local
    proxy_action: ProxyAction | None = None
    proxy_detail: str | None = None  # what the proxy says of its own doing
    # what the peers said
    client_id: str | None = None  # None: no CONNECT was understood
    protocol_version: str | None = None  # "3.1" "3.1.1" "5.0"
    connack_code: int | None = None
    disconnect_from_client: int | None = None  # reason code; 0 for 3.x
    disconnect_from_broker: int | None = None
    first_disconnect: str | None = None  # "client" or "broker", where one was seen
    # keepalive
    keep_alive: int | None = None
    effective_keep_alive: int | None = None  # Server Keep Alive where the broker set one
    limit_low_s: float | None = None
    limit_high_s: float | None = None
    broker_profile: str = "unknown"
    counts: str = "packets"  # what the profile counts as a sign of life
    silence_s: float | None = None  # since the last complete control packet from the client
    silence_bytes_s: float | None = None  # since its last byte
    silence_counted_s: float | None = None  # since what the profile counts
    margin_min_s: float | None = None  # smallest of limit_low - counted silence, the last one included
    gap_max_s: float | None = None  # longest time between two complete packets from the client, all survived
    late_gaps: int = 0  # survived gaps longer than the Keep Alive
    idle_s: float | None = None  # since any byte, either way
    path_idle_limit_s: float | None = None  # the idle limit of the path, where the operator has told it
    downlink_idle_s: float | None = None  # since the last byte from the broker
    downlink_in_silence: int = 0  # control packets from the broker during the last silence, PINGRESP left out
    downlink_gap_s: float | None = None  # longest time without a byte from the broker during the last silence
    # pings
    pingreqs: int = 0
    pingresps: int = 0
    pings_open: int = 0  # PINGREQ without PINGRESP at the first ending
    ping_wait_s: float | None = None  # how long the oldest of them had been waiting
    ping_rtt_last_ms: float | None = None
    ping_rtt_max_ms: float | None = None
    ping_ago_s: float | None = None  # since the last PINGREQ
    # last
    last_from_client: Sighting | None = None
    last_from_broker: Sighting | None = None
    partial_from_client: PartialPacket | None = None
    partial_from_broker: PartialPacket | None = None
    late_from_client: Late | None = None
    late_from_broker: Late | None = None
    # legs
    client_leg: LegFacts = _NO_LEG
    broker_leg: LegFacts = _NO_LEG
    # counts
    packets_from_client: int = 0
    packets_from_broker: int = 0
    bytes_from_client: int = 0
    bytes_from_broker: int = 0
    inflight_from_client: int = 0  # QoS 1 and 2 PUBLISH from the client not yet acknowledged to the end
    inflight_from_broker: int = 0
    will_present: bool | None = None
    session_present: bool | None = None
    clean_start: bool | None = None
    # others
    taken_over_by: Rival | None = None
    took_over: Rival | None = None
    neighbours: Neighbours | None = None  # None where a peer said why: nobody else had to be asked
    closed_within_1s: int = 1  # connections of all workers that first ended in the same second, this one too
    # what could not be read, and what was odd but read
    unreadable: Unreadable | None = None
    oddities: tuple[str, ...] = ()
    observer_error: str | None = None
    # proxy
    relay: RelayFacts = _NO_RELAY
    # story
    history: str = ""
    frames: tuple[Frame, ...] = ()

    def __init__(
        self,
        origin: Origin,
        duration_s: float,
        phase: Phase,
        closed_by: str,
        close_how: str,
        proxy_action: ProxyAction | None = None,
        proxy_detail: str | None = None,
        client_id: str | None = None,
        protocol_version: str | None = None,
        connack_code: int | None = None,
        disconnect_from_client: int | None = None,
        disconnect_from_broker: int | None = None,
        first_disconnect: str | None = None,
        keep_alive: int | None = None,
        effective_keep_alive: int | None = None,
        limit_low_s: float | None = None,
        limit_high_s: float | None = None,
        broker_profile: str = "unknown",
        counts: str = "packets",
        silence_s: float | None = None,
        silence_bytes_s: float | None = None,
        silence_counted_s: float | None = None,
        margin_min_s: float | None = None,
        gap_max_s: float | None = None,
        late_gaps: int = 0,
        idle_s: float | None = None,
        path_idle_limit_s: float | None = None,
        downlink_idle_s: float | None = None,
        downlink_in_silence: int = 0,
        downlink_gap_s: float | None = None,
        pingreqs: int = 0,
        pingresps: int = 0,
        pings_open: int = 0,
        ping_wait_s: float | None = None,
        ping_rtt_last_ms: float | None = None,
        ping_rtt_max_ms: float | None = None,
        ping_ago_s: float | None = None,
        last_from_client: Sighting | None = None,
        last_from_broker: Sighting | None = None,
        partial_from_client: PartialPacket | None = None,
        partial_from_broker: PartialPacket | None = None,
        late_from_client: Late | None = None,
        late_from_broker: Late | None = None,
        client_leg: LegFacts = _NO_LEG,
        broker_leg: LegFacts = _NO_LEG,
        packets_from_client: int = 0,
        packets_from_broker: int = 0,
        bytes_from_client: int = 0,
        bytes_from_broker: int = 0,
        inflight_from_client: int = 0,
        inflight_from_broker: int = 0,
        will_present: bool | None = None,
        session_present: bool | None = None,
        clean_start: bool | None = None,
        taken_over_by: Rival | None = None,
        took_over: Rival | None = None,
        neighbours: Neighbours | None = None,
        closed_within_1s: int = 1,
        unreadable: Unreadable | None = None,
        oddities: tuple[str, ...] = (),
        observer_error: str | None = None,
        relay: RelayFacts = _NO_RELAY,
        history: str = "",
        frames: tuple[Frame, ...] = (),
    ) -> None:
        self.origin = origin
        self.duration_s = duration_s
        self.phase = phase
        self.closed_by = closed_by
        self.close_how = close_how
        self.proxy_action = proxy_action
        self.proxy_detail = proxy_detail
        self.client_id = client_id
        self.protocol_version = protocol_version
        self.connack_code = connack_code
        self.disconnect_from_client = disconnect_from_client
        self.disconnect_from_broker = disconnect_from_broker
        self.first_disconnect = first_disconnect
        self.keep_alive = keep_alive
        self.effective_keep_alive = effective_keep_alive
        self.limit_low_s = limit_low_s
        self.limit_high_s = limit_high_s
        self.broker_profile = broker_profile
        self.counts = counts
        self.silence_s = silence_s
        self.silence_bytes_s = silence_bytes_s
        self.silence_counted_s = silence_counted_s
        self.margin_min_s = margin_min_s
        self.gap_max_s = gap_max_s
        self.late_gaps = late_gaps
        self.idle_s = idle_s
        self.path_idle_limit_s = path_idle_limit_s
        self.downlink_idle_s = downlink_idle_s
        self.downlink_in_silence = downlink_in_silence
        self.downlink_gap_s = downlink_gap_s
        self.pingreqs = pingreqs
        self.pingresps = pingresps
        self.pings_open = pings_open
        self.ping_wait_s = ping_wait_s
        self.ping_rtt_last_ms = ping_rtt_last_ms
        self.ping_rtt_max_ms = ping_rtt_max_ms
        self.ping_ago_s = ping_ago_s
        self.last_from_client = last_from_client
        self.last_from_broker = last_from_broker
        self.partial_from_client = partial_from_client
        self.partial_from_broker = partial_from_broker
        self.late_from_client = late_from_client
        self.late_from_broker = late_from_broker
        self.client_leg = client_leg
        self.broker_leg = broker_leg
        self.packets_from_client = packets_from_client
        self.packets_from_broker = packets_from_broker
        self.bytes_from_client = bytes_from_client
        self.bytes_from_broker = bytes_from_broker
        self.inflight_from_client = inflight_from_client
        self.inflight_from_broker = inflight_from_broker
        self.will_present = will_present
        self.session_present = session_present
        self.clean_start = clean_start
        self.taken_over_by = taken_over_by
        self.took_over = took_over
        self.neighbours = neighbours
        self.closed_within_1s = closed_within_1s
        self.unreadable = unreadable
        self.oddities = oddities
        self.observer_error = observer_error
        self.relay = relay
        self.history = history
        self.frames = frames

    @property
    def first_leg_ending(self) -> Ending | None:
        """How the leg of whoever ended it first stopped, None where the proxy did."""
        leg = {"client": self.client_leg, "broker": self.broker_leg}.get(self.closed_by)
        return leg.ending if leg else None

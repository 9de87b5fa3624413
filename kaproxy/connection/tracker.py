"""The tracker: follows one connection from accept to its evidence.

Facts come in as calls with `now` (monotonic seconds); events come out. A connection's whole life is a
list of these calls, so a recorded trace is a test. It may not know a socket, a clock, a log or a cause.
After the first ending it goes on listening, because what comes late explains what came before.
Read next: `direction.py` and `pings.py` for what is kept, `scene.py` for how it becomes evidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from kaproxy.connection import history, neighbourhood, scene
from kaproxy.connection.direction import NEVER, Direction
from kaproxy.connection.directory import NEW, Directory, Remote
from kaproxy.connection.events import Closed, Established, Event, ObserverFailed
from kaproxy.connection.evidence import Evidence, Late
from kaproxy.connection.facts import BROKER, CLIENT, Ending, LegFacts, Origin, ProxyAction, RelayFacts, Side
from kaproxy.connection.flight_recorder import FROM_CLIENT, PACKET_ID, SIZE, FlightRecorder
from kaproxy.connection.keepalive import Counts
from kaproxy.connection.pings import PingLedger
from kaproxy.connection.policy import Policy
from kaproxy.connection.watch import Watch
from kaproxy.mqtt.codes import PacketType, packet_name
from kaproxy.mqtt.packets import Acknowledge, Body, Connack, Connect, Disconnect, Packet

if TYPE_CHECKING:
    from kaproxy.connection.elsewhere import Mark

#: A pause this long (s) or longer between control packets of the client is looked at; shorter ones are traffic.
PAUSE_S: Final = 0.25
_PING_SIZE: Final = 2  # bytes; no other packet that is counted at a glance is so short
_ERROR: Final = 0x80  # reason codes from here on refuse or fail (5.0 2.4)

_PACKETS: Final = Counts.PACKETS
_BYTES: Final = Counts.BYTES
_BOTH_WAYS: Final = Counts.BOTH_WAYS
_NO_CODES: Final[tuple[int | None, int | None]] = (None, None)
_PUBLISH: Final = int(PacketType.PUBLISH)
_PUBACK: Final = int(PacketType.PUBACK)
_PUBREC: Final = int(PacketType.PUBREC)
_PUBCOMP: Final = int(PacketType.PUBCOMP)
_PINGREQ: Final = int(PacketType.PINGREQ)
_PINGRESP: Final = int(PacketType.PINGRESP)


class BeforeResuming(NamedTuple):
    """How things stood before the client's last pause ended, should that packet turn out to have come too late."""

    gap_max: float
    counted_gap_max: float
    late_gaps: int
    silence: float  # the pause itself, s
    counted_silence: float  # the same by what the profile counts, s


class ConnectionTracker(FlightRecorder):
    """One connection's observer. Every method takes the time; none blocks, none raises on wire bytes.

    It is the flight recorder too: an object more is a cache line more for every chunk.
    """

    __slots__ = (
        "_directory", "_told", "before", "broker_up", "client_id", "closing_by", "connack", "connect", "connect_at",
        "counted_gap", "counted_gap_max", "counts", "disconnect_at", "disconnects", "down", "down_gap",
        "down_in_silence",
        "effective_keep_alive", "established_at", "first_ending_at", "gap_max", "heard", "history", "holder", "late",
        "late_gaps", "legs_ended", "limits", "mark", "observer_error", "opened_at", "origin", "past", "pings", "policy",
        "proxy_action", "proxy_detail", "resumed_at", "rival", "rival_at", "scene", "up", "watch",
    )  # fmt: skip

    def __init__(self, origin: Origin, policy: Policy, directory: Directory, now: float) -> None:
        FlightRecorder.__init__(self, policy.frames)
        # first what every chunk needs: compiled, it is in one cache line
        self.up = Direction(CLIENT, now)
        self.down = Direction(BROKER, now)
        self.heard = (
            0  # packets of the client when the broker was last heard; with more, its silence is a new one
        )
        self.down_in_silence = 0
        self.down_gap = 0.0
        self._told: list[Event] | None = None
        self.pings: PingLedger | None = None  # until the first of them
        self.watch = Watch()
        self.counts = policy.window.counts
        self.policy = policy
        self.scene: Evidence | None = None
        self.connect: Connect | None = None
        # what else is told and asked of the peers
        self.origin = origin
        self._directory = directory
        self.opened_at = now
        self.history = ""
        self.client_id = ""  # from CONNECT, or assigned by the broker (5.0 3.2.2.3.7)
        self.connect_at = now
        self.connack: Connack | None = None
        self.established_at: float | None = None
        self.disconnects: tuple[int | None, int | None] = _NO_CODES  # from the client, from the broker
        self.closing_by: Side | None = None  # who sent the first DISCONNECT
        self.disconnect_at = now  # and when
        # keepalive
        self.effective_keep_alive = 0
        self.limits: tuple[float, float] | None = None
        self.gap_max = 0.0
        self.counted_gap_max = 0.0
        self.late_gaps = 0
        self.counted_gap = 0.0  # what the profile counts was silent for so long before the last client bytes
        self.resumed_at = now  # when the client's last pause ended …
        self.before: BeforeResuming | None = None  # … and how things stood until then
        # endings
        self.broker_up = False
        self.legs_ended: tuple[tuple[Side, Ending], ...] = ()
        self.first_ending_at: float | None = None
        self.late: dict[Side, Late] | None = None
        self.proxy_action: ProxyAction | None = None
        self.proxy_detail: str | None = None
        self.observer_error: str | None = None
        # others
        directory.count(1)
        self.past = NEW  # of its client identifier
        self.mark: Mark | None = None  # what other workers see of it, where there are any
        self.rival: ConnectionTracker | Remote | None = None  # took this one's client identifier
        self.rival_at = now
        self.holder: ConnectionTracker | Remote | None = None  # this one took its client identifier

    @property
    def connect_seen(self) -> bool:
        """Was a complete CONNECT understood?"""
        return self.connect is not None

    # ------------------------------------------------------------------ bytes

    def from_client(self, data: bytes, now: float) -> Sequence[Event]:
        """Bytes read from the client leg."""
        up = self.up
        size = len(data)
        if size > 1 and now - up.packet_at < PAUSE_S:
            first = data[0]
            if first == up.again or up.glanced >> (first >> 4) & 1:
                packet_id = up.lone(data, size)
                if packet_id >= 0:
                    up.byte_at = up.packet_at = now
                    up.packets += 1
                    if first != up.again:
                        up.last = up.again = first
                    if packet_id:
                        self.keep(now, FROM_CLIENT + first + size * SIZE + packet_id * PACKET_ID)
                    else:
                        self.keep(now, FROM_CLIENT + first + size * SIZE)
                        if size != _PING_SIZE:
                            return ()
                    return self._again(up, self.down, first >> 4, packet_id, now)
        return self._client_chunk(data, now)

    def _client_chunk(self, data: bytes, now: float) -> Sequence[Event]:
        up = self.up
        if self.counts is not _PACKETS:
            self._count_life(now)
        up.byte_at = now
        packets = up.feed(data)
        if not packets:
            if up.opaque:
                self._note_opaque(up)
            return ()
        if now - up.packet_at >= PAUSE_S:
            self._resumed(now)
        up.packet_at = now
        self._client_packets(packets, now)
        return self._take_told() if self._told else ()

    def from_broker(self, data: bytes, now: float) -> Sequence[Event]:
        """Bytes read from the broker leg."""
        down, up = self.down, self.up
        size = len(data)
        if up.packets != self.heard:
            self.begin_silence()
        quiet_since = down.byte_at if down.byte_at > up.packet_at else up.packet_at
        if now - quiet_since > self.down_gap:
            self.down_gap = now - quiet_since
        if size > 1:
            first = data[0]
            if first == down.again or down.glanced >> (first >> 4) & 1:
                packet_id = down.lone(data, size)
                if packet_id >= 0:
                    down.byte_at = down.packet_at = now
                    down.packets += 1
                    if first != down.again:
                        down.last = down.again = first
                    if packet_id:
                        self.down_in_silence += 1
                        self.keep(now, first + size * SIZE + packet_id * PACKET_ID)
                    else:
                        self.keep(now, first + size * SIZE)
                        if size != _PING_SIZE:
                            self.down_in_silence += 1
                            return ()
                    return self._again(down, up, first >> 4, packet_id, now)
        return self._broker_chunk(data, now)

    def begin_silence(self) -> None:
        """Where the client has spoken since the broker last did, its silence is a new one: nothing came in it yet."""
        if self.up.packets != self.heard:
            self.heard = self.up.packets
            self.down_in_silence = 0
            self.down_gap = 0.0

    def _broker_chunk(self, data: bytes, now: float) -> Sequence[Event]:
        down = self.down
        if self.counts is _BOTH_WAYS:
            self._count_life(now)
        down.byte_at = now
        packets = down.feed(data)
        if not packets:
            if down.opaque:
                self._note_opaque(down)
            return ()
        down.packet_at = now
        self._broker_packets(packets, now)
        return self._take_told() if self._told else ()

    def _again(
        self, direction: Direction, other: Direction, kind: int, packet_id: int, now: float
    ) -> Sequence[Event]:
        """One more PUBLISH, acknowledgement or ping, which was all of its chunk."""
        if kind == _PUBLISH:
            direction.sent_publish(packet_id)
        elif kind == _PUBACK or kind == _PUBCOMP:
            other.acknowledged(packet_id)
        elif kind == _PINGREQ:
            self._pinged(now)
        elif kind == _PINGRESP:
            self._answered(now)
        return self._take_told() if self._told else ()

    def _client_packets(self, packets: Sequence[Packet], now: float) -> None:
        up = self.up
        for first, size, packet_id, count, body in packets:
            up.packets += count
            self.note(now, first, size, packet_id, count, True)
            kind = first >> 4
            if not up.seen >> kind & 1:
                self._note_kind(up, kind)
            if kind == _PUBLISH:
                if packet_id:
                    up.sent_publish(packet_id)
            elif kind == _PINGREQ:
                self._pinged(now)
            elif kind == _PUBACK or kind == _PUBCOMP or kind == _PUBREC:
                self._settle(self.down, kind, packet_id, body)
            elif body is not None:
                self._client_said(body, now)
        up.last = first
        if self.scene is None:
            up.again = first
        else:
            self._note_late(CLIENT, packets[0][0], now)

    def _broker_packets(self, packets: Sequence[Packet], now: float) -> None:
        down = self.down
        for first, size, packet_id, count, body in packets:
            down.packets += count
            self.note(now, first, size, packet_id, count, False)
            kind = first >> 4
            if not down.seen >> kind & 1:
                self._note_kind(down, kind)
            if kind == _PINGRESP:
                self._answered(now)
                continue
            self.down_in_silence += count
            if kind == _PUBLISH:
                if packet_id:
                    down.sent_publish(packet_id)
            elif kind == _PUBACK or kind == _PUBCOMP or kind == _PUBREC:
                self._settle(self.up, kind, packet_id, body)
            elif body is not None:
                self._broker_said(body, now)
        down.last = first
        if self.scene is None:
            down.again = first
        else:
            self._note_late(BROKER, packets[0][0], now)

    def _pinged(self, now: float) -> None:
        if self.pings is None:
            self.pings = PingLedger()
        self.pings.request(now)
        self._tell(self.watch.sooner(self, now))

    def _answered(self, now: float) -> None:
        if self.pings is None:
            self.pings = PingLedger()
        rtt = self.pings.response(now)
        if rtt is not None:
            self._directory.ping_rtts.add(rtt)
        self._tell(self.watch.slow(self, now))

    def _settle(self, publisher: Direction, kind: int, packet_id: int, body: Body | None) -> None:
        """An acknowledgement ends the exchange; PUBREC only when it refuses (5.0 4.3.3)."""
        if kind != _PUBREC or (isinstance(body, Acknowledge) and body.code >= _ERROR):
            publisher.acknowledged(packet_id)

    # ------------------------------------------------------- what the peers say

    def _client_said(self, body: Body, now: float) -> None:
        if isinstance(body, Connect):
            self._connect(body, now)
        elif isinstance(body, Disconnect):
            self._disconnect(CLIENT, body, now)

    def _broker_said(self, body: Body, now: float) -> None:
        if isinstance(body, Connack):
            self._connack(body, now)
        elif isinstance(body, Disconnect):
            self._disconnect(BROKER, body, now)

    def _connect(self, connect: Connect, now: float) -> None:
        if self.connect is not None:  # a second CONNECT is a protocol error (3.1.0-2), and no new start
            return
        self.connect = connect
        self.connect_at = now
        self.down.version = connect.level & 0x7F  # bridges set the top bit
        self._set_keep_alive(connect.keep_alive)
        if connect.client_id:
            self._claim(connect.client_id, now)

    def _claim(self, client_id: str, now: float) -> None:
        self.client_id = client_id
        self.holder = holder = self._directory.claim(client_id, self, now)
        self.past = self._directory.past_of(client_id, now, self.mark)
        if holder is not None:
            holder.contested(self, now)
            self._tell(holder.watch.contested_by(holder, self, now))

    def _connack(self, connack: Connack, now: float) -> None:
        if self.connack is not None or self.connect is None:
            return
        self.connack = connack
        if connack.code != 0:
            self._refused()
            return
        self.established_at = now
        if connack.server_keep_alive is not None:
            self._set_keep_alive(connack.server_keep_alive)
        if connack.assigned_client_identifier:
            self._claim(connack.assigned_client_identifier, now)
        self._tell(self._established(self.connect, connack, now))
        self._tell(self.watch.risky(self))

    def _refused(self) -> None:
        if self.client_id:
            self._directory.give_back(self.client_id, self, self.holder)
        holder, self.holder = self.holder, None
        if isinstance(holder, ConnectionTracker) and holder.rival is self and holder.scene is None:
            holder.rival = None

    def _established(self, connect: Connect, connack: Connack, now: float) -> Established:
        low, high = self.limits or (None, None)
        return Established(
            origin=self.origin,
            client_id=self.client_id,
            protocol_version=scene.version_name(connect.level),
            keep_alive=connect.keep_alive,
            effective_keep_alive=self.effective_keep_alive,
            limit_low_s=low,
            limit_high_s=high,
            clean_start=connect.clean_start,
            session_present=connack.session_present,
            will_present=connect.will is not None,
            connack_s=now - self.connect_at,
        )

    def _disconnect(self, side: Side, disconnect: Disconnect, now: float) -> None:
        from_client, from_broker = self.disconnects
        if side is CLIENT:
            from_client = disconnect.code if from_client is None else from_client
        else:
            from_broker = disconnect.code if from_broker is None else from_broker
        self.disconnects = (from_client, from_broker)
        if self.closing_by is None and self.scene is None:
            self.closing_by = side
            self.disconnect_at = now

    def _set_keep_alive(self, keep_alive: int) -> None:
        self.effective_keep_alive = keep_alive
        self.limits = self.policy.window.limits(keep_alive)

    def contested(self, rival: ConnectionTracker | Remote, now: float) -> None:
        """Another connection sent CONNECT with this one's client identifier; of another worker's it is heard late."""
        if self.scene is None or isinstance(rival, Remote):
            self.rival = rival
            self.rival_at = now
        if self.scene is None and not self.history.endswith(history.RIVAL):
            self.history += history.RIVAL

    # --------------------------------------------------------------- keepalive

    def counted_at(self) -> float:
        """When the last sign of life came that the broker's profile counts."""
        if self.counts is _BYTES:
            return self.up.byte_at
        if self.counts is _PACKETS or self.up.packet_at > self.down.byte_at:
            return self.up.packet_at
        return self.down.byte_at

    def _count_life(self, now: float) -> None:
        """Bytes arrive and the profile counts bytes: measure the gap they end."""
        self.counted_gap = now - self.counted_at()

    def _resumed(self, now: float) -> None:
        """A control packet of the client ends a pause."""
        if self.connect is None or self.scene is not None:
            return
        gap = now - self.up.packet_at
        if self.counts is _PACKETS:
            self.counted_gap = gap
        self.before = BeforeResuming(
            self.gap_max, self.counted_gap_max, self.late_gaps, gap, self.counted_gap
        )
        self.resumed_at = now
        if self.limits is not None:
            self._directory.pauses.add(self.counted_gap / self.limits[0])
        self.gap_max = max(self.gap_max, gap)
        self.counted_gap_max = max(self.counted_gap_max, self.counted_gap)
        keep_alive = self.effective_keep_alive
        if keep_alive and gap > self.policy.late_after(keep_alive):
            self.late_gaps += 1
            self._tell(self.watch.late(self, gap, now))

    def next_look(self, now: float) -> float:
        """When to call `look` next, monotonic seconds. Never later than anything it could have to tell."""
        return self.watch.next_look(self, now)

    def look(self, now: float) -> Sequence[Event]:
        """Tell what has become suspicious: a client overdue, a PINGREQ unanswered."""
        return self.watch.look(self, now)

    def stalled(self, side: Side, stalled_s: float, now: float) -> Sequence[Event]:
        """This side has taken nothing of what is held for it for `stalled_s` seconds."""
        event = self.watch.not_reading(self, side, stalled_s, now)
        return () if event is None else (event,)

    # ----------------------------------------------------------------- endings

    def broker_connected(self, now: float) -> None:
        """The broker leg is up."""
        self.broker_up = True

    def leg_ended(self, side: Side, ending: Ending, now: float) -> None:
        """A leg's peer ended it, or its dial failed. Only the first of a connection is a candidate for its cause."""
        if self.has_ended(side):
            return
        self.legs_ended += ((side, ending),)
        if self.scene is None:
            self._first_ending(now)
        self.history += history.ending_letter(side, ending)

    def has_ended(self, side: Side) -> bool:
        """Did the leg of that side end?"""
        ended = self.legs_ended
        return len(ended) > 0 and (ended[0][0] is side or (len(ended) > 1 and ended[1][0] is side))

    def proxy_ended(self, action: ProxyAction, detail: str, now: float) -> None:
        """The proxy itself ends the connection; after a first ending this is a footnote."""
        if self.scene is None:
            self.proxy_action = action
            self.proxy_detail = detail
            self._first_ending(now)
        self.history += history.PROXY

    def observer_failed(self, error: str, now: float) -> Sequence[Event]:
        """The observation of this connection failed: both directions are opaque from here on."""
        self.up.abandon()
        self.down.abandon()
        self._told = None
        if self.observer_error is not None:
            return ()
        self.observer_error = error
        return (ObserverFailed(self.origin, error),)

    def judge_at(self) -> float:
        """When enough is known of the neighbours to judge; monotonic seconds, infinite before the first ending.

        Where the broker did not say why, what happens to others in the next second is part of the evidence.
        """
        at = self.first_ending_at
        if at is None or self.scene is None:
            return math.inf
        if neighbourhood.wordless(self.scene, BROKER):
            return at + neighbourhood.WAIT_S
        if self._directory.exchange is None:
            return at
        # who took its identifier is known soon after the broker's ending, whose it took soon after it asked
        if self.scene.closed_by == BROKER:
            return neighbourhood.with_others(at + neighbourhood.NEWS_S)
        if self.mark is not None and self.mark.asked:
            return max(at, neighbourhood.with_others(self.connect_at + neighbourhood.NEWS_S))
        return at

    def judged_from(self) -> float:
        """When the last silence, or the wait of the oldest open PINGREQ, began; monotonic seconds."""
        at = self.first_ending_at
        if at is None or self.scene is None:
            return self.opened_at
        since = at - max(self.scene.silence_counted_s or 0.0, self.scene.ping_wait_s or 0.0)
        # a pause that ended just before may have ended with what came here late, together with the ending
        if self.before is not None and at - self.resumed_at < PAUSE_S:
            since = min(since, self.resumed_at - self.before.silence)
        return since

    def close(self, now: float, client_leg: LegFacts, broker_leg: LegFacts, relay: RelayFacts) -> Closed:
        """The connection is over: its evidence. The last call, exactly once."""
        if self.scene is None:
            self.proxy_ended(ProxyAction.ERROR, "ended without a known ending", now)
        self._directory.forget(self.client_id, self)  # first: whatever fails here, nothing of it stays
        evidence = scene.complete(self, client_leg, broker_leg, relay, self._directory, now)
        self.rival = self.holder = None  # or each of a chain of takeovers would keep the one before alive
        return Closed(evidence)

    def _first_ending(self, now: float) -> None:
        self.first_ending_at = now
        self.scene = neighbourhood.note(scene.freeze(self, now), now, self._directory)
        if self.client_id:
            self._directory.release(self.client_id, self, self.past, now)
        self.up.seen = self.down.seen = 0
        self.up.glanced = self.down.glanced = 0
        self.up.again = self.down.again = NEVER

    def _note_late(self, side: Side, first: int, now: float) -> None:
        if self.late is None:
            self.late = {}
        if side not in self.late and self.first_ending_at is not None:
            self.late[side] = Late(packet_name(first), now - self.first_ending_at)

    # ------------------------------------------------------------------- story

    def _note_kind(self, direction: Direction, kind: int) -> None:
        direction.seen |= 1 << kind
        if self.scene is None:
            direction.glanced = direction.seen
        self.history += history.packet_letter(kind, direction is self.up)

    def _note_opaque(self, direction: Direction) -> None:
        if not direction.seen >> 31 & 1:
            direction.seen |= 1 << 31
            self.history += history.OPAQUE

    def _tell(self, event: Event | None) -> None:
        if event is None:
            return
        if self._told is None:
            self._told = []
        self._told.append(event)

    def _take_told(self) -> Sequence[Event]:
        told, self._told = self._told, None
        return told or ()

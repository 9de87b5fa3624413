"""The scene of an ending: what the tracker knew at the first ending, made into evidence.

`freeze` is called at the first ending and keeps what the moment decides (silences, open pings, partial
packets); `complete` adds what only shows later (legs after the forwarded FIN, late packets, final counts).
It may not judge: every number here is measured, none is a cause.
Read next: `evidence.py` for the meaning of each field, `kaproxy/diagnosis` for what is made of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kaproxy.connection import neighbourhood
from kaproxy.connection.directory import Remote, Settings
from kaproxy.connection.evidence import Evidence, Late, Rival
from kaproxy.connection.facts import (
    BROKER,
    CLIENT,
    ESTABLISHED,
    NAMES,
    Ending,
    LegFacts,
    Phase,
    ProxyAction,
    RelayFacts,
)
from kaproxy.connection.keepalive import Counts
from kaproxy.mqtt.codes import packet_name

if TYPE_CHECKING:
    from kaproxy.connection.directory import Directory
    from kaproxy.connection.pings import PingLedger
    from kaproxy.connection.tracker import BeforeResuming, ConnectionTracker

#: A control packet this shortly (s) before the broker's ending may have crossed it on the way.
CROSSING_S: Final = 0.25
#: … if the silence it ended had already come this close (s) to the limit.
CROSSING_NEAR_S: Final = 0.2

_COUNTS: Final = {counts: counts.value for counts in Counts}
_CLOSING: Final = Phase.CLOSING
_VERSIONS: Final = {3: "3.1", 4: "3.1.1", 5: "5.0"}


def version_name(level: int) -> str:
    """The protocol version of a CONNECT's protocol level (3.1.2.2); an unknown level prints itself."""
    return _VERSIONS.get(level & 0x7F, str(level))


def freeze(tracker: ConnectionTracker, now: float) -> Evidence:
    """The evidence as it stood at the first ending, `now`."""
    tracker.begin_silence()
    closed_by, close_how = _who_and_how(tracker)
    scene = Evidence(tracker.origin, now - tracker.opened_at, _phase(tracker), closed_by, close_how)
    _life(scene, tracker, now)
    _words(scene, tracker)
    if tracker.connect is not None:
        _keep_alive(scene, tracker, now)
        if tracker.pings is not None:
            _pings(scene, tracker.pings, now)
    return scene


def complete(
    tracker: ConnectionTracker,
    client_leg: LegFacts,
    broker_leg: LegFacts,
    relay: RelayFacts,
    directory: Directory,
    now: float,
) -> Evidence:
    """The frozen scene with all that came after it."""
    scene = tracker.scene
    ended_at = tracker.first_ending_at
    assert scene is not None
    assert ended_at is not None
    up, down = tracker.up, tracker.down
    scene.client_leg = client_leg
    scene.broker_leg = broker_leg
    scene.relay = relay
    if tracker.late is not None:
        scene.late_from_client = scene.late_from_client or tracker.late.get(CLIENT)
        scene.late_from_broker = tracker.late.get(BROKER)
    scene.packets_from_client = up.packets
    scene.packets_from_broker = down.packets
    scene.bytes_from_client = up.bytes
    scene.bytes_from_broker = down.bytes
    scene.taken_over_by = _taken_over_by(tracker, ended_at)
    scene.took_over = _took_over(tracker)
    scene.neighbours = neighbourhood.known_by(now, tracker, scene, ended_at, directory)
    scene.closed_within_1s = neighbourhood.ended_around(ended_at, directory)
    if up.opaque or down.opaque:
        scene.unreadable = up.unreadable() or down.unreadable()
    scene.oddities = up.oddities + down.oddities
    scene.observer_error = tracker.observer_error
    scene.history = tracker.history
    scene.frames = tracker.frames(ended_at)
    return scene


def _who_and_how(tracker: ConnectionTracker) -> tuple[str, str]:
    if tracker.proxy_action is not None:
        return "proxy", Ending.LOCAL.value
    if tracker.closing_by is not None:
        return NAMES[tracker.closing_by], "disconnect"
    if not tracker.legs_ended:
        return "unknown", Ending.LOCAL.value
    side, ending = tracker.legs_ended[0]
    return NAMES[side], NAMES[ending]


def _phase(tracker: ConnectionTracker) -> Phase:
    if tracker.closing_by is not None:
        return _CLOSING
    if tracker.established_at is not None:
        return ESTABLISHED
    if not tracker.broker_up:
        limited = tracker.proxy_action is ProxyAction.LIMIT
        return Phase.ACCEPTED if limited else Phase.DIALING
    return Phase.AWAITING_CONNACK if tracker.connect is not None else Phase.AWAITING_CONNECT


def _life(scene: Evidence, tracker: ConnectionTracker, now: float) -> None:
    """Who ended it, and what each peer was doing."""
    up, down = tracker.up, tracker.down
    scene.proxy_action = tracker.proxy_action
    scene.proxy_detail = tracker.proxy_detail
    scene.path_idle_limit_s = tracker.policy.path_idle_limit_s
    scene.idle_s = now - (up.byte_at if up.byte_at >= down.byte_at else down.byte_at)
    if down.bytes:
        scene.downlink_idle_s = now - down.byte_at
    scene.silence_bytes_s = now - up.byte_at
    scene.last_from_client = up.sighting(now)
    scene.last_from_broker = down.sighting(now)
    scene.partial_from_client = up.unfinished()
    scene.partial_from_broker = down.unfinished()
    scene.inflight_from_client = up.unacknowledged
    scene.inflight_from_broker = down.unacknowledged


def _words(scene: Evidence, tracker: ConnectionTracker) -> None:
    """What CONNECT, CONNACK and DISCONNECT said."""
    connect, connack = tracker.connect, tracker.connack
    scene.disconnect_from_client, scene.disconnect_from_broker = tracker.disconnects
    if tracker.closing_by is not None:
        scene.first_disconnect = NAMES[tracker.closing_by]
    if connect is not None:
        scene.client_id = tracker.client_id
        scene.protocol_version = version_name(connect.level)
        scene.keep_alive = connect.keep_alive
        scene.effective_keep_alive = tracker.effective_keep_alive
        scene.will_present = connect.will is not None
        scene.clean_start = connect.clean_start
    if connack is not None:
        scene.connack_code = connack.code
        scene.session_present = connack.session_present


def _keep_alive(scene: Evidence, tracker: ConnectionTracker, now: float) -> None:
    """The silences, and the margin they left."""
    up, down, before = tracker.up, tracker.down, tracker.before
    # a broker that says DISCONNECT has ended it there and then, whenever its leg stops
    at = tracker.disconnect_at if tracker.closing_by is BROKER else now
    silence, counted = at - min(at, up.packet_at), at - min(at, tracker.counted_at())
    gap_max, counted_gap_max, late_gaps = tracker.gap_max, tracker.counted_gap_max, tracker.late_gaps
    if before is not None and _crossed(tracker, before, now):
        # a packet that crossed the broker's ending ended no silence and survived nothing: it came late
        crossed = Late(packet_name(up.last), tracker.resumed_at - now)
        silence, counted = before.silence - crossed.after_s, before.counted_silence - crossed.after_s
        gap_max, counted_gap_max, late_gaps = before.gap_max, before.counted_gap_max, before.late_gaps
        scene.late_from_client = crossed
    if tracker.limits is not None:
        low, high = tracker.limits
        scene.limit_low_s, scene.limit_high_s = low, high
        if tracker.established_at is not None:
            scene.margin_min_s = low - (counted_gap_max if counted_gap_max >= counted else counted)
    scene.broker_profile = tracker.policy.profile
    scene.counts = _COUNTS[tracker.counts]
    scene.silence_s = silence
    scene.silence_counted_s = counted
    scene.gap_max_s = gap_max or None
    scene.late_gaps = late_gaps
    scene.downlink_in_silence = tracker.down_in_silence
    quiet_s = now - (down.byte_at if down.byte_at >= up.packet_at else up.packet_at)
    scene.downlink_gap_s = tracker.down_gap if tracker.down_gap >= quiet_s else quiet_s


def _crossed(tracker: ConnectionTracker, before: BeforeResuming, now: float) -> bool:
    """Did the broker end it before the packet that ended the client's pause can have reached it?"""
    if tracker.limits is None or not tracker.has_ended(BROKER):
        return False
    near = before.counted_silence >= tracker.limits[0] - CROSSING_NEAR_S
    return near and now - tracker.resumed_at < CROSSING_S


def _pings(scene: Evidence, pings: PingLedger, now: float) -> None:
    """The ledger at the first ending."""
    scene.pingreqs = pings.sent
    scene.pingresps = pings.answered
    scene.pings_open = len(pings.open_at)
    scene.ping_wait_s = now - pings.oldest if pings.oldest is not None else None
    scene.ping_rtt_last_ms = pings.rtt_last * 1000 if pings.rtt_last is not None else None
    scene.ping_rtt_max_ms = pings.rtt_max * 1000 if pings.rtt_max is not None else None
    scene.ping_ago_s = now - pings.last_at if pings.last_at is not None else None


def _taken_over_by(tracker: ConnectionTracker, ended_at: float) -> Rival | None:
    rival = tracker.rival
    if rival is None:
        return None
    return _rival(rival, ended_at - tracker.rival_at)


def _took_over(tracker: ConnectionTracker) -> Rival | None:
    holder = tracker.holder
    if holder is None:
        return None
    gap = holder.first_ending_at - tracker.connect_at if holder.first_ending_at is not None else None
    return _rival(holder, gap)


def _rival(other: ConnectionTracker | Remote, gap_s: float | None) -> Rival:
    settings = other.settings if isinstance(other, Remote) else settings_of(other)
    return Rival(other.origin.conn_id, other.origin.client_addr, gap_s, *settings)


def settings_of(tracker: ConnectionTracker) -> Settings:
    """What its CONNECT asked for."""
    connect = tracker.connect
    if connect is None:
        return Settings(None, None, None, None)
    return Settings(
        connect.keep_alive, version_name(connect.level), connect.clean_start, connect.will is not None
    )

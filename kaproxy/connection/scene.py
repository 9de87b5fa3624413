"""The scene of an ending: what the tracker knew at the first ending, made into evidence.

`freeze` is called at the first ending and keeps what the moment decides (silences, open pings, partial
packets); `complete` adds what only shows later (legs after the forwarded FIN, late packets, final counts).
It may not judge: every number here is measured, none is a cause.
Read next: `evidence.py` for the meaning of each field, `kaproxy/diagnosis` for what is made of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from kaproxy.connection import neighbourhood
from kaproxy.connection.directory import Remote, Settings
from kaproxy.connection.evidence import Evidence, Late, Rival
from kaproxy.connection.facts import Ending, LegFacts, Phase, ProxyAction, RelayFacts, Side
from kaproxy.connection.records import fill
from kaproxy.mqtt.codes import packet_name

if TYPE_CHECKING:
    from kaproxy.connection.directory import Directory
    from kaproxy.connection.tracker import BeforeResuming, ConnectionTracker

#: A control packet this shortly (s) before the broker's ending may have crossed it on the way.
CROSSING_S = 0.25
#: … if the silence it ended had already come this close (s) to the limit.
CROSSING_NEAR_S = 0.2

#: Fields of `Evidence`, gathered group by group: the record is large, and built once.
Facts: TypeAlias = dict[str, Any]

_VERSIONS = {3: "3.1", 4: "3.1.1", 5: "5.0"}


def version_name(level: int) -> str:
    """The protocol version of a CONNECT's protocol level (3.1.2.2); an unknown level prints itself."""
    return _VERSIONS.get(level & 0x7F, str(level))


def freeze(tracker: ConnectionTracker, now: float) -> Evidence:
    """The evidence as it stood at the first ending, `now`."""
    facts = {**_life(tracker, now), **_words(tracker)}
    if tracker.connect is not None:
        facts |= _keep_alive(tracker, now)
        facts |= _pings(tracker, now)
    return Evidence(**facts)


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
    late = tracker.late or {}
    up, down = tracker.up, tracker.down
    later: Facts = {
        "client_leg": client_leg,
        "broker_leg": broker_leg,
        "relay": relay,
        "late_from_client": scene.late_from_client or late.get(Side.CLIENT),
        "late_from_broker": late.get(Side.BROKER),
        "packets_from_client": up.packets,
        "packets_from_broker": down.packets,
        "bytes_from_client": up.bytes,
        "bytes_from_broker": down.bytes,
        "taken_over_by": _taken_over_by(tracker, ended_at),
        "took_over": _took_over(tracker),
        "neighbours": neighbourhood.known_by(now, tracker, scene, ended_at, directory),
        "closed_within_1s": neighbourhood.ended_around(ended_at, directory),
        "unreadable": up.unreadable() or down.unreadable(),
        "oddities": up.decoder.oddities + down.decoder.oddities,
        "observer_error": tracker.observer_error,
        "history": tracker.history,
        "frames": tracker.recorder.frames(ended_at),
    }
    fill(scene, **later)
    return scene


def _who_and_how(tracker: ConnectionTracker) -> tuple[str, str]:
    if tracker.proxy_action is not None:
        return "proxy", Ending.LOCAL.value
    if tracker.closing_by is not None:
        return tracker.closing_by.value, "disconnect"
    if not tracker.legs_ended:
        return "unknown", Ending.LOCAL.value
    side, (ending, _) = next(iter(tracker.legs_ended.items()))
    return side.value, ending.value


def _phase(tracker: ConnectionTracker) -> Phase:
    if tracker.closing_by is not None:
        return Phase.CLOSING
    if tracker.established_at is not None:
        return Phase.ESTABLISHED
    if not tracker.broker_up:
        limited = tracker.proxy_action is ProxyAction.LIMIT
        return Phase.ACCEPTED if limited else Phase.DIALING
    return Phase.AWAITING_CONNACK if tracker.connect is not None else Phase.AWAITING_CONNECT


def _life(tracker: ConnectionTracker, now: float) -> Facts:
    """Who ended it, how, when, and what each peer was doing."""
    up, down = tracker.up, tracker.down
    closed_by, close_how = _who_and_how(tracker)
    return {
        "origin": tracker.origin,
        "duration_s": now - tracker.opened_at,
        "phase": _phase(tracker),
        "closed_by": closed_by,
        "close_how": close_how,
        "proxy_action": tracker.proxy_action,
        "proxy_detail": tracker.proxy_detail,
        "path_idle_limit_s": tracker.policy.path_idle_limit_s,
        "idle_s": now - max(up.byte_at, down.byte_at),
        "downlink_idle_s": now - down.byte_at if down.bytes else None,
        "silence_bytes_s": now - up.byte_at,
        "last_from_client": up.sighting(now),
        "last_from_broker": down.sighting(now),
        "partial_from_client": up.partial(),
        "partial_from_broker": down.partial(),
        "inflight_from_client": up.unacknowledged,
        "inflight_from_broker": down.unacknowledged,
    }


def _words(tracker: ConnectionTracker) -> Facts:
    """What CONNECT, CONNACK and DISCONNECT said."""
    connect, connack = tracker.connect, tracker.connack
    from_client, from_broker = tracker.disconnects
    facts: Facts = {
        "disconnect_from_client": from_client,
        "disconnect_from_broker": from_broker,
        "first_disconnect": tracker.closing_by.value if tracker.closing_by else None,
    }
    if connect is not None:
        facts |= {
            "client_id": tracker.client_id,
            "protocol_version": version_name(connect.level),
            "keep_alive": connect.keep_alive,
            "effective_keep_alive": tracker.effective_keep_alive,
            "will_present": connect.will is not None,
            "clean_start": connect.clean_start,
        }
    if connack is not None:
        facts |= {"connack_code": connack.code, "session_present": connack.session_present}
    return facts


def _keep_alive(tracker: ConnectionTracker, now: float) -> Facts:
    """The silences, and the margin they left."""
    low, high = tracker.limits or (None, None)
    up, down, before = tracker.up, tracker.down, tracker.before
    # a broker that says DISCONNECT has ended it there and then, whenever its leg stops
    at = tracker.disconnect_at if tracker.closing_by is Side.BROKER else now
    silence, counted = at - min(at, up.packet_at), at - min(at, tracker.counted_at())
    gap_max, counted_gap_max, late_gaps, crossed = (
        tracker.gap_max, tracker.counted_gap_max, tracker.late_gaps, None,
    )  # fmt: skip
    if before is not None and _crossed(tracker, before, now):
        # a packet that crossed the broker's ending ended no silence and survived nothing: it came late
        crossed = Late(packet_name(up.last), tracker.resumed_at - now)
        silence, counted = before.silence - crossed.after_s, before.counted_silence - crossed.after_s
        gap_max, counted_gap_max, late_gaps = before.gap_max, before.counted_gap_max, before.late_gaps
    judged = low is not None and tracker.established_at is not None
    return {
        "limit_low_s": low,
        "limit_high_s": high,
        "broker_profile": tracker.policy.profile,
        "counts": tracker.counts.value,
        "silence_s": silence,
        "silence_counted_s": counted,
        "margin_min_s": low - max(counted_gap_max, counted) if low is not None and judged else None,
        "gap_max_s": gap_max or None,
        "late_gaps": late_gaps,
        "late_from_client": crossed,
        "downlink_in_silence": tracker.down_in_silence,
        "downlink_gap_s": max(tracker.down_gap, now - max(down.byte_at, up.packet_at)),
    }


def _crossed(tracker: ConnectionTracker, before: BeforeResuming, now: float) -> bool:
    """Did the broker end it before the packet that ended the client's pause can have reached it?"""
    if Side.BROKER not in tracker.legs_ended or tracker.limits is None:
        return False
    near = before.counted_silence >= tracker.limits[0] - CROSSING_NEAR_S
    return near and now - tracker.resumed_at < CROSSING_S


def _pings(tracker: ConnectionTracker, now: float) -> Facts:
    """The ledger at the first ending."""
    pings = tracker.pings
    return {
        "pingreqs": pings.sent,
        "pingresps": pings.answered,
        "pings_open": len(pings.open_at),
        "ping_wait_s": now - pings.oldest if pings.oldest is not None else None,
        "ping_rtt_last_ms": pings.rtt_last * 1000 if pings.rtt_last is not None else None,
        "ping_rtt_max_ms": pings.rtt_max * 1000 if pings.rtt_max is not None else None,
        "ping_ago_s": now - pings.last_at if pings.last_at is not None else None,
    }


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

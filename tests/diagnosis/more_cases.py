"""Named endings that take a neighbour, a trigger or a held-back packet to tell, each beside its look-alikes.

A name that says "not" is a look-alike: all but one fact of the case before it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kaproxy.connection.evidence import Frame, Late, Neighbours, PartialPacket, Rival, Sighting, Unreadable
from kaproxy.connection.facts import Ending, LegFacts, Phase, RelayFacts
from kaproxy.diagnosis import Cause, Owner
from tests.diagnosis.build import (
    BROKER_RST,
    BROKER_SAID,
    CLIENT_LEFT,
    CLIENT_RST,
    CLIENT_SAID,
    DEAD,
    DURATION,
    EXPIRED,
    HEALTHY,
    KERNEL_ONLY,
    LIKELY,
    NOT_READING,
    PING_OPEN,
    QUIET,
    REACTED,
    SETTLED,
    UNCLEAR,
    V5,
    Case,
    evidence,
    leg,
)

_TIMEOUT, _PING = Cause.KEEP_ALIVE_TIMEOUT, Cause.PING_TIMEOUT
_SAID_0X8D: dict[str, Any] = {
    **BROKER_SAID,
    "disconnect_from_broker": 0x8D,
    "broker_profile": "hivemq",
    "downlink_in_silence": 1,
}


def _silences() -> dict[str, Case]:
    upload: dict[str, Any] = {
        **EXPIRED,
        "silence_bytes_s": 0.4,
        "idle_s": 0.4,
        "partial_from_client": PartialPacket("PUBLISH", 4_000_000, 3_999_500),
    }
    halfway = PartialPacket("PUBLISH", 4_000_000, 2_000_000)
    full = leg(ending=Ending.FIN, ended_s=DURATION, unsent=70_000, window=0, stalled_s=92.0, stalled_now=True)
    ignoring: dict[str, Any] = {
        **V5,
        **QUIET,
        "keep_alive": 60,
        "effective_keep_alive": 20,
        "silence": 31.0,
        "gap_max_s": 29.0,
        "late_gaps": 2,
    }
    capped: dict[str, Any] = {**QUIET, "keep_alive": 300, "silence": 91.0, "broker_profile": "artemis"}
    golang: dict[str, Any] = {**QUIET, "keep_alive": 11, "silence": 15.0, "gap_max_s": 12.0, "late_gaps": 2}
    return {
        "upload starved": Case(
            evidence(**upload, client_leg=REACTED), _TIMEOUT, "upload_starved", LIKELY, Owner.CLIENT_APP
        ),
        "upload starved, and its end comes late": Case(
            evidence(**upload, client_leg=REACTED, late_from_client=Late("PUBLISH", 0.3)),
            _TIMEOUT,
            "upload_starved",
        ),
        "upload that mosquitto should have counted": Case(
            evidence(**{**upload, "partial_from_client": halfway}, client_leg=REACTED),
            _TIMEOUT,
            "upload_starved",
            UNCLEAR,
        ),
        "not starved: it hung in the middle of its upload": Case(
            evidence(**{**upload, "silence_bytes_s": 92.0, "idle_s": 92.0}, client_leg=KERNEL_ONLY),
            _TIMEOUT,
            "client_hung",
        ),
        "broker did not read": Case(
            evidence(**EXPIRED, broker_leg=full), _TIMEOUT, "broker_not_reading", LIKELY, Owner.BROKER
        ),
        "not the broker's reading: the client had been silent before": Case(
            evidence(**EXPIRED, broker_leg=leg(full, stalled_s=1.0)), _TIMEOUT, "client_hung"
        ),
        "0x8D early, broker did not read": Case(
            evidence(**{**_SAID_0X8D, "silence": 20.0, "broker_leg": full}), _TIMEOUT, "broker_not_reading"
        ),
        "0x8D early after an unanswered PINGREQ": Case(
            evidence(**{**_SAID_0X8D, "silence": 40.0, "pings_open": 1, "ping_wait_s": 40.0}),
            _TIMEOUT,
            "broker_not_reading",
        ),
        "0x8D early, but kaproxy was late": Case(
            evidence(**{**_SAID_0X8D, "silence": 80.0, "relay": RelayFacts(0.0, 12.0, 12.0)}),
            _TIMEOUT,
            "proxy_delayed",
            UNCLEAR,
            Owner.PROXY,
        ),
        "0x8D early, and the path to the broker lossy": Case(
            evidence(
                **{**_SAID_0X8D, "silence": 80.0, "broker_leg": leg(unacked=9, retransmits=4, backoff=4)}
            ),
            _TIMEOUT,
            None,
            SETTLED,
            Owner.PATH,
        ),
        "0x8D at a known cap": Case(
            evidence(**{**_SAID_0X8D, "broker_profile": "aws", "keep_alive": 1800, "silence": 1810.0}),
            _TIMEOUT,
            "silent_cap",
        ),
        "reset with PINGREQs unread for the window": Case(
            evidence(
                silence_counted_s=2.0,
                close_how="rst",
                broker_leg=leg(BROKER_RST, unsent=90_000, window=0, stalled_s=30.0),
                pings_open=9,
                ping_wait_s=92.0,
            ),
            _TIMEOUT,
            "broker_not_reading",
        ),
        "reset with PINGREQs unread, perhaps stopped": Case(
            evidence(close_how="rst", broker_leg=BROKER_RST, pings_open=9, ping_wait_s=50.0),
            _TIMEOUT,
            "broker_not_reading",
            UNCLEAR,
        ),
        "not unread: its host refuses dials": Case(
            evidence(
                close_how="rst",
                broker_leg=BROKER_RST,
                pings_open=9,
                ping_wait_s=50.0,
                neighbours=Neighbours(1, 1, 1),
            ),
            Cause.BROKER_RESET,
            "restart",
        ),
        "never pinged, though it had survived a gap": Case(
            evidence(**EXPIRED, pingreqs=0, pingresps=0, gap_max_s=89.9, late_gaps=1, client_leg=REACTED),
            _TIMEOUT,
            "never_pinged",
        ),
        "Server Keep Alive ignored": Case(
            evidence(**ignoring, client_leg=REACTED),
            _TIMEOUT,
            "server_keep_alive_ignored",
            LIKELY,
            Owner.CLIENT_LIBRARY,
        ),
        "not ignored: it exceeds its own Keep Alive too": Case(
            evidence(
                **{**ignoring, "keep_alive": 25, "silence": 31.0, "gap_max_s": 29.9},
                client_leg=REACTED,
            ),
            _TIMEOUT,
            "pinged_late",
        ),
        "not ignored for sure: it did not react": Case(
            evidence(**ignoring, client_leg=KERNEL_ONLY), _TIMEOUT, "client_hung"
        ),
        "Keep Alive lowered untold, broker known": Case(
            evidence(**capped, client_leg=REACTED), _TIMEOUT, "silent_cap", LIKELY, Owner.BROKER
        ),
        "Keep Alive 0 lowered untold": Case(
            evidence(**{**capped, "keep_alive": 0}, client_leg=REACTED), _TIMEOUT, "silent_cap"
        ),
        "Keep Alive lowered untold, broker unknown": Case(
            evidence(**{**capped, "broker_profile": "unknown"}, client_leg=REACTED),
            _TIMEOUT,
            "silent_cap",
            UNCLEAR,
        ),
        "lowered untold, but the device was gone": Case(
            evidence(**capped, client_leg=DEAD), _TIMEOUT, "client_unreachable"
        ),
        "not lowered: 5.0 brokers tell": Case(
            evidence(**{**capped, **V5, "broker_profile": "unknown"}, client_leg=REACTED),
            Cause.BROKER_CLOSED,
            None,
            UNCLEAR,
        ),
        "it closed 2 ms before its late tick": Case(
            evidence(**{**golang, "broker_profile": "aedes", "limit_low_s": 15.0, "limit_high_s": 15.1},
                     client_leg=leg(REACTED, ended_s=DURATION + 0.002)),
            _TIMEOUT,
            "pinged_late",
            LIKELY,
            Owner.CLIENT_LIBRARY,
        ),
        "never pinged, or its first ping was late": Case(
            evidence(
                **{**QUIET, "keep_alive": 10, "silence": 15.0, "broker_profile": "aedes"},
                pingreqs=0,
                pingresps=0,
                ping_ago_s=None,
                gap_max_s=None,
                client_leg=REACTED,
            ),
            _TIMEOUT,
            "never_pinged",
            UNCLEAR,
        ),
        "expired while it did not read, seen when it read on": Case(
            evidence(
                **{**EXPIRED, "silence": 140.0, "downlink_in_silence": 300, "idle_s": 0.1},
                client_leg=leg(REACTED, stalled_s=60.0),
                late_from_client=Late("PINGREQ", 0.01),
            ),
            _TIMEOUT,
            "client_not_reading",
            UNCLEAR,
        ),
        "expiry and a box of 60 s both fit": Case(
            evidence(**{**QUIET, "silence": 60.4, "keep_alive": 40}, client_leg=DEAD),
            _TIMEOUT,
            "client_unreachable",
            UNCLEAR,
        ),
        "overdue, and the broker's host refuses dials": Case(
            evidence(**EXPIRED, client_leg=DEAD, neighbours=Neighbours(1, 1, 2)),
            _TIMEOUT,
            "client_unreachable",
            UNCLEAR,
        ),
        "a batch of expiries is no restart": Case(
            evidence(**EXPIRED, client_leg=DEAD, neighbours=Neighbours(6, 6), closed_within_1s=6),
            _TIMEOUT,
            "client_unreachable",
        ),
    }  # fmt: skip


def _answers() -> dict[str, Case]:
    lossy = leg(CLIENT_RST, unacked=900, retransmits=4, backoff=4)
    answered = {**CLIENT_LEFT, **QUIET, "silence": 60.1, "ping_ago_s": 60.1}
    return {
        "PINGRESP after the client had gone": Case(
            evidence(**PING_OPEN, late_from_broker=Late("PINGRESP", 0.4)),
            _PING,
            "broker_slow",
            LIKELY,
            Owner.BROKER,
        ),
        "PINGRESP after the client had gone, behind a PUBLISH": Case(
            evidence(
                **PING_OPEN,
                late_from_broker=Late("PUBLISH", 0.3),
                frames=(Frame(60.4, True, 0xC0, 2), Frame(-0.3, False, 0x30, 9), Frame(-0.4, False, 0xD0, 2)),
            ),
            _PING,
            "broker_slow",
        ),
        "PINGRESP after the client had said that it gives up": Case(
            evidence(
                **{**PING_OPEN, **CLIENT_SAID, **V5, "disconnect_from_client": 0x8D},
                late_from_broker=Late("PINGRESP", 0.4),
            ),
            _PING,
            "broker_slow",
            SETTLED,
        ),
        "slower and slower": Case(
            evidence(**PING_OPEN, ping_rtt_last_ms=4200.0, ping_rtt_max_ms=4200.0),
            _PING,
            "broker_slow",
            UNCLEAR,
        ),
        "not slower: it answered fast, then not at all": Case(
            evidence(**PING_OPEN, ping_rtt_last_ms=3.0, ping_rtt_max_ms=4200.0), _PING, "broker_silent"
        ),
        "PINGRESP lost on the way": Case(
            evidence(
                **{**answered, "close_how": "rst", "client_leg": lossy},
                last_from_broker=Sighting("PINGRESP", 60.0),
            ),
            _PING,
            "response_lost",
            LIKELY,
            Owner.PATH,
        ),
        "PINGRESP lost on the way, and closed at no known limit": Case(
            evidence(
                **{**answered, "silence": 43.0, "ping_ago_s": 43.0, "client_leg": lossy},
                last_from_broker=Sighting("PINGRESP", 42.9),
            ),
            _PING,
            "response_lost",
            UNCLEAR,
        ),
        "kaproxy was late for all of the wait": Case(
            evidence(**PING_OPEN, relay=RelayFacts(0.0, 59.0, 59.0)),
            _PING,
            "proxy_delayed",
            LIKELY,
            Owner.PROXY,
        ),
        "kaproxy was late long before": Case(
            evidence(**PING_OPEN, relay=RelayFacts(0.0, 59.0, 0.001)), _PING, "broker_silent"
        ),
    }


def _takeovers() -> dict[str, Case]:
    same = Rival("w1-9", "10.1.2.3", 0.012, 60, "3.1.1", True, False)
    elsewhere = replace(same, client_addr="10.9.9.9")
    other = replace(elsewhere, keep_alive=15)

    def taken(rival: Rival, **changes: Any) -> Case:
        root, confidence = changes.pop("root"), changes.pop("confidence")
        return Case(evidence(taken_over_by=rival, **changes), Cause.TAKEOVER, root, confidence)

    return {
        "two clients, other settings, old one alive": taken(
            other, client_leg=REACTED, root="two_clients", confidence=SETTLED
        ),
        "two clients, other settings": taken(other, root="two_clients", confidence=LIKELY),
        "two clients, same settings from two addresses": taken(
            elsewhere, client_leg=REACTED, root="two_clients", confidence=LIKELY
        ),
        "one host runs it twice": taken(
            same, client_leg=REACTED, root="same_host_duplicate", confidence=LIKELY
        ),
        "one host runs it twice, perhaps": taken(same, root="same_host_duplicate", confidence=UNCLEAR),
        "it came back after its host was gone": taken(
            elsewhere, client_leg=DEAD, root="reconnect_after_half_open", confidence=LIKELY
        ),
        "it came back, and left the old one lying": taken(
            same, **{**QUIET, "silence": 80.0}, root="reconnect_after_half_open", confidence=UNCLEAR
        ),
        "one or two, not to be told": taken(
            elsewhere, client_leg=leg(ending=Ending.RST, ended_s=DURATION + 0.1), root=None, confidence=SETTLED
        ),
        "not settled: the old client spoke after the other CONNECT": taken(
            replace(same, keep_alive=None, gap_s=0.6), silence_s=0.2, root=None, confidence=LIKELY
        ),
        "not settled: others ended in that second": taken(
            replace(same, keep_alive=None), closed_within_1s=7, root=None, confidence=LIKELY
        ),
        "0x8E, two clients": Case(
            evidence(
                **BROKER_SAID, disconnect_from_broker=0x8E, taken_over_by=other, client_leg=REACTED
            ),
            Cause.TAKEOVER,
            "two_clients",
            SETTLED,
        ),
    }  # fmt: skip


def _triggers() -> dict[str, Case]:
    def sent(
        packet: str, first_byte: int, size: int = 60, ago_s: float = 0.02, **more: Any
    ) -> dict[str, Any]:
        return {
            "last_from_client": Sighting(packet, ago_s),
            "last_from_broker": Sighting("PINGRESP", 30.0),
            "silence_s": ago_s,
            "silence_bytes_s": ago_s,
            "silence_counted_s": ago_s,
            "idle_s": ago_s,
            "frames": (
                Frame(30.1, True, 0xC0, 2),
                Frame(30.0, False, 0xD0, 2),
                Frame(ago_s, True, first_byte, size, 7 if first_byte & 6 or first_byte >> 4 == 8 else 0),
            ),
            **more,
        }

    rejected, suspected = Cause.PACKET_REJECTED, "not_authorized_suspected"
    publish = sent("PUBLISH", 0x32, inflight_from_client=1)
    large = PartialPacket("PUBLISH", 900_000, 40_000)
    uploading: dict[str, Any] = {"partial_from_client": large, "silence_bytes_s": 0.01}
    got = {
        **CLIENT_LEFT,
        "last_from_broker": Sighting("PUBLISH", 0.01),
        "idle_s": 0.01,
        "downlink_idle_s": 0.01,
    }
    poison = (Frame(100.0, False, 0x30, 60), Frame(0.01, False, 0x30, 900))
    return {
        "closed on an unanswered PUBLISH": Case(
            evidence(**publish), rejected, suspected, LIKELY, Owner.OPERATOR
        ),
        "closed on a SUBSCRIBE": Case(evidence(**sent("SUBSCRIBE", 0x82)), rejected, suspected),
        "closed on a rare PUBLISH with QoS 0": Case(
            evidence(**sent("PUBLISH", 0x30)), rejected, suspected, UNCLEAR
        ),
        "closed on the first PUBLISH of a young connection": Case(
            evidence(
                **sent("PUBLISH", 0x30, ago_s=0.002)
                | {"frames": (Frame(0.02, True, 0x10, 40), Frame(0.002, True, 0x30, 40)), "duration_s": 0.02}
            ),
            rejected,
            suspected,
            UNCLEAR,
        ),
        "closed on a PUBLISH of 5.0 with many in flight": Case(
            evidence(**publish | {"inflight_from_client": 40}, **V5), rejected, "receive_maximum", UNCLEAR
        ),
        "closed on a PUBLISH of 5.0": Case(evidence(**publish, **V5), rejected, None, UNCLEAR, Owner.CLIENT_APP),
        "closed on by far the largest PUBLISH": Case(
            evidence(**sent("PUBLISH", 0x32, 300_000, inflight_from_client=1)), rejected, "too_large", UNCLEAR
        ),
        "closed in the middle of a large PUBLISH": Case(
            evidence(**uploading, close_how="rst", broker_leg=BROKER_RST), rejected, "too_large", LIKELY
        ),
        "not too large: it had taken such before": Case(
            evidence(**uploading, frames=(Frame(9.0, True, 0x32, 900_000, 4),)), Cause.BROKER_CLOSED, None, UNCLEAR
        ),
        "closed on a second CONNECT": Case(
            evidence(**sent("CONNECT", 0x10), oddities=("second_connect",)), rejected, "protocol_violation", LIKELY
        ),
        "closed on a packet of the broker's side": Case(
            evidence(**sent("CONNACK", 0x20), oddities=("connack_from_client",)), rejected, "protocol_violation"
        ),
        "closed on a PUBLISH with QoS 3": Case(
            evidence(**sent("PUBLISH", 0x36, inflight_from_client=1), oddities=("publish_qos_3",)),
            rejected,
            "malformed",
        ),
        "not its PUBLISH: acknowledged before": Case(
            evidence(**sent("PUBLISH", 0x32)), Cause.BROKER_CLOSED, "client_looks_fine", UNCLEAR
        ),
        "not its PUBLISH: it publishes all the time": Case(
            evidence(
                **sent("PUBLISH", 0x30)
                | {"frames": tuple(Frame(round(0.02 + 0.1 * n, 3), True, 0x30, 60) for n in reversed(range(9)))}
            ),
            Cause.BROKER_CLOSED,
            "client_looks_fine",
            UNCLEAR,
        ),
        "not its PUBLISH: others ended too": Case(
            evidence(**publish, neighbours=Neighbours(6, 6)), Cause.BROKER_CLOSED, "restart", LIKELY
        ),
        "not its PUBLISH: the broker was idle before it closed": Case(
            evidence(**sent("PUBLISH", 0x30, ago_s=4.0)), Cause.BROKER_CLOSED, "client_looks_fine", UNCLEAR
        ),
        "0x95 from the client": Case(
            evidence(**{**CLIENT_SAID, **V5, "disconnect_from_client": 0x95}),
            Cause.PACKET_UNACCEPTABLE,
            None,
            SETTLED,
            Owner.BROKER,
        ),
        "client leaves on bytes that cannot be read": Case(
            evidence(**got, unreadable=Unreadable("broker", "unknown_property", "PUBLISH", 90)),
            Cause.PACKET_UNACCEPTABLE,
        ),
        "client leaves in the middle of a large PUBLISH": Case(
            evidence(**got, partial_from_broker=large), Cause.PACKET_UNACCEPTABLE, None, UNCLEAR
        ),
        "client leaves on the first PUBLISH for long": Case(
            evidence(**got, frames=poison), Cause.PACKET_UNACCEPTABLE, None, UNCLEAR
        ),
        "client leaves on a PUBLISH, again and again": Case(
            evidence(**got, duration_s=0.3, frames=poison[1:], neighbours=Neighbours(2, connects_1m=4)),
            Cause.PACKET_UNACCEPTABLE,
            None,
            UNCLEAR,
        ),
        "client leaves on a packet of reserved type": Case(
            evidence(**got, oddities=("reserved_packet_type",), frames=(Frame(0.01, False, 0x00, 4),)),
            Cause.PACKET_UNACCEPTABLE,
        ),
        "not that PUBLISH: they pour in": Case(
            evidence(
                **got,
                frames=tuple(Frame(round(0.01 + 0.05 * n, 3), False, 0x30, 60) for n in reversed(range(9))),
            ),
            Cause.CLIENT_CLOSED,
        ),
    }  # fmt: skip


def _woken(how: dict[str, Any], first_byte: int, size: int, pause_s: float = 400.0) -> dict[str, Any]:
    """A client that sent a PUBLISH after a pause, and the broker's side ended at once."""
    return {
        **QUIET,
        **how,
        "keep_alive": 900,
        "silence": 0.05,
        "idle_s": 0.05,
        "late_gaps": 0,
        "last_from_client": Sighting("PUBLISH", 0.05),
        "inflight_from_client": 1,
        "frames": (
            Frame(pause_s + 0.1, True, 0x32, 90),
            Frame(pause_s, False, 0x40, 4),
            Frame(0.05, True, first_byte, size),
        ),
    }


def _neighbours() -> dict[str, Case]:
    idle = {**QUIET, "keep_alive": 300, "silence": 60.3}
    reset = {"close_how": "rst", "broker_leg": BROKER_RST}
    closed = Cause.BROKER_CLOSED
    paused = (Frame(400.2, True, 0xC0, 2), Frame(400.1, False, 0xD0, 2), Frame(0.05, True, 0xC0, 2))
    return {
        "restart: all ended and dials are refused": Case(
            evidence(neighbours=Neighbours(6, 6, 4)), closed, "restart", LIKELY, Owner.OPERATOR
        ),
        "restart: its only client, and the dial after is refused": Case(
            evidence(neighbours=Neighbours(1, 1, 1)), closed, "restart"
        ),
        "restart of a broker that resets": Case(
            evidence(**reset, neighbours=Neighbours(6, 6)), Cause.BROKER_RESET, "restart"
        ),
        "restart, perhaps: two of two": Case(
            evidence(neighbours=Neighbours(2, 2)), closed, "restart", UNCLEAR
        ),
        "not a restart: three of a hundred": Case(
            evidence(neighbours=Neighbours(100, 3)), closed, "client_looks_fine", UNCLEAR
        ),
        "not a restart: kaproxy stood still": Case(
            evidence(neighbours=Neighbours(6, 6), relay=RelayFacts(0.0, 9.0, 9.0)),
            closed,
            None,
            UNCLEAR,
            Owner.PROXY,
        ),
        "a box of 60 s": Case(evidence(**idle), Cause.IDLE_CUT, "limit_60s", UNCLEAR, Owner.PATH),
        "a box of 60 s, seen at several Keep Alives": Case(
            evidence(**idle, neighbours=Neighbours(9, 1, 0, 0, 3, 2)), Cause.IDLE_CUT, "limit_60s", LIKELY
        ),
        "a box of no known limit, seen at several Keep Alives": Case(
            evidence(**{**idle, "silence": 77.0}, neighbours=Neighbours(9, 1, 0, 0, 3, 2)),
            Cause.IDLE_CUT,
            None,
            LIKELY,
        ),
        "a box among idle times of all lengths": Case(
            evidence(**{**idle, "silence": 77.0}, neighbours=Neighbours(9, 1, 0, 0, 40, 3, near_idle=120)),
            Cause.IDLE_CUT,
            None,
            LIKELY,
        ),
        "not a box: idle times of all lengths, some alike by chance": Case(
            evidence(**{**idle, "silence": 77.0}, neighbours=Neighbours(9, 1, 0, 0, 5, 3, near_idle=120)),
            closed,
            None,
            UNCLEAR,
        ),
        "a box of 60 s, perhaps: one other alike is none of several": Case(
            evidence(**idle, neighbours=Neighbours(9, 1, 0, 0, 1, 2, near_idle=1)),
            Cause.IDLE_CUT,
            "limit_60s",
            UNCLEAR,
        ),
        "a box between client and kaproxy": Case(
            evidence(**{**idle, **CLIENT_LEFT, "ping_ago_s": 100.0}), Cause.IDLE_CUT, "limit_60s", UNCLEAR
        ),
        "a box whose limit the operator has told": Case(
            evidence(**{**idle, "silence": 77.0}, path_idle_limit_s=77.0),
            Cause.IDLE_CUT,
            "path_limit",
            LIKELY,
        ),
        "a box whose told limit is short": Case(
            evidence(**{**idle, "silence": 6.0}, path_idle_limit_s=6.0), Cause.IDLE_CUT, "path_limit", LIKELY
        ),
        "not that box: its limit was not reached": Case(
            evidence(**{**idle, "silence": 70.0}, path_idle_limit_s=77.0), closed, None, UNCLEAR
        ),
        "the same idle time three times over, at one Keep Alive": Case(
            evidence(**{**idle, "silence": 77.0}, neighbours=Neighbours(9, 1, 0, 0, 2, 1)),
            Cause.IDLE_CUT,
            None,
            UNCLEAR,
        ),
        "a box that forgot the connection": Case(
            evidence(
                **{**QUIET, **reset, "keep_alive": 400, "silence": 0.05, "frames": paused, "late_gaps": 0}
            ),
            Cause.IDLE_CUT,
            "limit_350s",
            UNCLEAR,
        ),
        "a box that forgot the connection, found out by a PUBLISH": Case(
            evidence(**_woken(reset, 0x32, 80)), Cause.IDLE_CUT, "limit_350s", UNCLEAR
        ),
        "a box that forgot the connection, found out by several packets": Case(
            evidence(
                **_woken(reset, 0x32, 80)
                | {"frames": (*_woken(reset, 0x32, 80)["frames"], Frame(0.01, True, 0x30, 90))}
            ),
            Cause.IDLE_CUT,
            "limit_350s",
            UNCLEAR,
        ),
        "not forgotten: the broker closed in order on the first packet after a pause": Case(
            evidence(**_woken({}, 0x32, 80)), Cause.PACKET_REJECTED, "not_authorized_suspected", LIKELY
        ),
        "not forgotten: the pause is shorter than any box's limit": Case(
            evidence(**_woken(reset, 0x32, 80, pause_s=100.0)),
            Cause.PACKET_REJECTED,
            "not_authorized_suspected",
            LIKELY,
        ),
        "not forgotten: something is wrong with the first packet after a pause": Case(
            evidence(**_woken(reset, 0x36, 80), oddities=("publish_qos_3",)),
            Cause.PACKET_REJECTED,
            "malformed",
            LIKELY,
        ),
        "not forgotten: the first packet after a pause is by far the largest": Case(
            evidence(**_woken(reset, 0x32, 300_000)), Cause.PACKET_REJECTED, "too_large", UNCLEAR
        ),
        "not a box: no known limit, alone": Case(
            evidence(**{**idle, "silence": 77.0}, neighbours=Neighbours(9, 1)), closed, None, UNCLEAR
        ),
        "not a box: idle for just its own Keep Alive": Case(
            evidence(**{**idle, **CLIENT_LEFT, "keep_alive": 60, "ping_ago_s": None, "pingresps": 0}),
            Cause.CLIENT_CLOSED,
            None,
            UNCLEAR,
        ),
        "an age that others reached": Case(
            evidence(neighbours=Neighbours(9, 1, 0, 3)), closed, "lifetime_limit", LIKELY, Owner.NOBODY
        ),
        "an age that another reached": Case(
            evidence(neighbours=Neighbours(9, 1, 0, 1)), closed, "lifetime_limit", UNCLEAR
        ),
        "not an age: connections of all ages, some alike by chance": Case(
            evidence(neighbours=Neighbours(9, 1, 0, 5, near_age=120)), closed, "client_looks_fine", UNCLEAR
        ),
        "slow consumer": Case(
            evidence(client_leg=leg(NOT_READING, stalled_s=40.0)),
            closed,
            "slow_consumer",
            LIKELY,
            Owner.CLIENT_APP,
        ),
        "slow consumer of a broker that resets": Case(
            evidence(**reset, client_leg=leg(NOT_READING, stalled_s=4.0)),
            Cause.BROKER_RESET,
            "slow_consumer",
            UNCLEAR,
        ),
        "an age that others reached, reset": Case(
            evidence(**reset, neighbours=Neighbours(9, 1, 0, 3)), Cause.BROKER_RESET, "lifetime_limit", LIKELY
        ),
        "storm of resets": Case(
            evidence(
                **{**CLIENT_LEFT, "close_how": "rst", "client_leg": CLIENT_RST},
                duration_s=0.4,
                neighbours=Neighbours(3, connects_1m=20),
            ),
            Cause.CLIENT_RESET,
            "storm",
            UNCLEAR,
        ),
        "gone in the middle of a packet, reset": Case(
            evidence(
                **{**CLIENT_LEFT, "close_how": "rst", "client_leg": CLIENT_RST},
                partial_from_client=PartialPacket("PUBLISH", 900, 400),
            ),
            Cause.CLIENT_RESET,
            "process_exit",
            UNCLEAR,
        ),
        "0x8B to many": Case(
            evidence(**BROKER_SAID, disconnect_from_broker=0x8B, closed_within_1s=9),
            Cause.BROKER_SHUTDOWN,
            "restart",
            SETTLED,
        ),
        "0x9C to many": Case(
            evidence(**BROKER_SAID, disconnect_from_broker=0x9C, closed_within_1s=9),
            Cause.BROKER_DISCONNECT,
            "restart",
        ),
        "0x80 to a client that does not read": Case(
            evidence(**BROKER_SAID, disconnect_from_broker=0x80, client_leg=leg(NOT_READING, stalled_s=9.0)),
            Cause.BROKER_DISCONNECT,
            "slow_consumer",
            LIKELY,
            Owner.CLIENT_APP,
        ),
        "storm": Case(
            evidence(**CLIENT_LEFT, duration_s=0.4, neighbours=Neighbours(3, connects_1m=20)),
            Cause.CLIENT_CLOSED,
            "storm",
            LIKELY,
        ),
        "not a storm: it stayed": Case(
            evidence(**CLIENT_LEFT, neighbours=Neighbours(3, connects_1m=20)), Cause.CLIENT_CLOSED
        ),
        "gone in the middle of a packet": Case(
            evidence(**CLIENT_LEFT, partial_from_client=PartialPacket("PUBLISH", 900, 400)),
            Cause.CLIENT_CLOSED,
            "process_exit",
            UNCLEAR,
        ),
        "gone with many others": Case(
            evidence(**CLIENT_LEFT, closed_within_1s=12, neighbours=Neighbours(1)),
            Cause.CLIENT_CLOSED,
            "process_exit",
            UNCLEAR,
        ),
        "mochi's DISCONNECT to many": Case(
            evidence(
                **{**BROKER_SAID, "protocol_version": "3.1.1"}, disconnect_from_broker=0, closed_within_1s=12
            ),
            Cause.BROKER_DISCONNECT,
            "restart",
        ),
        "TLS alert": Case(
            evidence(
                closed_by="client",
                close_how="tls_alert",
                phase=Phase.TLS,
                client_id=None,
                broker_leg=LegFacts(),
                client_leg=HEALTHY,
            ),
            Cause.TLS_FAILED,
            None,
            SETTLED,
        ),
    }


MORE: dict[str, Case] = {**_silences(), **_answers(), **_takeovers(), **_triggers(), **_neighbours()}

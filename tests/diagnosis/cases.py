"""Named endings with the verdict each must get; those that need a crowd or a trigger are in `more_cases.py`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kaproxy.connection.evidence import Evidence, Frame, Late, PartialPacket, Rival, Unreadable
from kaproxy.connection.facts import Ending, LegFacts, Phase, ProxyAction, RelayFacts
from kaproxy.diagnosis import Cause, Owner
from tests.diagnosis.build import (
    BROKER_FIN,
    BROKER_RST,
    BROKER_SAID,
    CLIENT_FIN,
    CLIENT_LEFT,
    CLIENT_RST,
    CLIENT_SAID,
    DEAD,
    DURATION,
    EXPIRED,
    HEALTHY,
    KERNEL_ONLY,
    LIKELY,
    NO_CONNACK,
    NOT_READING,
    PING_OPEN,
    QUIET,
    REACTED,
    SETTLED,
    SILENT_START,
    UNCLEAR,
    V5,
    Case,
    evidence,
    leg,
)
from tests.diagnosis.more_cases import MORE

__all__ = [
    "BROKER_FIN",
    "BROKER_RST",
    "BROKER_SAID",
    "CASES",
    "CLIENT_FIN",
    "CLIENT_LEFT",
    "CLIENT_RST",
    "CLIENT_SAID",
    "DEAD",
    "DURATION",
    "EXPIRED",
    "FRAMES",
    "HEALTHY",
    "IDLE_FRAMES",
    "KERNEL_ONLY",
    "LIKELY",
    "NOT_READING",
    "NO_CONNACK",
    "PING_OPEN",
    "QUIET",
    "REACTED",
    "SETTLED",
    "SILENT_START",
    "UNCLEAR",
    "V5",
    "Case",
    "evidence",
    "leg",
]


def _stated() -> dict[str, Case]:
    def broker_said(code: int, **more: Any) -> Evidence:
        return evidence(**{**BROKER_SAID, "disconnect_from_broker": code, **more})

    def client_said(code: int = 0, **more: Any) -> Evidence:
        return evidence(**{**CLIENT_SAID, "disconnect_from_client": code, **more})

    def refused(code: int, **more: Any) -> Evidence:
        return evidence(**{**NO_CONNACK, "connack_code": code, **more})

    return {
        "normal DISCONNECT": Case(client_said(), Cause.CLIENT_DISCONNECT, None, SETTLED, Owner.NOBODY, "CL"),
        "DISCONNECT with a PINGREQ just sent": Case(
            client_said(pings_open=1, ping_wait_s=0.01), Cause.CLIENT_DISCONNECT, None, SETTLED
        ),
        "DISCONNECT with a PINGREQ open for one Keep Alive": Case(
            client_said(pings_open=1, ping_wait_s=61.0, downlink_idle_s=61.0), Cause.CLIENT_DISCONNECT
        ),
        "DISCONNECT 0x04": Case(client_said(4, **V5), Cause.CLIENT_DISCONNECT_WITH_WILL, None, SETTLED),
        "DISCONNECT 0x80 from the client": Case(
            client_said(0x80, **V5), Cause.CLIENT_DISCONNECT_ERROR, None, SETTLED, Owner.CLIENT_APP
        ),
        "paho C gives up": Case(
            client_said(**{**PING_OPEN, **CLIENT_SAID, "ping_wait_s": 90.2, "silence": 90.2}),
            Cause.PING_TIMEOUT,
            "broker_silent",
            LIKELY,
            Owner.BROKER,
            "bL",
        ),
        "0x8D from the client, broker silent": Case(
            client_said(0x8D, **{**V5, "pings_open": 1, "ping_wait_s": 30.0, "downlink_idle_s": 30.0}),
            Cause.PING_TIMEOUT,
            "broker_silent",
            SETTLED,
            Owner.BROKER,
        ),
        "0x8D from the client after no wait": Case(
            client_said(0x8D, **V5, pings_open=1, ping_wait_s=0.3),
            Cause.PING_TIMEOUT,
            "client_timer",
            LIKELY,
            Owner.CLIENT_LIBRARY,
        ),
        "0x8D from the client though answered": Case(
            client_said(0x8D, **V5), Cause.PING_TIMEOUT, "client_timer", LIKELY, Owner.CLIENT_LIBRARY
        ),
        "0x8E": Case(broker_said(0x8E), Cause.TAKEOVER, None, SETTLED, Owner.OPERATOR, "BL"),
        "0x8E and the rival seen": Case(
            broker_said(0x8E, taken_over_by=Rival("w1-9", "10.9.9.9", 0.004)), Cause.TAKEOVER, None, SETTLED
        ),
        "0x8B": Case(broker_said(0x8B), Cause.BROKER_SHUTDOWN, None, SETTLED, Owner.OPERATOR),
        "0x98": Case(broker_said(0x98), Cause.BROKER_DISCONNECT, None, SETTLED, Owner.OPERATOR),
        "0x80 from the broker": Case(broker_said(0x80), Cause.BROKER_DISCONNECT, None, SETTLED, Owner.BROKER),
        "0xA0": Case(broker_said(0xA0), Cause.BROKER_DISCONNECT, "lifetime_limit", SETTLED, Owner.NOBODY),
        "0x81": Case(broker_said(0x81), Cause.PACKET_REJECTED, "malformed", SETTLED, Owner.CLIENT_LIBRARY),
        "0x82": Case(broker_said(0x82), Cause.PACKET_REJECTED, "protocol_violation", SETTLED),
        "0x94": Case(broker_said(0x94), Cause.PACKET_REJECTED, "protocol_violation", SETTLED),
        "0x93": Case(broker_said(0x93), Cause.PACKET_REJECTED, "receive_maximum", SETTLED),
        "0x95": Case(broker_said(0x95), Cause.PACKET_REJECTED, "too_large", SETTLED, Owner.CLIENT_APP),
        "0x97": Case(broker_said(0x97), Cause.PACKET_REJECTED, "quota", SETTLED),
        "0x87 from the broker": Case(
            broker_said(0x87), Cause.PACKET_REJECTED, "not_authorized", SETTLED, Owner.OPERATOR
        ),
        "mochi's DISCONNECT to 3.1.1": Case(
            broker_said(0, protocol_version="3.1.1"), Cause.BROKER_DISCONNECT, None, LIKELY
        ),
        "mochi's DISCONNECT to 3.1.1 on a takeover": Case(
            broker_said(0, protocol_version="3.1.1", taken_over_by=Rival("w1-9", "10.9.9.9", 0.004)),
            Cause.TAKEOVER,
            None,
            SETTLED,
        ),
        "CONNACK 4": Case(
            refused(4), Cause.CONNECT_REFUSED, "bad_user_name_or_password", SETTLED, Owner.OPERATOR, "BK"
        ),
        "CONNACK 5": Case(refused(5), Cause.CONNECT_REFUSED, "not_authorized", SETTLED, Owner.OPERATOR),
        "CONNACK 3": Case(refused(3), Cause.CONNECT_REFUSED, "server_unavailable", SETTLED, Owner.BROKER),
        "CONNACK 0x86": Case(
            refused(0x86, **V5), Cause.CONNECT_REFUSED, "bad_user_name_or_password", SETTLED
        ),
        "CONNACK 2": Case(
            refused(2, broker_profile="hivemq"),
            Cause.CONNECT_REFUSED,
            "identifier_rejected",
            LIKELY,
            Owner.CLIENT_APP,
        ),
        "CONNACK 2 of mosquitto": Case(refused(2), Cause.CONNECT_REFUSED, "keep_alive_above_maximum", LIKELY),
        "CONNACK 2 to an identifier every broker has to take": Case(
            refused(2, client_id="sensor17", broker_profile="unknown"),
            Cause.CONNECT_REFUSED,
            "keep_alive_above_maximum",
            UNCLEAR,
        ),
        "CONNACK 2 to another identifier": Case(
            refused(2, broker_profile="unknown"), Cause.CONNECT_REFUSED, "identifier_rejected", LIKELY
        ),
        "CONNACK 2 to Keep Alive 0": Case(
            refused(2, keep_alive=0), Cause.CONNECT_REFUSED, "keep_alive_above_maximum", LIKELY
        ),
        "CONNACK 2 to a large Keep Alive": Case(
            refused(2, keep_alive=3600), Cause.CONNECT_REFUSED, "keep_alive_above_maximum", LIKELY
        ),
        "CONNACK 2 to a large Keep Alive, broker unknown": Case(
            refused(2, keep_alive=3600, broker_profile="unknown"),
            Cause.CONNECT_REFUSED,
            "keep_alive_above_maximum",
            UNCLEAR,
        ),
        "CONNACK 2 to a large Keep Alive and a long identifier of 3.1": Case(
            refused(2, keep_alive=3600, client_id="x" * 24, protocol_version="3.1"),
            Cause.CONNECT_REFUSED,
            "identifier_rejected",
            SETTLED,
        ),
        "CONNACK 2 to Keep Alive 0 and an empty client identifier": Case(
            refused(2, keep_alive=0, client_id=""), Cause.CONNECT_REFUSED, "identifier_rejected", SETTLED
        ),
        "CONNACK 6 of Aedes": Case(refused(6), Cause.CONNECT_REFUSED, "keep_alive_above_maximum", LIKELY),
    }


def _keep_alive() -> dict[str, Case]:
    timeout = Cause.KEEP_ALIVE_TIMEOUT
    aedes: dict[str, Any] = {
        **QUIET,
        "keep_alive": 10,
        "broker_profile": "aedes",
        "gap_max_s": 15.0,
        "late_gaps": 4,
    }
    announced = {**BROKER_SAID, "disconnect_from_broker": 0x8D, "broker_profile": "hivemq"}
    fed: dict[str, Any] = {
        "silence": 92.0,
        "downlink_in_silence": 90,
        "downlink_gap_s": 1.2,
        "downlink_idle_s": 0.9,
    }
    unpinging: dict[str, Any] = {**EXPIRED, "pingreqs": 0, "pingresps": 0, "ping_ago_s": None}
    return {
        "device gone": Case(
            evidence(**EXPIRED, client_leg=DEAD),
            timeout,
            "client_unreachable",
            LIKELY,
            Owner.CLIENT_HOST,
            "cE",
        ),
        "device gone, only the FIN shows it": Case(
            evidence(**EXPIRED, client_leg=leg(fin_acked=False)), timeout, "client_unreachable", LIKELY
        ),
        "device gone, announced": Case(
            evidence(**{**announced, **QUIET, "silence": 90.15, "client_leg": DEAD}),
            timeout,
            "client_unreachable",
            SETTLED,
            Owner.CLIENT_HOST,
        ),
        "loop hung": Case(
            evidence(**EXPIRED, client_leg=KERNEL_ONLY), timeout, "client_hung", LIKELY, Owner.CLIENT_APP
        ),
        "not reading": Case(
            evidence(**EXPIRED, client_leg=NOT_READING),
            timeout,
            "client_not_reading",
            LIKELY,
            Owner.CLIENT_APP,
        ),
        "paho.mqtt.golang 1.4 at Keep Alive 10 against aedes": Case(
            evidence(
                **{**aedes, "silence": 15.001},
                late_from_client=Late("PINGREQ", 0.003),
                client_leg=REACTED,
            ),
            timeout,
            "pinged_late",
            LIKELY,
            Owner.CLIENT_LIBRARY,
            "cE",
        ),
        "the late PINGREQ crossed the FIN": Case(
            evidence(
                **{**aedes, "silence": 15.001},
                late_from_client=Late("PINGREQ", -0.001),
                client_leg=REACTED,
            ),
            timeout,
            "pinged_late",
        ),
        "late, announced": Case(
            evidence(
                **{**announced, **QUIET, "silence": 90.15},
                late_from_client=Late("PINGREQ", 0.4),
                client_leg=REACTED,
            ),
            timeout,
            "pinged_late",
            SETTLED,
        ),
        "closed before its late ping could leave": Case(
            evidence(**{**aedes, "silence": 15.001}, client_leg=REACTED), timeout, "pinged_late", LIKELY
        ),
        "received data reset its ping timer": Case(
            evidence(**fed, client_leg=REACTED), timeout, "receive_resets_ping", LIKELY, Owner.CLIENT_LIBRARY
        ),
        "received all along and did not react": Case(
            evidence(**fed, client_leg=KERNEL_ONLY), timeout, None, UNCLEAR, Owner.CLIENT_APP
        ),
        "never pinged": Case(
            evidence(**unpinging, client_leg=REACTED), timeout, "never_pinged", LIKELY, Owner.CLIENT_LIBRARY
        ),
        "never pinged and did not react": Case(
            evidence(**unpinging, client_leg=KERNEL_ONLY), timeout, None, UNCLEAR, Owner.CLIENT_APP
        ),
        "its loop runs and did not ping this time": Case(
            evidence(**EXPIRED, client_leg=REACTED), timeout, None, LIKELY, Owner.CLIENT_APP
        ),
        "answered the FIN with RST": Case(
            evidence(**EXPIRED, client_leg=leg(ending=Ending.RST, ended_s=DURATION + 0.1)),
            timeout,
            None,
            LIKELY,
        ),
        "legs not known": Case(
            evidence(**EXPIRED, client_leg=LegFacts()), timeout, None, LIKELY, Owner.NOBODY
        ),
        "0x8D before the limit": Case(
            evidence(**{**announced, **QUIET, "silence": 30.0}),
            timeout,
            "broker_premature",
            LIKELY,
            Owner.BROKER,
        ),
        "unknown broker, strong part of the window": Case(
            evidence(**{**EXPIRED, "broker_profile": "unknown"}, client_leg=DEAD),
            timeout,
            "client_unreachable",
        ),
        "unknown broker, far end of the window": Case(
            evidence(**{**EXPIRED, "silence": 130.0, "broker_profile": "unknown"}, client_leg=DEAD),
            timeout,
            "client_unreachable",
            UNCLEAR,
        ),
        "Keep Alive 2 with an unknown broker": Case(
            evidence(
                **{**EXPIRED, "silence": 3.4, "keep_alive": 2, "broker_profile": "unknown"}, client_leg=DEAD
            ),
            timeout,
            "client_unreachable",
            UNCLEAR,
        ),
        "kaproxy was late itself": Case(
            evidence(
                **{**aedes, "silence": 15.001, "gap_max_s": 10.1, "late_gaps": 0},
                late_from_client=Late("PINGREQ", 0.003),
                client_leg=REACTED,
                relay=RelayFacts(lag_max_s=6.0, lag_recent_s=6.0),
            ),
            timeout,
            "proxy_delayed",
            UNCLEAR,
            Owner.PROXY,
        ),
        "late for once, and kaproxy a little late too": Case(
            evidence(
                **{**aedes, "silence": 15.001, "gap_max_s": 10.1, "late_gaps": 0},
                late_from_client=Late("PINGREQ", 0.003),
                client_leg=REACTED,
                relay=RelayFacts(lag_max_s=0.09, lag_recent_s=0.09),
            ),
            timeout,
            "pinged_late",
            UNCLEAR,
            Owner.CLIENT_LIBRARY,
        ),
        "beyond the window but for kaproxy's lateness": Case(
            evidence(
                **{**EXPIRED, "silence": 100.0},
                client_leg=DEAD,
                relay=RelayFacts(lag_max_s=4.0, lag_recent_s=4.0),
            ),
            timeout,
            "client_unreachable",
            UNCLEAR,
        ),
        "late by habit, though kaproxy was late too": Case(
            evidence(
                **{**announced, **QUIET, "silence": 90.15, "gap_max_s": 88.0, "late_gaps": 3},
                late_from_client=Late("PINGREQ", 0.003),
                client_leg=REACTED,
                relay=RelayFacts(lag_max_s=0.4, lag_recent_s=0.4),
            ),
            timeout,
            "pinged_late",
            LIKELY,
            Owner.CLIENT_LIBRARY,
        ),
        "never pinged, announced": Case(
            evidence(
                **{**announced, "silence": 90.15, "downlink_in_silence": 1, "downlink_idle_s": 0.1},
                pingreqs=0,
                pingresps=0,
                client_leg=REACTED,
            ),
            timeout,
            "never_pinged",
            SETTLED,
        ),
        "broker's ending seen late, behind what the client did not take": Case(
            evidence(
                **{**EXPIRED, "silence": 140.0, "downlink_in_silence": 300},
                client_leg=leg(NOT_READING, stalled_s=60.0),
                relay=RelayFacts(dwell_max_s=60.0),
            ),
            timeout,
            "client_not_reading",
            UNCLEAR,
        ),
        "announced, and whether it pinged could not be read": Case(
            evidence(
                **{**announced, **QUIET, "silence": 90.15},
                pingreqs=0,
                pingresps=0,
                client_leg=REACTED,
                unreadable=Unreadable("client", "unknown_property", "PUBLISH", 800),
            ),
            timeout,
            None,
            SETTLED,
            Owner.CLIENT_APP,
        ),
        "announced, device gone, its bytes could not be read": Case(
            evidence(
                **{**announced, **QUIET, "silence": 90.15},
                client_leg=DEAD,
                unreadable=Unreadable("client", "unknown_property", "PUBLISH", 800),
            ),
            timeout,
            "client_unreachable",
            LIKELY,
        ),
        "not reading, and the broker counts its own writes": Case(
            evidence(
                **{
                    **QUIET,
                    "silence": 17.0,
                    "keep_alive": 10,
                    "broker_profile": "rumqttd",
                    "counts": "both_ways",
                },
                client_leg=leg(NOT_READING, stalled_s=17.0),
                relay=RelayFacts(dwell_max_s=17.0),
            ),
            timeout,
            "client_not_reading",
            UNCLEAR,
        ),
        "client bytes could not be read": Case(
            evidence(
                **EXPIRED,
                client_leg=DEAD,
                unreadable=Unreadable("client", "unknown_property", "PUBLISH", 800),
            ),
            timeout,
            "client_unreachable",
            UNCLEAR,
        ),
    }


def _pings() -> dict[str, Case]:
    timeout = Cause.PING_TIMEOUT
    lost_broker = leg(unacked=2, retransmits=6, backoff=6, last_ack_s=62.0)
    stalled = leg(
        ending=Ending.RST, ended_s=DURATION, unsent=400_000, window=0, stalled_s=70.0, stalled_now=True
    )
    answered: dict[str, Any] = {**CLIENT_LEFT, **QUIET, "silence": 60.1, "ping_ago_s": 60.1}
    return {
        "broker hung": Case(evidence(**PING_OPEN), timeout, "broker_silent", LIKELY, Owner.BROKER, "bE"),
        "broker does not read": Case(
            evidence(
                **{**PING_OPEN, "broker_leg": leg(unsent=900, window=0, stalled_now=True, stalled_s=60.0)}
            ),
            timeout,
            "broker_silent",
            LIKELY,
        ),
        "broker's host gone": Case(
            evidence(**{**PING_OPEN, "broker_leg": lost_broker}),
            timeout,
            "broker_unreachable",
            LIKELY,
            Owner.PATH,
        ),
        "client not reading": Case(
            evidence(**{**PING_OPEN, "close_how": "rst", "client_leg": stalled}),
            timeout,
            "response_not_read",
            LIKELY,
            Owner.CLIENT_APP,
        ),
        "PINGRESP held behind a backlog": Case(
            evidence(**{**answered, "close_how": "rst", "client_leg": stalled}), timeout, "response_not_read"
        ),
        "client not reading for so long that the broker may have expired it": Case(
            evidence(**{**PING_OPEN, "close_how": "rst", "client_leg": stalled, "silence_counted_s": 95.0}),
            timeout,
            "response_not_read",
            UNCLEAR,
        ),
        "closed at its timer though answered": Case(
            evidence(**answered), timeout, "client_timer", UNCLEAR, Owner.CLIENT_LIBRARY
        ),
        "reader blocked, small messages unread": Case(
            evidence(
                **{
                    **answered,
                    "keep_alive": 30,
                    "silence": 12.6,
                    "ping_ago_s": 12.6,
                    "close_how": "rst",
                    "client_leg": CLIENT_RST,
                    "downlink_in_silence": 60,
                    "downlink_idle_s": 0.2,
                }
            ),
            timeout,
            "response_not_read",
            UNCLEAR,
            Owner.CLIENT_APP,
        ),
        "way back to the client lossy": Case(
            evidence(
                **{
                    **PING_OPEN,
                    "client_leg": leg(CLIENT_FIN, unsent=500, unacked=900, retransmits=4, stalled_s=9.0),
                }
            ),
            timeout,
            "response_lost",
            UNCLEAR,
            Owner.PATH,
        ),
        "broker leg not known": Case(
            evidence(**{**PING_OPEN, "broker_leg": LegFacts()}), timeout, None, LIKELY, Owner.NOBODY
        ),
        "waited for a time no library is known for": Case(
            evidence(**{**PING_OPEN, "ping_wait_s": 43.0, "silence": 43.0}), timeout, "broker_silent", UNCLEAR
        ),
        "broker bytes could not be read": Case(
            evidence(**PING_OPEN, unreadable=Unreadable("broker", "unknown_property", "PUBLISH", 90)),
            timeout,
            "broker_silent",
            UNCLEAR,
        ),
        "kaproxy was late itself, ping": Case(
            evidence(**PING_OPEN, relay=RelayFacts(lag_max_s=45.0, lag_recent_s=45.0)),
            timeout,
            "proxy_delayed",
            UNCLEAR,
            Owner.PROXY,
        ),
    }


def _kernel() -> dict[str, Case]:
    timed_out = leg(ending=Ending.TIMED_OUT, ended_s=DURATION, retransmits=12, backoff=10, unacked=80)
    dialing = {**SILENT_START, "phase": Phase.DIALING, "client_leg": HEALTHY}
    return {
        "dial refused": Case(
            evidence(
                **dialing, close_how="refused", broker_leg=LegFacts(ending=Ending.REFUSED, ended_s=0.001)
            ),
            Cause.BROKER_REFUSED,
            None,
            SETTLED,
            Owner.OPERATOR,
            "BD",
        ),
        "dial timed out": Case(
            evidence(
                **dialing, close_how="timed_out", broker_leg=LegFacts(ending=Ending.TIMED_OUT, ended_s=10.0)
            ),
            Cause.DIAL_TIMEOUT,
            None,
            SETTLED,
            Owner.PATH,
            "bD",
        ),
        "dial timed out while kaproxy was late": Case(
            evidence(
                **dialing,
                close_how="timed_out",
                broker_leg=LegFacts(ending=Ending.TIMED_OUT),
                relay=RelayFacts(lag_max_s=9.0, lag_recent_s=9.0),
            ),
            Cause.DIAL_TIMEOUT,
            None,
            UNCLEAR,
        ),
        "dial unreachable": Case(
            evidence(**dialing, close_how="unreachable", broker_leg=LegFacts(ending=Ending.UNREACHABLE)),
            Cause.BROKER_UNREACHABLE,
            None,
            SETTLED,
            Owner.OPERATOR,
            "bD",
        ),
        "TCP gave up on the broker": Case(
            evidence(close_how="timed_out", broker_leg=timed_out),
            Cause.BROKER_UNREACHABLE,
            None,
            SETTLED,
            Owner.PATH,
        ),
        "TCP gave up on the client": Case(
            evidence(closed_by="client", close_how="timed_out", client_leg=timed_out, broker_leg=HEALTHY),
            Cause.CLIENT_UNREACHABLE,
            None,
            SETTLED,
            Owner.CLIENT_HOST,
            "cE",
        ),
        "TCP gave up on the client, nothing counted": Case(
            evidence(closed_by="client", close_how="timed_out", client_leg=LegFacts(ending=Ending.TIMED_OUT)),
            Cause.CLIENT_UNREACHABLE,
            None,
            LIKELY,
        ),
    }


def _openings() -> dict[str, Case]:
    def stranger(what: str) -> Evidence:
        found = Unreadable("client", what, "", 0)
        return evidence(
            **{**SILENT_START, "bytes_from_client": 517, "silence_bytes_s": 0.1}, unreadable=found
        )

    left = {**SILENT_START, **CLIENT_LEFT}
    return {
        "health check": Case(
            evidence(**left, duration_s=0.002), Cause.PROBE, None, LIKELY, Owner.NOBODY, "CW"
        ),
        "stays without CONNECT, client leaves": Case(evidence(**left, duration_s=45.0), Cause.NO_CONNECT),
        "stays without CONNECT, broker closes at its limit": Case(
            evidence(**SILENT_START, duration_s=93.0), Cause.NO_CONNECT, None, LIKELY, Owner.CLIENT_APP, "cW"
        ),
        "stays without CONNECT, broker closes at no known limit": Case(
            evidence(**SILENT_START, duration_s=41.0), Cause.NO_CONNECT, None, UNCLEAR
        ),
        "part of a CONNECT": Case(
            evidence(
                **{**left, "bytes_from_client": 9},
                duration_s=1.0,
                partial_from_client=PartialPacket("CONNECT", 40, 9),
            ),
            Cause.NO_CONNECT,
        ),
        "broker closes at once": Case(
            evidence(**SILENT_START, duration_s=0.01, silence_bytes_s=0.01),
            Cause.BROKER_CLOSED,
            None,
            UNCLEAR,
        ),
        "TLS": Case(stranger("tls"), Cause.NOT_MQTT, "tls", SETTLED, Owner.OPERATOR),
        "HTTP": Case(stranger("http"), Cause.NOT_MQTT, "http", SETTLED),
        "SSH": Case(stranger("ssh"), Cause.NOT_MQTT, "ssh", SETTLED, Owner.NOBODY),
        "PROXY header": Case(stranger("proxy_header"), Cause.NOT_MQTT, "proxy_header", SETTLED),
        "noise": Case(stranger("other"), Cause.NOT_MQTT, "other", LIKELY),
        "malformed CONNECT": Case(
            evidence(**SILENT_START, unreadable=Unreadable("client", "string_past_end", "CONNECT", 0)),
            Cause.PACKET_REJECTED,
            "malformed",
        ),
        "broker closes on CONNECT": Case(
            evidence(**NO_CONNACK), Cause.NO_CONNACK, None, LIKELY, Owner.BROKER, "BK"
        ),
        "client gives up on CONNACK": Case(
            evidence(**{**NO_CONNACK, **CLIENT_LEFT, "silence_s": 30.0}),
            Cause.NO_CONNACK,
            None,
            LIKELY,
            Owner.BROKER,
        ),
        "client gives up while the dial hangs": Case(
            evidence(**{**NO_CONNACK, **CLIENT_LEFT, "phase": Phase.DIALING, "broker_leg": LegFacts()}),
            Cause.NO_CONNACK,
            None,
            LIKELY,
            Owner.PATH,
        ),
    }


def _without(changes: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in changes.items() if key != name}


def _rest() -> dict[str, Case]:
    def own(action: ProxyAction | None, detail: str | None = None) -> Evidence:
        return evidence(
            closed_by="proxy",
            close_how="local",
            proxy_action=action,
            proxy_detail=detail,
            broker_leg=HEALTHY,
            client_leg=HEALTHY,
        )

    rival = Rival("w1-9", "10.1.2.3", 0.012)
    return {
        "takeover, 3.1.1": Case(evidence(taken_over_by=rival), Cause.TAKEOVER, None, SETTLED, Owner.OPERATOR),
        "takeover of an overdue client": Case(
            evidence(**EXPIRED, taken_over_by=rival, client_leg=DEAD), Cause.TAKEOVER, None, LIKELY
        ),
        "a rival long before": Case(
            evidence(taken_over_by=replace(rival, gap_s=40.0)),
            Cause.BROKER_CLOSED,
            "client_looks_fine",
            UNCLEAR,
        ),
        "broker closes on bytes that cannot be read": Case(
            evidence(
                unreadable=Unreadable("client", "remaining_length_too_long", "PUBLISH", 812),
                silence_bytes_s=0.03,
            ),
            Cause.PACKET_REJECTED,
            "malformed",
        ),
        "broker closed": Case(
            evidence(), Cause.BROKER_CLOSED, "client_looks_fine", UNCLEAR, Owner.BROKER, "BE"
        ),
        "broker reset": Case(
            evidence(close_how="rst", broker_leg=BROKER_RST),
            Cause.BROKER_RESET,
            "client_looks_fine",
            UNCLEAR,
            Owner.NOBODY,
        ),
        "client closed": Case(
            evidence(**CLIENT_LEFT), Cause.CLIENT_CLOSED, None, LIKELY, Owner.CLIENT_APP, "CE"
        ),
        "client exits with a young PINGREQ": Case(
            evidence(**CLIENT_LEFT, pings_open=1, ping_wait_s=0.02), Cause.CLIENT_CLOSED
        ),
        "kaproxy stood still and the client left": Case(
            evidence(
                **CLIENT_LEFT,
                pings_open=1,
                ping_wait_s=0.0,
                relay=RelayFacts(lag_max_s=7.9, lag_recent_s=7.9),
            ),
            Cause.CLIENT_CLOSED,
            None,
            UNCLEAR,
            Owner.PROXY,
        ),
        "client left a backlog and was overdue": Case(
            evidence(
                **{
                    **_without(CLIENT_LEFT, "client_leg"),
                    **QUIET,
                    "silence": 300.0,
                    "ping_ago_s": 300.0,
                    "idle_s": 0.1,
                },
                client_leg=leg(CLIENT_FIN, unsent=9000, stalled_s=100.0, stalled_now=True),
            ),
            Cause.CLIENT_CLOSED,
            None,
            UNCLEAR,
        ),
        "client reset": Case(
            evidence(**{**CLIENT_LEFT, "close_how": "rst", "client_leg": CLIENT_RST}),
            Cause.CLIENT_RESET,
            None,
            UNCLEAR,
            Owner.NOBODY,
        ),
        "drained": Case(
            own(ProxyAction.SHUTDOWN, "drained after 10 s"),
            Cause.PROXY_SHUTDOWN,
            None,
            SETTLED,
            Owner.OPERATOR,
            "PE",
        ),
        "limit": Case(own(ProxyAction.LIMIT, "max_connections 100"), Cause.PROXY_LIMIT, None, SETTLED),
        "fault": Case(own(ProxyAction.ERROR), Cause.PROXY_ERROR, None, SETTLED, Owner.PROXY),
        "kaproxy does not say": Case(own(None), Cause.PROXY_ERROR, None, LIKELY),
        "nobody closed": Case(
            evidence(closed_by="unknown", close_how="local", broker_leg=HEALTHY), Cause.UNKNOWN, None, UNCLEAR
        ),
    }


CASES: dict[str, Case] = {
    **_stated(),
    **_keep_alive(),
    **_pings(),
    **_kernel(),
    **_openings(),
    **_rest(),
    **MORE,
}

#: A flight recorder's sixteen entries of an idle client's life, and of a busy one's.
IDLE_FRAMES = tuple(
    Frame(
        round(15.003 * (step // 2 + 1) - 0.002 * (step % 2), 3),
        step % 2 == 0,
        0xD0 - 0x10 * (step % 2 == 0),
        2,
    )
    for step in reversed(range(16))
)
FRAMES = (
    Frame(199.9, True, 0x10, 46),
    Frame(199.8, False, 0x20, 4),
    Frame(199.7, True, 0x82, 31, 1),
    Frame(199.6, False, 0x90, 5, 1),
    *(Frame(180.0 - 12 * step, False, 0x32, 1230, 41 + step) for step in range(5)),
    *(Frame(179.9 - 12 * step, True, 0x40, 4, 41 + step) for step in range(5)),
    Frame(15.003, True, 0xC0, 2),
    Frame(15.001, False, 0xD0, 2),
)

"""The life of a connection as a script, and what the tracker made of it."""

import math

import pytest

from kaproxy.connection import Policy
from kaproxy.connection.events import (
    Established,
    KeepAliveLate,
    KeepAliveOverdue,
    ObserverFailed,
    PingUnanswered,
)
from kaproxy.connection.evidence import Late
from kaproxy.connection.facts import Ending, Phase, ProxyAction, Side
from kaproxy.connection.keepalive import Counts, Window
from tests import builders
from tests.playbook import Play

TIGHT = Policy(window=Window(), profile="aedes")
BOTH_WAYS = Policy(window=Window(counts=Counts.BOTH_WAYS), profile="rumqttd")


def close_to(value: float | None, expected: float) -> bool:
    return value is not None and math.isclose(value, expected, abs_tol=1e-9)


# ------------------------------------------------------------------ establishing


def test_established_is_told_once_with_the_numbers_of_the_agreement() -> None:
    play = Play(TIGHT).established("dev", 10)
    (event,) = play.events(Established)
    assert isinstance(event, Established)
    assert (event.client_id, event.protocol_version, event.keep_alive) == ("dev", "3.1.1", 10)
    assert (event.limit_low_s, event.limit_high_s) == (15.0, 15.0)


def test_server_keep_alive_replaces_the_clients() -> None:
    connack = builders.connack(version=5, properties=[("server_keep_alive", 4)])
    play = Play(TIGHT).established("dev", 60, version=5, connack=connack)
    evidence = play.at(1.0).ends(Side.CLIENT).evidence()
    assert (evidence.keep_alive, evidence.effective_keep_alive, evidence.limit_low_s) == (60, 4, 6.0)


def test_a_refused_connect_is_never_established() -> None:
    play = Play(TIGHT).established("dev", 10, connack=builders.connack(code=5))
    evidence = play.ends(Side.BROKER).evidence()
    assert not play.events(Established)
    assert (evidence.phase, evidence.connack_code) == (Phase.AWAITING_CONNACK, 5)


@pytest.mark.parametrize(("version", "name"), [(3, "3.1"), (4, "3.1.1"), (5, "5.0")])
def test_every_protocol_version_is_named(version: int, name: str) -> None:
    play = Play(TIGHT).established("dev", 10, version=version)
    assert play.ends(Side.CLIENT).evidence().protocol_version == name


# ------------------------------------------------------------------------ phases


def test_phases_follow_the_life_of_the_connection() -> None:
    assert Play().ends(Side.BROKER, Ending.REFUSED).evidence().phase is Phase.DIALING
    connected = Play()
    connected.tracker.broker_connected(0.1)
    assert connected.ends(Side.CLIENT).evidence().phase is Phase.AWAITING_CONNECT
    asked = Play()
    asked.tracker.broker_connected(0.1)
    asked.client(builders.connect("dev"))
    assert asked.ends(Side.BROKER).evidence().phase is Phase.AWAITING_CONNACK
    assert Play().established().ends(Side.CLIENT).evidence().phase is Phase.ESTABLISHED
    left = Play().established().client(builders.disconnect()).ends(Side.CLIENT).evidence()
    assert left.phase is Phase.CLOSING
    assert Play().proxy_ends(ProxyAction.LIMIT, "full").evidence().phase is Phase.ACCEPTED


# ----------------------------------------------------------------------- endings


def test_only_the_first_ending_is_the_candidate() -> None:
    play = Play().established().at(5.0).ends(Side.BROKER, Ending.FIN).at(5.1).ends(Side.CLIENT, Ending.RST)
    evidence = play.evidence()
    assert (evidence.closed_by, evidence.close_how, evidence.duration_s) == ("broker", "fin", 5.0)
    assert evidence.history.endswith("fR")


def test_a_disconnect_says_who_ended_it_even_when_the_other_leg_stopped_first() -> None:
    play = Play().established().at(3.0).client(builders.disconnect()).ends(Side.BROKER)
    evidence = play.evidence()
    assert (evidence.closed_by, evidence.close_how, evidence.first_disconnect) == (
        "client",
        "disconnect",
        "client",
    )


def test_a_disconnect_after_the_first_ending_changes_nothing() -> None:
    play = Play().established().at(3.0).ends(Side.BROKER).client(builders.disconnect())
    evidence = play.evidence()
    assert (evidence.closed_by, evidence.close_how, evidence.first_disconnect) == ("broker", "fin", None)
    assert evidence.late_from_client == Late("DISCONNECT", 0.0)


def test_reason_codes_of_both_directions_are_kept() -> None:
    play = Play().established(version=5).broker(builders.disconnect(0x8E)).client(builders.disconnect(0x04))
    evidence = play.ends(Side.BROKER).evidence()
    assert (evidence.disconnect_from_broker, evidence.disconnect_from_client) == (0x8E, 0x04)
    assert evidence.first_disconnect == "broker"


def test_the_proxys_own_doing_is_told_as_such() -> None:
    evidence = Play().established().at(2.0).proxy_ends().at(2.1).ends(Side.CLIENT).evidence()
    assert (evidence.closed_by, evidence.close_how) == ("proxy", "local")
    assert (evidence.proxy_action, evidence.proxy_detail) == (ProxyAction.SHUTDOWN, "drained")


def test_a_shutdown_after_the_first_ending_is_a_footnote() -> None:
    evidence = Play().established().at(2.0).ends(Side.CLIENT).at(2.5).proxy_ends().evidence()
    assert (evidence.closed_by, evidence.proxy_action) == ("client", None)


def test_closing_without_any_ending_is_an_error_of_the_proxy() -> None:
    evidence = Play().established().evidence()
    assert (evidence.closed_by, evidence.proxy_action) == ("proxy", ProxyAction.ERROR)


# --------------------------------------------------------------------- keepalive


def test_silence_is_counted_from_the_last_complete_packet_and_the_last_byte() -> None:
    play = Play(TIGHT).established("dev", 10).at(9.0).ping()
    play.at(12.0).client(builders.publish("t", b"x" * 50)[:20])
    evidence = play.at(24.0).ends(Side.BROKER).evidence()
    assert (evidence.silence_s, evidence.silence_bytes_s, evidence.silence_counted_s) == (15.0, 12.0, 15.0)
    assert evidence.partial_from_client is not None
    assert (evidence.partial_from_client.packet, evidence.partial_from_client.seen) == ("PUBLISH", 20)


def test_a_broker_that_counts_bytes_is_measured_by_bytes() -> None:
    policy = Policy(window=Window(counts=Counts.BYTES))
    play = Play(policy).established("dev", 10).at(9.0).client(b"\x30")
    evidence = play.at(20.0).ends(Side.BROKER).evidence()
    assert (evidence.silence_s, evidence.silence_counted_s) == (20.0, 11.0)
    assert close_to(evidence.margin_min_s, 4.0)


def test_a_broker_that_counts_its_own_writes_is_measured_by_both() -> None:
    play = Play(BOTH_WAYS).established("dev", 10).at(14.0).broker(builders.publish("t"))
    evidence = play.at(29.0).ends(Side.BROKER).evidence()
    assert (evidence.silence_s, evidence.silence_counted_s) == (29.0, 15.0)
    assert close_to(evidence.margin_min_s, 0.0)


def test_a_gap_over_the_keep_alive_that_survived_is_late_and_told_with_its_margin() -> None:
    play = Play(TIGHT).established("dev", 10).at(14.5).ping()
    (event,) = play.events(KeepAliveLate)
    assert isinstance(event, KeepAliveLate)
    assert (event.gap_s, event.keep_alive, event.late_gaps, event.suppressed) == (14.5, 10, 1, 0)
    assert event.margin_s == 0.5
    evidence = play.at(15.0).ends(Side.CLIENT).evidence()
    assert (evidence.gap_max_s, evidence.late_gaps, evidence.margin_min_s) == (14.5, 1, 0.5)


@pytest.mark.parametrize(("gap", "late"), [(10.0, 0), (11.0, 0), (11.001, 1), (14.9, 1)])
def test_timers_are_granted_a_tenth_of_the_keep_alive(gap: float, late: int) -> None:
    assert len(Play(TIGHT).established("dev", 10).at(gap).ping().events(KeepAliveLate)) == late


def test_late_gaps_are_told_once_in_the_interval_and_the_rest_counted() -> None:
    play = Play(TIGHT).established("dev", 10)
    for number in range(1, 7):
        play.at(12.0 * number).ping()
    first, second = play.events(KeepAliveLate)
    assert isinstance(first, KeepAliveLate)
    assert isinstance(second, KeepAliveLate)
    assert (first.late_gaps, second.late_gaps, second.suppressed) == (1, 6, 4)


def test_keep_alive_zero_is_never_late_nor_overdue() -> None:
    play = Play(TIGHT).established("dev", 0).at(5000.0).ping().at(90000.0)
    assert not play.events(KeepAliveLate)
    assert not play.events(KeepAliveOverdue)


def test_overdue_is_told_at_the_limit_once_per_silence() -> None:
    play = Play(TIGHT).established("dev", 10).at(14.99)
    assert not play.events(KeepAliveOverdue)
    play.at(60.0)
    (event,) = play.events(KeepAliveOverdue)
    assert isinstance(event, KeepAliveOverdue)
    assert close_to(event.silence_s, 15.0)
    play.ping().at(80.0)
    assert len(play.events(KeepAliveOverdue)) == 2


def test_the_margin_of_the_fatal_silence_counts_too() -> None:
    evidence = Play(TIGHT).established("dev", 2).at(3.0007).ends(Side.BROKER).evidence()
    assert close_to(evidence.margin_min_s, -0.0007)


# -------------------------------------------------- a packet crossing the ending


def test_a_pingreq_that_crosses_the_brokers_fin_ended_no_silence() -> None:
    play = Play(TIGHT).established("dev", 2).at(2.9).ping().at(5.9).client(builders.pingreq())
    evidence = play.at(5.9004).ends(Side.BROKER).evidence()
    assert close_to(evidence.silence_s, 3.0004)
    assert close_to(evidence.silence_counted_s, 3.0004)
    assert evidence.late_from_client is not None
    assert evidence.late_from_client.packet == "PINGREQ"
    assert close_to(evidence.late_from_client.after_s, -0.0004)
    assert (evidence.gap_max_s, evidence.late_gaps) == (2.9, 1)


def test_crossing_is_seen_for_a_broker_that_counts_both_ways() -> None:
    play = Play(BOTH_WAYS).established("dev", 2).at(2.0).client(builders.pingreq()).at(2.001)
    play.broker(builders.pingresp()).at(5.0005).client(builders.pingreq())
    evidence = play.at(5.001).ends(Side.BROKER).evidence()
    assert close_to(evidence.silence_counted_s, 3.0)
    assert close_to(evidence.margin_min_s, 0.0)
    assert evidence.late_from_client is not None


def test_a_packet_the_broker_closed_on_did_not_cross_when_the_pause_before_it_was_short() -> None:
    play = Play(TIGHT).established("dev", 10).at(9.0).client(builders.publish("secret"))
    evidence = play.at(9.001).ends(Side.BROKER).evidence()
    assert close_to(evidence.silence_s, 0.001)
    assert evidence.late_from_client is None


def test_a_packet_after_the_ending_is_late_by_a_known_time() -> None:
    play = Play(TIGHT).established("dev", 10).at(15.0).ends(Side.BROKER).at(15.4).client(builders.pingreq())
    evidence = play.evidence()
    assert evidence.late_from_client is not None
    assert close_to(evidence.late_from_client.after_s, 0.4)
    assert (evidence.silence_s, evidence.late_gaps) == (15.0, 0)


# ------------------------------------------------------------------------- pings


def test_pings_are_matched_and_their_round_trips_kept() -> None:
    play = Play(TIGHT).established("dev", 10).at(5.0).client(builders.pingreq()).at(5.2)
    play.broker(builders.pingresp()).at(9.0).ping(answered=False)
    evidence = play.at(19.0).ends(Side.CLIENT).evidence()
    assert (evidence.pingreqs, evidence.pingresps, evidence.pings_open) == (2, 1, 1)
    assert close_to(evidence.ping_rtt_last_ms, 200.0)
    assert (evidence.ping_wait_s, evidence.ping_ago_s) == (10.0, 10.0)


def test_an_unanswered_ping_is_told_once_at_a_third_of_the_keep_alive() -> None:
    play = Play(TIGHT).established("dev", 6).at(5.0).ping(answered=False).at(6.9)
    assert not play.events(PingUnanswered)
    (event,) = play.at(8.0).events(PingUnanswered)
    assert isinstance(event, PingUnanswered)
    assert close_to(event.ping_wait_s, 2.0)


def test_a_ping_answered_in_time_is_not_told() -> None:
    play = Play(TIGHT).established("dev", 6).at(3.0).ping(answered=False).at(4.5).broker(builders.pingresp())
    assert not play.at(7.0).events(PingUnanswered)


# ---------------------------------------------------------------------- downlink


def test_downlink_during_the_last_silence_is_counted_without_pingresp() -> None:
    play = Play(TIGHT).established("dev", 10).at(5.0).ping()
    for second in range(6, 20):
        play.at(float(second)).broker(builders.publish("t"))
    evidence = play.at(20.0).ends(Side.BROKER).evidence()
    assert evidence.downlink_in_silence == 14
    assert evidence.downlink_gap_s == 1.0


def test_a_pause_of_the_downlink_within_the_silence_is_measured() -> None:
    play = Play(TIGHT).established("dev", 10).at(6.0).broker(builders.publish("t"))
    assert play.at(15.0).ends(Side.BROKER).evidence().downlink_gap_s == 9.0


# --------------------------------------------------------------------- in flight


def test_qos_packets_in_flight_are_those_not_acknowledged_to_the_end() -> None:
    play = Play().established("dev", 60, version=5)
    play.client(builders.publish("t", qos=1, packet_id=1, version=5))
    play.client(builders.publish("t", qos=1, packet_id=2, version=5)).broker(builders.puback(1))
    play.client(builders.publish("t", qos=2, packet_id=3, version=5)).broker(builders.pubrec(3))
    play.client(builders.publish("t", qos=2, packet_id=4, version=5)).broker(builders.pubrec(4, 0x87))
    play.broker(builders.publish("t", qos=1, packet_id=1, version=5))
    evidence = play.ends(Side.CLIENT).evidence()
    assert (evidence.inflight_from_client, evidence.inflight_from_broker) == (2, 1)


# --------------------------------------------------------------- what is not MQTT


def test_a_stranger_is_named_and_its_direction_opaque() -> None:
    play = Play().client(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").client(b"more")
    evidence = play.ends(Side.CLIENT).evidence()
    assert evidence.unreadable is not None
    assert (evidence.unreadable.what, evidence.unreadable.side) == ("tls", "client")
    assert evidence.bytes_from_client == 15
    assert "!" in evidence.history


def test_a_failed_observer_tells_once_and_then_only_counts_bytes() -> None:
    play = Play().established("dev", 10)
    assert [type(event) for event in play.tracker.observer_failed("KeyError('x')", 1.0)] == [ObserverFailed]
    assert play.tracker.observer_failed("again", 1.1) == ()
    play.at(2.0).client(builders.pingreq())
    evidence = play.ends(Side.CLIENT).evidence()
    assert (evidence.observer_error, evidence.pingreqs) == ("KeyError('x')", 0)
    assert evidence.bytes_from_client == len(builders.connect("dev", keep_alive=10)) + 2


# ------------------------------------------------------------------------- story


def test_history_tells_types_when_first_seen_endings_and_what_came_late() -> None:
    play = Play(TIGHT).established("dev", 10).client(builders.subscribe()).broker(builders.suback())
    play.at(5.0).ping().at(9.0).ping().at(24.0).ends(Side.BROKER).at(24.1).client(builders.pingreq())
    evidence = play.ends(Side.CLIENT).evidence()
    assert evidence.history == "CcSsQqfQF"


def test_frames_are_timed_back_from_the_first_ending() -> None:
    play = Play(TIGHT).established("dev", 10).at(9.0).ping().at(24.0).ends(Side.BROKER)
    frames = play.at(24.5).client(builders.pingreq()).evidence().frames
    assert [(frame.ago_s, frame.from_client, frame.first_byte >> 4) for frame in frames] == [
        (24.0, True, 1),
        (24.0, False, 2),
        (15.0, True, 12),
        (15.0, False, 13),
        (-0.5, True, 12),
    ]


def test_a_silence_ends_where_the_broker_said_disconnect_not_where_its_leg_stopped() -> None:
    play = Play(TIGHT).established("dev", 2, version=5).at(3.0).broker(builders.disconnect(0x8D))
    evidence = play.at(3.4).ends(Side.BROKER, Ending.RST).evidence()
    assert (evidence.silence_s, evidence.silence_counted_s) == (3.0, 3.0)


def test_a_packet_that_trickles_in_is_no_sign_of_life_to_a_broker_that_counts_its_own_writes() -> None:
    play, upload = Play(BOTH_WAYS).established("dev", 10), builders.publish("t", b"x" * 200)
    for second in range(1, 15):
        play.at(float(second)).client(upload[second - 1 : second])
    evidence = play.at(15.0).ends(Side.BROKER).evidence()
    assert (evidence.silence_counted_s, evidence.silence_bytes_s) == (15.0, 1.0)

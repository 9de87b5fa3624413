from __future__ import annotations

import pytest

from kaproxy.connection.keepalive import Counts
from kaproxy.diagnosis.clients import late_pinger, matching_limit, own_timer_match
from kaproxy.diagnosis.profiles import BROKER_PROFILES, UNKNOWN_BROKER, connect_waits, profile_named

KEEP_ALIVES = (1, 2, 3, 5, 10, 15, 30, 60, 61, 300, 1200, 65535)


@pytest.mark.parametrize(
    ("name", "keep_alive", "limits"),
    [
        ("mosquitto_1.6", 5, (7.0, 8.1)),
        ("mosquitto_2.0", 60, (90.0, 97.0)),
        ("mosquitto_2.0.21", 61, (91.0, 92.1)),
        ("emqx_4", 60, (90.0, 135.0)),
        ("emqx_5.0.26", 60, (90.0, 180.0)),
        ("emqx_5.7.2", 10, (15.0, 25.0)),
        ("emqx_5.7.2", 60, (90.0, 150.0)),
        ("emqx_5.7.2", 300, (450.0, 510.0)),
        ("hivemq", 5, (7.0, 7.3)),
        ("vernemq", 60, (90.0, 135.0)),
        ("rabbitmq", 60, (90.0, 180.0)),
        ("moquette", 5, (8.0, 8.1)),
        ("aedes", 10, (15.0, 15.1)),
        ("mochi", 5, (7.0, 7.1)),
        ("rumqttd", 10, (15.0, 15.1)),
        ("ejabberd", 5, (8.0, 8.1)),
        ("artemis", 60, (90.0, 94.1)),
        ("activemq", 60, (90.0, 120.0)),
        ("mqttnet", 60, (90.0, 90.6)),
        ("gmqtt", 5, (7.0, 7.1)),
        ("nanomq", 60, (90.0, 110.0)),
        ("aws", 60, (90.0, 120.0)),
        ("azure", 60, (90.0, 120.0)),
        ("unknown", 60, (90.0, 180.0)),
        ("unknown", 5, (7.0, 27.0)),
    ],
)
def test_the_window_is_the_one_read_or_measured(
    name: str, keep_alive: int, limits: tuple[float, float]
) -> None:
    assert BROKER_PROFILES[name].window.limits(keep_alive) == pytest.approx(limits)


def test_amqtt_never_expires_anybody() -> None:
    assert BROKER_PROFILES["amqtt"].window.limits(60) is None


@pytest.mark.parametrize("keep_alive", KEEP_ALIVES)
def test_the_unknown_broker_s_window_holds_every_other(keep_alive: int) -> None:
    low, high = UNKNOWN_BROKER.window.limits(keep_alive) or (0.0, 0.0)
    for profile in BROKER_PROFILES.values():
        limits = profile.window.limits(keep_alive)
        if limits is not None and profile.name not in (
            "aws",
            "azure",
        ):  # those two are allowances, not windows
            assert low - 0.11 <= limits[0]
            assert limits[1] <= high + 0.61


def test_every_profile_is_under_its_own_name_and_has_a_source() -> None:
    for name, profile in BROKER_PROFILES.items():
        assert profile.name == name
        assert profile.source
        assert profile.title


def test_only_a_union_has_a_strong_part() -> None:
    assert [name for name, profile in BROKER_PROFILES.items() if profile.strong] == ["unknown"]


def test_services_with_a_maximum_of_their_own_say_it() -> None:
    maxima = {name: row.keep_alive_max for name, row in BROKER_PROFILES.items() if row.keep_alive_max}
    assert maxima == {"artemis": 60, "gmqtt": 300, "aws": 1200, "azure": 1177}


def test_what_counts_is_the_table_s() -> None:
    counted = {name: profile.window.counts for name, profile in BROKER_PROFILES.items()}
    assert counted["rumqttd"] is Counts.BOTH_WAYS
    by_bytes = {name for name, counts in counted.items() if counts is Counts.BYTES}
    assert by_bytes == {"emqx_4", "hivemq", "rabbitmq", "moquette", "ejabberd", "activemq"}


def test_an_unheard_of_profile_is_judged_as_unknown() -> None:
    assert profile_named("something_else") is UNKNOWN_BROKER


def test_a_known_broker_has_one_patience_for_connect_and_an_unknown_one_several() -> None:
    assert connect_waits("emqx_4") == ((15.0, 15.5),)
    assert connect_waits("mochi") == ()
    assert len(connect_waits("unknown")) > 5


@pytest.mark.parametrize(
    ("wait_s", "keep_alive", "limit"),
    [
        (3.1, 60, (3.0, 3.0)),
        (5.0, 60, (5.0, 5.0)),
        (12.5, 60, (10.0, 15.0)),
        (30.0, 60, (30.0, 30.0)),
        (60.9, 60, (60.0, 60.0)),
        (90.0, 60, (90.0, 90.0)),
        (120.0, 60, (120.0, 120.0)),
        (9.0, 6, (9.0, 9.0)),
    ],
)
def test_a_wait_is_matched_to_the_nearest_limit(
    wait_s: float, keep_alive: int, limit: tuple[float, float]
) -> None:
    match = matching_limit(wait_s, (keep_alive, keep_alive))
    assert match is not None
    assert (match.low_s, match.high_s) == limit


@pytest.mark.parametrize("wait_s", [0.01, 2.0, 7.5, 20.0, 45.0, 75.0, 200.0])
def test_other_waits_match_nothing_at_keep_alive_60(wait_s: float) -> None:
    assert matching_limit(wait_s, (60,)) is None


def test_a_limit_of_the_client_s_own_keep_alive_counts_too() -> None:
    assert matching_limit(200.0, (60, 200)) is not None


@pytest.mark.parametrize(
    ("ago_s", "matches"), [(30.2, True), (60.0, True), (90.5, True), (45.0, False), (61.0, False)]
)
def test_an_answered_ping_is_matched_tightly(ago_s: float, matches: bool) -> None:
    assert (own_timer_match(ago_s, (60,)) is not None) == matches


def test_a_short_keep_alive_tells_nothing_of_an_answered_ping() -> None:
    assert own_timer_match(2.0, (2,)) is None


@pytest.mark.parametrize(
    ("keep_alive", "gap_s", "libraries"),
    [
        (10, 15.0, "paho.mqtt.golang 1.2 to 1.4"),
        (10, 12.5, "paho.mqtt.golang 1.5 and later"),
        (2, 3.0, "paho.mqtt.golang 1.2 to 1.4"),
        (30, 35.0, "paho.mqtt.golang"),
        (60, 65.1, "paho.mqtt.golang"),
        (60, 61.0, None),
        (10, 10.1, None),
    ],
)
def test_a_late_ticker_is_known_by_its_gap(keep_alive: int, gap_s: float, libraries: str | None) -> None:
    assert late_pinger(keep_alive, gap_s) == libraries

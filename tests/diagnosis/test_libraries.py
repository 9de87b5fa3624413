"""Hints at the client library: from the identifier, from the cadence, and none where nothing is telling."""

import re
from dataclasses import replace

import pytest

from kaproxy.connection.evidence import Evidence, Frame
from kaproxy.diagnosis.libraries import CLIENT_PROFILES, Cadence, hint, idle_intervals
from kaproxy.diagnosis.verdict import Confidence
from tests.diagnosis.cases import evidence

PINGREQ, PINGRESP, PUBLISH = 0xC0, 0xD0, 0x30


def pinging(
    *times: float, keep_alive: int = 10, version: str = "3.1.1", client_id: str = "dev-7"
) -> Evidence:
    frames = [
        frame
        for at in times
        for frame in (Frame(-at, True, PINGREQ, 2), Frame(-at - 0.001, False, PINGRESP, 2))
    ]
    return replace(
        evidence(),
        client_id=client_id,
        keep_alive=keep_alive,
        effective_keep_alive=keep_alive,
        protocol_version=version,
        frames=tuple(frames),
    )


def test_pings_at_one_and_a_half_keep_alives_bring_the_coarse_ticker_to_mind() -> None:
    found = hint(pinging(0.0, 15.0, 30.0, 45.01))
    assert found is not None
    assert found.libraries == ("paho.mqtt.golang 1.2 to 1.4",)
    assert found.confidence is Confidence.UNCLEAR
    assert "every 15.00 s" in found.because


def test_a_cadence_many_libraries_share_names_none() -> None:
    assert hint(pinging(0.0, 60.0, 120.0, 180.0, keep_alive=60)) is None


def test_one_interval_is_no_cadence() -> None:
    assert hint(pinging(0.0, 15.0)) is None


def test_a_ping_after_other_packets_is_no_idle_interval() -> None:
    busy = (
        Frame(30.0, True, PINGREQ, 2),
        Frame(20.0, True, PUBLISH, 40),
        Frame(15.0, True, PINGREQ, 2),
        Frame(14.9, False, PINGRESP, 2),
        Frame(0.0, True, PINGREQ, 2),
    )
    assert idle_intervals(busy) == (15.0,)


def test_a_library_that_does_not_speak_the_version_is_not_named() -> None:
    assert hint(pinging(0.0, 15.0, 30.0, version="5.0")) is None


@pytest.mark.parametrize(
    ("client_id", "library"),
    [
        ("mqttjs_0a1b2c3d", "MQTT.js"),
        ("mosq-Abc0123456789defGH", "libmosquitto"),
        ("ESP32_a1B2c3", "esp-mqtt"),
        ("paho1234567890123", "paho Java"),
        ("Telegraf-Consumer-x7Yz2", "Telegraf"),
    ],
)
def test_an_identifier_a_library_makes_up_names_it(client_id: str, library: str) -> None:
    found = hint(pinging(client_id=client_id))
    assert found is not None
    assert (found.libraries, found.confidence) == ((library,), Confidence.LIKELY)


@pytest.mark.parametrize("client_id", ["", "dev-7", "mqttjs_fleet", "mosq", "my-mqttjs_0a1b2c3d"])
def test_an_identifier_somebody_chose_names_nobody(client_id: str) -> None:
    assert hint(pinging(client_id=client_id)) is None


def test_the_ticks_of_golang_are_those_measured() -> None:
    assert Cadence(tick_divisor=2).range_s(10) == (15.0, 15.0)
    assert Cadence(tick_divisor=2).range_s(2) == (3.0, 3.0)
    assert Cadence(tick_divisor=4).range_s(10) == (12.5, 12.5)
    assert Cadence(tick_s=5.0).range_s(12) == (15.0, 15.0)
    assert Cadence(tick_s=5.0).range_s(60) == (65.0, 65.0)


def test_every_row_is_whole() -> None:
    for row in CLIENT_PROFILES:
        assert row.source
        assert row.ping_timeout
        assert row.closes
        re.compile(row.client_id or "")
        if row.cadence is not None:
            for keep_alive in (row.keep_alives[0], 10, 60):
                _, high = row.cadence.range_s(keep_alive)
                assert high > 0

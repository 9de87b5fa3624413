"""The tables of the standard, and the names made from them; `test_second_oracle.py` compares the sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaproxy.mqtt.codes import (
    CONNACK_RETURN_CODES,
    DISCONNECT_FROM_BROKER,
    DISCONNECT_FROM_CLIENT,
    LEVELS,
    REASON_CODES,
    REQUIRED_FLAGS,
    PacketType,
    packet_name,
    reason_name,
    reason_slug,
)

PACKET_WORDS = [kind.name for kind in PacketType] + [DISCONNECT_FROM_CLIENT, DISCONNECT_FROM_BROKER, "", "x"]


def test_there_are_43_reason_codes_of_5_0() -> None:
    assert len(REASON_CODES) == 43


@pytest.mark.parametrize(
    ("code", "client", "broker"),
    [(0x00, True, True), (0x04, True, False), (0x8D, False, True), (0x8E, False, True), (0x93, True, True)],
)
def test_disconnect_codes_know_their_direction(code: int, client: bool, broker: bool) -> None:
    packets = REASON_CODES[code].packets
    assert (DISCONNECT_FROM_CLIENT in packets, DISCONNECT_FROM_BROKER in packets) == (client, broker)


@pytest.mark.parametrize(
    ("code", "version", "packet", "name"),
    [
        (0, 4, "CONNACK", "Connection accepted"),
        (5, 3, "CONNACK", "Not authorized"),
        (6, 4, PacketType.CONNACK, "Keep alive limit exceeded"),
        (7, 4, "CONNACK", "0x07"),
        (0, 5, "CONNACK", "Success"),
        (1, 5, "CONNACK", "Unacceptable protocol version"),
        (0x87, 5, "CONNACK", "Not authorized"),
        (0x84, 4, "CONNACK", "Unsupported Protocol Version"),
        (0, 4, "DISCONNECT", "Normal disconnection"),
        (0, 5, DISCONNECT_FROM_CLIENT, "Normal disconnection"),
        (0x8D, 5, PacketType.DISCONNECT, "Keep Alive timeout"),
        (0, 5, "SUBACK", "Granted QoS 0"),
        (0x80, 4, "SUBACK", "Failure"),
        (0x80, 5, "SUBACK", "Unspecified error"),
        (0x5F, 5, "DISCONNECT", "0x5F"),
        (300, 5, 99, "0x12C"),
    ],
)
def test_codes_have_the_standards_names(code: int, version: int, packet: int | str, name: str) -> None:
    assert reason_name(code, version, packet) == name


@given(st.integers(), st.integers(), st.integers() | st.sampled_from(PACKET_WORDS))
def test_no_number_has_no_name(code: int, version: int, packet: int | str) -> None:
    assert reason_name(code, version, packet)
    assert " " not in reason_slug(code, version, packet)


def test_a_slug_is_one_word() -> None:
    assert reason_slug(0x8D, 5, "DISCONNECT") == "keep_alive_timeout"
    assert reason_slug(0x19, 5, "AUTH") == "re_authenticate"


def test_packets_are_named_by_their_first_byte() -> None:
    assert [packet_name(kind << 4 | 0x0F) for kind in PacketType] == [kind.name for kind in PacketType]


def test_three_packet_types_demand_flag_2_and_publish_none() -> None:
    demanded = {kind for kind, flags in REQUIRED_FLAGS.items() if flags}
    assert demanded == {PacketType.PUBREL, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE}
    assert {REQUIRED_FLAGS[kind] for kind in demanded} == {2}
    assert PacketType.PUBLISH not in REQUIRED_FLAGS


def test_return_codes_and_levels_are_those_of_the_standards() -> None:
    assert sorted(CONNACK_RETURN_CODES) == [0, 1, 2, 3, 4, 5, 6]
    assert LEVELS == {3: "3.1", 4: "3.1.1", 5: "5.0"}

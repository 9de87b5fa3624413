"""First bytes that are not MQTT get a name, as early as it is certain and never earlier."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaproxy.mqtt.decoder import Decoder
from kaproxy.mqtt.packets import Partial
from kaproxy.mqtt.strangers import LOOK, MQTT, UNDECIDED, look
from tests import builders
from tests.mqtt.observing import bytewise, fed, seen

TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(180)
PROXY_V2 = bytes.fromhex("0d0a0d0a000d0a515549540a 2111000c") + bytes(12)

FROM_CLIENT = [
    ("tls", TLS_HELLO),
    ("tls", bytes.fromhex("15030300020228")),
    ("http", b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n"),
    ("http", b"POST /mqtt HTTP/1.1\r\n"),
    ("http", b"PUT /mqtt HTTP/1.1\r\n"),
    ("http", b"HEAD / HTTP/1.0\r\n"),
    ("http", b"OPTIONS * HTTP/1.1\r\n"),
    ("http", b"DELETE / HTTP/1.1\r\n"),
    ("http", b"CONNECT broker:1883 HTTP/1.1\r\n"),
    ("http", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("ssh", b"SSH-2.0-OpenSSH_9.6\r\n"),
    ("proxy_header", b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 1883\r\n"),
    ("proxy_header", b"PROXY UNKNOWN\r\n"),
    ("proxy_header", PROXY_V2),
    ("mqtt_sn", bytes([11, 4, 0x04, 0x01, 0, 60]) + b"dev-1"),
    ("mqtt_sn", bytes([16, 4, 0x04, 0x01, 0, 60]) + b"ten-chars!"),
    ("mqtt_sn", bytes([20, 4, 0x04, 0x01, 0, 60]) + b"fourteen-chars"),
    ("mqtt_sn", bytes([1, 0, 13, 4, 0x04, 0x01, 0, 60]) + b"dev-1"),
    ("mqtt_sn", bytes([3, 1, 0])),
    ("zeros", bytes(16)),
    ("other", bytes.fromhex("0000000804d2162f")),  # PostgreSQL asking for TLS
    ("other", b"\x80\x2e\x01\x03\x01"),
    ("other", b"EHLO example.org\r\n"),
    ("other", b"ping\r\n"),
    ("other", b"1234567\r\n"),
    ("other", b"Path"),
    ("other", b"\xff\xfb\x01"),
    ("other", b"\x20\x02\x00\x00"),
    ("other", b"\x05\x01\x00\x00"),
    ("other", b"\x03\x00\x00\x13"),  # RDP
]
FROM_BROKER = [
    ("tls", bytes.fromhex("15030300020228")),
    ("tls", bytes.fromhex("160303007a02")),
    ("http", b"HTTP/1.1 400 Bad Request\r\n"),
    ("ssh", b"SSH-2.0-dropbear\r\n"),
    ("zeros", bytes(8)),
]
ALL = [(True, *case) for case in FROM_CLIENT] + [(False, *case) for case in FROM_BROKER]
NAMES = {"tls", "http", "ssh", "proxy_header", "mqtt_sn", "zeros", "other", MQTT}


@pytest.mark.parametrize(("from_client", "name", "raw"), ALL)
def test_strangers_are_named_and_no_longer_observed(from_client: bool, name: str, raw: bytes) -> None:
    one = Decoder(from_client)
    assert one.feed(raw) == ()
    assert (one.stranger, one.opaque, one.malformed, one.partial) == (name, True, None, None)
    assert one.feed(builders.connect()) == ()


@pytest.mark.parametrize(("from_client", "name", "raw"), ALL)
def test_strangers_are_named_byte_by_byte(from_client: bool, name: str, raw: bytes) -> None:
    whole, cut = Decoder(from_client), Decoder(from_client)
    assert seen(cut, fed(cut, bytewise(raw))) == seen(whole, whole.feed(raw))


def test_an_undecided_beginning_is_shown_as_partial() -> None:
    one = Decoder(from_client=True)
    one.feed(b"PO")
    assert one.partial == Partial(ord("P"), None, 2)
    assert one.stranger is None


@pytest.mark.parametrize("remaining", [10, 12, 100, 300])
def test_no_connect_is_taken_for_a_stranger(remaining: int) -> None:
    for first in range(0x10, 0x20):
        assert look(bytes([first]) + builders.variable(remaining) + b"\0\4MQTT", from_client=True) == MQTT


def test_three_printable_bytes_are_text() -> None:
    assert [look(b"123\0"[:size], from_client=True) for size in range(1, 5)] == ["", "", "other", "other"]
    assert look(b"12\0", from_client=True) == MQTT


def test_a_broker_speaking_neither_mqtt_nor_anything_known_is_read_as_mqtt() -> None:
    assert look(b"\x99\x00\x00", from_client=False) == MQTT


@given(st.binary(min_size=LOOK, max_size=LOOK), st.booleans())
def test_every_beginning_is_decided_in_time(head: bytes, from_client: bool) -> None:
    assert look(head, from_client) in NAMES


@given(st.binary(min_size=1, max_size=LOOK) | st.sampled_from([raw for _, _, raw in ALL]), st.booleans())
def test_a_decision_once_made_is_not_revised(data: bytes, from_client: bool) -> None:
    decisions = [look(data[:size], from_client) for size in range(1, min(len(data), LOOK) + 1)]
    first = next((at for at, found in enumerate(decisions) if found != UNDECIDED), len(decisions))
    assert len(set(decisions[first:])) <= 1

"""The scripted clients' bytes are what the observer of the proxy reads in them."""

from __future__ import annotations

import pytest

from kaproxy.demo import wire
from kaproxy.mqtt.decoder import Decoder
from kaproxy.mqtt.packets import Connect, Subscribe


def test_connect_carries_identifier_keep_alive_and_clean_session() -> None:
    """CONNECT of MQTT 3.1.1."""
    [(first_byte, _size, _id, _count, body)] = Decoder(from_client=True).feed(wire.connect("meter-7", 2))
    assert first_byte == 0x10
    assert isinstance(body, Connect)
    assert (body.level, body.client_id, body.keep_alive, body.clean_start) == (4, "meter-7", 2, True)


def test_a_stored_session_is_asked_for_by_a_cleared_flag() -> None:
    """Clean Session 0."""
    [(*_, body)] = Decoder(from_client=True).feed(wire.connect("", 2, clean_session=False))
    assert isinstance(body, Connect)
    assert not body.clean_start


@pytest.mark.parametrize("size", [0, 100, 127, 128, 16_383, 16_384, 30_000])
def test_a_publish_is_as_long_as_its_remaining_length_says(size: int) -> None:
    """One packet, nothing left over, at every length of the length."""
    decoder = Decoder(from_client=True)
    decoder.feed(wire.connect("x", 2))
    data = wire.publish("t", size)
    [(first_byte, seen, *_)] = decoder.feed(data)
    assert (first_byte, seen) == (0x30, len(data))
    assert decoder.partial is None


def test_subscribe_names_its_topic_filter() -> None:
    """SUBSCRIBE with one filter of QoS 0."""
    decoder = Decoder(from_client=True)
    decoder.feed(wire.connect("x", 2))
    [(first_byte, _size, packet_id, _count, body)] = decoder.feed(wire.subscribe("demo/#", 5))
    assert (first_byte, packet_id) == (0x82, 5)
    assert body == Subscribe((("demo/#", 0),))


def test_the_nonsense_is_nonsense_and_the_tls_hello_is_tls() -> None:
    """What the scripts call so, the decoder calls so too."""
    nonsense = Decoder(from_client=True)
    nonsense.feed(wire.connect("x", 2))
    nonsense.feed(wire.ENDLESS_LENGTH)
    assert nonsense.malformed is not None
    stranger = Decoder(from_client=True)
    stranger.feed(wire.TLS_CLIENT_HELLO)
    assert stranger.stranger == "tls"

"""Bodies that the round trips of `test_decoder.py` do not reach: truncated, mixed versions, unknown levels."""

from __future__ import annotations

import pytest

from kaproxy.mqtt.decoder import Decoder
from kaproxy.mqtt.packets import (
    Body,
    Connack,
    Connect,
    Disconnect,
    Subscribe,
    SubscribeAck,
    Unsubscribe,
    Will,
)
from kaproxy.mqtt.passing import KEEP
from tests import builders
from tests.mqtt.observing import decoder


def _body(raw: bytes, one: Decoder | None = None) -> Body | None:
    one = one or decoder()
    (packet,) = one.feed(raw)
    assert not one.opaque
    return packet[4]


def test_a_connect_with_a_will_beyond_the_limit_is_read_from_its_beginning() -> None:
    raw = builders.connect(
        "dev", version=5, will_topic="w", will_payload=bytes(65_000), user_name="u" * 60_000, password=b"p"
    )
    body = _body(raw, Decoder(from_client=True))
    assert body == Connect(
        "MQTT", 5, True, 60, "dev", Will(0, False, "w", 65_000), True, True, (), truncated=True
    )


def test_a_client_identifier_beyond_the_limit_is_shortened() -> None:
    body = _body(builders.connect("x" * 65_535), Decoder(from_client=True))
    assert isinstance(body, Connect)
    assert (body.truncated, body.client_id) == (True, "x" * (KEEP - 12))


def test_a_connect_whose_properties_go_beyond_the_limit_keeps_those_it_has() -> None:
    pairs = [
        ("receive_maximum", 7),
        ("user_property", ("k", "v" * 65_000)),
        ("user_property", ("l", "v" * 999)),
    ]
    body = _body(builders.connect("dev", version=5, properties=pairs), Decoder(from_client=True))
    assert isinstance(body, Connect)
    assert (body.truncated, body.client_id, body.properties) == (True, "", tuple(pairs[:2]))


def test_lists_beyond_the_limit_are_truncated_not_malformed() -> None:
    subscribe = _body(builders.subscribe([("a/topic", 1)] * 10_000))
    unsubscribe = _body(builders.unsubscribe(["a/topic"] * 10_000))
    suback = _body(builders.suback([1] * 100_000), decoder(from_client=False))
    assert isinstance(subscribe, Subscribe)
    assert isinstance(unsubscribe, Unsubscribe)
    assert isinstance(suback, SubscribeAck)
    assert (subscribe.truncated, len(subscribe.filters), set(subscribe.filters)) == (
        True,
        6553,
        {("a/topic", 1)},
    )
    assert (unsubscribe.truncated, len(unsubscribe.filters), set(unsubscribe.filters)) == (
        True,
        7281,
        {"a/topic"},
    )
    assert (suback.truncated, len(suback.codes)) == (True, KEEP - 2)


def test_a_body_of_exactly_the_limit_is_not_truncated() -> None:
    body = _body(builders.suback([0] * (KEEP - 2)), decoder(from_client=False))
    assert isinstance(body, SubscribeAck)
    assert (body.truncated, len(body.codes)) == (False, KEEP - 2)


def test_one_giant_filter_is_truncated_to_nothing_and_no_oddity() -> None:
    one = decoder()
    body = _body(builders.subscribe([("x" * 65_535, 0)]), one)
    other = _body(builders.unsubscribe(["x" * 65_535]), one)
    assert body == Subscribe((), (), truncated=True)
    assert other == Unsubscribe((), (), truncated=True)
    assert one.oddities == ()


def test_a_refusal_in_the_form_of_3x_is_read_by_a_client_of_5() -> None:
    assert _body(builders.connack(1), decoder(from_client=False, version=5, begun=False)) == Connack(False, 1)


def test_a_refusal_in_the_form_of_5_is_read_by_a_client_of_3x() -> None:
    raw = builders.connack(0x84, version=5, properties=[("reason_string", "no")])
    body = _body(raw, decoder(from_client=False, version=4, begun=False))
    assert body == Connack(False, 0x84, (("reason_string", "no"),))


@pytest.mark.parametrize("version", [0, 5])
def test_server_keep_alive_is_found_among_the_properties(version: int) -> None:
    pairs = [("receive_maximum", 9), ("server_keep_alive", 30), ("user_property", ("a", "b"))]
    body = _body(
        builders.connack(version=5, properties=pairs),
        decoder(from_client=False, version=version, begun=False),
    )
    assert isinstance(body, Connack)
    assert body.server_keep_alive == 30
    assert Connack(False, 0, (("reason_string", "x"),)).server_keep_alive is None


def test_an_unknown_level_that_reads_like_no_other_leaves_what_stands_before() -> None:
    raw = builders.packet(0x10, builders.text("MQTT") + bytes([9, 0x02, 0, 30]) + b"\xff\xff\xff\xff")
    body = _body(raw, Decoder(from_client=True))
    assert body == Connect("MQTT", 9, True, 30, "")


def test_a_bridge_is_read_as_the_version_it_speaks() -> None:
    one = Decoder(from_client=True)
    body = _body(builders.connect("bridge", level=0x84), one)
    assert isinstance(body, Connect)
    assert (body.level, one.version) == (4, 4)


def test_secrets_are_not_kept() -> None:
    pairs = [("authentication_method", "m"), ("authentication_data", b"secret")]
    raw = builders.connect(
        version=5,
        user_name="secret",
        password=b"secret",
        will_topic="w",
        will_payload=b"secret",
        properties=pairs,
    )
    body = _body(raw, Decoder(from_client=True))
    assert "secret" not in repr(body)
    assert isinstance(body, Connect)
    assert dict(body.properties)["authentication_data"] == 6


def test_a_disconnect_of_5_may_leave_out_code_and_properties() -> None:
    one = decoder(version=5)
    assert _body(builders.disconnect(), one) == Disconnect(0)
    assert _body(builders.disconnect(0x04), one) == Disconnect(4)
    assert one.oddities == ()


def test_what_the_wrong_side_sent_is_read_all_the_same() -> None:
    one = decoder(from_client=False)
    body = _body(builders.connect("who", version=5), one)
    assert isinstance(body, Connect)
    assert (body.client_id, one.version) == ("who", 4)

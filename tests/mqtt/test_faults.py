"""Every malformed name and every oddity has bytes that bring it about, and tables and tests name the same."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from kaproxy.mqtt.decoder import Decoder
from kaproxy.mqtt.faults import MALFORMED, MAX_ODDITIES, ODDITIES
from kaproxy.mqtt.packets import Packet
from tests import builders as b
from tests.mqtt.observing import bytewise, decoder, fed, seen


class Case(NamedTuple):
    """Bytes and the one name they are to bring about; `begun`: after a legal CONNECT or CONNACK."""

    name: str
    raw: bytes
    from_client: bool = True
    version: int = 4
    begun: bool = True


def _bare_connect(body_after_level: bytes, level: int = 4) -> bytes:
    return b.packet(0x10, b.text("MQTT") + bytes([level]) + body_after_level)


MALFORMED_CASES = [
    Case("first_packet_not_connect", b.pingreq(), begun=False),
    Case("first_packet_not_connect", b.publish("a/b", b"payload", qos=1), begun=False),
    Case("first_packet_not_connect", b.disconnect(), begun=False),
    Case("remaining_length_too_long", b"\x30\xff\xff\xff\xff\x01"),
    Case("remaining_length_too_long", b"\xc0\x80\x80\x80\x80\x00"),
    Case("remaining_length_too_long", b"\x10\xff\xff\xff\xff\x01", begun=False),
    Case("remaining_length_too_long", b"\xd0\xff\xff\xff\xff\x01", from_client=False),
    Case("body_too_short", b"\x30\x00"),
    Case("body_too_short", b"\x30\x01\x00"),
    Case("body_too_short", b"\x32\x03\x00\x00\x01"),
    Case("body_too_short", b"\x3c\x04\x00\x01t\x00"),
    Case("body_too_short", b"\x40\x00"),
    Case("body_too_short", b"\x40\x01\x07"),
    Case("body_too_short", b.packet(0x82, b.two(1) + b.text("t"))),
    Case("body_too_short", b.packet(0x20, b"\0"), from_client=False, begun=False),
    Case("body_too_short", _bare_connect(b"\x02\0"), begun=False),
    Case("body_too_short", _bare_connect(b"\x02\0\x3c", level=5), begun=False),
    Case("body_too_short", b.packet(0x40, b.two(1) + b"\0\x01\x80"), version=5),
    Case("string_past_end", b"\x30\x04\x00\x03ab"),
    Case("string_past_end", b"\x30\x82\x01\x01\x01" + bytes(128)),
    Case("string_past_end", b"\x32\x04\x00\x03ab"),
    Case("string_past_end", b.packet(0xA2, b.two(1) + b"\0\x09short")),
    Case("string_past_end", _bare_connect(b"\x02\0\x3c\0\x09short"), begun=False),
    Case("string_past_end", _bare_connect(b"\x82\0\x3c" + b.text("id") + b"\0\x05u"), begun=False),
    Case("string_past_end", b.packet(0xE0, b"\0\x04\x1f\0\x05a"), version=5),
    Case("properties_past_end", b.packet(0xE0, b"\0\x7f\x11"), version=5),
    Case("properties_past_end", b.packet(0x20, b"\0\0\x05\x11"), from_client=False, version=5, begun=False),
    Case("variable_integer_too_long", b.packet(0xE0, b"\0\xff\xff\xff\xff\x01"), version=5),
    Case("variable_integer_too_long", b.packet(0x82, b.two(1) + b"\x06\x0b\xff\xff\xff\xff\x01"), version=5),
    Case("unknown_property", b.packet(0xE0, b"\0\x02\x7a\x01"), version=5),
    Case("unknown_property", b.packet(0xF0, b"\0\x02\x00\x01"), from_client=False, version=5),
    Case("duplicate_property", b.disconnect(0, [("reason_string", "a")] * 2), version=5),
    Case("body_not_allowed", b"\xd0\x02", from_client=False),
    Case("body_not_allowed", b"\xc0\x01"),
    Case("trailing_bytes", b.packet(0x10, b.connect()[2:] + b"x"), begun=False),
    Case("trailing_bytes", b.packet(0x20, b"\0\0x"), from_client=False, begun=False),
    Case("trailing_bytes", b.packet(0x40, b"\0\x01\x10")),
    Case("trailing_bytes", b.packet(0xB0, b"\0\x01\0"), from_client=False),
    Case("trailing_bytes", b.packet(0xE0, b"\0\0x"), version=5),
    Case("trailing_bytes", b.packet(0x62, b"\0\x01\0\0x"), version=5),
]

FROM_BROKER = {"from_client": False}
ODDITY_CASES = [
    Case("reserved_flags", b"\xc1\x00"),
    Case("reserved_flags", b.packet(0x80, b.subscribe()[2:])),
    Case("reserved_flags", b"\x60\x02\0\x01"),
    Case("reserved_flags", b"\x6a\x02\0\x01"),
    Case("reserved_flags", b.packet(0x16, b.connect()[2:]), begun=False),
    Case("reserved_packet_type", b"\x00\x00"),
    Case("reserved_packet_type", b"\x00\x03abc", version=5),
    Case("reserved_packet_type", b"\xf0\x01\0"),
    Case("remaining_length_not_minimal", b.packet(0xC0, width=2)),
    Case("remaining_length_not_minimal", b.packet(0x30, b.publish()[2:], width=2)),
    Case("remaining_length_not_minimal", b.packet(0x30, b.publish()[2:], width=3)),
    Case("remaining_length_not_minimal", b.packet(0x30, b.publish_of_size(300)[3:], width=4)),
    Case("first_packet_not_connack", b.publish(), **FROM_BROKER, begun=False),
    Case("first_packet_not_connack", b.pingresp(), **FROM_BROKER, begun=False),
    Case("second_connect", b.connect()),
    Case("disconnect_from_broker_in_3x", b.disconnect(), **FROM_BROKER),
    Case("disconnect_with_body_in_3x", b.disconnect(0)),
    Case("publish_qos_3", b"\x36\x05\0\x01t\0\x07"),
    Case("dup_with_qos_0", b"\x38\x03\0\x01t"),
    Case("packet_identifier_0", b.publish(qos=1, packet_id=0)),
    Case("packet_identifier_0", b.puback(0)),
    Case("packet_identifier_0", b.subscribe(packet_id=0)),
    Case("no_topic_filter", b.subscribe(())),
    Case("no_topic_filter", b.unsubscribe(())),
    Case("no_topic_filter", b.subscribe((), version=5), version=5),
    Case("no_codes", b.suback(()), **FROM_BROKER),
    Case("no_codes", b.unsuback((), version=5), **FROM_BROKER, version=5),
    Case("subscription_options_invalid", b.subscribe([("t", 3)])),
    Case("subscription_options_invalid", b.subscribe([("t", 4)])),
    Case("subscription_options_invalid", b.subscribe([("t", 0x30)], version=5), version=5),
    Case("subscription_options_invalid", b.subscribe([("t", 0x80)], version=5), version=5),
    Case("connect_reserved_flag", b.connect(extra_flags=1), begun=False),
    Case("will_qos_3", b.connect(will_topic="w", will_qos=3), begun=False),
    Case("will_flags_without_will", b.connect(extra_flags=0x20), begun=False),
    Case("will_flags_without_will", b.connect(extra_flags=0x08), begun=False),
    Case("password_without_user_name", b.connect(password=b"p"), begun=False),
    Case("unknown_protocol_name", b.connect(protocol_name="MQTTX"), begun=False),
    Case("unknown_protocol_level", b.connect(level=6, version=5), begun=False, version=0),
    Case("unknown_protocol_level", b.connect(level=6), begun=False, version=0),
    Case("unknown_protocol_level", b.connect(level=0), begun=False, version=0),
    Case("protocol_name_mismatch", b.connect(version=4, protocol_name="MQIsdp"), begun=False),
    Case("protocol_name_mismatch", b.connect(version=3, protocol_name="MQTT"), begun=False, version=3),
    Case("bridge_level", b.connect(level=0x84), begun=False),
    Case("bridge_level", b.connect(level=0x83, version=3), begun=False, version=3),
    Case("connack_reserved_flags", b"\x20\x02\x02\x00", **FROM_BROKER, begun=False),
    Case("session_present_with_error", b.connack(5, session_present=True), **FROM_BROKER, begun=False),
    Case("connack_of_3x", b.connack(1), **FROM_BROKER, version=5, begun=False),
    Case("connack_of_5", b.connack(0x84, version=5), **FROM_BROKER, begun=False),
    Case("return_code_nonstandard", b.connack(6), **FROM_BROKER, begun=False),
    Case("return_code_nonstandard", b.connack(6, version=5), **FROM_BROKER, version=5, begun=False),
    Case("return_code_nonstandard", b.suback((3,)), **FROM_BROKER),
    Case("reason_code_unknown", b.disconnect(0x7F), version=5),
    Case("reason_code_unknown", b.connack(0xF0, version=5), **FROM_BROKER, version=5, begun=False),
    Case("reason_code_unknown", b.suback((0, 0x7F), version=5), **FROM_BROKER, version=5),
    Case("reason_code_not_allowed", b.disconnect(0x8D), version=5),
    Case("reason_code_not_allowed", b.connack(0x8B, version=5), **FROM_BROKER, version=5, begun=False),
    Case("reason_code_not_allowed", b.disconnect(0x04), **FROM_BROKER, version=5),
    Case("reason_code_not_allowed", b.puback(1, 0x92), version=5),
    Case("property_not_allowed", b.disconnect(0, [("server_keep_alive", 5)]), version=5),
    Case(
        "property_not_allowed", b.disconnect(0, [("session_expiry_interval", 1)]), **FROM_BROKER, version=5
    ),
    Case("property_value_invalid", b.connect(version=5, properties=[("receive_maximum", 0)]), begun=False, version=5),
    Case(
        "property_value_invalid",
        b.connack(version=5, properties=[("maximum_qos", 2)]),
        **FROM_BROKER,
        version=5,
        begun=False,
    ),
    Case("invalid_utf8", b.unsubscribe([b"\xff"])),  # type: ignore[list-item]
    Case("invalid_utf8", b.connect(protocol_name=b"MQTT", client_id=b"\xed\xa0\x80"), begun=False),  # type: ignore[arg-type]
    Case("null_in_string", b.connect("a\0b"), begun=False),
    Case("connack_from_client", b.connack()),
    Case("suback_from_client", b.suback()),
    Case("unsuback_from_client", b.unsuback()),
    Case("pingresp_from_client", b.pingresp()),
    Case("connect_from_broker", b.connect(), **FROM_BROKER),
    Case("subscribe_from_broker", b.subscribe(), **FROM_BROKER),
    Case("unsubscribe_from_broker", b.unsubscribe(), **FROM_BROKER),
    Case("pingreq_from_broker", b.pingreq(), **FROM_BROKER),
]  # fmt: skip


def _started(case: Case) -> tuple[Decoder, int]:
    one = decoder(from_client=case.from_client, version=case.version, begun=case.begun)
    first = b.connect(version=case.version) if case.from_client else b.connack(version=case.version)
    return one, len(first) if case.begun else 0


@pytest.mark.parametrize("case", MALFORMED_CASES, ids=lambda case: case.name)
def test_malformed_bytes_are_named_and_end_the_observation(case: Case) -> None:
    one, before = _started(case)
    lead = b.publish("some/topic", qos=1) if case.begun else b""
    packets = one.feed(lead + case.raw)
    assert len(packets) == bool(lead)
    assert one.malformed is not None
    assert (one.malformed.what, one.malformed.offset) == (case.name, before + len(lead))
    assert (one.opaque, one.partial, one.stranger) == (True, None, None)
    assert one.feed(b.pingreq()) == ()


@pytest.mark.parametrize("case", MALFORMED_CASES, ids=lambda case: case.name)
def test_malformed_bytes_are_named_the_same_byte_by_byte(case: Case) -> None:
    whole, _ = _started(case)
    cut, _ = _started(case)
    assert seen(cut, fed(cut, bytewise(case.raw))) == seen(whole, whole.feed(case.raw))


@pytest.mark.parametrize("case", ODDITY_CASES, ids=lambda case: case.name)
def test_an_oddity_is_named_and_decoding_goes_on(case: Case) -> None:
    one, _ = _started(case)
    packets = one.feed(case.raw)
    assert one.oddities == (case.name,)
    assert [packet[:2] for packet in packets] == [(case.raw[0], len(case.raw))]
    assert (one.opaque, one.malformed, one.partial) == (False, None, None)
    assert one.version == case.version
    assert len(one.feed(b.publish())) == 1


@pytest.mark.parametrize("case", ODDITY_CASES, ids=lambda case: case.name)
def test_an_oddity_is_found_the_same_byte_by_byte(case: Case) -> None:
    whole, _ = _started(case)
    cut, _ = _started(case)
    assert seen(cut, fed(cut, bytewise(case.raw))) == seen(whole, whole.feed(case.raw))


def test_every_malformed_name_has_a_case_and_every_case_a_name() -> None:
    assert {case.name for case in MALFORMED_CASES} == set(MALFORMED)


def test_every_oddity_has_a_case_and_every_case_an_oddity() -> None:
    assert {case.name for case in ODDITY_CASES} == set(ODDITIES)


def test_malformed_says_in_which_packet_and_what_was_wrong() -> None:
    one = decoder(version=5)
    one.feed(b.disconnect(0, [("reason_string", "a")] * 2))
    assert one.malformed is not None
    assert (one.malformed.packet, one.malformed.detail) == ("DISCONNECT", "reason_string")


def test_packets_before_the_malformed_one_are_kept() -> None:
    packets = decoder().feed(b.pingreq() + b.publish() + b"\x30\x00" + b.pingreq())
    assert [packet[0] for packet in packets] == [0xC0, 0x30]


@pytest.mark.parametrize("topic_size", [b"\x01\x00", b"\x00\xff", b"\xff\x01"])
@pytest.mark.parametrize("length", [100, 200])
@pytest.mark.parametrize("at", [0, 1, 8, 30, 39])
def test_a_wrong_topic_length_is_found_in_a_run_of_equal_packets(
    at: int, length: int, topic_size: bytes
) -> None:
    usual = b.publish_of_size(length)
    header = len(usual) - length
    wrong = usual[:header] + topic_size + usual[header + 2 :]
    one = decoder()
    packets = one.feed(usual * at + wrong + usual * (40 - at))
    assert sum(packet[3] for packet in packets) == at
    assert one.malformed is not None
    assert (one.malformed.what, one.malformed.offset) == (
        "string_past_end",
        len(b.connect()) + at * len(usual),
    )


def test_an_oddity_is_noted_once() -> None:
    one = decoder()
    assert len(one.feed(b"\xc1\x00" * 1000)) == 1000
    assert one.oddities == ("reserved_flags",)


def test_oddities_are_bounded() -> None:
    one = decoder(version=4)
    cases = [case for case in ODDITY_CASES if case.from_client and case.begun and case.version == 4]
    for case in cases:
        one.feed(case.raw)
    assert not one.opaque
    assert len({case.name for case in cases} | {"x"}) > MAX_ODDITIES == len(one.oddities)


def test_a_dup_flag_on_subscribe_and_pubrel_is_legal_in_3_1() -> None:
    one = decoder(version=3)
    found: list[Packet] = [*one.feed(b"\x6a\x02\0\x01"), *one.feed(b.packet(0x8A, b.subscribe()[2:]))]
    assert len(found) == 2
    assert one.oddities == ()

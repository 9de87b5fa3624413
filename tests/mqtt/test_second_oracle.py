"""MQTT 5.0 against mqtt5, an independent implementation in Rust: its code lists, and what it reads and writes."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaproxy.mqtt.codes import DISCONNECT_FROM_BROKER, DISCONNECT_FROM_CLIENT, REASON_CODES
from kaproxy.mqtt.packets import Acknowledge, Connack, Connect, Disconnect, Subscribe, Unsubscribe
from tests import strategies
from tests.mqtt.observing import decoder
from tests.strategies import Sample

if not os.environ.get("CI"):
    pytest.importorskip("mqtt5", reason="the wheel mqtt5 is not installed: pip install mqtt5")
import mqtt5


def _numbers(enum: Any) -> set[int]:
    return {int(getattr(enum, name)) for name in dir(enum) if name.isupper()}


@pytest.mark.parametrize(
    ("packet", "enum"),
    [
        ("CONNACK", "ConnAckReasonCode"),
        ("PUBACK", "PubAckReasonCode"),
        ("PUBREC", "PubRecReasonCode"),
        ("PUBREL", "PubRelReasonCode"),
        ("PUBCOMP", "PubCompReasonCode"),
        ("SUBACK", "SubAckReasonCode"),
        ("UNSUBACK", "UnsubAckReasonCode"),
        ("AUTH", "AuthReasonCode"),
    ],
)
def test_it_lists_the_same_reason_codes(packet: str, enum: str) -> None:
    ours = {code for code, reason in REASON_CODES.items() if packet in reason.packets}
    assert ours == _numbers(getattr(mqtt5, enum))


def test_it_lists_the_same_disconnect_codes() -> None:
    """But 0x8C, which only the combined table of 2.4 gives to DISCONNECT, and which mosquitto does send."""
    both = {DISCONNECT_FROM_CLIENT, DISCONNECT_FROM_BROKER}
    ours = {code for code, reason in REASON_CODES.items() if both & reason.packets}
    assert ours - {0x8C} == _numbers(mqtt5.DisconnectReasonCode)


@st.composite
def samples(draw: st.DrawFn) -> tuple[bool, bool, Sample]:
    """Direction, whether it is the first packet, and a packet of 5.0."""
    from_client, first = draw(st.booleans()), draw(st.booleans())
    if first:
        return from_client, True, draw((strategies.connects if from_client else strategies.connacks)(5))
    return from_client, False, draw(strategies.packets(5, from_client))


def _same_fields(body: object, theirs: Any) -> None:
    match body:
        case Connect():
            assert (theirs.client_id, theirs.keep_alive) == (body.client_id, body.keep_alive)
            assert (theirs.clean_start, theirs.will is not None) == (body.clean_start, body.will is not None)
        case Connack(present, code):
            assert (theirs.session_present, int(theirs.reason_code)) == (present, code)
            assert theirs.server_keep_alive == body.server_keep_alive
        case Disconnect(code) | Acknowledge(code):
            assert int(theirs.reason_code) == code
        case Subscribe(filters):
            assert [(one.pattern, int(one.max_qos)) for one in theirs.topic_filters] == [
                (name, options & 3) for name, options in filters
            ]
        case Unsubscribe(filters):
            assert tuple(theirs.patterns) == filters


@given(samples())
def test_it_reads_what_we_read_and_we_read_what_it_writes(drawn: tuple[bool, bool, Sample]) -> None:
    from_client, first, sample = drawn
    theirs, size = mqtt5.read(memoryview(sample.raw))
    assert size == len(sample.raw)
    (ours,) = decoder(from_client=from_client, version=5, begun=not first).feed(sample.raw)
    _same_fields(ours[4], theirs)
    assert (getattr(theirs, "packet_id", None) or 0) == ours[2]
    raw = bytes(theirs.write())
    one = decoder(from_client=from_client, version=5, begun=not first)
    (again,) = one.feed(raw)
    assert (again[0], again[1], again[2]) == (ours[0], len(raw), ours[2])
    assert one.oddities == ()

"""Hypothesis strategies: control packets with what they mean, streams of them, chunkings, mutations.

A `Sample` is bytes made by `builders.py` from drawn arguments, beside the `Packet` the same arguments stand
for; so what a decoder makes of the bytes can be compared with what was meant, field by field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from kaproxy.mqtt.packets import (
    Acknowledge,
    Auth,
    Body,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Subscribe,
    SubscribeAck,
    Unsubscribe,
    Will,
)
from tests import builders

Pairs = tuple[tuple[str, object], ...]


class Sample(NamedTuple):
    """A control packet: its bytes and what they mean."""

    raw: bytes
    packet: Packet


def sample(raw: bytes, packet_id: int = 0, body: Body | None = None) -> Sample:
    """What `raw`, one whole control packet, is to be decoded to."""
    return Sample(raw, (raw[0], len(raw), packet_id, 1, body))


VERSIONS = st.sampled_from((3, 4, 5))
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
BINARIES = st.binary(max_size=12)
IDENTIFIERS = st.integers(1, 65535)
QOS = st.integers(0, 2)

_USER = ("user_property",)
_REASON = ("reason_string", *_USER)
_MESSAGE = (
    "payload_format_indicator",
    "message_expiry_interval",
    "content_type",
    "response_topic",
    "correlation_data",
    *_USER,
)
# 5.0 2.2.2.2, the column "Packet / Will Properties"
PROPERTIES_OF: dict[str, tuple[str, ...]] = {
    "CONNECT": (
        "session_expiry_interval",
        "authentication_method",
        "authentication_data",
        "request_problem_information",
        "request_response_information",
        "receive_maximum",
        "topic_alias_maximum",
        "maximum_packet_size",
        *_USER,
    ),
    "CONNACK": (
        "session_expiry_interval",
        "assigned_client_identifier",
        "server_keep_alive",
        "authentication_method",
        "authentication_data",
        "response_information",
        "server_reference",
        "receive_maximum",
        "topic_alias_maximum",
        "maximum_qos",
        "retain_available",
        "maximum_packet_size",
        "wildcard_subscription_available",
        "subscription_identifier_available",
        "shared_subscription_available",
        *_REASON,
    ),
    "WILL": (*_MESSAGE, "will_delay_interval"),
    "PUBLISH": (*_MESSAGE, "topic_alias", "subscription_identifier"),
    "SUBSCRIBE": ("subscription_identifier", *_USER),
    "UNSUBSCRIBE": _USER,
    "ACK": _REASON,
    "AUTH": ("authentication_method", "authentication_data", *_REASON),
    "DISCONNECT_FROM_CLIENT": ("session_expiry_interval", *_REASON),
    "DISCONNECT_FROM_BROKER": ("server_reference", *_REASON),
}
_FLAGS = {
    "payload_format_indicator",
    "request_problem_information",
    "request_response_information",
    "maximum_qos",
    "retain_available",
    "wildcard_subscription_available",
    "subscription_identifier_available",
    "shared_subscription_available",
}
_NOT_ZERO = {"receive_maximum", "maximum_packet_size", "topic_alias", "subscription_identifier"}
_HIGHEST = {"two": 0xFFFF, "four": 0xFFFFFFFF, "variable": 268_435_455}


def _value(name: str, texts: st.SearchStrategy[str]) -> st.SearchStrategy[object]:
    kind = builders.PROPERTY_IDS[name][1]
    if name in _FLAGS:
        return st.integers(0, 1)
    if kind in _HIGHEST:
        return st.integers(1 if name in _NOT_ZERO else 0, _HIGHEST[kind])
    return {"text": texts, "binary": BINARIES, "pair": st.tuples(texts, texts)}[kind]


@st.composite
def properties(draw: st.DrawFn, packet: str, texts: st.SearchStrategy[str] = TEXTS) -> Pairs:
    """Properties `packet` may have, in any order; user properties may repeat."""
    names = draw(st.lists(st.sampled_from(PROPERTIES_OF[packet]), unique=True, max_size=4))
    names += ["user_property"] * draw(st.integers(0, 1))
    return tuple((name, draw(_value(name, texts))) for name in names)


def kept(pairs: Pairs) -> Pairs:
    """Properties as the decoder keeps them: of binary values only the size."""
    return tuple((name, len(value) if isinstance(value, bytes) else value) for name, value in pairs)


def _properties(version: int, packet: str, texts: st.SearchStrategy[str]) -> st.SearchStrategy[Pairs]:
    return properties(packet, texts) if version == 5 else st.just(())


@st.composite
def connects(draw: st.DrawFn, version: int, texts: st.SearchStrategy[str] = TEXTS) -> Sample:
    """CONNECT with and without Will, user name, password."""
    client_id, keep_alive, clean = draw(texts), draw(st.integers(0, 65535)), draw(st.booleans())
    pairs = draw(_properties(version, "CONNECT", texts))
    user_name = draw(st.none() | texts)
    password = draw(st.none() | BINARIES) if user_name is not None or version == 5 else None
    will: Will | None = None
    payload: bytes = b""
    will_pairs: Pairs = ()
    if draw(st.booleans()):
        payload, will_pairs = draw(BINARIES), draw(_properties(version, "WILL", texts))
        topic = "w" + draw(texts)
        will = Will(draw(QOS), draw(st.booleans()), topic, len(payload), kept(will_pairs))
    raw = builders.connect(
        client_id,
        version=version,
        keep_alive=keep_alive,
        clean_start=clean,
        will_topic=will.topic if will else None,
        will_payload=payload,
        will_qos=will.qos if will else 0,
        will_retain=will.retain if will else False,
        will_properties=will_pairs,
        user_name=user_name,
        password=password,
        properties=pairs,
    )
    name = "MQIsdp" if version == 3 else "MQTT"
    has = user_name is not None, password is not None
    return sample(
        raw, body=Connect(name, version, clean, keep_alive, client_id, will, has[0], has[1], kept(pairs))
    )


@st.composite
def connacks(draw: st.DrawFn, version: int, texts: st.SearchStrategy[str] = TEXTS) -> Sample:
    """CONNACK with any code its version lists."""
    codes = (0, 0x80, 0x87, 0x95, 0x9F) if version == 5 else range(6)
    code = draw(st.sampled_from(codes))
    present = code == 0 and version > 3 and draw(st.booleans())
    pairs = draw(_properties(version, "CONNACK", texts))
    raw = builders.connack(code, session_present=present, version=version, properties=pairs)
    return sample(raw, body=Connack(present, code, kept(pairs)))


@st.composite
def publishes(draw: st.DrawFn, version: int, texts: st.SearchStrategy[str] = TEXTS) -> Sample:
    """PUBLISH of every QoS; small topics and few flags, so that runs of equal ones come up."""
    qos, identifier = draw(QOS), draw(IDENTIFIERS)
    size = draw(st.sampled_from((0, 1, 20, 121, 122, 123, 124, 200)))
    raw = builders.publish(
        "t" + draw(st.sampled_from(("", "/a", "/b")) | texts),
        bytes(size),
        qos=qos,
        packet_id=identifier,
        retain=draw(st.booleans()),
        dup=qos > 0 and draw(st.booleans()),
        version=version,
        properties=draw(_properties(version, "PUBLISH", texts)),
    )
    return sample(raw, identifier if qos else 0)


_ACK_BUILDERS: tuple[tuple[Callable[..., bytes], tuple[int, ...]], ...] = (
    (builders.puback, (0x00, 0x10, 0x87, 0x97)),
    (builders.pubrec, (0x00, 0x10, 0x91, 0x99)),
    (builders.pubrel, (0x00, 0x92)),
    (builders.pubcomp, (0x00, 0x92)),
)


@st.composite
def acknowledgements(draw: st.DrawFn, version: int, texts: st.SearchStrategy[str] = TEXTS) -> Sample:
    """PUBACK, PUBREC, PUBREL, PUBCOMP; in 5.0 with and without reason code and properties."""
    build, codes = draw(st.sampled_from(_ACK_BUILDERS))
    identifier = draw(IDENTIFIERS)
    if version < 5 or draw(st.booleans()):
        return sample(build(identifier), identifier)
    code = draw(st.sampled_from(codes))
    pairs = draw(st.none() | properties("ACK", texts))
    return sample(build(identifier, code, pairs), identifier, Acknowledge(code, kept(pairs or ())))


@st.composite
def subscribes(draw: st.DrawFn, version: int, texts: st.SearchStrategy[str] = TEXTS) -> Sample:
    """SUBSCRIBE; in 5.0 with the other options too."""
    options = QOS
    if version == 5:
        bits = st.tuples(QOS, st.integers(0, 3), st.integers(0, 2))
        options = bits.map(lambda parts: parts[0] | parts[1] << 2 | parts[2] << 4)
    filters = draw(st.lists(st.tuples(texts.map("f".__add__), options), min_size=1, max_size=3))
    identifier, pairs = draw(IDENTIFIERS), draw(_properties(version, "SUBSCRIBE", texts))
    raw = builders.subscribe(filters, identifier, version=version, properties=pairs)
    return sample(raw, identifier, Subscribe(tuple(filters), kept(pairs)))


@st.composite
def unsubscribes(draw: st.DrawFn, version: int, texts: st.SearchStrategy[str] = TEXTS) -> Sample:
    """UNSUBSCRIBE."""
    filters = draw(st.lists(texts.map("f".__add__), min_size=1, max_size=3))
    identifier, pairs = draw(IDENTIFIERS), draw(_properties(version, "UNSUBSCRIBE", texts))
    raw = builders.unsubscribe(filters, identifier, version=version, properties=pairs)
    return sample(raw, identifier, Unsubscribe(tuple(filters), kept(pairs)))


@st.composite
def subscribe_acks(draw: st.DrawFn, version: int, texts: st.SearchStrategy[str] = TEXTS) -> Sample:
    """SUBACK or UNSUBACK."""
    identifier, pairs = draw(IDENTIFIERS), draw(_properties(version, "ACK", texts))
    if draw(st.booleans()):
        granted = (0, 1, 2, 0x80, 0x8F) if version == 5 else (0, 1, 2, 0x80)
        codes = tuple(draw(st.lists(st.sampled_from(granted), min_size=1, max_size=4)))
        raw = builders.suback(codes, identifier, version=version, properties=pairs)
    else:
        codes = tuple(draw(st.lists(st.sampled_from((0, 0x11, 0x87)), min_size=1, max_size=4)))
        codes = codes if version == 5 else ()
        raw = builders.unsuback(codes, identifier, version=version, properties=pairs)
    return sample(raw, identifier, SubscribeAck(codes, kept(pairs)))


@st.composite
def disconnects(
    draw: st.DrawFn, version: int, from_client: bool, texts: st.SearchStrategy[str] = TEXTS
) -> Sample:
    """DISCONNECT; from the broker it is legal in 5.0 only."""
    if version < 5 or draw(st.booleans()):
        return sample(builders.disconnect(), body=Disconnect())
    side = "DISCONNECT_FROM_CLIENT" if from_client else "DISCONNECT_FROM_BROKER"
    code = draw(st.sampled_from((0x00, 0x04, 0x82, 0x93) if from_client else (0x00, 0x8B, 0x8D, 0x8E)))
    pairs = draw(st.none() | properties(side, texts))
    return sample(builders.disconnect(code, pairs), body=Disconnect(code, kept(pairs or ())))


@st.composite
def auths(draw: st.DrawFn, texts: st.SearchStrategy[str] = TEXTS) -> Sample:
    """AUTH (5.0)."""
    code, pairs = draw(st.sampled_from((0x00, 0x18, 0x19))), draw(properties("AUTH", texts))
    return sample(builders.auth(code, pairs), body=Auth(code, kept(pairs)))


def packets(
    version: int, from_client: bool, texts: st.SearchStrategy[str] = TEXTS
) -> st.SearchStrategy[Sample]:
    """Any legal control packet of one direction but CONNECT and CONNACK."""
    some = [publishes(version, texts), acknowledgements(version, texts)]
    if from_client:
        some += [
            subscribes(version, texts),
            unsubscribes(version, texts),
            st.just(sample(builders.pingreq())),
        ]
    else:
        some += [subscribe_acks(version, texts), st.just(sample(builders.pingresp()))]
    if from_client or version == 5:
        some.append(disconnects(version, from_client, texts))
    if version == 5:
        some.append(auths(texts))
    return st.one_of(some)


class Stream(NamedTuple):
    """One direction of a connection from its first byte on."""

    version: int
    from_client: bool
    samples: tuple[Sample, ...]

    @property
    def raw(self) -> bytes:
        """All its bytes."""
        return b"".join(one.raw for one in self.samples)


@st.composite
def streams(draw: st.DrawFn, max_size: int = 8) -> Stream:
    """CONNECT or CONNACK, then any legal packets; some of them several times over."""
    version, from_client = draw(VERSIONS), draw(st.booleans())
    samples = [draw(connects(version) if from_client else connacks(version))]
    for one in draw(st.lists(packets(version, from_client), max_size=max_size)):
        samples += [one] * draw(st.sampled_from((1, 1, 1, 2, 12)))
    return Stream(version, from_client, tuple(samples))


@st.composite
def chunkings(draw: st.DrawFn, data: bytes, max_cuts: int = 12) -> list[bytes]:
    """`data` cut into chunks, some of them empty."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=max_cuts)))
    return [data[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@st.composite
def mutations(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with a few bytes changed, left out, put in, or a piece repeated."""
    out = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(out)))
        length = draw(st.integers(0, 4))
        piece = draw(st.binary(max_size=4) | st.just(bytes(out[at : at + 40])))
        out[at : at + length] = piece
    return bytes(out)


def collapsed(found: Iterable[Packet]) -> Sequence[Packet]:
    """Neighbouring QoS 0 PUBLISH with one first byte as one run: the form that no chunking changes."""
    out: list[Packet] = []
    for packet in found:
        if out and packet[0] in (0x30, 0x31) and out[-1][0] == packet[0]:
            first, size, identifier, count, body = out.pop()
            packet = (first, size + packet[1], identifier, count + packet[3], body)
        out.append(packet)
    return out

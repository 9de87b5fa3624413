"""Between mqtt-packet's objects and our records, field by field and in both directions."""

from __future__ import annotations

import re
from typing import Any

from kaproxy.mqtt.codes import PacketType
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

Node = dict[str, Any]
Pairs = tuple[tuple[str, object], ...]

_ODD_NAMES = {
    "maximum_qos": "maximumQoS",
    "subscription_identifier_available": "subscriptionIdentifiersAvailable",
}
_OUR_NAMES = {theirs: ours for ours, theirs in _ODD_NAMES.items()}
_BOOLEANS = re.compile("indicator$|information$|available$")
_TEXTS = {"response_information"}


def _camel(name: str) -> str:
    return _ODD_NAMES.get(name) or re.sub("_(.)", lambda found: found[1].upper(), name)


def _snake(name: str) -> str:
    return _OUR_NAMES.get(name) or re.sub("([A-Z])", lambda found: "_" + found[1].lower(), name)


def properties_of(node: Node) -> Pairs:
    """Its properties in our terms; sorted, since it does not keep their order."""
    pairs: list[tuple[str, object]] = []
    for name, value in node.get("properties", {}).items():
        if name == "userProperties":
            for key, values in value.items():
                pairs += [("user_property", (key, one)) for one in _listed(values)]
        else:
            pairs.append((_snake(name), _plain(value)))
    return ordered(pairs)


def _listed(values: object) -> list[object]:
    return values if isinstance(values, list) else [values]


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return value["size"]
    return int(value) if isinstance(value, bool) else value


def ordered(pairs: Any) -> Pairs:
    """Properties in an order of their own; equal names keep theirs."""
    return tuple(
        sorted(pairs, key=lambda pair: (pair[0], str(pair[1][0]) if pair[0] == "user_property" else ""))
    )


def to_properties(pairs: Pairs) -> Node:
    """Our properties as it wants them."""
    out: Node = {}
    for name, value in pairs:
        if name == "user_property":
            assert isinstance(value, tuple)
            out.setdefault("userProperties", {}).setdefault(value[0], []).append(value[1])
        elif name in ("authentication_data", "correlation_data"):
            out[_camel(name)] = {"size": value}
        elif _BOOLEANS.search(name) and name not in _TEXTS:
            out[_camel(name)] = bool(value)
        else:
            out[_camel(name)] = value
    return out


def from_node(node: Node, version: int) -> Packet:
    """What it parsed, as the Packet we would make of it."""
    kind = PacketType[node["cmd"].upper()]
    size = node["length"]
    first = kind << 4 | 8 * node["dup"] | node["qos"] << 1 | node["retain"]
    header = 1 + next(width for width in range(1, 5) if size < 128**width)
    return first, size + header, node.get("messageId") or 0, 1, _body(node, kind, version)


def _body(node: Node, kind: PacketType, version: int) -> Body | None:
    pairs = properties_of(node)
    code: int = node.get("reasonCode") or 0
    match kind:
        case PacketType.CONNECT:
            return _connect(node, pairs)
        case PacketType.CONNACK:
            return Connack(node["sessionPresent"], int(node.get("returnCode", code)), pairs)
        case PacketType.DISCONNECT:
            return Disconnect(code, pairs)
        case PacketType.AUTH:
            return Auth(code, pairs)
        case PacketType.SUBSCRIBE:
            return Subscribe(tuple((one["topic"], _options(one)) for one in node["subscriptions"]), pairs)
        case PacketType.UNSUBSCRIBE:
            return Unsubscribe(tuple(node["unsubscriptions"]), pairs)
        case PacketType.SUBACK | PacketType.UNSUBACK:
            return SubscribeAck(tuple(node.get("granted") or ()), pairs)
        case PacketType.PUBACK | PacketType.PUBREC | PacketType.PUBREL | PacketType.PUBCOMP:
            return Acknowledge(code, pairs) if version == 5 else None
    return None


def _options(one: Node) -> int:
    return int(one["qos"] | one.get("nl", 0) << 2 | one.get("rap", 0) << 3 | one.get("rh", 0) << 4)


def _connect(node: Node, pairs: Pairs) -> Connect:
    will = None
    if found := node.get("will"):
        will = Will(
            found["qos"], found["retain"], found["topic"], found["payload"]["size"], properties_of(found)
        )
    return Connect(
        node["protocolId"],
        node["protocolVersion"],
        node["clean"],
        node["keepalive"],
        node["clientId"],
        will,
        "username" in node,
        "password" in node,
        pairs,
    )


def to_node(packet: Packet) -> Node:
    """A packet of ours as the object it generates bytes from; a PUBLISH gets a topic and no payload."""
    first, _, packet_id, _, body = packet
    node: Node = {"cmd": PacketType(first >> 4).name.lower(), "messageId": packet_id}
    if pairs := getattr(body, "properties", ()):
        node["properties"] = to_properties(pairs)
    match body:
        case None:
            flags = {"qos": first >> 1 & 3, "dup": bool(first & 8), "retain": bool(first & 1)}
            return node | flags | {"topic": "a/topic", "payload": ""} if first >> 4 == 3 else node
        case Connect():
            return node | _connect_node(body)
        case Connack(present, code):
            return node | {"sessionPresent": present, "returnCode": code, "reasonCode": code}
        case Subscribe(filters):
            return node | {"subscriptions": [_subscription(name, options) for name, options in filters]}
        case Unsubscribe(filters):
            return node | {"unsubscriptions": list(filters)}
        case SubscribeAck(codes):
            return node | {"granted": list(codes)}
    return node | {"reasonCode": body.code}


def _subscription(name: str, options: int) -> Node:
    return {
        "topic": name,
        "qos": options & 3,
        "nl": bool(options & 4),
        "rap": bool(options & 8),
        "rh": options >> 4 & 3,
    }


def _connect_node(connect: Connect) -> Node:
    node: Node = {
        "protocolId": connect.protocol_name,
        "protocolVersion": connect.level,
        "clean": connect.clean_start,
        "keepalive": connect.keep_alive,
        "clientId": connect.client_id,
    }
    if connect.has_user_name:
        node["username"] = "user"
    if connect.has_password:
        node["password"] = {"size": 4}
    if will := connect.will:
        node["will"] = {
            "topic": will.topic,
            "qos": will.qos,
            "retain": will.retain,
            "payload": {"size": will.payload_size},
            "properties": to_properties(will.properties),
        }
    return node

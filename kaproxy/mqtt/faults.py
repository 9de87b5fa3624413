"""Stable names for what is wrong with a direction: added, never renamed.

`MALFORMED` ends the observation of a direction: what follows cannot be trusted to be control packets. An
oddity is illegal, or of no standard, but real peers send it and go on; it is noted, and decoding goes on.
Read next: `decoder.py` and `bodies.py`, which find them.
"""

from __future__ import annotations

from typing import Final

from kaproxy.mqtt.codes import NOT_FROM_BROKER, NOT_FROM_CLIENT

MALFORMED: Final[dict[str, str]] = {
    "first_packet_not_connect": "the client's first control packet is another one (3.1.0-1)",
    "remaining_length_too_long": "Remaining Length goes on into a fifth byte (2.1.4)",
    "body_too_short": "the packet ends before a field that has to be there",
    "string_past_end": "a string or binary field is longer than what is left of its packet",
    "properties_past_end": "the property length is longer than what is left of the packet (2.2.2.1)",
    "variable_integer_too_long": "a variable byte integer goes on into a fifth byte (1.5.5)",
    "unknown_property": "a property identifier that 5.0 does not know, so its length is not known either",
    "duplicate_property": "a property that may stand once stands twice",
    "body_not_allowed": "PINGREQ or PINGRESP with a Remaining Length above 0 (3.12.1, 3.13.1)",
    "trailing_bytes": "bytes are left after the last field of the packet",
}

ODDITIES: Final[dict[str, str]] = {
    "reserved_flags": "the lower four bits of the first byte are not what the packet type demands (2.1.3)",
    "reserved_packet_type": "packet type 0, or 15 in 3.x",
    "remaining_length_not_minimal": "Remaining Length written with more bytes than it needs",
    "first_packet_not_connack": "the broker does not begin with CONNACK, AUTH or DISCONNECT",
    "second_connect": "CONNECT on a connection that has had one (3.1.0-2)",
    "disconnect_from_broker_in_3x": "3.x has DISCONNECT from the client only; mochi sends it",
    "disconnect_with_body_in_3x": "DISCONNECT of 3.x has no body",
    "publish_qos_3": "PUBLISH with both QoS bits set (3.3.1-4)",
    "dup_with_qos_0": "PUBLISH with DUP at QoS 0 (3.3.1-2)",
    "packet_identifier_0": "packet identifier 0 where one above 0 is due (2.2.1)",
    "no_topic_filter": "SUBSCRIBE or UNSUBSCRIBE without a topic filter (3.8.3-2, 3.10.3-2)",
    "no_codes": "SUBACK, or UNSUBACK of 5.0, without a code",
    "subscription_options_invalid": "reserved bits, QoS 3 or Retain Handling 3 in a subscription's options",
    "connect_reserved_flag": "bit 0 of the connect flags is set (3.1.2-3)",
    "will_qos_3": "Will QoS 3 (3.1.2-12)",
    "will_flags_without_will": "Will QoS or Will Retain without a Will (3.1.2-11, 3.1.2-13)",
    "password_without_user_name": "a password but no user name, which 3.x forbids (3.1.2-22)",
    "unknown_protocol_name": "protocol name in CONNECT is neither MQTT nor MQIsdp",
    "unknown_protocol_level": "protocol level in CONNECT is none of 3, 4, 5",
    "protocol_name_mismatch": "the protocol name does not go with the level",
    "bridge_level": "bit 7 of the protocol level is set: how mosquitto's bridges announce themselves",
    "connack_reserved_flags": "bits 1 to 7 of the acknowledge flags are set (3.2.2.1)",
    "session_present_with_error": "CONNACK refuses and says session present (3.2.2-4)",
    "connack_of_3x": "a CONNACK of 3.x for a client of 5.0: brokers that do not speak 5.0 refuse like this",
    "connack_of_5": "a CONNACK with properties for a client of 3.x",
    "return_code_nonstandard": "a return code no standard of 3.x lists; Aedes has CONNACK 6",
    "reason_code_unknown": "a reason code that 5.0 does not list",
    "reason_code_not_allowed": "a reason code in a packet or direction it is not for; clients send 0x8D",
    "property_not_allowed": "a known property in a packet it is not for",
    "property_value_invalid": "a property's number is outside its range",
    "invalid_utf8": "a string is not UTF-8; its bad bytes are shown as U+FFFD (1.5.4-1)",
    "null_in_string": "a string holds U+0000 (1.5.4-2)",
    **{f"{kind.name.lower()}_from_client": "a packet of the broker's side only" for kind in NOT_FROM_CLIENT},
    **{f"{kind.name.lower()}_from_broker": "a packet of the client's side only" for kind in NOT_FROM_BROKER},
}

MAX_ODDITIES: Final = 12

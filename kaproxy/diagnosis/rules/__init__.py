"""The rules, in order: the first that finds something decides, the last always does.

To add a rule, write a function `Evidence -> Finding | None` in the file of its theme and give it a line here,
before every rule that would otherwise take its case. What a peer or kaproxy *stated* comes first, what the
kernel stated next, what was measured after that, then what others' endings tell, and what is left over last.
Read next: the files in the order of this table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kaproxy.connection.evidence import Evidence
from kaproxy.diagnosis.rules import (
    dialing,
    endings,
    keep_alive,
    neighbours,
    openings,
    orderly,
    own,
    pings,
    stated,
    takeover,
    triggers,
)
from kaproxy.diagnosis.verdict import Finding


class Rule(NamedTuple):
    """One rule: its name, and what it makes of the evidence; None where it has nothing to say."""

    name: str
    judge: Callable[[Evidence], Finding | None]


RULES: tuple[Rule, ...] = (
    Rule("DISCONNECT from the client, and nothing speaks against it", orderly.left_in_order),
    Rule("kaproxy ended it", own.proxy_ended),
    # what the peers stated
    Rule("the first bytes are another protocol", openings.not_mqtt),
    Rule("TLS alert, or no end of the handshake", openings.tls_failed),
    Rule("CONNACK refused", stated.connect_refused),
    Rule("DISCONNECT 0x8E", takeover.stated),
    Rule("DISCONNECT 0x8D from the broker", keep_alive.stated),
    Rule("DISCONNECT 0x8D from the client", pings.stated),
    Rule("DISCONNECT after 1.5 x Keep Alive without PINGRESP", pings.disguised),
    Rule("DISCONNECT from the client", stated.client_disconnect),
    Rule("a rival CONNECT within a second", takeover.silent),
    Rule("DISCONNECT from the broker names a packet", stated.packet_rejected),
    Rule("DISCONNECT from the broker", stated.broker_disconnect),
    # what the kernel stated
    Rule("the dial was refused", dialing.refused),
    Rule("the dial got no answer", dialing.timed_out),
    Rule("TCP gave up on the broker", dialing.broker_unreachable),
    Rule("TCP gave up on the client", dialing.client_unreachable),
    # before CONNACK
    Rule("came and left without a byte", openings.probe),
    Rule("a CONNECT that cannot be read", openings.malformed_connect),
    Rule("no CONNECT", openings.no_connect),
    Rule("no CONNACK", openings.no_connack),
    # what was measured
    Rule("the silence is in the broker's window", keep_alive.silent),
    Rule("a PINGREQ waited for a known limit", pings.unanswered),
    Rule("PINGRESP held for a client that does not read", pings.held_back),
    Rule("PINGRESP never acknowledged", pings.lost),
    Rule("closed at its ping timer although answered", pings.answered),
    Rule("closed on bytes that cannot be read", endings.malformed),
    Rule("PINGREQ unread for the broker's window", keep_alive.unread),
    Rule("the silence is in the window of a broker that lowers Keep Alive untold", keep_alive.below_a_cap),
    Rule("kaproxy itself stood still", endings.kaproxy_was_late),
    # what others tell
    Rule("the broker's other connections ended too, or it refuses dials", neighbours.restart),
    Rule("RST to the first packet after a pause that outlives a box's limit", neighbours.forgotten),
    Rule("the broker closed on a packet", triggers.rejected),
    Rule("the client closed on a packet", triggers.unacceptable),
    Rule("idle both ways for a box's limit", neighbours.idle_cut),
    Rule("others ended at the same age", neighbours.lifetime),
    Rule("the client did not read for long", neighbours.slow_consumer),
    # what is left over
    Rule("the broker ended it", endings.broker),
    Rule("the client ended it", endings.client),
    Rule("nothing explains it", endings.unknown),
)

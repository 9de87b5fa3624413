"""The catalogue of roots: why a cause happened, where the evidence reaches that far.

One row per root of a cause, in the manner of `causes.py`. Roots of connect_refused are the names of the
return and reason codes; only those that need words of their own have a row here. This file may not know
how a rule decides.
Read next: `manual.py`, which prints both catalogues.
"""

from __future__ import annotations

from kaproxy.diagnosis.causes import CAUSE_ROWS, Row
from kaproxy.diagnosis.limits import IDLE_LIMITS, TOLD_LIMIT
from kaproxy.diagnosis.roots_timing import KEEP_ALIVE_ROOTS, PING_ROOTS
from kaproxy.diagnosis.verdict import Cause, Owner

_REJECTED = (
    Row(
        "malformed",
        Owner.CLIENT_LIBRARY,
        "Bytes that are no valid control packet.",
        "0x81, 0x8F, 0x90 or 0x99; or kaproxy finds them unreadable or odd, and the broker closes at once.",
        "A fault of the broker's reader, where kaproxy reads the packet well.",
        "Update the client library; look for threads that write to one connection.",
    ),
    Row(
        "protocol_violation",
        Owner.CLIENT_LIBRARY,
        "A valid packet at the wrong time, or with what the broker does not allow.",
        "0x82, 0x94, 0x9A, 0x9B, 0x9E, 0xA1 or 0xA2; or a second CONNECT or a broker's packet, and a close at once.",
        "malformed.",
        "Compare the packet with what CONNACK allowed.",
    ),
    Row(
        "too_large",
        Owner.CLIENT_APP,
        "A packet above the broker's maximum size.",
        "0x95; or the broker closed when part of a large packet had come, or just after by far the largest so far.",
        "keep_alive_timeout of a slow upload.",
        "Send smaller packets, or raise the broker's limit.",
    ),
    Row(
        "quota",
        Owner.CLIENT_APP,
        "Above a quota or rate of the broker.",
        "0x96 or 0x97.",
        "receive_maximum.",
        "Send less, or raise the quota.",
    ),
    Row(
        "receive_maximum",
        Owner.CLIENT_LIBRARY,
        "More unacknowledged QoS 1 and 2 PUBLISH than the broker allowed.",
        "0x93; or it closed at once on a PUBLISH of a 5.0 client with 20 or more unacknowledged.",
        "quota.",
        "Obey Receive Maximum of CONNACK, also when resending after a reconnect.",
    ),
    Row(
        "not_authorized",
        Owner.OPERATOR,
        "The broker says that the client may not do this.",
        "0x87.",
        "not_authorized_suspected, where nothing is said.",
        "Check the broker's access rules for this client and the last packet in frames.",
    ),
    Row(
        "not_authorized_suspected",
        Owner.OPERATOR,
        "The broker closes on a PUBLISH or SUBSCRIBE without a word, as 3.x brokers do when it is not allowed.",
        "It closed within a second of one that was unanswered, or rare, and no other connection ended with it.",
        "malformed, too_large.",
        "Check the broker's access rules for this client.",
    ),
)
_REFUSED = (
    Row(
        "keep_alive_above_maximum",
        Owner.CLIENT_APP,
        "The broker does not allow this Keep Alive, and says so in a roundabout way.",
        "CONNACK 6 (Aedes); or CONNACK 2 to a 3.x client with a proper client identifier and Keep Alive 0 or very "
        "large (mosquitto with max_keepalive).",
        "identifier_rejected, which CONNACK 2 says word for word.",
        "Announce a Keep Alive above 0 and below the broker's maximum.",
    ),
    Row(
        "bad_user_name_or_password",
        Owner.OPERATOR,
        "Wrong credentials.",
        "CONNACK 4 (3.x) or 0x86.",
        "not_authorized.",
        "Check the client's user name and password.",
    ),
    Row(
        "not_authorized",
        Owner.OPERATOR,
        "The client may not connect.",
        "CONNACK 5 (3.x) or 0x87.",
        "bad_user_name_or_password: some brokers say this for wrong credentials.",
        "Check credentials and the broker's access rules.",
    ),
    Row(
        "identifier_rejected",
        Owner.CLIENT_APP,
        "The broker does not accept the client identifier.",
        "CONNACK 2 (3.x).",
        "keep_alive_above_maximum.",
        "Check the client identifier: empty, too long, or with characters the broker forbids.",
    ),
    Row(
        "server_unavailable",
        Owner.BROKER,
        "The broker cannot serve now.",
        "CONNACK 3 (3.x) or 0x88.",
        "broker_refused, no_connack.",
        "See why the broker is not ready.",
    ),
)


def _stranger(kind: str, owner: Owner, meaning: str, evidence: str, advice: str) -> Row:
    return Row(kind, owner, meaning, evidence, "Other kinds of not_mqtt.", advice)


_FROM_WHERE = "See who connects from this address."
_STRANGERS = (
    _stranger(
        "tls",
        Owner.OPERATOR,
        "TLS on a listener without TLS.",
        "A TLS ClientHello.",
        "Use the TLS port, or switch TLS off in the client.",
    ),
    _stranger(
        "http",
        Owner.OPERATOR,
        "HTTP, perhaps MQTT over WebSocket.",
        "An HTTP request line.",
        "Use the WebSocket port, or mqtt:// instead of ws://.",
    ),
    _stranger(
        "ssh",
        Owner.NOBODY,
        "SSH, most likely a scanner.",
        "An SSH banner.",
        "Nothing to do; close the port to strangers.",
    ),
    _stranger(
        "proxy_header",
        Owner.OPERATOR,
        "A PROXY protocol header that this listener does not expect.",
        "A PROXY v1 or v2 header.",
        "Switch the PROXY protocol off in the load balancer before kaproxy.",
    ),
    _stranger(
        "mqtt_sn",
        Owner.CLIENT_APP,
        "MQTT-SN, which needs a gateway.",
        "An MQTT-SN CONNECT.",
        "Put an MQTT-SN gateway between.",
    ),
    _stranger("zeros", Owner.NOBODY, "Bytes of zero.", "Zero bytes first.", _FROM_WHERE),
    _stranger(
        "other",
        Owner.NOBODY,
        "A protocol not known here, or a scanner's noise.",
        "First bytes that fit no known protocol.",
        _FROM_WHERE,
    ),
)
_DISCONNECT = (
    Row(
        "lifetime_limit",
        Owner.NOBODY,
        "The connection reached the age the broker allows.",
        "0xA0; or others ended at the same age, and this one was busy.",
        "idle_cut, where it was idle; clients started together that end together.",
        "Reconnect; credentials with an end date do this.",
    ),
    Row(
        "slow_consumer",
        Owner.CLIENT_APP,
        "The broker gave up on a client that does not read.",
        "Bytes held for a client that did not read, while it still sent in time, and the broker closing.",
        "keep_alive_timeout with client_not_reading: there it was silent too.",
        "Make the client read faster, or subscribe to less.",
    ),
    Row(
        "restart",
        Owner.OPERATOR,
        "The broker stopped, crashed or restarted.",
        "Most of the worker's connections ended in that second, or the broker's host refuses dials since.",
        "A clock step at the broker; keep_alive_timeout of many in one batch, each in the broker's window.",
        "Nothing to do if it was planned.",
    ),
    Row(
        "client_looks_fine",
        Owner.BROKER,
        "The client did nothing wrong that can be seen.",
        "A recent packet from it, answered pings, a healthy leg.",
        "takeover by a client that does not come through kaproxy.",
        "Look in the broker's log.",
    ),
)


_TAKEOVER = (
    Row(
        "two_clients",
        Owner.OPERATOR,
        "Two live clients share one client identifier.",
        "The CONNECTs differ in version, Keep Alive or Will; or they come from two addresses and the old side was "
        "alive.",
        "One client whose settings were changed, or that changed its network: there the old side is silent.",
        "Give each client an identifier of its own.",
    ),
    Row(
        "reconnect_after_half_open",
        Owner.NOBODY,
        "The same client came back after its old connection had died.",
        "The same settings, and the old side acknowledges nothing, or has been silent for over its Keep Alive.",
        "two_clients.",
        "Nothing to do; see what killed the old one.",
    ),
    Row(
        "same_host_duplicate",
        Owner.CLIENT_APP,
        "One host runs the client twice.",
        "The same settings and address, and the old side was alive.",
        "two_clients behind one address (NAT); a client that opened a new connection and kept the old one.",
        "Stop the second instance or object.",
    ),
)
_CLIENT_CLOSED = (
    Row(
        "process_exit",
        Owner.CLIENT_APP,
        "The client's process ended.",
        "It closed in the middle of a packet of its own. A process that ends between packets looks like any close.",
        "A library that gives up a write half-way.",
        "See why it ended.",
    ),
    Row(
        "storm",
        Owner.CLIENT_APP,
        "The client reconnects in a storm.",
        "Six or more CONNECTs of this client identifier within a minute, and this connection lived 10 s at most.",
        "packet_unacceptable: a packet of the broker that ends it each time.",
        "Add back-off to its reconnects.",
    ),
)
_TOLD_LIMIT = Row(
    TOLD_LIMIT,
    Owner.PATH,
    "The idle limit of the path, as the operator configured it (warnings.path_idle_limit).",
    "Closed after just that idle time, by whichever side the box stands on.",
    "A peer with a timer of the same length.",
    "Keep Alive well below that limit, or raise the limit.",
)
_IDLE_CUT = tuple(
    Row(
        limit.root,
        Owner.PATH,
        f"The idle limit of {limit.seconds} s: {limit.who}.",
        f"{'RST to the first packet after a longer pause' if limit.forgets else 'Closed after just that idle time'}; "
        f"the default is from: {limit.source}.",
        "A limit of the same length that was configured elsewhere.",
        f"Keep Alive well below {limit.seconds} s, or raise the limit.",
    )
    for limit in IDLE_LIMITS
)

#: The roots of each cause, by name; causes without roots are not in here.
ROOTS: dict[str, dict[str, Row]] = {
    cause: {row.name: row for row in rows}
    for cause, rows in {
        Cause.KEEP_ALIVE_TIMEOUT: KEEP_ALIVE_ROOTS,
        Cause.PING_TIMEOUT: PING_ROOTS,
        Cause.TAKEOVER: _TAKEOVER,
        Cause.PACKET_REJECTED: _REJECTED,
        Cause.CONNECT_REFUSED: _REFUSED,
        Cause.NOT_MQTT: _STRANGERS,
        Cause.BROKER_DISCONNECT: _DISCONNECT,
        Cause.BROKER_SHUTDOWN: _DISCONNECT[2:3],
        Cause.BROKER_CLOSED: _DISCONNECT,
        Cause.BROKER_RESET: _DISCONNECT,
        Cause.IDLE_CUT: (*_IDLE_CUT, _TOLD_LIMIT),
        Cause.CLIENT_CLOSED: _CLIENT_CLOSED,
        Cause.CLIENT_RESET: _CLIENT_CLOSED,
    }.items()
}


def describe(cause: str, root: str | None) -> Row:
    """The row that speaks for a verdict: the root's where it has one, else the cause's."""
    row = CAUSE_ROWS[cause]
    return row if root is None else ROOTS.get(cause, {}).get(root, row)

"""The catalogue of causes: what each means, what it takes to say it, what it is mistaken for, who acts and how.

One row per cause; the rows of the roots are in `roots.py`, and `describe` finds the right one of both. The
strings are the contract, so a row that no rule can reach yet stands here too, with `judged=False`. This file
may not know how a rule decides.
Read next: `roots.py`, then `manual.py`, which makes docs/causes.md of both.
"""

from __future__ import annotations

from dataclasses import dataclass

from kaproxy.diagnosis.verdict import Cause, Owner


@dataclass(frozen=True, slots=True)
class Row:
    """A cause or a root in words. `advice` is what the owner should do, short enough for a log line."""

    name: str
    owner: Owner
    meaning: str
    evidence: str
    look_alikes: str
    advice: str
    letter: str = ""  # first letter of the termination code; empty: by who closed
    judged: bool = True  # can a rule say it today


CAUSES: tuple[Row, ...] = (
    Row(
        Cause.CLIENT_DISCONNECT,
        Owner.NOBODY,
        "The client left in order: it sent DISCONNECT without an error.",
        "DISCONNECT from the client, reason code below 0x80, and no PINGREQ unanswered for long.",
        "ping_timeout: paho C sends a normal DISCONNECT when a PINGRESP stays away for 1.5 x Keep Alive.",
        "Nothing to do.",
    ),
    Row(
        Cause.CLIENT_DISCONNECT_WITH_WILL,
        Owner.NOBODY,
        "The client left in order and asked the broker to publish its Will.",
        "DISCONNECT 0x04 from the client.",
        "client_disconnect, where the Will is discarded.",
        "Nothing to do, unless the Will was not wanted.",
    ),
    Row(
        Cause.CLIENT_DISCONNECT_ERROR,
        Owner.CLIENT_APP,
        "The client ended the connection and said why, with an error.",
        "DISCONNECT from the client with a reason code of 0x80 or above, other than 0x8D.",
        "packet_unacceptable, where the code names a packet of the broker.",
        "Read reason_name, and the client's own log at this moment.",
    ),
    Row(
        Cause.KEEP_ALIVE_TIMEOUT,
        Owner.CLIENT_LIBRARY,
        "The broker expired the client, because nothing it counts came in 1.5 x Keep Alive.",
        "DISCONNECT 0x8D from the broker; or: the broker ended first, without a word, after a silence of the "
        "client that lies in the broker's window (or in that of a broker that lowers the Keep Alive untold), and no "
        "other connection took the client identifier. While the client does not read, what the broker sends is seen "
        "late; the silence is then an upper bound.",
        "takeover, idle_cut, broker_closed, broker_shutdown; ping_timeout, where the client ended first.",
        "See what kept the client silent; a larger Keep Alive only hides it.",
        letter="c",
    ),
    Row(
        Cause.PING_TIMEOUT,
        Owner.BROKER,
        "The client gave up: it saw no PINGRESP in the time its library allows.",
        "DISCONNECT 0x8D from the client; or: the client ended first without DISCONNECT while a PINGREQ had been "
        "open as long as a known library waits; or its normal DISCONNECT after 1.5 x Keep Alive without PINGRESP "
        "(paho C).",
        "client_closed and client_reset with a young PINGREQ; keep_alive_timeout, where the broker ended first.",
        "See what kept the PINGRESP away: the broker, the path or the client's own reading.",
        letter="b",
    ),
    Row(
        Cause.TAKEOVER,
        Owner.OPERATOR,
        "Another connection sent CONNECT with the same client identifier, so the broker closed this one.",
        "DISCONNECT 0x8E; or: such a CONNECT passed here at most 1 s before the broker closed this connection. "
        "Unstated it is settled only where nothing of the old client came in between and no others ended with it.",
        "keep_alive_timeout of a dead connection whose device reconnects at that moment; broker_closed, where the "
        "rival does not come through kaproxy.",
        "Compare the addresses: two clients with one identifier, or one that came back?",
    ),
    Row(
        Cause.PACKET_REJECTED,
        Owner.CLIENT_APP,
        "The broker closed because of a packet of the client.",
        "DISCONNECT from the broker with a code that names a packet; or: the broker closing within a second of bytes "
        "that are no control packet, of a part of a large packet, or of a packet that is unanswered or rare.",
        "broker_closed: without a code, a close just after a packet may be chance.",
        "Look at the last control packets in frames and at the broker's log.",
    ),
    Row(
        Cause.PACKET_UNACCEPTABLE,
        Owner.BROKER,
        "The client closed because of a packet of the broker.",
        "DISCONNECT from the client with a code that names a packet; or: it closed within a second of bytes that "
        "cannot be read, of part of a very large packet, or of the first PUBLISH after a long pause.",
        "client_disconnect_error, client_closed.",
        "Compare the packet with what the client announced in CONNECT.",
    ),
    Row(
        Cause.CONNECT_REFUSED,
        Owner.OPERATOR,
        "The broker answered CONNECT with a refusal.",
        "CONNACK with a return or reason code other than 0. The root is the code's name.",
        "no_connack, where the broker refuses without a word.",
        "Act on reason_name.",
    ),
    Row(
        Cause.BROKER_DISCONNECT,
        Owner.BROKER,
        "The broker ended the connection and said why.",
        "DISCONNECT from the broker, with a code that has no cause of its own.",
        "broker_closed, where nothing is said.",
        "Act on reason_name; the broker's log has the rest.",
    ),
    Row(
        Cause.BROKER_SHUTDOWN,
        Owner.OPERATOR,
        "The broker is going down.",
        "DISCONNECT 0x8B from the broker.",
        "broker_closed with root restart: most brokers stop without a word.",
        "Nothing to do if the stop was planned.",
    ),
    Row(
        Cause.BROKER_CLOSED,
        Owner.BROKER,
        "The broker closed in order (FIN) and gave no reason.",
        "FIN on the broker leg first, no DISCONNECT, and no rule that explains it.",
        "takeover by a client that does not come through kaproxy, idle_cut, packet_rejected of a 3.x client, "
        "broker_shutdown, an administrator.",
        "Look for the client identifier in the broker's log at this time.",
    ),
    Row(
        Cause.BROKER_RESET,
        Owner.NOBODY,
        "The broker leg was reset, by the broker or by a box in its name.",
        "RST on the broker leg first, no DISCONNECT, and no rule that explains it.",
        "idle_cut. A plain close with unread bytes shows as RST, so it is no crash by itself; VerneMQ always resets.",
        "Look for the client identifier in the broker's log; if it saw no close, a box between sent the RST.",
    ),
    Row(
        Cause.CLIENT_CLOSED,
        Owner.CLIENT_APP,
        "The client closed in order (FIN) without DISCONNECT.",
        "FIN on the client leg first, no DISCONNECT, no PINGREQ open for long.",
        "ping_timeout with a limit not known here; the kernel closes like this for a process that exits or is killed.",
        "Look at the client: a process exit, a close without DISCONNECT, an error of its own.",
    ),
    Row(
        Cause.CLIENT_RESET,
        Owner.NOBODY,
        "The client leg was reset, by the client or by a box in its name.",
        "RST on the client leg first, no DISCONNECT, no PINGREQ open for long.",
        "A plain close with unread bytes shows as RST, so it is not a crash by itself; idle_cut.",
        "Look at the client; if it did not close, a box between sent the RST.",
    ),
    Row(
        Cause.IDLE_CUT,
        Owner.PATH,
        "A box between cut the connection because it was idle.",
        "Both directions idle for the same constant on connections with different Keep Alive, or for a box's known "
        "limit; or RST from the broker's side to the first packet after a pause that outlived one. The root is the "
        "limit.",
        "keep_alive_timeout where the constant is 1.5 x Keep Alive by chance; broker_closed, broker_reset.",
        "Set Keep Alive well below the limit of the box.",
    ),
    Row(
        Cause.CLIENT_UNREACHABLE,
        Owner.CLIENT_HOST,
        "The client's host no longer answers: TCP gave up.",
        "The client leg ended as timed out or unreachable.",
        "keep_alive_timeout, root client_unreachable: there the broker was the first to lose patience.",
        "Look at the device's power, radio and network at this time.",
        letter="c",
    ),
    Row(
        Cause.BROKER_UNREACHABLE,
        Owner.PATH,
        "The broker's host cannot be reached: no route, no name, or TCP gave up.",
        "The broker leg, or its dial, ended as unreachable; or the established broker leg timed out.",
        "dial_timeout, where nothing answered the dial; broker_refused, where the host did.",
        "Look at the network and the name between kaproxy and the broker.",
        letter="b",
    ),
    Row(
        Cause.NO_CONNECT,
        Owner.CLIENT_APP,
        "No complete CONNECT came.",
        "The connection ended with no CONNECT seen, after some waiting or after a part of one.",
        "probe, where the client leaves at once without a byte; not_mqtt, where it sends something else.",
        "See who connects from this address and sends nothing.",
        letter="c",
    ),
    Row(
        Cause.PROBE,
        Owner.NOBODY,
        "A health check or a port scan: it connected, sent nothing and left.",
        "The client ended within 2 s, no byte came from it.",
        "no_connect, where it stays; client_unreachable.",
        "Nothing to do.",
    ),
    Row(
        Cause.NOT_MQTT,
        Owner.OPERATOR,
        "The client speaks another protocol.",
        "The first bytes from the client are those of another protocol. The root is its kind.",
        "packet_rejected, where MQTT is broken later on.",
        "Point the client at the right port, or set up the listener for what it speaks.",
    ),
    Row(
        Cause.NO_CONNACK,
        Owner.BROKER,
        "CONNECT was passed on and no CONNACK came back.",
        "CONNECT seen, no CONNACK, and a peer ended the connection.",
        "connect_refused, where the broker says so; rumqttd refuses bad credentials and Keep Alive 0 without a word.",
        "Look in the broker's log for this CONNECT; credentials, limits and a malformed CONNECT end like this.",
    ),
    Row(
        Cause.BROKER_REFUSED,
        Owner.OPERATOR,
        "Nothing listens at the broker's address.",
        "The broker's host refused the dial (RST to SYN).",
        "dial_timeout, where no answer comes at all.",
        "Start the broker, or correct the upstream address.",
    ),
    Row(
        Cause.DIAL_TIMEOUT,
        Owner.PATH,
        "The dial to the broker got no answer in time.",
        "The dial ended as timed out.",
        "broker_refused, broker_unreachable; a broker with a full backlog drops the dial as a firewall does.",
        "Check that the broker's host is up and no firewall drops the dial.",
        letter="b",
    ),
    Row(
        Cause.TLS_FAILED,
        Owner.OPERATOR,
        "The TLS handshake failed.",
        "A TLS alert, or a handshake that never completed.",
        "not_mqtt with root tls: TLS sent to a listener without it.",
        "Compare certificates, names and versions on both sides.",
    ),
    Row(
        Cause.PROXY_SHUTDOWN,
        Owner.OPERATOR,
        "kaproxy was stopped.",
        "kaproxy's own doing, after the drain time of a SIGTERM or SIGINT.",
        "None.",
        "Nothing to do; do not count it as a drop.",
    ),
    Row(
        Cause.PROXY_LIMIT,
        Owner.OPERATOR,
        "kaproxy turned the connection away at a limit of its own.",
        "kaproxy's own doing: max_connections, or no file descriptor left.",
        "None.",
        "Raise the limit named in the explanation.",
    ),
    Row(
        Cause.PROXY_ERROR,
        Owner.PROXY,
        "kaproxy ended the connection because of a fault of its own.",
        "kaproxy's own doing; the fault is in the explanation.",
        "None.",
        "Please report it with this line.",
    ),
    Row(
        Cause.UNKNOWN,
        Owner.NOBODY,
        "No rule explains the ending.",
        "Whatever no other row takes.",
        "Any other cause.",
        "Please report it with this line.",
    ),
)

CAUSE_ROWS: dict[str, Row] = {row.name: row for row in CAUSES}

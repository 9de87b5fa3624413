"""Facts about one side of a connection, without a relay."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from kaproxy.connection.events import Event
from kaproxy.connection.facts import Side
from kaproxy.relay.leg import Leg


def nothing(_data: bytes, _now: float) -> Sequence[Event]:
    return ()


def test_bytes_go_to_the_socket_the_other_leg_has_now_and_to_none_once_it_is_closed() -> None:
    """A descriptor that was closed may be another connection's by then."""
    client, broker = Leg(Side.CLIENT, nothing), Leg(Side.BROKER, nothing)
    client.other, broker.other = broker, client
    assert client.target == broker.target == -1
    for _ in range(2):  # as one address after another is dialed
        with socket.socket() as sock:
            broker.take(sock)
            assert client.target == broker.fd == sock.fileno()
            broker.let_go()
            assert client.target == broker.fd == -1
            assert broker.target == -1

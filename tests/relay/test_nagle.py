"""Neither leg may wait for Nagle's algorithm: a PINGREQ held back for an acknowledgement would be our doing."""

from __future__ import annotations

import socket
from contextlib import closing

from kaproxy.relay.dialing import Dial
from kaproxy.relay.listening import Reserve, arrivals, open_listeners


def no_delay(sock: socket.SocketType) -> bool:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


async def test_an_accepted_socket_inherits_tcp_nodelay_from_its_listener() -> None:
    (listener,) = await open_listeners("127.0.0.1", 0, 8, reuse_port=False)
    with listener, socket.create_connection(listener.getsockname()):
        ((accepted, _, refusal),) = arrivals(listener, Reserve())
        with closing(accepted):
            assert no_delay(accepted)
            assert not refusal


def test_a_dialed_socket_has_tcp_nodelay() -> None:
    with socket.create_server(("127.0.0.1", 0)) as broker:
        dialed = Dial(((socket.AF_INET, broker.getsockname()),), 0.0, 10.0).attempt(0.0)
        assert dialed is not None
        with closing(dialed):
            assert no_delay(dialed)

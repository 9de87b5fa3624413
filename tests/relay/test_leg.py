"""Facts about what is said of one leg."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from kaproxy.connection.facts import Side
from kaproxy.relay.leg import Leg
from kaproxy.relay.witness import unseen


@pytest.fixture
def leg() -> Iterator[tuple[Leg, socket.socket]]:
    """A leg whose peer reads nothing, and the peer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ours = socket.SocketType(socket.AF_INET, socket.SOCK_STREAM, 0)
        ours.connect(listener.getsockname())
        peer, _ = listener.accept()
    made = Leg(Side.BROKER, unseen)
    made.take(ours)
    made.writing = True
    with closing(ours), peer:
        yield made, peer


def fill(leg: Leg) -> None:
    leg.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            leg.sock.send(b"x" * 4096)


def test_the_fin_is_no_byte_that_the_peer_has_yet_to_take(leg: tuple[Leg, socket.socket]) -> None:
    ours, _ = leg
    fill(ours)
    before = ours.measure(1.0)
    assert before.unsent
    ours.shut_down()
    after = ours.measure(1.0)
    assert (after.unsent or 0) + (after.unacked or 0) == (before.unsent or 0) + (before.unacked or 0)


def test_nothing_is_outstanding_once_the_fin_is_acknowledged(leg: tuple[Leg, socket.socket]) -> None:
    ours, peer = leg
    ours.sock.send(b"last words")
    ours.shut_down()
    assert peer.recv(100) == b"last words"
    assert peer.recv(100) == b""
    ours.look()
    while not ours.fin_acked:
        ours.look()
    facts = ours.measure(1.0)
    assert (facts.unsent, facts.unacked) == (0, 0)

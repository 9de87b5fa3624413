"""The least a relay in Python does: accept, dial, copy both ways, close. It tells what CPython's sockets cost alone.

`python -m benchmarks.bare PORT BROKER_PORT`. It observes nothing and writes no line, has no limit, no timer and one
address of the broker, so nobody could run it in kaproxy's place. What it does it does rightly: what a peer does not
take is held while the other is not read, and FIN and RST go on after the bytes read before them, though a reset may
throw away what the kernel has not sent yet. It may not use anything of kaproxy's.
Read next: `connects.py`, where it stands beside kaproxy.
"""

from __future__ import annotations

import socket
import struct
import sys
from contextlib import suppress
from select import EPOLLIN, EPOLLOUT, EPOLLRDHUP, epoll

CHUNK, BATCH = 65536, 256
READ = EPOLLIN | EPOLLRDHUP
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


class Leg:
    """One side. `held`: bytes it has not taken; empty: it is being dialed; None: it takes what comes."""

    __slots__ = ("broken", "ended", "fd", "held", "other", "sock")
    other: Leg

    def __init__(self, sock: socket.socket, held: bytes | None) -> None:
        self.sock, self.fd, self.held = sock, sock.fileno(), held
        self.ended = self.broken = False  # nothing more comes from it; it was reset


class Relay:
    """The loop. `legs`: by descriptor, both of every connection that is open."""

    def __init__(self, port: int, broker_port: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.listener.setblocking(False)
        self.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited by what is accepted
        self.broker = ("127.0.0.1", broker_port)
        self.epoll = epoll()
        self.epoll.register(self.listener, EPOLLIN)
        self.legs: dict[int, Leg] = {}

    def turn(self) -> None:
        """Serves what is ready, newcomers last: no descriptor has a new owner before the next turn."""
        newcomers = False
        for fd, mask in self.epoll.poll(-1, BATCH):
            if (leg := self.legs.get(fd)) is None:
                newcomers |= fd == self.listener.fileno()
                continue
            if mask & EPOLLOUT and leg.held is not None:
                self.flush(leg)
            if mask != EPOLLOUT and fd in self.legs:
                self.read(leg)
                if mask & EPOLLRDHUP and not leg.ended and leg.other.held is None:
                    self.read(leg)  # its end has come with its bytes
        if newcomers:
            self.accept()

    def accept(self) -> None:
        """Dials the broker for everybody who waits; a client is read once that has succeeded."""
        with suppress(BlockingIOError):
            while True:
                sock, _ = self.listener.accept()
                sock.setblocking(False)
                dialed = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                dialed.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                dialed.connect_ex(self.broker)
                client, broker = Leg(sock, None), Leg(dialed, b"")
                client.other, broker.other = broker, client
                self.legs[client.fd], self.legs[broker.fd] = client, broker
                self.epoll.register(client.fd, 0)
                self.epoll.register(broker.fd, READ | EPOLLOUT)

    def read(self, leg: Leg) -> None:
        """Moves a chunk from this side to the other, or finds that this side has ended."""
        leg.broken |= leg.ended  # that is all the poller still tells of one that has
        try:
            data = b"" if leg.ended else leg.sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data, leg.broken = b"", True
        if not data:
            leg.ended = True
            self.hand_on(leg)
        elif leg.other.held:
            leg.other.held += data
        elif left := unsent(leg.other, data):
            leg.other.held = left
            self.watch(leg.other)
            self.watch(leg)

    def flush(self, leg: Leg) -> None:
        """This side takes bytes again, or is connected; once it has all of them the other side goes on."""
        leg.held = (leg.held and unsent(leg, leg.held)) or None
        if leg.held is None:
            self.watch(leg)
            if leg.other.ended:
                self.hand_on(leg.other)
            else:
                self.watch(leg.other)

    def hand_on(self, leg: Leg) -> None:
        """Nothing more comes from this side. The other learns that as soon as it has taken all."""
        other = leg.other
        over = leg.broken or (other.ended and leg.held is None)
        if over and other.held is None:
            if leg.broken:
                other.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            for each in (leg, other):
                del self.legs[each.fd], each.other
                each.sock.close()
        elif over:
            self.epoll.unregister(leg.fd)  # or the poller would tell of its end again and again
        else:
            if other.held is None and not other.ended:
                with suppress(OSError):  # gone as well, which its own end will tell
                    other.sock.shutdown(socket.SHUT_WR)
            self.watch(leg)

    def watch(self, leg: Leg) -> None:
        """What to wake for: bytes of a side whose other takes them, and room for what is held."""
        read = 0 if leg.ended or leg.other.held is not None else READ
        self.epoll.modify(leg.fd, read | (0 if leg.held is None else EPOLLOUT))


def unsent(leg: Leg, data: bytes) -> bytes:
    """Sends, and gives back what was not taken. Where that fails there may be bytes to read before the end."""
    try:
        return data[leg.sock.send(data) :]
    except BlockingIOError:
        return data
    except OSError:
        leg.broken = True
        return b""


if __name__ == "__main__":
    relay = Relay(*map(int, sys.argv[1:]))
    while True:
        relay.turn()

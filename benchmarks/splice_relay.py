"""A bare relay for `splice.py`: one epoll, one direction, long bodies moved in one of several ways.

Every way observes exactly: kaproxy's own decoder reads the beginning of each control packet, and of a body that is
only to be counted it is told how many bytes went by. What differs is how those bytes move: read and sent, read into
one buffer, or spliced through a pipe, which is taken from a pool and given back once it is empty. It may not be more
than that: no evidence, no clock, no ending told apart. It reports its port on stdout.
Read next: `splice.py`.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import sys
from contextlib import suppress

from kaproxy.mqtt.decoder import Decoder

BATCH = 256
CHUNK = 65536  # as kaproxy's
WORTH_A_PIPE = 32768  # bytes still to come of a body
SHORT = 2048  # bytes read of what may be another long body, so that most of it is left to the pipe
F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", 1031)


class Flow:
    """One direction of one connection. `held` is what the broker has not taken, `piped` what waits in `pipe`."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source, self.target = source, target
        self.decoder = Decoder(from_client=True)
        self.held = b""
        self.pipe: tuple[int, int] | None = None
        self.piped = 0
        self.long = False  # the last control packet was

    def rest_of_body(self) -> int:
        """Bytes still to come of a PUBLISH that are only to be counted; its last byte is left to the decoder."""
        passing = self.decoder._passing
        if passing is None or passing.kept is not None or passing.seen < passing.wanted:
            return 0
        return passing.size - passing.seen - 1

    def passed(self, count: int) -> None:
        """So many bytes of the body went by unseen."""
        assert self.decoder._passing is not None
        self.decoder._passing.seen += count
        self.decoder.bytes += count


class Mover:
    """Reads a chunk, shows it, sends it: what kaproxy does."""

    def __init__(self, size: int) -> None:
        self.size = size

    def move(self, flow: Flow) -> bool:
        """Moves what is there; False: the client is gone."""
        data = flow.source.recv(self.size)
        flow.decoder.feed(data)
        self.send(flow, data)
        return bool(data)

    def send(self, flow: Flow, data: bytes | memoryview) -> None:
        """Sends `data` and keeps what was not taken."""
        try:
            sent = flow.target.send(data)
        except BlockingIOError:
            sent = 0
        flow.held = bytes(data[sent:])

    def flush(self, flow: Flow) -> bool:
        """The broker takes bytes again; whether it has taken all."""
        self.send(flow, flow.held)
        return not flow.held


class IntoMover(Mover):
    """Reads into one buffer; only what is to be decoded becomes an object."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.view = memoryview(bytearray(size))

    def move(self, flow: Flow) -> bool:
        count = flow.source.recv_into(self.view)
        data = self.view[:count]
        if 0 < count <= flow.rest_of_body():
            flow.passed(count)
        else:
            flow.decoder.feed(bytes(data))
        self.send(flow, data)
        return count > 0


class SpliceMover(Mover):
    """Splices long rests of bodies, and does with all else what `Mover` does."""

    def __init__(self, size: int) -> None:
        super().__init__(CHUNK)
        self.pipe_size = size
        self.pool: list[tuple[int, int]] = []
        self.flags = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK

    def move(self, flow: Flow) -> bool:
        rest = flow.rest_of_body()
        if rest < WORTH_A_PIPE:
            return super().move(flow)
        if flow.pipe is None:
            flow.pipe = self.pool.pop() if self.pool else self.new_pipe()
        count = os.splice(flow.source.fileno(), flow.pipe[1], min(rest, self.pipe_size), flags=self.flags)
        if count:
            flow.passed(count)
        flow.piped += count
        self.empty(flow)
        return count > 0

    def new_pipe(self) -> tuple[int, int]:
        """A pipe of the size wanted."""
        ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.fcntl(ends[1], F_SETPIPE_SZ, self.pipe_size)
        return ends

    def empty(self, flow: Flow) -> None:
        """Sends what is in the pipe, as far as it goes; an empty one goes back."""
        assert flow.pipe is not None
        with suppress(BlockingIOError):
            flow.piped -= os.splice(flow.pipe[0], flow.target.fileno(), flow.piped, flags=self.flags)
        if not flow.piped:
            self.pool.append(flow.pipe)
            flow.pipe = None

    def flush(self, flow: Flow) -> bool:
        if flow.pipe is None:
            return super().flush(flow)
        self.empty(flow)
        return flow.pipe is None


class ExpectingMover(SpliceMover):
    """After a long body expects another: reads no more of it than its beginning."""

    def move(self, flow: Flow) -> bool:
        if flow.rest_of_body() >= WORTH_A_PIPE:
            flow.long = True
        else:
            self.size = SHORT if flow.long else CHUNK
            flow.long = flow.long and flow.decoder.partial is not None
        return super().move(flow)


MOVERS = {"recv": Mover, "recv_into": IntoMover, "splice": SpliceMover, "expect": ExpectingMover}


class Relay:
    """The loop."""

    def __init__(self, host: str, broker: tuple[str, int], mover: Mover) -> None:
        self.broker, self.mover = broker, mover
        self.epoll = select.epoll()
        self.listener = socket.create_server((host, 0), backlog=1024)
        self.flows: dict[int, Flow] = {}

    def run(self) -> None:
        """Serves until killed."""
        self.epoll.register(self.listener, select.EPOLLIN)
        print(self.listener.getsockname()[1], flush=True)
        while True:
            for fd, _ in self.epoll.poll(-1, BATCH):
                if fd == self.listener.fileno():
                    self.accept()
                elif flow := self.flows.get(fd):
                    self.serve(flow, fd)

    def accept(self) -> None:
        """A client: its broker is dialed at once. The broker's bytes go the plain way."""
        client, _ = self.listener.accept()
        broker = socket.create_connection(self.broker)
        for sock in (client, broker):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.epoll.register(sock, select.EPOLLIN)
        self.flows[client.fileno()] = Flow(client, broker)
        self.flows[broker.fileno()] = Flow(broker, client)
        self.flows[broker.fileno()].decoder.abandon()

    def serve(self, flow: Flow, fd: int) -> None:
        """A flow that has bytes, or whose bytes are wanted again (then it is known by its target's descriptor)."""
        try:
            if fd == flow.target.fileno():
                if self.mover.flush(flow):
                    self.go_on(flow)
            elif not self.mover.move(flow):
                self.close(flow)
            elif flow.held or flow.piped:
                self.wait(flow)
        except BlockingIOError:
            pass
        except ConnectionError:
            self.close(flow)

    def wait(self, flow: Flow) -> None:
        """The broker does not take what comes: wake for that, and for nothing else, until it does."""
        self.epoll.unregister(flow.source)
        self.epoll.modify(flow.target, select.EPOLLOUT)
        self.flows[-flow.target.fileno()] = self.flows[flow.target.fileno()]
        self.flows[flow.target.fileno()] = flow

    def go_on(self, flow: Flow) -> None:
        """It took all: read again."""
        self.epoll.register(flow.source, select.EPOLLIN)
        self.epoll.modify(flow.target, select.EPOLLIN)
        self.flows[flow.target.fileno()] = self.flows.pop(-flow.target.fileno())

    def close(self, flow: Flow) -> None:
        """One side is gone, so both are."""
        for sock in (flow.source, flow.target):
            self.flows.pop(sock.fileno(), None)
            sock.close()


if __name__ == "__main__":
    way, size, host, broker_host, broker_port = sys.argv[1:]
    Relay(host, (broker_host, int(broker_port)), MOVERS[way](int(size))).run()

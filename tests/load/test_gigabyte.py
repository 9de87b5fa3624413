"""One gigabyte through the real proxy, both ways together: what goes in comes out, whatever the pace."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import builders
from tests.load import proxy

SEED = 20240229
CONNECTIONS = 8
EACH_WAY = 1 << 26  # bytes; x 2 directions x 8 connections is one gigabyte
POOL = random.Random(SEED).randbytes(1 << 23)
LARGEST_PAYLOAD = 5 << 20
LONGEST_PAUSE_S = 0.02

pytestmark = [pytest.mark.load, pytest.mark.timeout(180)]


@dataclass
class Told:
    """What one end of a direction saw."""

    digest: str = ""
    size: int = 0
    packets: int = 0
    failure: str = ""


@dataclass
class Way:
    """One direction of one connection: what it carries, and what both its ends saw."""

    name: str
    source: socket.socket
    target: socket.socket
    content: Iterator[bytes]
    slow: bool
    sent: Told = field(default_factory=Told)
    received: Told = field(default_factory=Told)

    def send(self) -> None:
        """Sends everything in chunks of 1 byte to 256 KB, then FIN."""
        rng, digest = random.Random(self.name), hashlib.sha1(usedforsecurity=False)
        for piece in self.content:
            digest.update(piece)
            self.sent.packets += 1
            self.sent.size += len(piece)
            view = memoryview(piece)
            while view:
                size = any_size(rng)
                self.source.sendall(view[:size])
                view = view[size:]
        self.source.shutdown(socket.SHUT_WR)
        self.sent.digest = digest.hexdigest()

    def receive(self) -> None:
        """Reads in chunks of any size to the end; a slow reader pauses now and then."""
        rng, digest = random.Random(self.name + "r"), hashlib.sha1(usedforsecurity=False)
        buffer = memoryview(bytearray(1 << 18))
        pauses = 100 if self.slow else 0
        while size := self.target.recv_into(buffer, any_size(rng)):
            digest.update(buffer[:size])
            self.received.size += size
            if pauses and rng.random() < 0.05:
                pauses -= 1
                time.sleep(rng.random() * LONGEST_PAUSE_S)
        self.received.digest = digest.hexdigest()


def any_size(rng: random.Random) -> int:
    """1 byte to 256 KB, every order of magnitude as likely as the others."""
    return int(2 ** (rng.random() * 18))


def any_bytes(rng: random.Random, largest: int) -> bytes:
    """Random bytes, up to `largest` of them."""
    size = min(any_size(rng), largest) if rng.random() < 0.998 else rng.randrange(largest + 1)
    start = rng.randrange(len(POOL) - size)
    return POOL[start : start + size]


def publishes(first: bytes, seed: str) -> Iterator[bytes]:
    """A CONNECT or CONNACK, then PUBLISH packets of every QoS with random payloads."""
    rng = random.Random(seed)
    yield first
    left = EACH_WAY - len(first)
    while left > 0:
        qos = rng.randrange(3)
        packet_id = rng.randrange(1, 65536) if qos else None
        packet = builders.publish("load", any_bytes(rng, LARGEST_PAYLOAD), qos=qos, packet_id=packet_id)
        left -= len(packet)
        yield packet


def garbage(seed: str) -> Iterator[bytes]:
    """Random bytes that are no MQTT."""
    rng = random.Random(seed)
    yield b"\xf5\xff\xff\xff\xff"
    left = EACH_WAY - 5
    while left > 0:
        piece = any_bytes(rng, min(left, LARGEST_PAYLOAD))
        left -= len(piece)
        yield piece


def reported(work: Callable[[], None], told: Told) -> threading.Thread:
    """A thread whose failure is a finding, not a warning."""

    def run() -> None:
        try:
            work()
        except OSError as error:
            told.failure = repr(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def pair(
    stack: ExitStack, port: int, broker: socket.socket, small_buffer: bool
) -> tuple[socket.socket, socket.socket]:
    """A client socket and the broker socket at the other side of the proxy."""
    client = stack.enter_context(socket.socket())
    if small_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    client.connect(("127.0.0.1", port))
    accepted = stack.enter_context(broker.accept()[0])
    for end in (client, accepted):
        end.settimeout(90)
    return client, accepted


def both_ways(number: int, client: socket.socket, broker: socket.socket) -> list[Way]:
    """Both directions of a connection: MQTT on even ones, garbage on odd ones; half of them slow."""
    slow = number % 4 >= 2
    up, down = f"up {number}", f"down {number}"
    if number % 2:
        return [
            Way(up, client, broker, garbage(up), slow),
            Way(down, broker, client, garbage(down), slow),
        ]
    connect = builders.connect(f"gigabyte-{number}")
    return [
        Way(up, client, broker, publishes(connect, up), slow),
        Way(down, broker, client, publishes(builders.connack(), down), slow),
    ]


async def test_a_gigabyte_arrives_as_it_was_sent_and_every_control_packet_of_it_is_counted(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        broker = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        broker.settimeout(20)
        running = stack.enter_context(proxy.start(tmp_path, broker.getsockname()[1], linger="120s"))
        pairs = [pair(stack, running.port, broker, number % 4 == 3) for number in range(CONNECTIONS)]
        ways = [way for number, ends in enumerate(pairs) for way in both_ways(number, *ends)]
        threads = [reported(way.send, way.sent) for way in ways]
        threads += [reported(way.receive, way.received) for way in ways]
        for thread in threads:
            thread.join(120)
        assert [w.sent.failure + w.received.failure for w in ways] == [""] * len(ways)
        assert [w.received.digest for w in ways] == [w.sent.digest for w in ways]
        assert sum(w.received.size for w in ways) >= 1 << 30
        closed = {line["client_port"]: line for line in await running.closed(CONNECTIONS)}
        counted = [counts(closed[client.getsockname()[1]]) for client, _ in pairs]
        assert running.peak_mb < 200
    for number, (up, down) in enumerate(zip(ways[::2], ways[1::2], strict=True)):
        assert counted[number][0] == (up.sent.size, down.sent.size)
        assert number % 2 or counted[number][1] == (up.sent.packets, down.sent.packets)


def counts(line: dict[str, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Bytes and control packets of a closing line, each from the client and from the broker."""
    return (line["bytes_from_client"], line["bytes_from_broker"]), (
        line["packets_from_client"],
        line["packets_from_broker"],
    )

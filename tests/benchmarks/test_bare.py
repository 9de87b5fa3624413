"""The bare relay: the same bytes both ways, and every ending after the bytes before it."""

from __future__ import annotations

import random
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import pytest

from benchmarks.python import ROOT
from benchmarks.relays import free_port

LONG = random.Random(1).randbytes(3_000_000)
RESET = struct.pack("ii", 1, 0)


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """A relay's port, and its broker's, where nobody listens yet."""
    port, broker_port = free_port(), free_port()
    command = [sys.executable, "-m", "benchmarks.bare", str(port), str(broker_port)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        yield port, broker_port
        still_there = process.poll() is None
        process.kill()
    assert still_there


def dialed(port: int) -> socket.socket:
    """A connection to the relay, once it listens."""
    for _ in range(200):
        with suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        time.sleep(0.02)
    raise AssertionError("the relay does not listen")


@contextmanager
def connected(ports: tuple[int, int]) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client and its broker with the relay between, both of which take little at once."""
    with socket.create_server(("127.0.0.1", ports[1])) as listener:
        client = dialed(ports[0])
        listener.settimeout(10)
        broker, _ = listener.accept()
        broker.settimeout(10)
        for sock in (client, broker):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        with client, broker:
            yield client, broker


def all_of(sock: socket.socket) -> bytes:
    """What comes until the end."""
    chunks = []
    while chunk := sock.recv(65536):
        chunks.append(chunk)
    return b"".join(chunks)


def test_a_round_trip_goes_both_ways(ports: tuple[int, int]) -> None:
    with connected(ports) as (client, broker):
        client.sendall(b"there")
        assert broker.recv(100) == b"there"
        broker.sendall(b"and back")
        assert client.recv(100) == b"and back"


@pytest.mark.parametrize("from_client", [True, False])
def test_fin_comes_after_all_bytes_and_the_other_direction_goes_on(
    ports: tuple[int, int], from_client: bool
) -> None:
    with connected(ports) as pair:
        source, target = pair if from_client else pair[::-1]

        def send() -> None:
            source.sendall(LONG)
            source.shutdown(socket.SHUT_WR)

        sending = Thread(target=send)
        sending.start()
        assert all_of(target) == LONG
        sending.join()
        target.sendall(b"still heard")
        target.close()
        assert all_of(source) == b"still heard"


def test_both_directions_may_end_while_neither_has_been_taken(ports: tuple[int, int]) -> None:
    with connected(ports) as pair:

        def send(sock: socket.socket) -> None:
            sock.sendall(LONG)
            sock.shutdown(socket.SHUT_WR)

        sending = [Thread(target=send, args=(sock,)) for sock in pair]
        for each in sending:
            each.start()
        assert [all_of(sock) for sock in pair] == [LONG, LONG]
        for each in sending:
            each.join()


@pytest.mark.parametrize("from_client", [True, False])
def test_a_reset_is_handed_on_as_one_after_the_bytes_before_it(
    ports: tuple[int, int], from_client: bool
) -> None:
    with connected(ports) as pair:
        source, target = pair if from_client else pair[::-1]
        source.sendall(b"last words")
        assert target.recv(100) == b"last words"
        source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        source.close()
        with pytest.raises(ConnectionResetError):
            target.recv(100)


def test_a_reset_after_fin_is_handed_on_too(ports: tuple[int, int]) -> None:
    with connected(ports) as (client, broker):
        client.shutdown(socket.SHUT_WR)
        assert broker.recv(100) == b""
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            for _ in range(200):
                broker.send(b"anybody?")
                time.sleep(0.02)


def test_a_broker_that_refuses_resets_the_client_and_the_next_one_is_served(ports: tuple[int, int]) -> None:
    # perhaps before dialing has returned
    with pytest.raises(ConnectionResetError), dialed(ports[0]) as client:
        client.recv(100)
    with connected(ports) as (client, broker):
        client.sendall(b"there")
        assert broker.recv(100) == b"there"

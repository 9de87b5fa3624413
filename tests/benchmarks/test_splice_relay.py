"""The bare relays of the splice benchmark: whichever way bytes go, they are the same bytes, and counted exactly."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from benchmarks.python import ROOT
from benchmarks.splice_relay import MOVERS, Flow
from kaproxy.mqtt.packets import Packet
from tests.builders import connect, publish

SIZES = (3, 200, 70_000, 300_000, 65_536, 10, 1_200_000)


def stream() -> bytes:
    dice = random.Random(1)
    return connect() + b"".join(publish(payload=dice.randbytes(size)) for size in SIZES)


@contextmanager
def relay(way: str, broker_port: int) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.splice_relay", way, "262144", "127.0.0.1", "127.0.0.1"]
    with subprocess.Popen(
        [*command, str(broker_port)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@pytest.mark.parametrize("way", MOVERS)
def test_every_way_hands_on_the_same_bytes_also_to_a_broker_that_is_slow_to_take_them(way: str) -> None:
    sent = stream()
    with socket.create_server(("127.0.0.1", 0)) as listener, relay(way, listener.getsockname()[1]) as port:
        client = socket.create_connection(("127.0.0.1", port))
        broker, _ = listener.accept()
        broker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        sending = Thread(target=client.sendall, args=(sent,))
        sending.start()
        with client, broker:
            got = b""
            while len(got) < len(sent):
                got += broker.recv(65536)
            sending.join()
    assert got == sent


def test_bodies_that_were_only_counted_leave_the_same_packets_and_counts_as_those_that_were_read() -> None:
    data, dice = stream(), random.Random(2)
    unsocketed = socket.socket()
    with unsocketed:
        seen, counted = (Flow(unsocketed, unsocketed) for _ in range(2))
        at, skipped = 0, 0
        expected: list[Packet] = []
        found: list[Packet] = []
        while at < len(data):
            size = dice.choice((1, 100, 65_536))
            chunk = data[at : at + size]
            expected += seen.decoder.feed(chunk)
            if 0 < len(chunk) <= counted.rest_of_body():
                counted.passed(len(chunk))
                skipped += len(chunk)
            else:
                found += counted.decoder.feed(chunk)
            at += size
    assert found == expected
    assert counted.decoder.bytes == len(data)
    assert skipped > 1_000_000

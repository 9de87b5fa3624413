"""Junk on the port costs its own line and nothing else, while a healthy connection goes on beside it."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from tests import builders
from tests.load import proxy, pulse
from tests.load.wire import dial, drain, listener, send

RANDOM = random.Random(7).randbytes(1 << 20)
HUGE = b"\xff\xff\xff\x7f"  # the largest Remaining Length, 256 MB
CONNECT = builders.connect("dripping")
JUNK: dict[str, bytes] = {
    "random bytes": b"\xf7" + RANDOM,
    "a TLS hello": bytes.fromhex("1603010200010001fc0303") + RANDOM[:512],
    "HTTP": b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a PROXY header, version 1": b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 1883\r\n",
    "a PROXY header, version 2": b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\xc3\x50\x07\x5b",
    "zeros": bytes(1 << 16),
    "a CONNECT of 256 MB": b"\x10" + HUGE + RANDOM,
    "a PUBLISH of 256 MB": CONNECT + b"\x30" + HUGE + RANDOM,
    "a SUBSCRIBE of 256 MB": CONNECT + b"\x82" + HUGE + RANDOM,
    "a Remaining Length without end": b"\x10" + b"\xff" * 1000,
    "nothing": b"",
}
STRANGERS = {"a TLS hello", "HTTP", "SSH", "a PROXY header, version 1", "a PROXY header, version 2"}
EACH = 25
DRIPPING = 25
DRIP_S = 6

pytestmark = [pytest.mark.load, pytest.mark.timeout(120)]


async def throw(port: int, junk: bytes, ports: list[int]) -> None:
    """Sends it, waits a moment, goes."""
    with suppress(OSError), await dial(port) as sock:
        ports.append(sock.getsockname()[1])
        await send(sock, junk)
        with trio.move_on_after(0.5):
            await drain(sock)


async def drip(port: int) -> None:
    """One byte a second of a CONNECT that does not get done."""
    with suppress(OSError), await dial(port) as sock:
        for at in range(DRIP_S):
            await send(sock, CONNECT[at : at + 1])
            await trio.sleep(1)


async def test_junk_costs_its_own_line_and_nothing_else(tmp_path: Path) -> None:
    ports: dict[str, list[int]] = {name: [] for name in JUNK}
    with (
        await listener() as broker,
        proxy.start(tmp_path, broker.getsockname()[1], linger="1s", post_mortem="200ms") as running,
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pulse.broker, broker)
            async with pulse.beating(running.port) as alone:
                await trio.sleep(1)
            before_mb = running.peak_mb
            async with pulse.beating(running.port) as beside, trio.open_nursery() as crowd:
                for _ in range(DRIPPING):
                    crowd.start_soon(drip, running.port)
                for _ in range(EACH):
                    for name, junk in JUNK.items():
                        crowd.start_soon(throw, running.port, junk, ports[name])
                    await trio.sleep(DRIP_S / EACH)
            lines = {
                line["client_port"]: line for line in await running.closed(EACH * len(JUNK) + DRIPPING + 2)
            }
            nursery.cancel_scope.cancel()
        assert len(lines) == EACH * len(JUNK) + DRIPPING + 2
        assert {lines[port]["cause"] for name in STRANGERS for port in ports[name]} == {"not_mqtt"}
        assert beside.round_trips > 200
        assert beside.slowest_s < max(1.0, 20 * alone.slowest_s)
        assert running.peak_mb < before_mb + 40
        assert running.stderr == ""

"""Junk on the port costs its own line and nothing else, while a healthy connection goes on beside it."""

from __future__ import annotations

import random
from collections import Counter
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
EACH = 25
STRANGERS = {"tls": EACH, "http": EACH, "ssh": EACH, "proxy_header": 2 * EACH}
DRIPPING = 25
HOARDS = [b"\x10" + HUGE + 4 * RANDOM, CONNECT + b"\x82" + HUGE + 4 * RANDOM]
HOARDING = 12  # of each, at the same time; 96 MB for whoever keeps what is not finished
ALL = EACH * len(JUNK) + DRIPPING + HOARDING * len(HOARDS)
PULSES = 2
MEMORY_MB = 40
DRIP_S = 6

pytestmark = [pytest.mark.load, pytest.mark.timeout(120)]


async def throw(port: int, junk: bytes, stay_s: float = 0.5) -> None:
    """Sends it, waits a while, goes."""
    with await dial(port) as sock, suppress(OSError):
        await send(sock, junk)
        with trio.move_on_after(stay_s):
            await drain(sock)


async def drip(port: int) -> None:
    """One byte a second of a CONNECT that does not get done."""
    with await dial(port) as sock, suppress(OSError):
        for at in range(DRIP_S):
            await send(sock, CONNECT[at : at + 1])
            await trio.sleep(1)


async def test_junk_costs_its_own_line_and_nothing_else(tmp_path: Path) -> None:
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
                for hoard in HOARDS * HOARDING:
                    crowd.start_soon(throw, running.port, hoard, 3.0)
                for _ in range(EACH):
                    for junk in JUNK.values():
                        crowd.start_soon(throw, running.port, junk)
                    await trio.sleep(DRIP_S / EACH)
            lines = await running.closed(ALL + PULSES)
            nursery.cancel_scope.cancel()
        assert len({line["conn_id"] for line in lines}) == len(lines) == ALL + PULSES
        strangers = Counter(line["root"] for line in lines if line["cause"] == "not_mqtt")
        assert {name: strangers[name] for name in STRANGERS} == STRANGERS
        assert beside.round_trips > 200
        assert beside.slowest_s < max(1.0, 20 * alone.slowest_s)
        assert running.peak_mb < before_mb + MEMORY_MB
        assert running.stderr == ""

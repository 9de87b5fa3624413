"""Five thousand connections opened, used and dropped in all ways at once; and dials that never end."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.load import proxy
from tests.load.proxy import until
from tests.load.ways import WAYS, Crowd
from tests.load.wire import dial, listener, reset, send

ALL = 5000
REFUSED = 200  # dialed once the broker is gone
EACH = (ALL - REFUSED) // len(WAYS)
WAVE = 10  # connections of every way opened at the same time

pytestmark = [pytest.mark.load, pytest.mark.timeout(180)]


async def everybody(crowd: Crowd) -> None:
    """Opens all connections in waves, then lets all of them drop at the same moment."""
    async with trio.open_nursery() as nursery:
        for start in range(0, EACH, WAVE):
            for number in range(start, start + WAVE):
                for name in WAYS:
                    nursery.start_soon(crowd.client, name, number)
            assert await until(crowd.all_up((start + WAVE) * len(WAYS)), 30)
        crowd.go.set()


async def refused(port: int) -> None:
    """A client that comes when the broker is gone."""
    with suppress(OSError), await dial(port) as sock:
        await send(sock, b"\xc0\x00")
        await sock.recv(1)


def told_wrong(lines: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """Closing lines that name another side, or another ending, than there was."""
    told = [
        (str(line.get("client_id")).rpartition("-")[0], f"{line['closed_by']} {line['close_how']}")
        for line in lines
    ]
    return Counter((way, what) for way, what in told if way in WAYS and what not in WAYS[way].told)


async def test_five_thousand_dropped_at_once_leave_five_thousand_lines_and_nothing_else(
    tmp_path: Path,
) -> None:
    with (
        await listener() as broker,
        proxy.start(tmp_path, broker.getsockname()[1], linger="2s", post_mortem="1s") as running,
    ):
        baseline = running.descriptors
        crowd = Crowd(running.port, trio.Event())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crowd.broker, broker)
            await everybody(crowd)
            await running.closed(ALL - REFUSED)
            nursery.cancel_scope.cancel()
        broker.close()
        async with trio.open_nursery() as nursery:
            for _ in range(REFUSED):
                nursery.start_soon(refused, running.port)
        await running.closed(ALL)
        assert await running.back_to(baseline) == baseline
        assert await running.stopped() == 0
        lines = running.lines()
        assert len(lines) == ALL
        assert len({line["conn_id"] for line in lines}) == ALL
        assert told_wrong(lines) == Counter()
        assert running.stderr == ""


async def test_clients_that_leave_while_the_broker_is_still_dialed_get_their_lines(tmp_path: Path) -> None:
    count = 300
    with (
        await listener(backlog=0) as broker,
        await dial(broker.getsockname()[1]),  # fills its queue: the kernel answers no further dial
        proxy.start(
            tmp_path, broker.getsockname()[1], dial="30s", linger="1s", post_mortem="200ms"
        ) as running,
    ):
        baseline = running.descriptors
        for number in range(count):
            sock = await dial(running.port)
            await send(sock, b"\x10")
            reset(sock) if number % 2 else sock.close()
        lines = await running.closed(count)
        assert len(lines) == count
        assert {line["phase"] for line in lines} == {"dialing"}
        assert await running.back_to(baseline) == baseline
        assert running.stderr == ""

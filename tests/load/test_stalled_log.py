"""A log pipe nobody reads delays no connection, and no exit."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path

import pytest
import trio

from tests.load import proxy, pulse
from tests.load.wire import listener

GOING = 3000
TASKS = 30
LIMIT_S = 60  # for all of it: a relay that waits for its log waits for ever

pytestmark = [pytest.mark.load, pytest.mark.timeout(120)]


async def test_a_log_pipe_nobody_reads_does_not_delay_the_relay(tmp_path: Path) -> None:
    with (
        await listener() as broker,
        proxy.start(
            tmp_path, broker.getsockname()[1], pipe=True, buffer="64KiB", linger="1s", post_mortem="200ms"
        ) as running,
        trio.fail_after(LIMIT_S),
    ):
        baseline = running.descriptors
        pipe_size = fcntl.fcntl(running.stdout, fcntl.F_GETPIPE_SZ)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pulse.broker, broker)
            async with pulse.beating(running.port) as alone:
                await trio.sleep(1)
            async with pulse.beating(running.port) as stalled, trio.open_nursery() as crowd:
                for _ in range(TASKS):
                    crowd.start_soon(pulse.come_and_go, running.port, GOING // TASKS)
            async with pulse.beating(running.port) as after:
                await trio.sleep(1)
            assert await running.back_to(baseline) == baseline
            nursery.cancel_scope.cancel()
        started = time.monotonic()
        assert await running.stopped() == 0
        assert time.monotonic() - started < 10
        written = running.stdout.read()
        assert GOING * 1000 > len(written) >= pipe_size / 2, "the pipe was full, and most lines were dropped"
        assert proxy.lines_of(written, "connection.closed")
        assert stalled.slowest_s < 1.0
        assert after.round_trips > alone.round_trips / 3
        assert running.stderr == ""

"""Facts about the loop: deadlines, and how it measures itself."""

from __future__ import annotations

import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import trio
import trio.lowlevel

from kaproxy.connection.events import Event
from kaproxy.relay import poller as poller_module
from kaproxy.relay.pair import Pair
from kaproxy.relay.poller import EASE_S, GRACE_S, SPIN_S, Poller, Timing
from tests.relay.rig import RecordingTracker, read_exactly, relaying, reset, send_all, turns_in, until

KERNEL_S = 0.001
"""How finely the kernel's poller measures its timeouts (epoll_wait(2))."""
TIMING = Timing(dial_timeout_s=10.0, linger_s=60.0, post_mortem_s=3.0)


class Sleeper:
    """What the poller knows of a pair, which only writes down when it is woken or told of its fault."""

    def __init__(self) -> None:
        self.alarm = math.inf
        self.released = False
        self.woken: list[float] = []
        self.faults: list[str] = []

    def wake(self, now: float) -> None:
        self.woken.append(now)

    def fault(self, fault: Exception, now: float) -> None:
        self.faults.append(str(fault))

    def as_pair(self) -> Pair:
        return cast("Pair", self)


async def test_a_pair_is_woken_at_the_earliest_time_it_asked_for_and_once() -> None:
    poller = Poller(TIMING)
    pair = Sleeper()
    for when in (30.0, 10.0, 20.0):
        poller.schedule(pair.as_pair(), when)
    assert poller.wake_due(9.9) == 10.0
    assert poller.wake_due(10.0) == 30.0  # what the first one was set to; it means nothing by then
    assert poller.wake_due(40.0) == math.inf
    assert pair.woken == [10.0]
    poller.close()


class Sleepwalker(Sleeper):
    """A pair that cannot be woken."""

    def wake(self, now: float) -> None:
        raise RuntimeError("not now")


async def test_a_pair_that_raises_when_woken_is_told_so_alone() -> None:
    poller = Poller(TIMING)
    bad, good = Sleepwalker(), Sleeper()
    poller.schedule(good.as_pair(), 2.0)
    poller.schedule(bad.as_pair(), 1.0)
    poller.wake_due(3.0)
    assert (bad.faults, good.faults) == (["not now"], [])
    assert good.woken == [3.0]
    poller.close()


async def test_deadlines_of_released_pairs_do_not_pile_up() -> None:
    poller = Poller(TIMING)
    for number in range(5000):
        pair = Sleeper().as_pair()
        poller.live += 1
        poller.schedule(pair, 1000.0 + number)
        poller.release(pair)
    assert len(poller._heap) < 1100
    poller.close()


async def test_a_loop_that_is_kept_from_running_tells_how_long() -> None:
    async with relaying() as rig:
        client, broker = await rig.pair()
        await trio.lowlevel.checkpoint()
        time.sleep(0.5)  # noqa: ASYNC251  what must never happen, on purpose
        await send_all(client, b"x")
        assert await read_exactly(broker, 1) == b"x"
        client.close()
        broker.close()
        line = await rig.line()
        assert 0.25 < line.relay.lag_max_s < 5.0


async def test_a_connection_is_not_blamed_with_lag_from_before_its_time() -> None:
    async with relaying() as rig:
        await trio.lowlevel.checkpoint()
        time.sleep(0.5)  # noqa: ASYNC251
        await trio.sleep(0.3)
        client, broker = await rig.pair()
        client.close()
        broker.close()
        line = await rig.line()
        assert line.relay.lag_max_s < 0.25


async def test_a_slow_batch_is_told_as_dwell() -> None:
    async with relaying() as rig:

        def slow(tracker: RecordingTracker) -> None:
            def from_client(data: bytes, now: float) -> Sequence[Event]:
                time.sleep(0.2)
                return ()

            tracker.from_client = from_client  # type: ignore[method-assign]

        rig.prepare = slow
        client, broker = await rig.pair()
        await send_all(client, b"x")
        assert await read_exactly(broker, 1) == b"x"
        client.close()
        broker.close()
        line = await rig.line()
        assert 0.19 < line.relay.dwell_max_s < 2.0


STOPPED = """
import sys, trio
from kaproxy.connection.events import Closed
from kaproxy.relay.server import Relay, RelayConfig
from tests.relay.test_witness import ORIGIN
from tests.relay.rig import RecordingTracker

async def main():
    def sink(event):
        if isinstance(event, Closed):
            print(event.evidence.relay.lag_max_s, flush=True)
            relay.drain()
    relay = Relay(
        RelayConfig(listen=("127.0.0.1", 0), upstream=("127.0.0.1", int(sys.argv[1]))), RecordingTracker, sink
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(relay.run)
        print(relay.bound[1], flush=True)

trio.run(main)
"""


def test_a_stopped_proxy_shows_as_lag_of_that_many_seconds() -> None:
    seconds = 1.0
    root = Path(__file__).parents[2]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        arguments = [sys.executable, "-c", STOPPED, port]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=root, text=True) as proxy:
            assert proxy.stdout is not None
            with socket.create_connection(("127.0.0.1", int(proxy.stdout.readline()))) as client:
                broker, _ = listener.accept()
                client.sendall(b"x")
                assert broker.recv(1) == b"x"
                os.kill(proxy.pid, signal.SIGSTOP)
                broker.close()
            time.sleep(seconds)  # what is measured
            os.kill(proxy.pid, signal.SIGCONT)
            lag = float(proxy.stdout.readline())
    assert seconds - 0.3 < lag < seconds + 3.0


async def test_an_idle_relay_takes_no_turns() -> None:
    async with relaying() as rig:
        await rig.pair()
        await until(lambda: rig.living()[0].client.through)
        assert await turns_in(rig, 0.2) == 0


class Clock:
    """A time that passes only where it is said to, and by a little whenever it is read."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 1e-6
        return self.now


class Asked:
    """Stands in for the kernel's poller, which says when a batch comes: nothing for so many times, then one; or one
    `after` so many seconds, where it is given that long.
    """

    def __init__(self, nothing: float, clock: Clock, after: float = math.inf) -> None:
        self._nothing = nothing
        self._after = after
        self._clock = clock
        self.timeouts: list[float] = []

    def poll(self, timeout: float, _most: int) -> list[tuple[int, int]]:
        self.timeouts.append(timeout)
        if len(self.timeouts) > self._nothing:
            return [(0, select.EPOLLIN)]
        self._clock.now += min(timeout, self._after)
        return [(0, select.EPOLLIN)] if self._after <= timeout else []


def asking(
    monkeypatch: pytest.MonkeyPatch,
    nothing: float,
    *,
    after: float = math.inf,
    cores: int = 2,
    usable: int = 2,
    workers: int = 1,
) -> tuple[Poller, Asked, Clock]:
    """A poller of a machine with so many cores, what it is told, and its time."""
    clock = Clock()
    monkeypatch.setattr(poller_module, "monotonic", clock)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(usable)))
    poller, asked = Poller(TIMING, workers=workers), Asked(nothing, clock, after)
    poller.close()
    poller._make_room(1)
    poller._epoll = cast("select.epoll", asked)
    poller._stop = poller._ease = clock.now + 5.0
    return poller, asked, clock


def serve_often(poller: Poller) -> None:
    """Batches, one right after the other."""
    for _ in range(100):
        poller._turn([])


def test_busy_sockets_are_asked_again_before_the_kernel_is_to_wake_us(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poller, asked, _ = asking(monkeypatch, nothing=2)
    serve_often(poller)
    assert poller._next() == [(0, select.EPOLLIN)]
    assert asked.timeouts == [0, 0, 0]


def test_busy_sockets_that_stay_silent_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    poller, asked, _ = asking(monkeypatch, nothing=math.inf)
    serve_often(poller)
    assert poller._next() == []
    assert set(asked.timeouts[:-1]) == {0}
    assert asked.timeouts[-1] == pytest.approx(5.0, abs=0.001)


def test_a_pause_of_busy_sockets_is_left_to_others_once_it_is_nearly_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poller, asked, clock = asking(monkeypatch, nothing=math.inf)
    serve_often(poller)
    poller._ease = clock.now
    assert poller._next() == []
    assert set(asked.timeouts) == {0}


class OneTrip:
    """Stands in for the kernel's poller, which oversleeps a deadline: a request then, its answer, and nothing more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.left = [[(0, select.EPOLLIN)], [(1, select.EPOLLIN)]]

    def poll(self, timeout: float, _most: int) -> list[tuple[int, int]]:
        if len(self.left) == 2:
            if timeout == 0:
                return []
            self._clock.now += KERNEL_S
        return self.left.pop(0) if self.left else []


def due_in(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Another task's deadline is then, and none is runnable before."""
    others = SimpleNamespace(tasks_runnable=0, seconds_to_next_deadline=seconds)
    monkeypatch.setattr(trio.lowlevel, "current_statistics", lambda: others)


def test_a_deadline_that_was_overslept_is_kept_after_the_round_trip_and_not_within(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poller, _, clock = asking(monkeypatch, nothing=0)
    serve_often(poller)
    trip = OneTrip(clock)
    poller._epoll = cast("select.epoll", trip)
    due_in(monkeypatch, SPIN_S + KERNEL_S / 2)
    assert poller._serve()
    assert trip.left == []


def test_a_deadline_is_kept_soon_where_there_is_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    poller, _, clock = asking(monkeypatch, nothing=0)
    serve_often(poller)
    due_in(monkeypatch, 0.0)
    began = clock.now
    assert poller._serve()
    assert clock.now - began == pytest.approx(GRACE_S, abs=0.0001)


def test_sockets_that_are_not_busy_are_waited_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    poller, asked, clock = asking(monkeypatch, nothing=math.inf)
    assert poller._next() == []
    serve_often(poller)
    for _ in range(3):
        clock.now += 0.02
        poller._turn([])
    poller._stop = clock.now + 5.0
    poller._ease = clock.now + 3.0
    assert poller._next() == []
    assert asked.timeouts == [pytest.approx(5.0, abs=0.001), pytest.approx(3.0, abs=0.001)]


def test_chunks_that_come_now_and_then_are_served_in_one_turn_among_all_tasks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poller, asked, _ = asking(monkeypatch, nothing=math.inf, after=0.006)  # as of 9,000 idle connections
    due_in(monkeypatch, math.inf)
    assert not poller._serve()
    assert poller.turns == 2
    assert len(asked.timeouts) == 3


def test_nothing_is_waited_for_longer_than_all_tasks_wait_for_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poller, asked, clock = asking(monkeypatch, nothing=math.inf)
    due_in(monkeypatch, math.inf)
    began = clock.now
    assert not poller._serve()
    assert clock.now - began == pytest.approx(EASE_S, abs=0.001)
    assert len(asked.timeouts) == 1


def test_sockets_that_are_not_busy_do_not_make_another_task_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    poller, asked, clock = asking(monkeypatch, nothing=math.inf)
    due_in(monkeypatch, 0.004)
    began = clock.now
    assert not poller._serve()
    assert clock.now - began == pytest.approx(0.004, abs=0.0001)
    due_in(monkeypatch, 0.0)
    assert not poller._serve()
    assert asked.timeouts[-1] == 0.0


@pytest.mark.parametrize(
    ("cores", "usable", "workers", "asks"),
    [(1, 1, 1, False), (2, 1, 1, True), (2, 1, 2, False), (2, 2, 2, True), (4, 4, 5, False)],
)
def test_nobody_who_is_to_answer_or_to_serve_others_is_kept_from_the_core(
    monkeypatch: pytest.MonkeyPatch, cores: int, usable: int, workers: int, asks: bool
) -> None:
    poller, asked, _ = asking(monkeypatch, math.inf, cores=cores, usable=usable, workers=workers)
    serve_often(poller)
    assert poller._next() == []
    assert (0 in asked.timeouts) is asks


async def test_a_relay_among_more_workers_than_cores_does_not_keep_them_from_the_core() -> None:
    async with relaying(workers=len(os.sched_getaffinity(0)) + 1) as rig:
        poller = rig.relay._poller
        assert poller is not None
        assert not poller._asks


async def test_what_the_kernel_says_of_a_closed_socket_is_not_taken_for_the_next_one_with_its_number() -> (
    None
):
    async with relaying() as rig:
        client, broker = await rig.pair()
        await until(lambda: rig.living()[0].client.through)
        numbers = {leg.fd for leg in (rig.living()[0].client, rig.living()[0].broker)}
        # one batch, in this order: a connection that ends, a newcomer, and the rest of what ended
        reset(broker)
        with socket.create_connection(rig.relay.bound) as newcomer:
            reset(client)
            spare = os.open(
                os.devnull, os.O_RDONLY
            )  # in the place of the client's own, which would be taken instead
            upstream = await rig.accept()
            await until(lambda: len(rig.closed) == 1 and rig.living()[0].client.through)
            (pair,) = rig.living()
            assert {pair.client.fd, pair.broker.fd} == numbers
            assert not pair.client.hung_up
            assert not pair.broker.hung_up
            newcomer.sendall(b"hi")
            assert await read_exactly(upstream, 2) == b"hi"
            os.close(spare)

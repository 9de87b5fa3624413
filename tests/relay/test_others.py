"""Facts about when other tasks have their turn while sockets are busy."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from time import monotonic

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from kaproxy.relay.others import EASE_S, LONGEST_S, SLICE_S, Others


@pytest.fixture
def pipe() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def after_a_turn() -> tuple[Others, float]:
    """Others who have just had their turn, and when."""
    others, now = Others(), monotonic()
    others.had_turn(now)
    return others, now


async def test_nobody_wants_a_turn_where_nobody_waits_for_anything() -> None:
    await wait_all_tasks_blocked()
    others, now = after_a_turn()
    assert (others.ease, others.stop) == (now + EASE_S, now + SLICE_S)
    assert not others.due(now + EASE_S)
    assert (others.ease, others.stop) == (now + EASE_S + EASE_S, now + EASE_S + SLICE_S)


async def test_a_turn_comes_after_a_quarter_of_a_second_all_the_same() -> None:
    await wait_all_tasks_blocked()
    others, now = after_a_turn()
    assert not others.due(now + LONGEST_S - 0.01)
    assert others.ease == others.stop == now + LONGEST_S
    assert others.due(now + LONGEST_S)


async def test_who_waits_for_a_socket_nobody_knows_is_taken_to_want_one(
    pipe: tuple[socket.socket, socket.socket], nursery: trio.Nursery
) -> None:
    nursery.start_soon(trio.lowlevel.wait_readable, pipe[0])
    await wait_all_tasks_blocked()
    others, now = after_a_turn()
    assert others.due(now + EASE_S)
    nursery.cancel_scope.cancel()


async def test_who_waits_for_a_known_one_wants_a_turn_once_there_is_something(
    pipe: tuple[socket.socket, socket.socket], nursery: trio.Nursery
) -> None:
    nursery.start_soon(trio.lowlevel.wait_readable, pipe[0])
    await wait_all_tasks_blocked()
    others, now = after_a_turn()
    others.heed(pipe[0].fileno())
    assert not others.due(now + EASE_S)
    pipe[1].send(b"x")
    assert others.due(now + EASE_S)


async def test_who_waits_to_write_wants_one(
    pipe: tuple[socket.socket, socket.socket], nursery: trio.Nursery
) -> None:
    pipe[0].setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            pipe[0].send(b"x" * 65536)
    nursery.start_soon(trio.lowlevel.wait_writable, pipe[0])
    await wait_all_tasks_blocked()
    others, now = after_a_turn()
    assert others.due(now + EASE_S)
    nursery.cancel_scope.cancel()


async def test_a_task_that_can_run_has_its_turn_after_a_batch(nursery: trio.Nursery) -> None:
    await wait_all_tasks_blocked()
    others, now = after_a_turn()
    event = trio.Event()
    nursery.start_soon(event.wait)
    await wait_all_tasks_blocked()
    assert not others.due(now + EASE_S)
    event.set()
    assert others.due(now + EASE_S)
    others.had_turn(now)
    assert others.ease == others.stop == now


async def test_what_comes_from_a_signal_or_another_thread_has_its_turn() -> None:
    await wait_all_tasks_blocked()
    others, now = after_a_turn()
    trio.lowlevel.current_trio_token().run_sync_soon(lambda: None)
    assert others.due(now + EASE_S)


async def test_a_deadline_is_kept(nursery: trio.Nursery) -> None:
    nursery.start_soon(trio.sleep, 0.1)
    await wait_all_tasks_blocked()
    others, now = after_a_turn()
    assert not others.due(now + 0.05)
    assert others.stop <= now + 0.1
    assert others.due(now + 0.1)


async def test_a_turn_can_be_asked_for_by_a_moment() -> None:
    await wait_all_tasks_blocked()
    others, now = after_a_turn()
    others.by(now + 0.01)
    assert others.ease == others.stop == now + 0.01
    assert not others.due(now + 0.005)
    assert others.due(now + 0.01)

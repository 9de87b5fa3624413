"""The line between supervisor and worker: whole messages, news that never waits, an end that is noticed."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from kaproxy.workers import channel as module
from kaproxy.workers.channel import Channel, line_of, message_of


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    pair = socket.socketpair()
    yield pair
    for sock in pair:
        sock.close()


@pytest.mark.parametrize("content", [None, 1.5, "\udc80\n\x00", {"a": [1, None]}])
def test_a_message_is_one_line_and_comes_back_as_it_was(content: object) -> None:
    line = line_of("word", content)
    assert line.count(b"\n") == 1
    message = message_of(line)
    assert (message.word, message.numbers, message.content) == ("word", (), content)


def test_numbers_are_known_without_reading_the_rest() -> None:
    line = line_of("word", {"a\t b": 1}, 7, 12)
    assert message_of(line).numbers == (7, 12)
    assert message_of(line).content == {"a\t b": 1}
    assert message_of(b"word 7 12\tno content\n").numbers == (7, 12)


async def test_messages_arrive_whole_and_in_order_however_large(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    one, other = Channel(ends[0]), Channel(ends[1])
    contents = [number * 1000 * "x" for number in range(300)]
    heard: list[object] = []

    async def hear() -> None:
        async for message in other.messages():
            heard.append(message.content)
            assert line_of(message.word, message.content) == message.line

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hear)
        nursery.start_soon(one.pump)
        for content in contents:
            one.say("x", content)
        with trio.fail_after(20):
            await one.sent(20)
        await one.close()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert heard == contents


async def test_what_the_kernel_takes_at_once_needs_no_task_to_send_it(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    Channel(ends[0]).say("x", 1)
    assert ends[1].recv(100) == line_of("x", 1)


async def test_news_for_who_does_not_read_is_dropped_and_counted_and_orders_are_not(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUEUE_LIMIT", 1 << 20)
    one, other = Channel(ends[0]), Channel(ends[1])
    line = line_of("news", "x" * 10000)
    words: list[str] = []

    async def hear() -> None:
        async for message in other.messages():
            words.append(message.word)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.pump)
        for _ in range(500):
            one.pass_on(line, 2)
            await trio.lowlevel.checkpoint()
        one.say("drain")
        assert one.dropped > 0
        nursery.start_soon(hear)
        await one.sent(10)
        await one.close()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert words.count("news") == 500 - one.dropped // 2
    assert words[-1] == "drain"


async def test_waiting_for_what_nobody_takes_has_an_end(ends: tuple[socket.socket, socket.socket]) -> None:
    one = Channel(ends[0])
    one.say("x", "y" * (4 << 20))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.pump)
        with trio.fail_after(2):
            await one.sent(0.1)
        nursery.cancel_scope.cancel()


async def test_the_other_process_being_gone_ends_both_directions(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    one = Channel(ends[0])
    ends[1].close()
    one.say("x")
    with trio.fail_after(2):
        await one.pump()
        assert [message async for message in one.messages()] == []

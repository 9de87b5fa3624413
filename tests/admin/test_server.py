"""The admin side's sockets: who is stuck or greedy is bounded, and the others are served."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from kaproxy.admin import server
from kaproxy.admin.server import CONNECTIONS, Admin
from kaproxy.errors import StartError
from kaproxy.settings.kinds import Address
from kaproxy.telemetry.overview import Overview
from tests.telemetry.test_metrics import overview
from tests.telemetry.test_tally import ONE

GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


async def look() -> Overview:
    return overview(ONE)


@asynccontextmanager
async def serving() -> AsyncIterator[Admin]:
    admin = await Admin.open(Address("127.0.0.1", 0), look)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(admin.serve)
        yield admin
        nursery.cancel_scope.cancel()


async def asked(stream: trio.SocketStream, path: bytes) -> bytes:
    """The whole answer, where it is that of /healthz; else what came until the end."""
    await stream.send_all(GET % path)
    answer = b""
    while not answer.endswith(b"ok\n") and (data := await stream.receive_some(65536)):
        answer += data
    return answer


async def test_a_connection_is_kept_for_several_requests() -> None:
    async with serving() as admin, await trio.open_tcp_stream(*admin.bound) as stream:
        for _ in range(3):
            assert (await asked(stream, b"/healthz")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("said", [b"", b"GET /metr", b"\x16\x03\x01\x02\x00\x01", b"X" * 20000])
async def test_who_does_not_ask_properly_is_hung_up_on_in_time(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PATIENCE_S", 0.2)
    async with serving() as admin, await trio.open_tcp_stream(*admin.bound) as stream:
        with trio.fail_after(3):
            if said:
                await stream.send_all(said)
            try:
                while await stream.receive_some(65536):
                    pass
            except trio.BrokenResourceError:
                pass


async def test_who_does_not_take_the_answer_is_hung_up_on_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PATIENCE_S", 0.2)
    async with serving() as admin:
        sock = trio.socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        await sock.connect(tuple(admin.bound))
        stream = trio.SocketStream(sock)
        with trio.fail_after(10), pytest.raises(trio.BrokenResourceError):
            while True:  # ask, and never read
                await stream.send_all(GET % b"/metrics" * 50)
        sock.close()
        async with await trio.open_tcp_stream(*admin.bound) as other:
            assert (await asked(other, b"/healthz")).startswith(b"HTTP/1.1 200")


async def test_more_connections_than_are_served_are_closed_and_room_comes_back() -> None:
    async with serving() as admin:
        streams = [await trio.open_tcp_stream(*admin.bound) for _ in range(CONNECTIONS)]
        for stream in streams:
            assert (await asked(stream, b"/healthz")).startswith(b"HTTP/1.1 200")
        async with await trio.open_tcp_stream(*admin.bound) as one_more:
            assert await one_more.receive_some(10) == b""
        for stream in streams:
            await stream.aclose()
        with trio.fail_after(5):
            while True:
                async with await trio.open_tcp_stream(*admin.bound) as again:
                    try:
                        if (await asked(again, b"/healthz")).startswith(b"HTTP/1.1 200"):
                            break
                    except trio.BrokenResourceError:
                        pass


async def test_a_taken_address_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(
            StartError, match=f"cannot serve the admin side on {address}: Address already in use"
        ):
            await Admin.open(address, look)

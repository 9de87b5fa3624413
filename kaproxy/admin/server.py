"""The admin side's sockets: hypercorn speaks HTTP, this keeps it from ever hurting the relay.

So many connections and no more, each for so long, a request within so long, an answer taken within so long: a
scraper that is stuck costs a descriptor and a task until then. Nothing of it is handed down to workers.
Read next: `app.py` for what is answered.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from typing import Any, NoReturn, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from kaproxy.admin.app import Look, Pages
from kaproxy.errors import StartError
from kaproxy.settings.kinds import Address

#: Connections at once; one more is closed unanswered.
CONNECTIONS = 32
#: How long (s) a connection may go without a complete request, and an answer without being taken.
PATIENCE_S = 5
#: How long (s) a connection may live.
LIFE_S = 300.0
#: How long (s) an answer may take whose asker has already sent FIN.
LAST_ANSWER_S = 1.0
_BACKLOG = 64


class Bounded:
    """A stream, as far as hypercorn asks for one, whose peer has to take what it is sent in time.

    `life` ends soon after the peer has sent its last byte: hypercorn would keep it until it has been idle for long.
    """

    def __init__(self, stream: trio.SocketStream, life: trio.CancelScope) -> None:
        self._stream = stream
        self._life = life
        self.socket = stream.socket
        self.send_eof = stream.send_eof
        self.aclose = stream.aclose

    async def receive_some(self, most: int) -> bytes | bytearray:
        """What comes."""
        data = await self._stream.receive_some(most)
        if not data:
            self._life.deadline = min(self._life.deadline, trio.current_time() + LAST_ANSWER_S)
        return data

    async def send_all(self, data: bytes) -> None:
        """Send; hangs up and raises trio.BrokenResourceError where the peer does not take it."""
        with trio.move_on_after(PATIENCE_S) as patience:
            await self._stream.send_all(data)
        if patience.cancelled_caught:
            await trio.aclose_forcefully(self._stream)
            raise trio.BrokenResourceError(f"not taken within {PATIENCE_S} s")


class Admin:
    """The listening socket and who is served on it."""

    def __init__(self, sock: socket.socket, look: Look) -> None:
        self.bound = Address(*sock.getsockname()[:2])
        self._listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
        self._app = ASGIWrapper(cast("Any", Pages(look).app()))
        self._config = Config()
        self._config.keep_alive_timeout = PATIENCE_S
        self._config.read_timeout = PATIENCE_S
        self._config.h11_max_incomplete_size = 8192
        self._config.include_server_header = False
        self._context = WorkerContext(None)
        self._connections = 0

    @classmethod
    async def open(cls, address: Address, look: Look) -> Admin:
        """Listen. Raises StartError, in words for the person at the terminal."""
        try:
            found = await trio.socket.getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            sock = _listening(found[0][0], found[0][4])
        except OSError as error:
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            raise StartError(f"cannot serve the admin side on {address}: {why}") from error
        return cls(sock, look)

    async def serve(self) -> NoReturn:
        """Answer for ever."""
        async with self._listener, trio.open_nursery() as nursery:
            while True:
                try:
                    stream = await self._listener.accept()
                except OSError as error:
                    if error.errno != errno.ECONNABORTED:  # no descriptor left, which may last
                        await trio.sleep(0.1)
                    continue
                if self._connections < CONNECTIONS:
                    self._connections += 1
                    nursery.start_soon(self._connection, stream)
                else:
                    await trio.aclose_forcefully(stream)

    async def _connection(self, stream: trio.SocketStream) -> None:
        try:
            with (
                trio.move_on_after(LIFE_S) as life,
                suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError),
            ):
                bounded: Any = Bounded(stream, life)
                await TCPServer(self._app, self._config, self._context, ConnectionState({}), bounded).run()
        finally:
            self._connections -= 1
            await trio.aclose_forcefully(stream)


def _listening(family: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock

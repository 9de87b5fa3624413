"""The relay one would write first: trio's streams, two tasks per connection, no parsing. For context only.

`python -m benchmarks.trio_streams PORT BROKER_PORT`. It may not use anything of kaproxy's.
"""

from __future__ import annotations

import sys
from functools import partial

import trio

CHUNK = 65536


async def pump(source: trio.SocketStream, target: trio.SocketStream) -> None:
    """Bytes one way until they end."""
    while data := await source.receive_some(CHUNK):
        await target.send_all(data)
    await target.send_eof()


async def serve(broker_port: int, client: trio.SocketStream) -> None:
    """One connection, both ways."""
    try:
        async with (
            await trio.open_tcp_stream("127.0.0.1", broker_port) as broker,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(pump, client, broker)
            nursery.start_soon(pump, broker, client)
    except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # a peer left


if __name__ == "__main__":
    port, behind = int(sys.argv[1]), int(sys.argv[2])
    trio.run(partial(trio.serve_tcp, partial(serve, behind), port, host="127.0.0.1", backlog=1024))

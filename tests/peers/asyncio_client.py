"""aiomqtt and gmqtt as test parts: `asyncio_client.py aiomqtt|gmqtt '{"host": …, "port": …, "client_id": …, …}'`.

Runs in the parts' own environment, which has these libraries; nothing of the project is imported.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from typing import Any


def tell(event: str, detail: object = "") -> None:
    """One line of output."""
    print(json.dumps({"at": time.time(), "event": event, "detail": str(detail)}), flush=True)


async def aiomqtt(options: dict[str, Any]) -> None:
    """Wait for messages with aiomqtt until the connection is lost."""
    library = importlib.import_module("aiomqtt")
    host, port, name = options["host"], options["port"], options["client_id"]
    part = library.Client(host, port, identifier=name, keepalive=options["keep_alive"])
    try:
        async with part as client:
            tell("connected")
            async for _ in client.messages:
                pass
    except library.MqttError as error:
        tell("lost", error)


async def gmqtt(options: dict[str, Any]) -> None:
    """Stay connected with gmqtt until the connection is lost."""
    library = importlib.import_module("gmqtt")
    over = asyncio.Event()
    client = library.Client(options["client_id"])
    client.set_config({"reconnect_retries": 0})
    client.on_connect = lambda *_: tell("connected")
    client.on_disconnect = lambda *_: over.set()
    await client.connect(options["host"], options["port"], keepalive=options["keep_alive"], version=4)
    await over.wait()
    tell("lost")


if __name__ == "__main__":
    asyncio.run({"aiomqtt": aiomqtt, "gmqtt": gmqtt}[sys.argv[1]](json.loads(sys.argv[2])))

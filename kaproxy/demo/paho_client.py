"""A real client in a process of its own: paho-python, `python -m kaproxy.demo.paho_client HOST PORT ID KEEP_ALIVE`.

Commands come on standard input, a line each: `subscribe TOPIC`, `publish TOPIC`, `leave`; it goes when standard
input closes. It tells on standard output: `connected`, `lost REASON`.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


def tell(*words: object) -> None:
    """One line to the demonstration."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def make(client_id: str) -> paho.Client:
    """A client as most programs have it, but that it does not come back after a loss."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False)

    def connected(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        tell("connected" if not reason.is_failure else f"refused {reason}")

    def lost(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        tell("lost", reason)

    client.on_connect = connected
    client.on_disconnect = lost
    return client


def obey(client: paho.Client) -> None:
    """Carry out commands until there are no more."""
    for line in sys.stdin:
        command, _, topic = line.strip().partition(" ")
        if command == "subscribe":
            client.subscribe(topic)
        elif command == "publish":
            client.publish(topic, b"21.5")
        elif command == "leave":
            client.disconnect()
    os._exit(0)


def main() -> None:
    """Connect, then work in paho's own loop while the commands are read."""
    host, port, client_id, keep_alive = sys.argv[1:]
    client = make(client_id)
    client.connect(host, int(port), keepalive=int(keep_alive))
    threading.Thread(target=obey, args=(client,), daemon=True).start()
    client.loop_forever()
    threading.Event().wait()  # until told to go: the process shall not end before the demonstration has seen why


if __name__ == "__main__":
    main()

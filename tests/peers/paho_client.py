"""A paho-python client as a test part, in a process of its own so that it can be stopped and killed.

`python -m tests.peers.paho_client '{"host": …, "port": …, "client_id": …, "keep_alive": 2, …}'`. One JSON
object per line on standard output: what happened, and when by the wall clock. Ends when disconnected.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode


def tell(event: str, detail: object = "") -> None:
    """One line of output."""
    print(json.dumps({"at": time.time(), "event": event, "detail": str(detail)}), flush=True)


class Client:
    """One connection of one paho client, as its options say."""

    def __init__(self, options: dict[str, Any]) -> None:
        """Options: see `main`."""
        self.options = options
        self.over = threading.Event()
        version = {3: paho.MQTTv31, 4: paho.MQTTv311, 5: paho.MQTTv5}[options.get("version", 4)]
        clean: dict[str, Any] = {} if version == paho.MQTTv5 else {"clean_session": True}
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=options["client_id"],
            protocol=version,
            reconnect_on_failure=False,
            **clean,
        )
        if "user" in options:
            self.client.username_pw_set(options["user"], options.get("password"))
        if "will" in options:
            self.client.will_set(options["will"], b"gone")
        self.client.on_connect = self._connected
        self.client.on_message = self._message
        self.client.on_disconnect = self._lost
        self.client.on_connect_fail = lambda *_: self._lost(None, None, None, "no connection", None)

    def run(self) -> None:
        """Connect, do as told, until the connection is over."""
        keep_alive = self.options.get("keep_alive", 60)
        self.client.connect(self.options["host"], self.options["port"], keepalive=keep_alive)
        self.client.loop_start()
        self._publish_while_connected()
        self.client.loop_stop()

    def _publish_while_connected(self) -> None:
        started, leave_after = time.monotonic(), self.options.get("leave_after_s")
        every = self.options.get("publish_every_s")
        while not self.over.wait(every or 0.05):
            if every:
                self.client.publish("from/paho", b"x" * self.options.get("size", 100))
            if leave_after is not None and time.monotonic() - started > leave_after:
                self._leave()
                leave_after = None

    def _leave(self) -> None:
        reason = self.options.get("reason")
        if reason is None:
            self.client.disconnect()
            return
        codes = ReasonCode(PacketTypes.DISCONNECT, identifier=reason)
        self.client.disconnect(reasoncode=codes)

    def _connected(self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        tell("connected" if not reason.is_failure else "refused", reason)
        if "subscribe" in self.options:
            client.subscribe(self.options["subscribe"])
        if "publish_once" in self.options:
            client.publish(self.options["publish_once"], b"x" * self.options.get("size", 100))

    def _message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        tell("message", message.topic)
        time.sleep(self.options.get("block_s", 0))

    def _lost(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        tell("lost", reason)
        self.over.set()


def main() -> None:
    """Options: host port client_id keep_alive version user will subscribe block_s publish_every_s publish_once
    size leave_after_s reason."""
    Client(json.loads(sys.argv[1])).run()


if __name__ == "__main__":
    main()

"""rumqttd as a child process: `python -m kaproxy.demo.rumqttd PORT`, on 127.0.0.1, until standard input closes.

A process of its own, so that the demonstration can stop, continue and kill it.
"""

from __future__ import annotations

import logging
import os
import sys
import threading

from iotcore import Broker


def _end_with_parent() -> None:
    try:
        sys.stdin.buffer.read()
    finally:
        os._exit(0)


def main() -> None:
    """Serve until the parent is gone."""
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)  # its spans are logged as errors, one per packet
    threading.Thread(target=_end_with_parent, daemon=True).start()
    Broker(port=int(sys.argv[1]), listen="127.0.0.1").run_forever()


if __name__ == "__main__":
    main()

"""A rumqttd broker as a test part, in a process of its own so that it can be stopped, continued and killed.

`python -m tests.peers.rumqttd '{"port": 1883, "listen": "127.0.0.1", …}'`; the broker itself is the compiled
one in the `iotcore` wheel, and the options are those of its `Broker`.
"""

from __future__ import annotations

import json
import sys

from iotcore import Broker


def main() -> None:
    """Serve until killed."""
    Broker(**json.loads(sys.argv[1])).run_forever()


if __name__ == "__main__":
    main()

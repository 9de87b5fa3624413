"""The proxy with one fault put in: `python -m tests.peers.faulty_proxy run …` is `kaproxy run …`, except that
relaying raises when the bytes of a connection say `FAULT` in the clear.

It stands for a bug nobody has found yet: such a connection must end as the proxy's own doing, and no other.
"""

from __future__ import annotations

import socket

from kaproxy.cli import main
from kaproxy.relay.leg import Leg

FAULT = b"please raise here"


def put_in() -> None:
    """Make relaying raise on the fault's bytes."""
    faultless = Leg.relay

    def relay(leg: Leg, now: float) -> None:
        if FAULT in leg.sock.recv(4096, socket.MSG_PEEK):
            raise ZeroDivisionError("a fault that was put in")
        faultless(leg, now)

    Leg.relay = relay  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    put_in()
    main()

"""The demonstration: a real broker, real clients, every way to drop, and what kaproxy says of each.

Everything runs on this machine's loopback address, needs no root, and ends by itself. Nothing here is imported
by the proxy; the broker and the clients come with the extra `demo`.
Read next: `scenarios.py` for what is made to happen, `play.py` for how it runs.
"""

from collections.abc import Sequence


def main(broker: str = "auto", fast: bool = False, only: Sequence[str] = ()) -> int:
    """Run the demonstration and return its exit code; the parameters are those of `play.play`."""
    from kaproxy.demo.play import play

    return play(broker, only, fast=fast)

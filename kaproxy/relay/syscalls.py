"""The system calls of the hot path: a chunk from one socket to the other, and what the kernel says of a socket.

Each is there twice and does the same: here in plain Python, and in `_syscalls.c`, which the compiled build has and
which is taken where it is. Half of what passing 100 bytes on costs beside the kernel is Python's way to two calls.
It may not know what a leg is, nor what an error means; descriptors come in, bytes and numbers go out.
Read next: `leg.py`, whose `relay` is the one that calls; `tcp_info.py` for the names of the numbers.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, TypeAlias

Unsent: TypeAlias = tuple[bytes, int, int]
"""Bytes that were read and not all sent: the bytes, how many of them were, and the errno of the send or 0."""


def plain_transfer(source: int, target: int, room: int) -> bytes | Unsent:
    """Read at most `room` bytes from one socket and send them to the other; neither may block.

    Returns the bytes where all were sent, none of them at end of file, or else what `Unsent` says.
    Raises OSError where reading fails, with nothing sent.
    """
    data = os.read(source, room)
    if not data:
        return data
    try:
        sent = os.write(target, data)
    except OSError as error:
        return data, 0, error.errno or 0
    return data if sent == len(data) else (data, sent, 0)


def _fastest() -> Callable[[int, int, int], bytes | Unsent]:
    try:
        from kaproxy.relay import _syscalls
    except ImportError:
        return plain_transfer
    return _syscalls.transfer


transfer: Final = _fastest()
"""`plain_transfer`, or the same in C."""

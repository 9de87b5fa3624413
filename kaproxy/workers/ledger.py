"""The memory of a worker's slate: made by the supervisor, handed to every worker, read when one is killed.

A killed process writes no closing lines; whose connections were cut still stands on its slate. The memory is an
anonymous file, so it is gone with the last process that has it, and only what is written on takes room.
It may not know a process. Read next: `kaproxy/connection/slate.py` for what stands there; `supervisor.py`.
"""

from __future__ import annotations

import mmap
import os
import resource
from collections.abc import Mapping

from kaproxy.connection.slate import Named, Slate, size_of

#: Rows at most, where descriptors are not limited to less: 64 MB, as far as written on.
MOST_ROWS = 1 << 18


def rows() -> int:
    """Rows for as many connections as a worker can have: each has two sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_ROWS if hard == resource.RLIM_INFINITY else min(MOST_ROWS, hard // 2 + 1)


def slate_of(descriptor: int) -> Slate:
    """The slate in that anonymous file, which may be closed then. Raises OSError where there is no memory."""
    return Slate(memoryview(mmap.mmap(descriptor, 0)))


class Ledger:
    """The live connections of whoever is in one worker's place."""

    def __init__(self) -> None:
        """Raises OSError where no descriptor or memory can be had."""
        self.descriptor = os.memfd_create("kaproxy-slate", os.MFD_CLOEXEC)
        os.truncate(self.descriptor, size_of(rows()))
        self._slate = slate_of(self.descriptor)

    @property
    def live(self) -> int:
        """How many, with those that have not sent CONNECT."""
        return self._slate.live

    @property
    def named(self) -> Mapping[str, Named]:
        """Those that have, by conn_id; of a process that is gone."""
        return {named.conn_id: named for named in self._slate.named()}

    def wipe(self) -> None:
        """For the next process in this place."""
        self._slate.wipe()

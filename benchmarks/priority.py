"""Real-time priority for a relay, where root may: then nothing else on its core makes it wait for a time slice.

Added latency is told to its 99th percentile. A relay that sleeps most of the time is woken behind whatever else has its
core, for milliseconds, which is hundreds of times what any relay takes: without this the figure is the other work's.
It may not be given to a relay that is to be busy all the time, or asks its sockets in a loop: the kernel stops such a
one for 50 ms in each second.
Read next: `experiments.py`, where it is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

REAL_TIME = (os.SCHED_RR, os.sched_param(1))


@cache
def possible() -> bool:
    """Whether this process may have it, and so may give it."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, *REAL_TIME)
        os.sched_setscheduler(0, policy, parameters)
    except OSError:
        return False
    return True


def put_first(pids: Iterable[int]) -> None:
    """Gives it to every thread of these processes; does nothing where it is not possible."""
    if not possible():
        return
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*"):
            with suppress(ProcessLookupError):  # a thread that has just ended
                os.sched_setscheduler(int(task.name), *REAL_TIME)

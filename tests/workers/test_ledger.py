"""What is known of connections that were cut: a worker's slate, in memory that outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from kaproxy.connection.slate import Named
from kaproxy.workers.ledger import Ledger

WRITER = """
import os, signal, sys
from kaproxy.workers.ledger import slate_of
slate = slate_of(int(sys.argv[1]))
slate.set_live(3)
for name in ("stays", "goes", "stays too"):
    row = slate.enter("id of " + name, name, "192.0.2.7", 1795414260.25)
    if name == "goes":
        slate.strike(row)
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(ledger: Ledger) -> None:
    """A process that writes on the slate, and is killed."""
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(ledger.descriptor)], pass_fds=[ledger.descriptor], check=False
    )
    assert done.returncode == -signal.SIGKILL


def test_the_ledger_knows_whom_a_killed_process_had() -> None:
    ledger = Ledger()
    killed(ledger)
    assert ledger.live == 3
    assert ledger.named == {
        f"id of {name}": Named(f"id of {name}", name, "192.0.2.7", 1795414260.25)
        for name in ("stays", "stays too")
    }
    ledger.wipe()
    assert (ledger.live, ledger.named) == (0, {})
    killed(ledger)  # the next one in its place
    assert len(ledger.named) == 2


def test_a_ledger_takes_no_more_memory_than_is_written_on() -> None:
    ledger = Ledger()
    before = os.fstat(ledger.descriptor).st_blocks
    killed(ledger)
    pages = (os.fstat(ledger.descriptor).st_blocks - before) * 512 // 4096
    assert pages <= 4

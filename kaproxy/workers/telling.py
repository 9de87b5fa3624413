"""What the supervisor tells of a worker: the fields of its lines, and how a death is put in words.

It may not decide anything, and writes nothing itself. Read next: `supervisor.py`, which does both.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from kaproxy.connection import slate
from kaproxy.diagnosis.kinds import TIME
from kaproxy.workers.slot import Slot

Record: TypeAlias = dict[str, Any]
#: Connections that had sent CONNECT, by conn_id.
Named: TypeAlias = Mapping[str, slate.Named]


def silence(slot: Slot, silent_s: float) -> Record:
    """A worker that says nothing, or does again."""
    return _who(slot) | {"silent_s": round(silent_s, 3), "connections_live": slot.ledger.live}


def lost(live: int, named: Named) -> int:
    """How many connections ended with the process, without closing lines."""
    return max(live, len(named))


def died(slot: Slot, code: int, named: Named, lost_count: int, restart_in_s: float | None) -> Record:
    """A worker that ended unasked."""
    ended, words = how_it_ended(code)
    record = _who(slot) | {
        **ended,
        "lived_s": round(time.monotonic() - slot.started_at, 3),
        "connections_lost": lost_count,
        "restart_in_s": restart_in_s,
        "explanation": f"Worker {slot.name} {words}. {_lost_words(lost_count, len(named))}",
    }
    return {key: value for key, value in record.items() if value is not None}


def cut(worker_name: str, named: Named) -> Iterator[Record]:
    """The connections that ended with it, as far as they had sent CONNECT."""
    for each in named.values():
        yield {
            "conn_id": each.conn_id,
            "worker_name": worker_name,
            "client_addr": each.client_addr,
            "client_id": each.client_id,
            "opened_at": TIME.write(each.opened_at),
        }


def how_it_ended(code: int) -> tuple[Record, str]:
    """The fields of an exit code as the operating system told it, and words for it."""
    if code >= 0:
        return {"exit_status": code}, f"ended with exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return {"exit_signal": name}, f"was killed by {name}"


def _who(slot: Slot) -> Record:
    return {
        "worker_name": slot.name,
        "worker_pid": None if slot.process is None else slot.process.pid,
    }


def _lost_words(lost_count: int, named: int) -> str:
    """What is known of the connections a worker had when it died."""
    if not lost_count:
        return "It had no connection without a closing line."
    unnamed = f" {lost_count - named} had not sent CONNECT and stay unnamed." if lost_count > named else ""
    return (
        f"Its {lost_count} connections ended with it and without closing lines: "
        f"the {named} that had sent CONNECT are told as connection.lost.{unnamed} "
        "Lines it had made in its last moment may be missing too."
    )

"""What clients tried in a stretch of time: connections begun that have ended since, and those told of as established.

It may not know an incident. Read next: `incidents.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import TypeAlias

from kaproxy.analysis.findings.asking import one_of
from kaproxy.analysis.findings.families import STOOD
from kaproxy.analysis.store.engine import Engine, Row

#: Client identifier, moment (microseconds), whether it stood.
Attempt: TypeAlias = Row

#: Read of either kind, the first ones.
_READ = 30_000


def attempts_after(engine: Engine, brokers: Iterable[str], from_us: int, until_us: int) -> list[Attempt]:
    """The attempts at these brokers, later than one moment and up to another, in order."""
    where = f"{one_of(engine, 'broker_addr', brokers)} and client_id is not null"
    closed = engine.rows(
        f"select client_id, opened_us, case when {STOOD} then 1 else 0 end from {{closed}} "
        f"where {where} and opened_us > {from_us} and opened_us <= {until_us} "
        f"order by opened_us, conn_id limit {_READ}"
    )
    stood = engine.rows(
        f"select client_id, at_us, 1 from {{warned}} where event = 'connection.established' and {where} "
        f"and at_us > {from_us} and at_us <= {until_us} order by at_us, conn_id limit {_READ}"
    )
    return sorted((*closed, *stood), key=itemgetter(1))

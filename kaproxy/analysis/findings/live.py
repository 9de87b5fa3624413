"""How many connections of a broker stood at a moment, from the lines of those that ended and those that began.

Read next: `incidents.py` and `stalls.py`, which hold what happened against it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from kaproxy.analysis.findings.families import STOOD
from kaproxy.analysis.store.engine import Engine


def live_at(engine: Engine, moments: Sequence[tuple[Sequence[str], int]]) -> list[int]:
    """For each (brokers, microseconds): the larger of two counts, both from below.

    Connections closed since, that were open then; and those established before less those closed before, which counts
    the ones that are still open, where the log goes back far enough.
    """
    if not moments:
        return []
    closed = ", ".join(
        f"sum(case when opened_us < {at_us} and ended_us >= {at_us} then 1 else 0 end), "
        f"sum(case when ended_us < {at_us} then 1 else 0 end)"
        for _, at_us in moments
    )
    began = ", ".join(f"sum(case when at_us < {at_us} then 1 else 0 end)" for _, at_us in moments)
    stood = _by_broker(
        engine, f"select broker_addr, {closed} from {{closed}} where {STOOD}", 2 * len(moments)
    )
    opened = _by_broker(
        engine,
        f"select broker_addr, {began} from {{warned}} where event = 'connection.established'",
        len(moments),
    )
    return [
        sum(
            max(stood[broker][2 * place], opened[broker][place] - stood[broker][2 * place + 1])
            for broker in brokers
        )
        for place, (brokers, _) in enumerate(moments)
    ]


def _by_broker(engine: Engine, sql: str, width: int) -> Mapping[str, list[int]]:
    """The row of each broker; zeros for one that has none."""
    found: dict[str, list[int]] = defaultdict(lambda: [0] * width)
    for broker, *counts in engine.rows(f"{sql} group by broker_addr"):
        found[str(broker)] = [int(count or 0) for count in counts]
    return found

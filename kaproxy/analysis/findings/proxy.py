"""kaproxy itself: was it late, did it fail, did it lose lines; exonerated or not, with the numbers.

Always one finding, and one more on each process that was late enough to matter. What kaproxy measures of itself is in
every closing line; time that a peer did not read is the peer's and is taken off. It may not excuse anything.
Read next: `buckets.py` for the quantiles.
"""

from __future__ import annotations

from dataclasses import dataclass

from kaproxy.analysis.findings.asking import connections, one_of, span, utc
from kaproxy.analysis.findings.buckets import Buckets, bucket_sql
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.store.engine import Engine
from kaproxy.diagnosis.reading import DELAY_MATTERS_S
from kaproxy.diagnosis.verdict import Cause, Confidence, Owner
from kaproxy.diagnosis.wording import counted, moment

_MS = 1000.0
#: Late by this much (ms) and more, a process is told of although no drop is laid to it.
LATE_MS = 1000.0
_MATTERS_MS = DELAY_MATTERS_S * _MS
_STALLED_MS = (
    "1000 * case when client_leg_stalled_s > broker_leg_stalled_s "
    "then client_leg_stalled_s else broker_leg_stalled_s end"
)
#: Time a chunk was held, less the time a peer did not take it.
_DWELL = (
    f"case when relay_dwell_max_ms > {_STALLED_MS} + {_MATTERS_MS} then relay_dwell_max_ms - {_STALLED_MS} "
    f"when {_STALLED_MS} > 0 then 0 else relay_dwell_max_ms end"
)
_GUILTY = f"(root = 'proxy_delayed' or cause = '{Cause.PROXY_ERROR}')"


@dataclass(frozen=True, slots=True)
class Account:
    """What the lines say of kaproxy: counts, and the longest times in milliseconds."""

    connections: int
    delayed: int
    failed: int
    blind: int
    turned_away: int
    dwell_max_ms: float
    lag_max_ms: float
    lag_p99_ms: float
    lagging: int
    lines_lost: int
    unclean: int

    @property
    def guilty(self) -> int:
        """Drops that are its own doing."""
        return self.delayed + self.failed

    @property
    def whole(self) -> bool:
        """Is everything in the log that there was to tell?"""
        return not (self.lines_lost or self.blind or self.unclean)

    @property
    def late_ms(self) -> float:
        """The longest it was late by, either way."""
        return max(self.dwell_max_ms, self.lag_max_ms)


def find(engine: Engine) -> list[Finding]:
    """Whether kaproxy is to blame, and the processes that were late."""
    whole = span(engine)
    if not whole.lines:
        return []
    account = _account(engine)
    verdict = Finding(
        "proxy",
        _title(account),
        Owner.PROXY if account.guilty or not account.whole else Owner.NOBODY,
        _confidence(account),
        _advice(account),
        _basis(account),
        drops=account.guilty,
        numbers={
            "exonerated": not account.guilty,
            "connections": account.connections,
            "drops_delayed": account.delayed,
            "drops_by_error": account.failed,
            "turned_away_at_a_limit": account.turned_away,
            "relay_dwell_max_ms": round(account.dwell_max_ms, 3),
            "loop_lag_max_ms": round(account.lag_max_ms, 3),
            "loop_lag_p99_ms": round(account.lag_p99_ms, 3),
            "lagging_warnings": account.lagging,
            "log_lines_lost": account.lines_lost,
            "observers_failed": account.blind,
            "starts_without_a_stop": account.unclean,
        },
        connections=connections(engine, _GUILTY) if account.guilty else (),
        first_us=whole.first_us,
        last_us=whole.last_us,
    )
    return [verdict, *_late(engine)]


def _account(engine: Engine) -> Account:
    (row,) = engine.rows(
        "select sum(lines), sum(case when root = 'proxy_delayed' then lines else 0 end), "
        f"sum(case when cause = '{Cause.PROXY_ERROR}' then lines else 0 end), "
        f"sum(case when cause = '{Cause.PROXY_LIMIT}' then lines else 0 end) from {{clients}} as clients"
    )
    lag = bucket_sql("loop_lag_max_ms")
    lags = engine.rows(
        f"select {lag} as bucket, count(*), max(loop_lag_max_ms), max({_DWELL}), "
        "sum(case when observer_error is not null and observer_error <> '' then 1 else 0 end) "
        f"from {{closed}} group by {lag}"
    )
    timed = {int(number): int(count) for number, count, *_ in lags if number is not None}
    warned = {
        str(event): (int(count), int(lost or 0), float(worst or 0.0))
        for event, count, lost, worst in engine.rows(
            "select event, count(*), sum(case when event = 'log.dropped' then lines else 0 end), max(lag_ms) "
            "from {warnings} where event in ('proxy.lagging', 'log.dropped', 'observer.failed') group by event"
        )
    }
    lagging, dropped = warned.get("proxy.lagging", (0, 0, 0.0)), warned.get("log.dropped", (0, 0, 0.0))
    counts = [int(each or 0) for each in row]
    return Account(
        connections=counts[0],
        delayed=counts[1],
        failed=counts[2],
        blind=max(sum(int(each[4] or 0) for each in lags), warned.get("observer.failed", (0, 0, 0.0))[0]),
        turned_away=counts[3],
        dwell_max_ms=max((float(each[3] or 0.0) for each in lags), default=0.0),
        lag_max_ms=max([lagging[2], *(float(each[2] or 0.0) for each in lags)]),
        lag_p99_ms=Buckets(timed).quantile(0.99) or 0.0,
        lagging=lagging[0],
        lines_lost=max(dropped[1], _lost_at_stop(engine)),
        unclean=_unclean(engine),
    )


def _lost_at_stop(engine: Engine) -> int:
    """Lines lost in all, as each process says when it stops."""
    return int(
        engine.rows("select sum(log_lines_dropped) from {warnings} where event = 'proxy.stopped'")[0][0] or 0
    )


def _unclean(engine: Engine) -> int:
    """Starts that followed a start with no stop between: that process was killed or crashed. The last may still run."""
    rows = engine.rows(
        "select source, worker, sum(case when event = 'proxy.started' then 1 else 0 end), "
        "sum(case when event = 'proxy.stopped' then 1 else 0 end) from {warnings} "
        "where event in ('proxy.started', 'proxy.stopped') group by source, worker"
    )
    return sum(max(0, int(started) - int(stopped) - 1) for _, _, started, stopped in rows)


def _title(account: Account) -> str:
    late = f"it was late by at most {moment(account.late_ms / _MS)}"
    lost = f", and {counted(account.lines_lost, 'line')} of its log are lost" if account.lines_lost else ""
    if account.guilty:
        return f"kaproxy itself is behind {counted(account.guilty, 'drop')}: {late}{lost}"
    return f"kaproxy itself is behind none of the drops: {late} in {account.connections} connections{lost}"


def _confidence(account: Account) -> Confidence:
    """Acquitted for good only where it was never late enough to matter and nothing is missing."""
    if account.guilty:
        return Confidence.SETTLED if account.failed == account.guilty else Confidence.LIKELY
    return Confidence.SETTLED if account.whole and account.late_ms < _MATTERS_MS else Confidence.LIKELY


def _advice(account: Account) -> str:
    told = [
        "Give kaproxy more CPU." if account.delayed else "",
        "Report the lines with proxy_error or observer.failed." if account.failed or account.blind else "",
        "Raise the limit named in the lines with proxy_limit." if account.turned_away else "",
        "Let whatever reads its log read faster: lines are missing." if account.lines_lost else "",
        "See what killed it: it started without having stopped." if account.unclean else "",
    ]
    return " ".join(each for each in told if each) or "Nothing to do."


def _basis(account: Account) -> str:
    told = (
        "Its own loop lag and the time it held each chunk, measured on every connection; "
        "what a peer did not take is not its own."
    )
    return told if account.whole else f"{told} The log is not whole, so more may have happened than it tells."


def _late(engine: Engine) -> list[Finding]:
    """The processes that were late, each with what was dropped for it."""
    rows = engine.rows(
        "select source, worker, count(*), max(lag_ms), min(at_us), max(at_us) from {warnings} "
        f"where event = 'proxy.lagging' and lag_ms >= {LATE_MS} group by source, worker order by source, worker"
    )
    return [_late_one(engine, *row) for row in rows]


def _late_one(
    engine: Engine, source: str, worker: str, count: int, lag_ms: float, first: int, last: int
) -> Finding:
    mine = f"{_GUILTY} and {one_of(engine, 'source', [source])} and {one_of(engine, 'worker', [worker])}"
    (drops,) = engine.rows(f"select count(*) from {{drops}} where {mine}")[0]
    return Finding(
        "proxy_lag",
        f"{utc(first)} the process {worker} was late by up to {moment(lag_ms / _MS)}, {counted(count, 'time')}; "
        f"{counted(int(drops), 'drop')} are laid to it",
        Owner.PROXY,
        Confidence.LIKELY,
        "Give it more CPU, or see what else ran on its host then; silences it measured in that time are too long.",
        "kaproxy's own warnings proxy.lagging.",
        drops=int(drops),
        subject=str(worker),
        numbers={"lag_max_ms": round(lag_ms, 3), "times": int(count), "drops": int(drops)},
        connections=connections(engine, mine),
        first_us=int(first - lag_ms * _MS),
        last_us=int(last),
    )

"""The broker's own patience: the silences at which it expired clients, whose window they fit, and kills before time.

Only silences beyond doubt count, those that kaproxy itself learns a profile from (`kaproxy/diagnosis/learning.py`).
It may not judge a single ending again. Read next: `stalls.py`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import groupby

from kaproxy.analysis.findings.asking import connections, one_of
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.store.engine import Engine, Row
from kaproxy.diagnosis.learning import Expiry, fitting, likelihood
from kaproxy.diagnosis.profiles import BROKER_PROFILES
from kaproxy.diagnosis.reading import DELAY_MATTERS_S
from kaproxy.diagnosis.verdict import Cause, Confidence, Owner
from kaproxy.diagnosis.wording import counted, seconds

#: Fewer expiries tell of no window.
FEWEST = 5
#: Expiries of each broker that profiles are held against, the last ones.
_READ, _HELD = 4000, 500
_STATED = 0x8D
#: So many (part of all) may lie outside a broker's window and it may still be that broker.
_OUTLIERS = 0.05
_MS = 1000.0
_PREMATURE = f"cause = '{Cause.KEEP_ALIVE_TIMEOUT}' and root = 'broker_premature'"
#: An expiry that tells when the broker expires: its own doing, and nothing else delayed or lowered it.
_SURE = (
    f"cause = '{Cause.KEEP_ALIVE_TIMEOUT}' and closed_by = 'broker' and effective_keep_alive > 0 "
    "and silence_counted_s is not null and silence_s is not null "
    "and (root is null or root not in ('broker_premature', 'silent_cap', 'broker_not_reading', 'proxy_delayed')) "
    f"and loop_lag_max_ms < {DELAY_MATTERS_S * _MS} "
    "and client_leg_stalled_s = 0 and broker_leg_stalled_s = 0 "
    f"and (disconnect_from_broker = {_STATED} or late_from_client_packet is not null or client_leg_fin_acked = 0)"
)


def find(engine: Engine) -> list[Finding]:
    """What is known of each broker's window, and the brokers that expired clients too soon."""
    return [*_windows(engine), *_premature(engine)]


def _windows(engine: Engine) -> list[Finding]:
    ranges = engine.rows(
        "select broker_addr, effective_keep_alive, count(*), min(silence_counted_s), max(silence_counted_s), "
        "min(ended_us), max(ended_us), min(broker_profile), max(broker_profile) "
        f"from {{drops}} where {_SURE} group by broker_addr, effective_keep_alive "
        "order by broker_addr, effective_keep_alive"
    )
    expiries = _expiries(engine) if ranges else {}
    found = []
    for broker, its in groupby(ranges, key=lambda row: str(row[0])):
        rows = list(its)
        if sum(int(row[2]) for row in rows) >= FEWEST:
            found.append(_window(engine, broker, rows, expiries.get(broker, [])))
    return found


def _expiries(engine: Engine) -> dict[str, list[Expiry]]:
    rows = engine.rows(
        "select broker_addr, effective_keep_alive, silence_s, silence_bytes_s, downlink_idle_s, protocol_version, "
        "disconnect_from_broker, broker_leg_ending, late_from_client_after_s "
        f"from {{drops}} where {_SURE} order by ended_us desc, conn_id limit {_READ}"
    )
    found: dict[str, list[Expiry]] = defaultdict(list)
    for broker, *values in rows:
        if len(found[str(broker)]) < _HELD:
            found[str(broker)].append(_expiry(*values))
    return found


def _expiry(
    keep_alive: int,
    silence: float,
    in_bytes: float | None,
    downlink: float | None,
    version: str | None,
    stated: int | None,
    ending: str | None,
    late_after: float | None,
) -> Expiry:
    crossed = late_after is not None and late_after <= 0
    return Expiry(
        keep_alive=int(keep_alive),
        packets_s=silence,
        bytes_s=silence if in_bytes is None or crossed else in_bytes,
        both_ways_s=min(silence, silence if downlink is None else downlink),
        stated=stated == _STATED if version == "5.0" else None,
        fin=ending == "fin",
    )


def _window(engine: Engine, broker: str, rows: list[Row], expiries: list[Expiry]) -> Finding:
    count = sum(int(row[2]) for row in rows)
    low, high = min(row[3] / row[1] for row in rows), max(row[4] / row[1] for row in rows)
    late = max(row[4] - 1.5 * row[1] for row in rows)
    told = {str(name) for row in rows for name in row[7:9]}
    fits = fitting(expiries)
    wrong = bool(fits) and all(_cannot_be(name, expiries) for name in told)
    names = f"that fits {', '.join(fits)}" if fits else "which fits no broker known here"
    title = (
        f"{broker} expires a silent client after {low:.2f} to {high:.2f} x Keep Alive, "
        f"at most {seconds(round(late, 2))} after 1.5 x ({count} sure expiries): {names}"
    )
    return Finding(
        "broker_window",
        f"{title}; it is judged as {', '.join(sorted(told))}" if wrong else title,
        Owner.OPERATOR if wrong or not fits else Owner.NOBODY,
        Confidence.LIKELY if fits else Confidence.UNCLEAR,
        f'Set broker.profile = "{fits[0]}", and judge the log again (--rejudge).'
        if wrong or (fits and told == {"unknown"})
        else "Nothing to do; this is the patience that clients have to live with.",
        "Silences of which the broker's 0x8D, a packet that came too late or a dead host leaves no doubt.",
        drops=count,
        subject=broker,
        numbers={
            "expiries": count,
            "factor_low": round(low, 4),
            "factor_high": round(high, 4),
            "late_max_s": round(late, 3),
            "fits": list(fits),
            "judged_as": sorted(told),
            "by_keep_alive": {
                str(row[1]): {"expiries": int(row[2]), "low_s": round(row[3], 3), "high_s": round(row[4], 3)}
                for row in rows
            },
        },
        connections=connections(engine, f"{_SURE} and {one_of(engine, 'broker_addr', [broker])}"),
        first_us=min(int(row[5]) for row in rows),
        last_us=max(int(row[6]) for row in rows),
    )


def _cannot_be(name: str, expiries: list[Expiry]) -> bool:
    """Does a broker's row exclude too many of the expiries for them to be outliers?"""
    if name not in BROKER_PROFILES or name == "unknown":
        return False
    outside = sum(likelihood(BROKER_PROFILES[name], [each]) == -math.inf for each in expiries)
    return outside >= FEWEST and outside > _OUTLIERS * len(expiries)


def _premature(engine: Engine) -> list[Finding]:
    rows = engine.rows(
        "select broker_addr, count(*) as drops, count(distinct client_id), min(silence_counted_s), "
        "max(silence_counted_s), min(silence_counted_s / effective_keep_alive), "
        "max(silence_counted_s / effective_keep_alive), min(effective_keep_alive), max(effective_keep_alive), "
        "sum(case when confidence = 'settled' then 1 else 0 end), min(ended_us), max(ended_us) "
        f"from {{drops}} where {_PREMATURE} and effective_keep_alive > 0 group by broker_addr "
        "order by drops desc, broker_addr"
    )
    return [_too_soon(engine, *row) for row in rows]


def _too_soon(engine: Engine, broker: str, *row: float) -> Finding:
    drops, clients, low_s, high_s, low, high, shortest, longest, settled, first, last = row
    keep_alive = f"{shortest:.0f} s" if shortest == longest else f"{shortest:.0f} to {longest:.0f} s"
    return Finding(
        "broker_premature",
        f"{broker} expired {counted(int(drops), 'connection')} before their time: after {seconds(round(low_s, 2))} to "
        f"{seconds(round(high_s, 2))} of silence at a Keep Alive of {keep_alive}, {low:.2f} to {high:.2f} x",
        Owner.BROKER,
        Confidence.SETTLED if settled == drops else Confidence.LIKELY,
        "Report it to the broker's makers; see whether its clock steps, and whether a limit of its own is set.",
        f"MQTT allows it from 1.5 x Keep Alive on (5.0 3.1.2-22); {settled:.0f} of these verdicts are settled.",
        drops=int(drops),
        subject=str(broker),
        numbers={
            "drops": int(drops),
            "clients": int(clients),
            "silence_min_s": round(low_s, 3),
            "silence_max_s": round(high_s, 3),
            "factor_low": round(low, 4),
            "factor_high": round(high, 4),
            "keep_alive_min": int(shortest),
            "keep_alive_max": int(longest),
        },
        connections=connections(engine, f"{_PREMATURE} and {one_of(engine, 'broker_addr', [broker])}"),
        first_us=int(first),
        last_us=int(last),
    )

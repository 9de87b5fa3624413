"""Takeover fights: client identifiers that two clients take from each other, who they are, and how often.

Asks for identifiers that were taken often, or were ended by the broker while connections of theirs went through
several proxies, and lets `turns.py` say whether that is a fight; it may not judge a single takeover.
Read next: `turns.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice
from typing import Any

from kaproxy.analysis.findings.asking import DROP, SECOND_US, one_of, share_of
from kaproxy.analysis.findings.finding import CONNECTIONS_KEPT, Finding
from kaproxy.analysis.findings.turns import FEWEST_TAKEOVERS, Fight, Side, Turn, fight
from kaproxy.analysis.store.engine import Engine
from kaproxy.diagnosis.verdict import Cause, Confidence, Owner
from kaproxy.diagnosis.wording import counted, moment, seconds

MOST_TOLD = 10
#: Identifiers looked at, and connections read of them, the ones with most takeovers first.
_LOOKED_AT, _READ = 300, 60_000
#: With so many there and back, other settings and other addresses it cannot be one client that moved.
_SURE_RETURNS = 5
_HOUR_S = 3600.0


def find(engine: Engine) -> list[Finding]:
    """The fights, the one with most takeovers first."""
    fights = [(client, found) for client, turns in _turns(engine) if (found := fight(turns)) is not None]
    fights.sort(key=lambda each: (-len(each[1].takeovers), each[0]))
    told = [_finding(client, found) for client, found in fights[:MOST_TOLD]]
    return [*told, *_rest(fights[MOST_TOLD:])]


def _turns(engine: Engine) -> Iterator[tuple[str, list[Turn]]]:
    """Every identifier worth a look with its connections in order."""
    clients = _candidates(engine)
    if not clients:
        return
    rows = engine.rows(
        "select client_id, conn_id, source, worker, broker_addr, opened_us, ended_us, client_addr, keep_alive, "
        "protocol_version, clean_start, will_present, closed_by, cause, root, silence_s, taken_over_by_client_addr "
        f"from {{closed}} where {one_of(engine, 'client_id', clients)} "
        f"order by client_id, opened_us, ended_us, conn_id limit {_READ}"
    )
    for client, its in groupby(rows, key=lambda row: str(row[0])):
        yield client, [_turn(*row[1:]) for row in its]


def _turn(
    conn_id: str, source: str, worker: str, broker: str, opened: int, ended: int, addr: str, *rest: Any
) -> Turn:
    *settings, closer, cause, root, silence, taker = rest
    return Turn(
        str(conn_id),
        f"{source}/{worker}",
        str(broker),
        int(opened),
        int(ended),
        Side(str(addr), *settings),
        closer == "broker",
        cause == Cause.TAKEOVER,
        root or None,
        silence,
        taker,
    )


def _candidates(engine: Engine) -> list[str]:
    """Identifiers taken over often enough, or ended by the broker as often and seen by several processes."""
    taken = f"sum(case when cause = '{Cause.TAKEOVER}' then 1 else 0 end)"
    apart = "min(worker) <> max(worker) or min(source) <> max(source)"
    rows = engine.rows(
        "select client_id, count(*) as endings from {drops} "
        f"where {DROP} and client_id is not null and (closed_by = 'broker' or cause = '{Cause.TAKEOVER}') "
        f"group by client_id having {taken} >= {FEWEST_TAKEOVERS} "
        f"or (count(*) >= {FEWEST_TAKEOVERS} and ({apart})) "
        f"order by {taken} desc, endings desc, client_id limit {_LOOKED_AT}"
    )
    return list(islice(_few(rows), _LOOKED_AT))


def _few(rows: list[tuple[str, int]]) -> Iterator[str]:
    """As many identifiers as can be read, but the first in any case."""
    read = 0
    for client, endings in rows:
        read += int(endings)
        if read > _READ and read > endings:
            return
        yield str(client)


def _finding(client: str, found: Fight) -> Finding:
    first, last = found.takeovers[0].older.ended_us, found.takeovers[-1].older.ended_us
    hours = max(found.every_s, (last - first) / SECOND_US) / _HOUR_S
    unseen = sum(each.unseen for each in found.takeovers)
    told = [_side(each) for each in found.sides]
    count = len(found.takeovers)
    title = (
        f"{client} runs twice at {told[0]}: it took its own identifier {count} times, every {moment(found.every_s)}"
        if found.duplicate
        else f"{client} is fought over by {told[0]} and {told[1]}: taken {count} times, every {moment(found.every_s)}"
    )
    return Finding(
        "takeover_fight",
        title,
        Owner.CLIENT_APP if found.duplicate else Owner.OPERATOR,
        _confidence(found),
        "Find the second instance on that host, or behind that address; stop it or give it its own identifier."
        if found.duplicate
        else f"Give each its own client identifier; they differ in {_differences(found)}.",
        _basis(found, unseen),
        drops=count,
        subject=client,
        numbers={
            "takeovers": count,
            "returns": found.returns,
            "every_s": round(found.every_s, 3),
            "per_hour": round(count / hours, 2),
            "differs": list(found.differs),
            "sides": [side._asdict() for side in found.sides],
            "seen_by_no_proxy_alone_share": share_of(unseen, count),
        },
        connections=tuple(each.older.conn_id for each in found.takeovers[:CONNECTIONS_KEPT]),
        first_us=first,
        last_us=last,
    )


def _side(side: Side) -> str:
    """One of the two in words."""
    return f"{side.client_addr} (Keep Alive {side.keep_alive}, MQTT {side.protocol_version})"


def _differences(found: Fight) -> str:
    return ", ".join(found.differs) or "nothing that is seen here"


def _confidence(found: Fight) -> Confidence:
    """Settled only with other addresses and other settings, there and back often: no client that moved does that."""
    settings = {"keep_alive", "protocol_version"} & set(found.differs)
    both = settings and "client_addr" in found.differs
    stated = all(each.older.takeover for each in found.takeovers)
    sure = both and stated and found.returns >= _SURE_RETURNS
    return Confidence.SETTLED if sure else Confidence.LIKELY


def _basis(found: Fight, unseen: int) -> str:
    if found.duplicate:
        return (
            "Each connection was alive when the next one with the same address and settings came, "
            f"{seconds(found.every_s)} apart; whether that is one host or two behind one address, its own log tells."
        )
    joined = (
        f" {counted(unseen, 'takeover')} passed through two proxies: their logs were joined."
        if unseen
        else ""
    )
    return (
        f"{found.returns} times the one that had lost took it back, and the loser had been alive: "
        f"a client that comes back after a dead connection does neither.{joined}"
    )


def _rest(fights: list[tuple[str, Fight]]) -> list[Finding]:
    """The fights beyond the first few, together."""
    if not fights:
        return []
    drops = sum(len(each.takeovers) for _, each in fights)
    return [
        Finding(
            "takeover_fights",
            f"{len(fights)} more client identifiers are fought over, {drops} takeovers in all",
            Owner.OPERATOR,
            Confidence.LIKELY,
            "Look for cloned devices or a shared configuration: so many identifiers do not collide by accident.",
            "Judged like the fights above.",
            drops=drops,
            numbers={
                "identifiers": len(fights),
                "takeovers": drops,
                "first": [client for client, _ in fights[:20]],
            },
            connections=tuple(each.takeovers[0].older.conn_id for _, each in fights[:CONNECTIONS_KEPT]),
            first_us=min(each.takeovers[0].older.ended_us for _, each in fights),
            last_us=max(each.takeovers[-1].older.ended_us for _, each in fights),
        )
    ]

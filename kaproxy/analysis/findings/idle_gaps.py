"""Idle gaps of the whole log: which were survived, at which idle time connections were cut, which silences ended it.

Counts from SQL, by place: a network of clients, a listener, a broker. A gap counts as survived and idle only where
the broker sent nothing but answers (CONNACK, one SUBACK, PINGRESP), for the log keeps the client's longest gap, not
the longest of both. It may not know a box. Read next: `path_limits.py`, which draws the limits from these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kaproxy.analysis.store.engine import Engine
from kaproxy.diagnosis.verdict import Cause

#: Shorter idle times (s) are no box's: a connection in use ends at any moment.
SHORTEST_S = 15.0
_ROW = "client_net, listener, broker_addr"
#: The idle time that a survived gap certainly had: the answer to the packet before it took up to the longest RTT.
IDLE_GAP = "(gap_max_s - coalesce(ping_rtt_max_ms, 0) / 1000)"
#: The first packet after a pause was answered by RST at once: the pause is the fatal gap, and was not survived.
FORGOTTEN = f"cause = '{Cause.IDLE_CUT}' and idle_s < 5 and gap_max_s is not null"
ONLY_ANSWERS = "packets_from_broker <= pingresps + 2"
_SURVIVED = f"gap_max_s is not null and {ONLY_ANSWERS} and not ({FORGOTTEN})"
_WORDLESS = ", ".join(
    f"'{cause}'"
    for cause in (Cause.CLIENT_CLOSED, Cause.CLIENT_RESET, Cause.BROKER_CLOSED, Cause.BROKER_RESET)
)
#: Ended without a word after an idle time: what a box's cut looks like.
CUT = f"(cause = '{Cause.IDLE_CUT}' or (cause in ({_WORDLESS}) and coalesce(root, '') = '')) and idle_s >= {SHORTEST_S}"
#: The client's packets stopped coming and its kernel did not answer, or it came back with the old side dead.
SILENT = (
    f"((cause = '{Cause.KEEP_ALIVE_TIMEOUT}' and root = 'client_unreachable') or cause = '{Cause.CLIENT_UNREACHABLE}'"
    f" or (cause = '{Cause.TAKEOVER}' and root = 'reconnect_after_half_open'))"
    " and silence_s >= 0.9 * effective_keep_alive and effective_keep_alive > 0"
)
#: No ping of it came through, nor a silence about as long as its Keep Alive: the first of them was the last.
FIRST = "pingreqs = 0 and (gap_max_s is null or gap_max_s < 0.9 * effective_keep_alive)"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a box may sit: everything whose `column` is this value, on the clients' side or the broker's."""

    column: str  # "client_net", "listener" or "broker_addr"
    value: str

    @property
    def side(self) -> str:
        """ "client" or "broker": whose leg a box here cuts."""
        return "broker" if self.column == "broker_addr" else "client"


@dataclass(frozen=True, slots=True)
class Bin:
    """Cut connections by idle time, half a second each."""

    low_s: float
    high_s: float
    count: int


@dataclass(frozen=True, slots=True)
class Silences:
    """Of one place and Keep Alive: who survived a gap of that length, and whose first one was the last."""

    keep_alive: int
    lived: int
    lived_busy: int  # the same with traffic from the broker in between, perhaps
    died: int
    back_s: float | None  # the shortest silence after which one of them came back


@dataclass(frozen=True, slots=True)
class Gaps:
    """All of it, by place."""

    survived: Mapping[Place, Sequence[tuple[float, int]]]  # (longest of its bin, count)
    cuts: Mapping[Place, Sequence[Bin]]
    forgotten: Mapping[Place, Sequence[Bin]]
    silences: Mapping[Place, Sequence[Silences]]


def gather(engine: Engine) -> Gaps:
    """Four queries."""
    return Gaps(_survived(engine), _bins(engine, CUT, "idle_s"), _forgotten(engine), _silences(engine))


def places(net: object, listener: object, broker: object) -> tuple[Place, ...]:
    """The places a connection belongs to; what is unknown is none."""
    named = (("client_net", net), ("listener", listener), ("broker_addr", broker))
    return tuple(Place(column, str(value)) for column, value in named if value)


def _survived(engine: Engine) -> dict[Place, list[tuple[float, int]]]:
    sql = (
        f"select {_ROW}, cast(floor(log2({IDLE_GAP} + 0.001) * 32) as {{INT}}) as step, max({IDLE_GAP}), count(*) "
        f"from {{closed}} where {_SURVIVED} and {IDLE_GAP} >= 1 group by {_ROW}, step"
    )
    found: dict[Place, list[tuple[float, int]]] = defaultdict(list)
    for net, listener, broker, _, longest, count in engine.rows(sql):
        for place in places(net, listener, broker):
            found[place].append((float(longest), int(count)))
    return found


def _bins(engine: Engine, condition: str, value: str) -> dict[Place, list[Bin]]:
    """Counts by half seconds of a value, at the places on the side that was seen to end it."""
    sql = (
        f"select {_ROW}, closed_by, cast(floor({value} * 2) as {{INT}}) as step, min({value}), max({value}), count(*) "
        f"from {{drops}} where {condition} and {value} is not null group by {_ROW}, closed_by, step"
    )
    found: dict[Place, list[Bin]] = defaultdict(list)
    for net, listener, broker, closed_by, _, low, high, count in engine.rows(sql):
        for place in places(net, listener, broker):
            if place.side == closed_by:
                found[place].append(Bin(float(low), float(high), int(count)))
    return found


def _forgotten(engine: Engine) -> dict[Place, list[Bin]]:
    return _bins(engine, f"{FORGOTTEN} and gap_max_s >= {SHORTEST_S}", "gap_max_s")


def _silences(engine: Engine) -> dict[Place, list[Silences]]:
    """By place and Keep Alive; only Keep Alives long enough for a box to matter."""
    reached = "(gap_max_s >= 0.9 * effective_keep_alive or pingreqs > 0)"
    sql = (
        f"select {_ROW}, effective_keep_alive, sum(case when {_SURVIVED} and {reached} then 1 else 0 end), "
        f"sum(case when {reached} then 1 else 0 end), sum(case when {SILENT} and {FIRST} then 1 else 0 end) as died, "
        f"min(case when {SILENT} and {FIRST} and cause = '{Cause.TAKEOVER}' then silence_s end) "
        f"from {{closed}} where effective_keep_alive >= {int(SHORTEST_S)} "
        f"group by {_ROW}, effective_keep_alive"
    )
    found: dict[Place, list[Silences]] = defaultdict(list)
    for net, listener, broker, keep_alive, lived, busy, died, back in engine.rows(sql):
        row = Silences(int(keep_alive), int(lived or 0), int(busy or 0), int(died or 0), back)
        for place in places(net, listener, broker):
            if place.side == "client":
                found[place].append(row)
    return {place: _by_keep_alive(rows) for place, rows in found.items()}


def _by_keep_alive(rows: Iterable[Silences]) -> list[Silences]:
    """One row per Keep Alive, the shortest first."""
    whole: dict[int, Silences] = {}
    for row in rows:
        old = whole.get(row.keep_alive)
        whole[row.keep_alive] = _added(old, row) if old else row
    return [whole[keep_alive] for keep_alive in sorted(whole)]


def _added(one: Silences, other: Silences) -> Silences:
    backs = [back for back in (one.back_s, other.back_s) if back is not None]
    return Silences(
        one.keep_alive,
        one.lived + other.lived,
        one.lived_busy + other.lived_busy,
        one.died + other.died,
        min(backs, default=None),
    )

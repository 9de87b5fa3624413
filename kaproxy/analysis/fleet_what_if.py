"""What if all clients had another Keep Alive, or the broker another window: answered from recorded gaps, as ranges.

A closing line keeps a connection's longest survived silence and how many were late, so a count is a range: `least`
is certain whichever way the client takes it, `most` is possible by any; where the cadence of a group's pings says
which way (`findings/late_pingers.py`), by that one. It may not guess a gap.
Read next: `whatif.py`, which does the same for one connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from kaproxy.analysis.findings.asking import one_of
from kaproxy.analysis.findings.cadences import Formula
from kaproxy.analysis.findings.late_pingers import habits
from kaproxy.analysis.findings.path_limits import PathLimit, limits
from kaproxy.analysis.store.engine import Engine, Row
from kaproxy.analysis.whatif import Drops
from kaproxy.diagnosis.limits import TOLD_LIMIT
from kaproxy.diagnosis.verdict import Cause
from kaproxy.diagnosis.wording import counted

ALLOWED = "keep_alive=1 to 65535 (seconds), or window=1.1 to 10 (x Keep Alive)"
_KEEP_ALIVES, _WINDOWS = (1, 0xFFFF), (1.1, 10.0)
_EXPIRED = f"cause = '{Cause.KEEP_ALIVE_TIMEOUT}'"
_KNOWN = "effective_keep_alive > 0 and client_group is not null"
#: A box that forgot it: its RST came at once, and the pause before was the fatal one, not a survived one.
_FORGOT = f"cause = '{Cause.IDLE_CUT}' and idle_s < 5"
_CUT = f"(cause = '{Cause.IDLE_CUT}' and (idle_s >= 5 or gap_max_s >= 5))"
#: The operator told of the limit.
_TOLD = f"root = '{TOLD_LIMIT}'"
_IDLE = "case when idle_s >= 5 then idle_s else gap_max_s end"
_PREMATURE = f"{_EXPIRED} and root = 'broker_premature'"
_GAP = f"(case when {_FORGOT} then 0 else coalesce(gap_max_s, 0) end)"
_SILENCE = "coalesce(silence_s, 0)"
#: Who always pinged in time would ping in time again.
_NOT_IN_TIME = "(late_gaps > 0 or coalesce(pingreqs, 0) = 0)"
_LATE_GAPS = "(case when late_gaps > 1 then late_gaps else 1 end)"


class WhatIfError(ValueError):
    """A question that cannot be asked; the message has the allowed values."""


@dataclass(frozen=True, slots=True)
class GroupAnswer:
    """Of one client group: its drops of these kinds now, and as they would have been."""

    group: str
    connections: int
    now: int
    added: Drops
    prevented: Drops

    @property
    def then(self) -> Drops:
        """How many there would have been."""
        return Drops(
            max(0, self.now - self.prevented.most) + self.added.least,
            max(0, self.now - self.prevented.least) + self.added.most,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for all, and by client group, those that change most first."""

    question: str
    whole: GroupAnswer
    groups: tuple[GroupAnswer, ...]
    sentences: tuple[str, ...]


class Habit(StrEnum):
    """How a client's pauses follow from its Keep Alive, where its pings tell."""

    LATENESS = "lateness"  # some seconds after it, whatever it is
    GROWS = "grows"  # so many times it
    UNKNOWN = "unknown"  # either of these, or its pauses are its own


def habit_of(formulas: Sequence[Formula]) -> Habit:
    """What all formulas that fit a cadence agree on."""
    if not formulas or any(each.by_round_trip for each in formulas):
        return Habit.UNKNOWN
    grows = {each.times is not None for each in formulas}
    return Habit.UNKNOWN if len(grows) > 1 else Habit.GROWS if grows.pop() else Habit.LATENESS


@dataclass(frozen=True, slots=True)
class Known:
    """What other findings tell of a log: cadences of late pings by client group, and the limits of paths."""

    cadences: Mapping[str, Sequence[Formula]] = field(default_factory=dict)
    limits: Sequence[PathLimit] = ()

    @classmethod
    def of(cls, engine: Engine) -> Known:
        """Asked of the log."""
        return cls(habits(engine), limits(engine))

    @property
    def boxed(self) -> str:
        """Condition of the connections that a path's limit ended."""
        return _any(each.condition for each in self.limits)

    @property
    def seen_idle(self) -> str:
        """Of these, the ones whose fatal idle time was seen."""
        return _any(each.condition for each in self.limits if not each.in_silence)

    def unseen(self, keep_alive: int) -> str:
        """And those that died in silence, where pings so far apart may have come before the limit."""
        return _any(each.condition for each in self.limits if each.in_silence and keep_alive < each.fatal_s)


def what_if(engine: Engine, question: str, group: str | None = None, known: Known | None = None) -> Answer:
    """Answer "keep_alive=45" or "window=1.25", of all or of one client group. WhatIfError names what is allowed.

    `known` is what the log says of cadences and paths, where somebody has asked for it already.
    """
    name, value = _read(question)
    whose = f" and {one_of(engine, 'client_group', [group])}" if group is not None else ""
    if name == "window":
        groups = [_group(row) for row in engine.rows(_window(value, whose))]
    else:
        known = known or Known.of(engine)
        rows = engine.rows(_keep_alive(int(value), known, whose))
        groups = [_answer(row, habit_of(known.cadences.get(str(row[0]), ()))) for row in rows]
    whole = _whole(groups)
    changed = tuple(each for each in sorted(groups, key=_change) if each.added.most or each.prevented.most)
    told = _sentences(name, value, whole, len(changed))
    impatient = _impatient(engine, int(value), whose) if name == "keep_alive" else ()
    return Answer(question, whole, changed, (*told, *impatient))


def _impatient(engine: Engine, keep_alive: int, whose: str) -> tuple[str, ...]:
    """Where an answer took longer than that, a client that waits as long for it would have closed instead."""
    slow = f"ping_rtt_max_ms > {1000 * keep_alive} and effective_keep_alive > {keep_alive}"
    (many,) = engine.rows(f"select count(*) from {{closed}} where {_KNOWN}{whose} and {slow}")[0]
    if not many:
        return ()
    return (
        f"In {counted(int(many), 'connection')} an answer to a ping took longer than {keep_alive} s: clients that wait "
        "one Keep Alive for it would have given up, which is not among the drops added.",
    )


def _read(question: str) -> tuple[str, float]:
    name, _, text = question.replace(" ", "").partition("=")
    kind: dict[str, tuple[Callable[[str], float], tuple[float, float]]] = {
        "keep_alive": (int, _KEEP_ALIVES),
        "window": (float, _WINDOWS),
    }
    if name not in kind:
        raise WhatIfError(f"what-if {question!r} is not understood; allowed: {ALLOWED}")
    read, (low, high) = kind[name]
    try:
        value = float(read(text))
    except ValueError:
        raise WhatIfError(f"what-if {question!r}: {text!r} is no number; allowed: {ALLOWED}") from None
    if not low <= value <= high:
        raise WhatIfError(f"what-if {question!r} is out of range; allowed: {ALLOWED}")
    return name, value


def _sum(condition: str, value: str = "1") -> str:
    return f"sum(case when {condition} then {value} else 0 end)"


def _asked(now: str, columns: Iterable[str], whose: str) -> str:
    return (
        f"select client_group, count(*), {_sum(now)}, {', '.join(columns)} from {{closed}} where {_KNOWN}{whose} "
        "group by client_group"
    )


def _window(factor: float, whose: str) -> str:
    """A broker that counts control packets and waits exactly so long: gaps over it are expiries."""
    limit = f"{factor!r} * effective_keep_alive"
    last = f"{_SILENCE} > {limit} and not ({_EXPIRED})"
    spoke = f"late_from_client_after_s is not null and {_SILENCE} + late_from_client_after_s <= {limit}"
    columns = (
        f"{_sum(f'{_GAP} > {limit}')} + {_sum(last)}",
        f"{_sum(f'{_GAP} > {limit}', _LATE_GAPS)} + {_sum(last)}",
        _sum(f"{_EXPIRED} and {spoke}"),
        _sum(f"{_EXPIRED} and ({spoke} or (late_from_client_after_s is null and {_SILENCE} <= {limit}))"),
    )
    return _asked(_EXPIRED, columns, whose)


def _keep_alive(keep_alive: int, known: Known, whose: str) -> str:
    """The same clients with another Keep Alive, brokers waiting 1.5 times.

    Three ways a client may take it: its silences stay, or its lateness does, or its lateness grows with Keep Alive.
    The columns: added by all three, by any, by the second, by the third, and those of `_saved`.
    """
    limit, grace = 1.5 * keep_alive, 0.5 * keep_alive
    too_long = (
        f"{_GAP} > {limit!r} and {_NOT_IN_TIME}",
        f"{_GAP} - effective_keep_alive > {grace!r}",
        f"{_GAP} > 1.5 * effective_keep_alive",
    )
    columns = (
        _sum(_all(too_long)),
        _sum(_any(too_long), _at_most(limit)),
        *(_sum(each, many) for each in too_long[1:] for many in ("1", _LATE_GAPS)),
        *_saved(keep_alive, known),
    )
    return _asked(f"({_EXPIRED}) or ({_CUT}) or {known.boxed}", columns, whose)


def _saved(keep_alive: int, known: Known) -> Iterator[str]:
    """Expiries prevented by all three ways, by any, by the second, by the third; then what a box or an impatient broker
    ended, surely and perhaps.
    """
    limit, grace = 1.5 * keep_alive, 0.5 * keep_alive
    whole = f"({_SILENCE} + coalesce(late_from_client_after_s, 0))"
    in_time = (
        f"{whole} < {limit!r}",
        f"{whole} - effective_keep_alive < {grace!r}",
        f"{whole} < 1.5 * effective_keep_alive",
    )
    spoke = f"{_EXPIRED} and late_from_client_after_s is not null and"
    yield _sum(f"{spoke} {_all(in_time)}")
    yield _sum(f"{spoke} {_any(in_time)}")
    yield from (_sum(f"{spoke} {each}") for each in in_time[1:])
    cut, told = f"(({_CUT}) or {known.seen_idle})", f"({_CUT} and {_TOLD} or {known.seen_idle})"
    due = _due(keep_alive)
    early = f"{_PREMATURE} and {_SILENCE} > {due} and not ({spoke} {_any(in_time)})"
    yield _sum(f"{told} and {_IDLE} > {limit!r} and pingreqs > 0")
    yield _sum(f"({cut} and {_IDLE} > {due}) or {known.unseen(keep_alive)} or ({early})")


def prevented(engine: Engine, keep_alive: int, groups: Sequence[str], known: Known) -> dict[str, Drops]:
    """By client group, the drops that this Keep Alive (s) would have prevented, as `what_if` has them."""
    sql = (
        f"select client_group, {', '.join(_saved(keep_alive, known))} from {{drops}} "
        f"where clean = 0 and {_KNOWN} and {one_of(engine, 'client_group', groups)} group by client_group"
    )
    return {
        str(row[0]): _kept(row[1:], habit_of(known.cadences.get(str(row[0]), ()))) for row in engine.rows(sql)
    }


def _kept(counts: Sequence[object], habit: Habit) -> Drops:
    """Of the columns of `_saved`, by the way its clients take a Keep Alive."""
    every, either, lateness, grows, sure, perhaps = (int(str(each or 0)) for each in counts)
    least, most = {
        Habit.UNKNOWN: (every, either),
        Habit.LATENESS: (lateness, lateness),
        Habit.GROWS: (grows, grows),
    }[habit]
    return _drops(least + sure, most + perhaps)


def _due(keep_alive: int) -> str:
    """When it might ping: some libraries do so at a half or three quarters, and then its longest pause is as short."""
    early = f"pingreqs > 0 and late_gaps = 0 and gap_max_s < effective_keep_alive and not ({_FORGOT})"
    return f"(case when {early} then gap_max_s * {keep_alive} / effective_keep_alive else {keep_alive} end)"


def _all(conditions: Iterable[str]) -> str:
    return f"({' and '.join(f'({each})' for each in conditions)})"


def _any(conditions: Iterable[str]) -> str:
    """Any of them; never, where there are none."""
    return f"({' or '.join(f'({each})' for each in conditions) or '1 = 0'})"


def _at_most(limit_s: float) -> str:
    """As many pauses longer than that as a connection has room and packets for, and at least the late ones."""
    room = f"cast(floor(duration_s / {limit_s!r}) as {{INT}})"
    packets = "coalesce(packets_from_client, 0)"
    fewer = f"(case when {room} < {packets} then {room} else {packets} end)"
    return f"(case when {fewer} > {_LATE_GAPS} then {fewer} else {_LATE_GAPS} end)"


def _group(row: Row) -> GroupAnswer:
    group, connections, now, *counts = row
    least, most, sure, possible = (int(each or 0) for each in counts)
    return GroupAnswer(
        str(group), int(connections), int(now or 0), _drops(least, most), _drops(sure, possible)
    )


def _answer(row: Row, habit: Habit) -> GroupAnswer:
    """By the way its clients take a Keep Alive, where that is known."""
    counts = [int(each or 0) for each in row[3:9]]
    first = {Habit.UNKNOWN: 0, Habit.LATENESS: 2, Habit.GROWS: 4}[habit]
    added = _drops(*counts[first : first + 2])
    return GroupAnswer(str(row[0]), int(row[1]), int(row[2] or 0), added, _kept(row[9:], habit))


def _drops(least: int, most: int) -> Drops:
    return Drops(least, max(least, most))


def _change(answer: GroupAnswer) -> tuple[int, str]:
    return -(answer.added.most + answer.prevented.most), answer.group


def _whole(groups: Sequence[GroupAnswer]) -> GroupAnswer:
    return GroupAnswer(
        "",
        sum(each.connections for each in groups),
        sum(each.now for each in groups),
        sum((each.added for each in groups), Drops()),
        sum((each.prevented for each in groups), Drops()),
    )


def _sentences(name: str, value: float, whole: GroupAnswer, changed: int) -> tuple[str, ...]:
    kinds = "keepalive timeouts" if name == "window" else "keepalive timeouts and idle cuts"
    asked = (
        f"A broker that waits exactly {value:g} x Keep Alive"
        if name == "window"
        else f"Keep Alive {value:g} s for every client"
    )
    return (
        f"{asked} would have prevented {_range(whole.prevented)} of {counted(whole.now, 'drop')} ({kinds}) and added "
        f"{_range(whole.added)}, in {counted(whole.connections, 'connection')}; "
        f"{counted(changed, 'client group')} would notice.",
        "Only the longest silence of a connection is recorded, so these are ranges; clients that always pinged in time "
        "are taken to do so with any Keep Alive, and what one would have done after an ending that did not happen is "
        "not known.",
    )


def _range(drops: Drops) -> str:
    return str(drops.most) if drops.least == drops.most else f"{drops.least} to {drops.most}"

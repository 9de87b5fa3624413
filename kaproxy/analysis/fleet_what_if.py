"""What if all clients had another Keep Alive, or the broker another window: answered from recorded gaps, as ranges.

A closing line keeps a connection's longest survived silence and how many were late, so a count is a range: `least`
is certain if the client kept its silences or its lateness, `most` is possible by either. It may not guess a gap.
Read next: `whatif.py`, which does the same for one connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kaproxy.analysis.findings.asking import one_of
from kaproxy.analysis.store.engine import Engine, Row
from kaproxy.analysis.whatif import Drops
from kaproxy.diagnosis.verdict import Cause
from kaproxy.diagnosis.wording import counted

ALLOWED = "keep_alive=1 to 65535 (seconds), or window=1.1 to 10 (x Keep Alive)"
_KEEP_ALIVES, _WINDOWS = (1, 0xFFFF), (1.1, 10.0)
_EXPIRED = f"cause = '{Cause.KEEP_ALIVE_TIMEOUT}'"
_CUT = f"cause = '{Cause.IDLE_CUT}' and idle_s >= 5"
_KNOWN = "effective_keep_alive > 0 and client_group is not null"
_GAP = "coalesce(gap_max_s, 0)"
_SILENCE = "coalesce(silence_s, 0)"


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


def what_if(engine: Engine, question: str, group: str | None = None) -> Answer:
    """Answer "keep_alive=45" or "window=1.25", of all or of one client group. WhatIfError names what is allowed."""
    name, value = _read(question)
    asked = _window(value) if name == "window" else _keep_alive(int(value))
    whose = f" and {one_of(engine, 'client_group', [group])}" if group is not None else ""
    rows = engine.rows(asked.replace(" group by", f"{whose} group by"))
    groups = sorted((_group(row) for row in rows), key=_change)
    whole = _whole(groups)
    changed = tuple(each for each in groups if each.added.most or each.prevented.most)
    return Answer(question, whole, changed, _sentences(name, value, whole, len(changed)))


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


def _asked(now: str, columns: tuple[str, str, str, str]) -> str:
    return (
        f"select client_group, count(*), {_sum(now)}, {', '.join(columns)} from {{closed}} where {_KNOWN} "
        "group by client_group"
    )


def _window(factor: float) -> str:
    """A broker that counts control packets and waits exactly so long: gaps over it are expiries."""
    limit = f"{factor!r} * effective_keep_alive"
    late = "case when late_gaps > 1 then late_gaps else 1 end"
    last = f"{_SILENCE} > {limit} and not ({_EXPIRED})"
    spoke = f"late_from_client_after_s is not null and {_SILENCE} + late_from_client_after_s <= {limit}"
    return _asked(
        _EXPIRED,
        (
            f"{_sum(f'{_GAP} > {limit}')} + {_sum(last)}",
            f"{_sum(f'{_GAP} > {limit}', late)} + {_sum(last)}",
            _sum(f"{_EXPIRED} and {spoke}"),
            _sum(f"{_EXPIRED} and ({spoke} or (late_from_client_after_s is null and {_SILENCE} <= {limit}))"),
        ),
    )


def _keep_alive(keep_alive: int) -> str:
    """The same clients with another Keep Alive, brokers waiting 1.5 times.

    Three ways a client may take it: its silences stay, or its lateness does, or its lateness grows with Keep Alive.
    """
    limit = 1.5 * keep_alive
    stays = f"{_GAP} > {limit!r}"
    lateness = f"{_GAP} - effective_keep_alive > {0.5 * keep_alive!r}"
    grows = f"{_GAP} > 1.5 * effective_keep_alive"
    whole = f"({_SILENCE} + coalesce(late_from_client_after_s, 0))"
    spoke = "late_from_client_after_s is not null"
    by_silence, by_lateness = f"{whole} < {limit!r}", f"{whole} - effective_keep_alive < {0.5 * keep_alive!r}"
    by_ratio = f"{whole} < 1.5 * effective_keep_alive"
    saved = f"{_EXPIRED} and {spoke} and {by_silence} and {by_lateness} and {by_ratio}"
    before_cut, sure = f"idle_s > {keep_alive}", f"idle_s > {limit!r}"
    return _asked(
        f"({_EXPIRED}) or ({_CUT})",
        (
            _sum(f"{stays} and {lateness} and {grows}"),
            _sum(f"({stays}) or ({lateness}) or ({grows})"),
            _sum(f"({saved}) or ({_CUT} and {sure} and pingreqs > 0)"),
            _sum(
                f"({_EXPIRED} and {spoke} and ({by_silence} or {by_lateness})) or ({_CUT} and {before_cut})"
            ),
        ),
    )


def _group(row: Row) -> GroupAnswer:
    group, connections, now, least, most, sure, possible = row
    return GroupAnswer(
        str(group),
        int(connections),
        int(now or 0),
        Drops(int(least or 0), max(int(least or 0), int(most or 0))),
        Drops(int(sure or 0), max(int(sure or 0), int(possible or 0))),
    )


def _change(answer: GroupAnswer) -> tuple[int, str]:
    return -(answer.added.most + answer.prevented.most), answer.group


def _whole(groups: list[GroupAnswer]) -> GroupAnswer:
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
        "Only the longest silence of a connection is recorded, so these are ranges; what a client would have done "
        "after an ending that did not happen is not known.",
    )


def _range(drops: Drops) -> str:
    return str(drops.most) if drops.least == drops.most else f"{drops.least} to {drops.most}"

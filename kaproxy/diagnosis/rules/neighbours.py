"""What the endings of others tell of this one: the broker went away, a box cut all alike, an age was reached.

Only for endings without a word, and only where kaproxy itself was in time: its own pauses make crowds too.
"""

from __future__ import annotations

from math import exp

from kaproxy.connection.directory import ALIKE_FACTOR, ALIKE_S, NEAR_FACTOR
from kaproxy.connection.evidence import Evidence, Neighbours
from kaproxy.connection.facts import Ending, Side
from kaproxy.diagnosis.limits import EARLY_S, LATE_S, TOLD_LIMIT, matching_limit, outlived_limit
from kaproxy.diagnosis.reading import (
    closed_first,
    established,
    frames_from,
    idle_both_ways,
    keep_alive_of,
    not_taking,
)
from kaproxy.diagnosis.verdict import Cause, Confidence, Finding, RuledOut
from kaproxy.diagnosis.wording import beaten, counted, held, in_all, moment, seconds
from kaproxy.mqtt.codes import PacketType

_LIKELY, _UNCLEAR = Confidence.LIKELY, Confidence.UNCLEAR
#: From so many endings on, and this part of what was open, the broker is gone; from so many on it is likely.
_MOST = 0.8
_CROWD, _LARGE_CROWD = 2, 5
#: A client that has not read for so long (s) may be more than the broker puts up with.
_SLOW_S = 1.0
_VERY_SLOW_S = 10.0
#: Chances that endings are alike for no common reason: too many to say anything, few enough for `likely`, and where
#: nothing else speaks for one.
_SELDOM, _HARDLY, _ALMOST_NEVER = 0.1, 0.01, 0.001
#: So many others where nothing else speaks for a box.
_SEVERAL = 3
#: A packet answered by RST within this time (s) found no connection.
_AT_ONCE_S = 1.0


def restart(evidence: Evidence) -> Finding | None:
    """Most of the broker's connections ended with this one, or its host refuses dials since."""
    others = evidence.neighbours
    if others is None or not closed_first(evidence, Side.BROKER) or not established(evidence):
        return None
    ended, of = others.ended_by_broker, max(others.live, others.ended_by_broker)
    crowd = ended >= _CROWD and ended >= _MOST * of
    if not crowd and not others.dials_refused:
        return None
    told = [f"The broker ended {ended} of {of} connections in that second."] if ended > 1 else []
    if others.dials_refused:
        told.append(f"Its host refused {counted(others.dials_refused, 'dial')} since.")
    return Finding(
        broker_cause(evidence),
        tuple(told),
        _LIKELY if others.dials_refused or ended >= _LARGE_CROWD else _UNCLEAR,
        root="restart",
        ruled_out=_not_in_its_window(evidence),
        would_settle="The broker's log: was it stopped, did it crash, or did its clock step?",
    )


def broker_cause(evidence: Evidence) -> Cause:
    """The cause of a wordless ending by the broker that has no better one."""
    return Cause.BROKER_RESET if evidence.close_how == Ending.RST else Cause.BROKER_CLOSED


def _not_in_its_window(evidence: Evidence) -> tuple[RuledOut, ...]:
    silent_s, low = evidence.silence_counted_s, evidence.limit_low_s
    if silent_s is None or low is None or silent_s >= low:
        return ()
    why = f"{seconds(silent_s)} of silence; the limit is {seconds(low)}"
    return (beaten(Cause.KEEP_ALIVE_TIMEOUT, why),)


def idle_cut(evidence: Evidence) -> Finding | None:
    """Idle both ways for a box's known limit, or for as long as others with another Keep Alive."""
    if not _wordless(evidence):
        return None
    others, idle_s = evidence.neighbours or Neighbours(), evidence.idle_s or 0.0
    limit, told = matching_limit(idle_s), _at_told_limit(evidence)
    chance = by_chance(others.same_idle, others.near_idle, idle_s)
    repeated = others.same_idle >= _TWO and chance <= _HARDLY
    several = others.same_idle_keep_alives > 1 and repeated
    likely = told or (several and (limit is not None or _beyond_chance(others, chance)))
    if not several and not told and not idle_both_ways(evidence):
        return None
    # what comes at the Keep Alive is a peer's timer
    its_own = abs(idle_s - keep_alive_of(evidence)) <= _ITS_OWN_S
    if not several and not told and (its_own or (limit is None and not repeated)):
        return None
    return Finding(
        Cause.IDLE_CUT,
        (
            f"Nothing had passed either way for {seconds(idle_s)}.",
            *(
                (f"{counted(others.same_idle, 'other')} ended after the same time.",)
                if others.same_idle
                else ()
            ),
            *(("That is the idle limit of the path, as configured.",) if told else ()),
            *((f"That is a known limit: {limit.who}.",) if limit else ()),
        ),
        _LIKELY if likely else _UNCLEAR,
        root=limit.root if limit else TOLD_LIMIT if told else None,
        ruled_out=_not_in_its_window(evidence) if closed_first(evidence, Side.BROKER) else (),
        would_settle=_ONE_LIMIT
        if likely
        else f"{_left_alone(evidence)}; the same idle time with another Keep Alive.",
    )


def by_chance(alike: int, near: int, value_s: float) -> float:
    """The chance that so many, or more, of the `near` idle times or ages are as good as this one (s).

    They are taken to lie evenly from 0.8 to 1.25 times this one, those alike left out; twice as many are expected,
    since all may lie on one side (no idle time of a client that pings is longer than its pause).
    """
    if alike < 1 or value_s <= 0:
        return 1.0
    width, span = 2 * max(ALIKE_S, ALIKE_FACTOR * value_s), value_s * (NEAR_FACTOR - 1 / NEAR_FACTOR)
    expected = 2 * (max(0, near - alike) + 1) * width / max(width, span - width)
    term = below = exp(-expected)
    for count in range(1, alike):
        term *= expected / count
        below += term
    return max(0.0, 1.0 - below)


def _beyond_chance(others: Neighbours, chance: float) -> bool:
    """May the length be unknown: are there so many alike that it hardly ever happens by chance?"""
    return others.same_idle >= _SEVERAL and chance <= _ALMOST_NEVER


def _at_told_limit(evidence: Evidence) -> bool:
    """Was it idle for as long as the path's limit, of which the operator has told?"""
    told, idle_s = evidence.path_idle_limit_s, evidence.idle_s
    return told is not None and idle_s is not None and told - EARLY_S <= idle_s <= told + LATE_S


_ITS_OWN_S = 1.0
_ONE_LIMIT = "The idle limits of the boxes on the path."


def _left_alone(evidence: Evidence) -> str:
    return f"Whether the {evidence.closed_by} itself closed (its log)"


def forgotten(evidence: Evidence) -> Finding | None:
    """The first packet after a long pause was answered by RST: something on the way had forgotten the connection.

    Whatever the packet is: one that is not allowed is closed on as well, but seldom by RST, and seldom just then. A
    packet that tells of a reason itself is left to `triggers.py`.
    """
    if not _wordless(evidence) or not closed_first(evidence, Side.BROKER) or evidence.close_how != Ending.RST:
        return None
    sent, received = frames_from(evidence, Side.CLIENT), frames_from(evidence, Side.BROKER)
    last = [each for each in sent if each.ago_s <= _AT_ONCE_S]
    earlier = sent[: len(sent) - len(last)]
    if not last or not earlier or evidence.partial_from_client is not None:
        return None
    if evidence.oddities and last[0].first_byte >> 4 != PacketType.PINGREQ:
        return None
    if max(each.size for each in last) >= max(_LARGE, _LARGER * max(each.size for each in earlier)):
        return None
    first_s, before_s = last[0].ago_s, min(each.ago_s for each in (earlier[-1], *received[-1:]))
    limit = outlived_limit(before_s - first_s)
    if limit is None:
        return None
    return Finding(
        Cause.IDLE_CUT,
        (
            f"The RST came {moment(first_s)} after the first packet in {seconds(before_s - first_s)}.",
            f"A box that forgets idle connections fits ({limit.seconds} s: {limit.who}).",
        ),
        _UNCLEAR,
        root=limit.root,
        would_settle="Whether the broker's host restarted in that pause, or its log has a reason; else the idle limits "
        "on the path.",
    )


#: A packet of so many bytes, and so many times the largest before it, may be one the broker does not take.
_LARGE, _LARGER = 4096, 4
_TWO = 2


def lifetime(evidence: Evidence) -> Finding | None:
    """Others came to the same age, and this one was busy: an age was reached, not an idle limit."""
    others = evidence.neighbours
    if others is None or not others.same_age or not closed_first(evidence, Side.BROKER):
        return None
    idle_s = evidence.idle_s if evidence.idle_s is not None else evidence.duration_s
    if idle_s > evidence.duration_s / 2 or idle_both_ways(evidence):
        return None
    chance = by_chance(others.same_age, others.near_age, evidence.duration_s)
    if chance > _SELDOM:
        return None
    return Finding(
        broker_cause(evidence),
        (
            f"{counted(others.same_age, 'other connection')} ended at the same age, {seconds(evidence.duration_s)}.",
        ),
        _LIKELY if others.same_age > 1 and chance <= _HARDLY else _UNCLEAR,
        root="lifetime_limit",
        ruled_out=(beaten(Cause.IDLE_CUT, f"bytes passed {seconds(idle_s)} before"),),
        would_settle="The end date of the credentials, or the broker's maximum connect time.",
    )


def slow_consumer(evidence: Evidence) -> Finding | None:
    """The client sent in time and did not read for long, so the broker may have given up on it."""
    leg, silent_s = evidence.client_leg, evidence.silence_counted_s
    if not closed_first(evidence, Side.BROKER) or not established(evidence) or not not_taking(leg):
        return None
    if leg.stalled_s < _SLOW_S or silent_s is None or silent_s > (keep_alive_of(evidence) or silent_s):
        return None
    return Finding(
        broker_cause(evidence),
        (f"{held(leg.unsent)} were held for the client, which did not read{in_all(leg.stalled_s)}.",),
        _LIKELY if leg.stalled_now and leg.stalled_s >= _VERY_SLOW_S else _UNCLEAR,
        root="slow_consumer",
        ruled_out=_not_in_its_window(evidence),
        would_settle="The broker's log, and its limits on queues.",
    )


def _wordless(evidence: Evidence) -> bool:
    closed = closed_first(evidence, Side.BROKER) or closed_first(evidence, Side.CLIENT)
    return closed and established(evidence)

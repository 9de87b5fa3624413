"""The broker expired the client: stated by 0x8D, or read from a silence that lies in the broker's window.

A silent expiry is likely at best. Why the client was silent is found in `silence_roots.py`.
"""

from __future__ import annotations

from dataclasses import replace

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Ending, Side
from kaproxy.diagnosis.limits import matching_limit
from kaproxy.diagnosis.profiles import profile_named
from kaproxy.diagnosis.reading import (
    DELAY_MATTERS_S,
    EARLY_TOLERANCE_S,
    LATE_TOLERANCE_S,
    Life,
    backlogged,
    client_life,
    closed_first,
    established,
    idle_both_ways,
    keep_alive_of,
    own_delay,
    readable,
    received_in_silence,
    retransmitting,
    strong_limit_high,
)
from kaproxy.diagnosis.rules.excused import broker_not_reading, cap, capped, unanswered_for_long
from kaproxy.diagnosis.rules.root import Root
from kaproxy.diagnosis.rules.silence_roots import delayed_by_kaproxy, find_root
from kaproxy.diagnosis.verdict import Cause, Confidence, Finding, Owner, RuledOut, weaker
from kaproxy.diagnosis.wording import beaten, counted, seconds, silence

KEEP_ALIVE_TIMEOUT = 0x8D
#: Up to this Keep Alive (s), rounding and one-second ticks of brokers exceed the limit itself.
TOO_SHORT_S = 3


def stated(evidence: Evidence) -> Finding | None:
    """DISCONNECT 0x8D from the broker."""
    if evidence.first_disconnect != "broker" or evidence.disconnect_from_broker != KEEP_ALIVE_TIMEOUT:
        return None
    said = "It gives the reason 0x8D, Keep Alive timeout."
    early = _early_by(evidence)
    if early is not None:
        return _premature(evidence, said, early)
    root = _root(evidence)
    if root.name is not None and not readable(evidence, Side.CLIENT):
        settle = root.would_settle or "The client's log: its bytes could not all be read here."
        root = replace(root, confidence=weaker(root.confidence, Confidence.LIKELY), would_settle=settle)
    return _finding(evidence, root, (said, silence(evidence)), Confidence.SETTLED)


def silent(evidence: Evidence) -> Finding | None:
    """The broker ended it without a word after a silence in its window."""
    if not closed_first(evidence, Side.BROKER) or not established(evidence) or not in_window(evidence):
        return None
    doubt = _doubt(evidence)
    confidence = Confidence.UNCLEAR if doubt else Confidence.LIKELY
    root = _root(evidence)
    because = (silence(evidence), doubt) if doubt else (silence(evidence),)
    return _finding(evidence, root, because, confidence)


def below_a_cap(evidence: Evidence) -> Finding | None:
    """The broker ended it without a word, before its limit, where a broker that lowers Keep Alive untold does."""
    if not closed_first(evidence, Side.BROKER) or not established(evidence) or in_window(evidence):
        return None
    whose = cap(evidence)
    if whose is None:
        return None
    gone = find_root(evidence) if client_life(evidence) is Life.GONE else None
    root = gone if gone is not None and gone.name else capped(evidence, whose)
    boxed = _perhaps_a_box(evidence)
    doubts = (boxed,) if boxed else ()
    sure = Confidence.UNCLEAR if boxed or whose.name != evidence.broker_profile else Confidence.LIKELY
    return _finding(evidence, root, (silence(evidence), *doubts), sure)


def unread(evidence: Evidence) -> Finding | None:
    """The broker reset with PINGREQs unread, the oldest about as old as its window: a silence for the broker only."""
    wait, low, high = evidence.ping_wait_s, evidence.limit_low_s, evidence.limit_high_s
    if (
        not closed_first(evidence, Side.BROKER)
        or not established(evidence)
        or wait is None
        or not evidence.pings_open
    ):
        return None
    held_here = backlogged(evidence.broker_leg)
    if (
        low is None
        or high is None
        or not (held_here or evidence.close_how == Ending.RST)
        or _gone_itself(evidence)
    ):
        return None
    if wait + keep_alive_of(evidence) < low - EARLY_TOLERANCE_S or wait > high + LATE_TOLERANCE_S:
        return None
    root = unanswered_for_long(evidence)
    if root is None or own_delay(evidence) >= DELAY_MATTERS_S:
        return None
    likely = held_here and wait >= low - EARLY_TOLERANCE_S
    because = "It may have taken the client for silent, or have stopped altogether (broker_reset)."
    return _finding(evidence, root, (because,), Confidence.LIKELY if likely else Confidence.UNCLEAR)


def in_window(evidence: Evidence) -> bool:
    """Does the counted silence lie in the broker's window, with what network and kaproxy may add to it?"""
    silent_s, low, high = evidence.silence_counted_s, evidence.limit_low_s, evidence.limit_high_s
    if silent_s is None or low is None or high is None or not keep_alive_of(evidence):
        return False
    late = LATE_TOLERANCE_S + max(own_delay(evidence), _seen_late(evidence))
    return low - EARLY_TOLERANCE_S <= silent_s <= high + late


def _seen_late(evidence: Evidence) -> float:
    """Seconds by which the silence seen here may be longer than the one the broker counted.

    What is held for a broker that does not read reaches it later; and while a client does not read, kaproxy
    does not read the broker, so that its ending, or writes that it counts itself, are seen later.
    """
    held = min(evidence.relay.dwell_max_s, evidence.broker_leg.stalled_s)
    return max(held, evidence.client_leg.stalled_s)


def _early_by(evidence: Evidence) -> float | None:
    """Seconds by which a stated expiry came before the limit, None where it did not or nothing can be said."""
    silent_s, low = evidence.silence_counted_s, evidence.limit_low_s
    if silent_s is None or low is None or not readable(evidence, Side.CLIENT):
        return None
    early = low - silent_s
    return early if early > EARLY_TOLERANCE_S else None


def _premature(evidence: Evidence, said: str, early: float) -> Finding:
    """0x8D before the limit: stated, so the cause is settled; the root is what made it early for the broker."""
    root = _early_root(evidence, early)
    because = (said, silence(evidence), f"That is {seconds(early)} early.")
    return _finding(evidence, root, because, Confidence.SETTLED)


def _early_root(evidence: Evidence, early: float) -> Root:
    delay = own_delay(evidence)
    if delay >= max(early, DELAY_MATTERS_S):
        told = (
            f"kaproxy itself was up to {seconds(delay)} late, so the broker may have seen a longer silence."
        )
        return Root(
            "proxy_delayed", (told,), Confidence.UNCLEAR, would_settle="The same with kaproxy less loaded."
        )
    if retransmitting(evidence.broker_leg):
        lost = "Bytes from the client were not acknowledged by the broker's kernel and sent again."
        return Root(None, (lost,), owner=Owner.PATH, advice="Look at the path from kaproxy to the broker.")
    unread = broker_not_reading(evidence) or unanswered_for_long(evidence)
    if unread is not None:
        return unread
    whose = cap(evidence)
    if whose is not None:
        return capped(evidence, whose)
    return Root("broker_premature", would_settle="The broker's maximum Keep Alive, or a step of its clock.")


def _doubt(evidence: Evidence) -> str | None:
    """Why a silence in the window proves less than usual, as a sentence; None where it does not."""
    if not readable(evidence, Side.CLIENT):
        return "The client's bytes could not all be read; packets may have been missed."
    return _not_surely_that_broker(evidence) or _gone_itself(evidence) or _perhaps_a_box(evidence)


def _gone_itself(evidence: Evidence) -> str | None:
    if evidence.neighbours is None or not evidence.neighbours.dials_refused:
        return None
    return "Its host refused dials just then, so the broker may have stopped (broker_closed/restart)."


def _perhaps_a_box(evidence: Evidence) -> str | None:
    idle_s = evidence.idle_s or 0.0
    limit = matching_limit(idle_s) if idle_both_ways(evidence) else None
    if limit is None:
        return None
    return f"Nothing passed either way for {seconds(idle_s)}; a box cuts there too (idle_cut): {limit.who}."


def _not_surely_that_broker(evidence: Evidence) -> str | None:
    known = profile_named(evidence.broker_profile).known
    keep_alive, high = keep_alive_of(evidence), strong_limit_high(evidence)
    if keep_alive <= TOO_SHORT_S and not known:
        return f"At Keep Alive {keep_alive} s and with the broker unknown, only a stated 0x8D would prove it."
    silent_s = evidence.silence_counted_s
    if not known and high is not None and silent_s is not None and silent_s > high + LATE_TOLERANCE_S:
        return f"Most brokers expire by {seconds(high)}; only a few take longer."
    if high is not None and silent_s is not None and silent_s > high + LATE_TOLERANCE_S:
        return "It fits only with the delays measured here."
    orderly = profile_named(evidence.broker_profile).closes_with == "fin"
    if orderly and evidence.broker_leg.ending is Ending.RST:
        return "This broker closes with FIN, unless it had unread bytes."
    return None


def _root(evidence: Evidence) -> Root:
    return delayed_by_kaproxy(evidence) or find_root(evidence)


def _finding(evidence: Evidence, root: Root, because: tuple[str, ...], confidence: Confidence) -> Finding:
    return Finding(
        Cause.KEEP_ALIVE_TIMEOUT,
        (*because, *root.because),
        weaker(confidence, root.confidence)
        if root.name or confidence is not Confidence.SETTLED
        else confidence,
        root=root.name,
        owner=root.owner,
        advice=root.advice,
        ruled_out=(*_look_alikes(evidence), *root.ruled_out),
        would_settle=root.would_settle or _settled_by(confidence),
    )


def _settled_by(confidence: Confidence) -> str | None:
    if confidence is Confidence.SETTLED:
        return None
    return "A stated 0x8D, or the broker's log."


def _idle_as_long(evidence: Evidence) -> bool:
    """Did nothing pass either way for as good as all of the client's silence?"""
    return (evidence.silence_s or 0.0) - (evidence.idle_s or 0.0) < _AS_LONG_S


_AS_LONG_S = 0.2


def _look_alikes(evidence: Evidence) -> tuple[RuledOut, ...]:
    found = []
    if evidence.taken_over_by is None:
        found.append(beaten(Cause.TAKEOVER, "no rival CONNECT came through kaproxy"))
    received = received_in_silence(evidence)
    if received and not _idle_as_long(evidence):
        sent = counted(received, "packet")
        found.append(beaten(Cause.IDLE_CUT, f"{sent} came meanwhile"))
    return tuple(found)

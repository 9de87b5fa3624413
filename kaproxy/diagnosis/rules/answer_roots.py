"""Why a client saw no PINGRESP: the witnesses are both legs' queues and what their kernels acknowledged.

Findings here are complete but for the sentences on the waiting itself, which `pings.py` puts before them.
"""

from __future__ import annotations

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Ending
from kaproxy.diagnosis.clients import SHORTEST_WAIT_S
from kaproxy.diagnosis.reading import (
    DELAY_MATTERS_S,
    all_acknowledged,
    backlogged,
    came_after,
    not_taking,
    own_delay,
    perhaps_expired_unseen,
    retransmitting,
)
from kaproxy.diagnosis.verdict import Cause, Confidence, Finding, Owner, weaker
from kaproxy.diagnosis.wording import beaten, counted, held, in_all, seconds
from kaproxy.mqtt.codes import PacketType

_SILENT = f"{Cause.PING_TIMEOUT}/broker_silent"
_UNREAD = f"{Cause.PING_TIMEOUT}/response_not_read"
EXPIRED_UNSEEN = "The broker may have expired it before, unseen behind the bytes held."
#: No sane ping timer is shorter, seconds; nor than three times the slowest answer so far.
SANE_LIMIT_S = 1.0
_SANE_ANSWERS = 3.0
#: kaproxy's own delay from this part of the wait on explains all of it.
_WHOLE_WAIT = 0.9
#: An answer that took this long (ms), and about the longest so far, shows a broker that gets slower.
_SLOW_MS = 1000.0
_GROWN = 0.9
#: … and so does one that took this part of what the client waits.
_NEAR = 0.5


def find_root(evidence: Evidence) -> Finding:
    """Of a PINGREQ that is open: the first root that fits, nameless where none does."""
    return (
        _delayed(evidence)
        or _behind_a_backlog(evidence)
        or _impatient(evidence)
        or _path_to_broker(evidence)
        or _slow(evidence)
        or _broker_took_it(evidence)
        or _nameless("Whether the PINGREQ reached the broker's host is not known.")
    )


def read_in_time(evidence: Evidence) -> Finding:
    """Of a PINGREQ that was answered: did the client not read, or is its timer wrong?"""
    backlog = _behind_a_backlog(evidence)
    if backlog is not None:
        return backlog
    if retransmitting(evidence.client_leg):
        return _on_the_way_back(evidence)
    if evidence.client_leg.ending is Ending.RST:
        return Finding(
            Cause.PING_TIMEOUT,
            ("It closed with RST, which may mean that bytes from the broker lay unread.",),
            Confidence.UNCLEAR,
            root="response_not_read",
            would_settle="The client's log: was its reader blocked?",
        )
    return Finding(
        Cause.PING_TIMEOUT,
        ("The PINGRESP had been passed on, and nothing was held back.",),
        Confidence.LIKELY,
        root="client_timer",
        ruled_out=(beaten(_SILENT, "the broker answered"),),
        would_settle="The client's log: what does its ping timer say?",
    )


def _delayed(evidence: Evidence) -> Finding | None:
    """kaproxy's own delay is a good part of the wait."""
    delay, wait = own_delay(evidence), evidence.ping_wait_s or 0.0
    if delay < DELAY_MATTERS_S or delay < wait / 2:
        return None
    return Finding(
        Cause.PING_TIMEOUT,
        (f"kaproxy itself was up to {seconds(delay)} late, which covers much of the wait.",),
        Confidence.LIKELY if delay >= _WHOLE_WAIT * wait else Confidence.UNCLEAR,
        root="proxy_delayed",
        would_settle="The same with kaproxy less loaded: see loop_lag_max_ms and relay_dwell_max_ms.",
    )


def _behind_a_backlog(evidence: Evidence) -> Finding | None:
    """kaproxy holds bytes for the client, so a PINGRESP may be among or behind them."""
    leg = evidence.client_leg
    if not backlogged(leg):
        return None
    if not not_taking(leg):
        return _on_the_way_back(evidence)
    because = f"{held(leg.unsent)} were held here that the client did not take{in_all(leg.stalled_s)}."
    expired = perhaps_expired_unseen(evidence)
    return Finding(
        Cause.PING_TIMEOUT,
        (because, EXPIRED_UNSEEN) if expired else (because,),
        Confidence.UNCLEAR if expired else Confidence.LIKELY,
        root="response_not_read",
        ruled_out=(beaten(_SILENT, "PINGRESP may be behind those bytes"),),
        would_settle="The client: is its reader blocked?",
    )


def _on_the_way_back(evidence: Evidence) -> Finding:
    passed_on = not evidence.pings_open
    among = "the PINGRESP was among them" if passed_on else "PINGRESP may be lost among them"
    return Finding(
        Cause.PING_TIMEOUT,
        (f"Bytes for the client went unacknowledged and were sent again: {among}.",),
        Confidence.LIKELY if passed_on else Confidence.UNCLEAR,
        root="response_lost",
        ruled_out=(beaten(_SILENT, "the broker answered"),) if passed_on else (),
        would_settle="A capture on the client's side.",
    )


def _impatient(evidence: Evidence) -> Finding | None:
    """It gave up before any broker could be expected to answer. Libraries that give up wordlessly wait longer."""
    wait = evidence.ping_wait_s
    sane = max(SANE_LIMIT_S, _SANE_ANSWERS * (evidence.ping_rtt_max_ms or 0.0) / 1000)
    sane = min(sane, SHORTEST_WAIT_S)  # libraries are known for longer waits, however slow the broker
    if wait is None or wait >= sane:
        return None
    return Finding(
        Cause.PING_TIMEOUT,
        (f"It waited less than any sane limit ({seconds(sane)} here).",),
        Confidence.LIKELY,
        root="client_timer",
    )


def _path_to_broker(evidence: Evidence) -> Finding | None:
    """Bytes for the broker are not acknowledged and sent again."""
    leg = evidence.broker_leg
    if not retransmitting(leg):
        return None
    unacked = counted(leg.unacked or 0, "byte")
    return Finding(
        Cause.PING_TIMEOUT,
        (
            f"{unacked} for the broker were not acknowledged by its kernel, after "
            f"{counted(leg.retransmits or leg.backoff or 0, 'retransmission')}.",
        ),
        Confidence.LIKELY,
        root="broker_unreachable",
        ruled_out=(beaten(_SILENT, "its kernel acknowledged nothing"),),
    )


def _slow(evidence: Evidence) -> Finding | None:
    """It answered after the client had gone, or had answered slower and slower."""
    last, slowest = evidence.ping_rtt_last_ms or 0.0, evidence.ping_rtt_max_ms or 0.0
    stated, wait = evidence.first_disconnect == "client", evidence.ping_wait_s or 0.0
    if came_after(evidence, PacketType.PINGRESP):
        because, confidence = "PINGRESP came, after the client had gone.", Confidence.SETTLED
    elif last >= max(_SLOW_MS, _GROWN * slowest) or slowest >= max(_SLOW_MS, _NEAR * 1000 * wait):
        because, confidence = f"An answer before had taken {seconds(slowest / 1000)}.", Confidence.UNCLEAR
    else:
        return None
    return Finding(
        Cause.PING_TIMEOUT,
        (because,),
        confidence if stated else weaker(confidence, Confidence.LIKELY),
        root="broker_slow",
        ruled_out=(beaten(_UNREAD, "nothing was held for it"),),
        would_settle=None
        if confidence is Confidence.SETTLED and stated
        else "The broker's load at this time.",
    )


def _broker_took_it(evidence: Evidence) -> Finding | None:
    """The broker's kernel has everything, or its window is closed: its process is at fault."""
    leg = evidence.broker_leg
    if not_taking(leg):
        because = f"{held(leg.unsent)} for the broker were held here, because it did not read."
    elif all_acknowledged(leg):
        because = "The broker's kernel had acknowledged the PINGREQ, and no PINGRESP came."
    else:
        return None
    quiet = evidence.downlink_idle_s
    wait = evidence.ping_wait_s or 0.0
    talks = " It did send other packets meanwhile." if quiet is not None and quiet < wait else ""
    return Finding(
        Cause.PING_TIMEOUT,
        (because + talks,),
        Confidence.SETTLED,
        root="broker_silent",
        ruled_out=(beaten(_UNREAD, "nothing was held for it"),),
    )


def _nameless(because: str) -> Finding:
    advice = "Look at the broker's load and the path to it at this time."
    return Finding(Cause.PING_TIMEOUT, (because,), Confidence.LIKELY, owner=Owner.NOBODY, advice=advice)

"""Why a client that the broker expired was silent: gone, hung, not reading, late, or never pinging.

The witnesses are what the client did after the broker's ending, what its kernel said to the forwarded FIN,
and how it had pinged before. A root is only named where its nearest look-alike can be told from it.
"""

from __future__ import annotations

from collections.abc import Callable

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Side
from kaproxy.diagnosis.clients import late_pinger
from kaproxy.diagnosis.reading import (
    DELAY_MATTERS_S,
    LATE_TOLERANCE_S,
    Life,
    all_acknowledged,
    client_life,
    keep_alive_of,
    moment_after,
    own_delay,
    readable,
    received_in_silence,
)
from kaproxy.diagnosis.rules.excused import broker_not_reading, server_keep_alive_ignored, upload_starved
from kaproxy.diagnosis.rules.root import Root
from kaproxy.diagnosis.verdict import Cause, Confidence, Owner
from kaproxy.diagnosis.wording import beaten, counted, held, in_all, moment, seconds

_SETTLED, _LIKELY, _UNCLEAR = Confidence.SETTLED, Confidence.LIKELY, Confidence.UNCLEAR
_HUNG = f"{Cause.KEEP_ALIVE_TIMEOUT}/client_hung"
_GONE = f"{Cause.KEEP_ALIVE_TIMEOUT}/client_unreachable"
#: A packet this soon (s) after the broker's ending was merely late; later ones only where Keep Alive is long.
LATE_PACKET_WITHIN_S = 2.0
_FACTOR = 1.5  # 3.1.2-22
#: A gap survived this close (s, or as a part of the limit) to the limit shows a client that pings at it.
CLOSE_SHAVE_S = 0.5
CLOSE_SHAVE_FACTOR = 0.1
#: A client that reads the broker's FIN closes within this time, seconds.
AT_ONCE_S = 0.3


def find_root(evidence: Evidence) -> Root:
    """The first root that fits; always one, though it may be nameless."""
    for look in _LOOKS:
        root = look(evidence)
        if root is not None:
            return root
    return Root(
        None,
        ("What the client's host did is not known.",),
        owner=Owner.NOBODY,
        advice="Look at the client's log around this time.",
    )


def delayed_by_kaproxy(evidence: Evidence) -> Root | None:
    """But for kaproxy's own delay the client may have been in time: no peer is blamed before that is cleared.

    A client that exceeds its Keep Alive by more than that delay is late on its own account (3.1.2-20).
    """
    delay, silent_s, keep_alive = (
        own_delay(evidence),
        evidence.silence_counted_s or 0.0,
        keep_alive_of(evidence),
    )
    if delay < DELAY_MATTERS_S or silent_s - delay > keep_alive:
        return None
    return Root(
        "proxy_delayed",
        (f"kaproxy itself was up to {seconds(delay)} late, which covers the lateness.",),
        _LIKELY
        if delay >= keep_alive
        else _UNCLEAR,  # within a Keep Alive any client in time has sent something
        would_settle="The same with kaproxy less loaded: see loop_lag_max_ms and relay_dwell_max_ms.",
    )


def _how_sure(evidence: Evidence, delay: float) -> Confidence:
    """Where kaproxy was late as well: had the client been late before, by more than that?"""
    gap_max = evidence.gap_max_s
    habit = evidence.late_gaps and gap_max is not None and gap_max - delay > keep_alive_of(evidence)
    return _LIKELY if habit else _UNCLEAR


def _came_late(evidence: Evidence) -> Root | None:
    """A control packet of the client arrived just after the broker's ending."""
    late, keep_alive = evidence.late_from_client, keep_alive_of(evidence)
    if late is None or late.packet == "DISCONNECT":
        return None
    if late.after_s > max(LATE_PACKET_WITHIN_S, keep_alive / 2):
        return None
    gap = (evidence.silence_s or 0.0) + late.after_s
    delay = own_delay(evidence)
    helped = delay >= max(DELAY_MATTERS_S, late.after_s)
    tipped = (f"kaproxy itself was up to {seconds(delay)} late, which may have tipped it.",) if helped else ()
    return Root(
        "pinged_late",
        (_how_late(evidence, late.packet, late.after_s, gap), *_habit(evidence, gap), *tipped),
        _how_sure(evidence, delay) if helped else _SETTLED,
        ruled_out=(beaten(_HUNG, "its loop sent a packet"),),
        would_settle="The same with kaproxy less loaded." if helped else None,
    )


def _how_late(evidence: Evidence, packet: str, after_s: float, gap: float) -> str:
    when = f"{moment(after_s)} after" if after_s >= 0 else f"{moment(-after_s)} before, crossing"
    beyond_s = gap - _FACTOR * keep_alive_of(evidence)
    beyond = f", {moment(beyond_s)} beyond 1.5 x Keep Alive" if beyond_s >= 0 else ""
    return f"Its {packet} came {when} that{beyond}."


def _habit(evidence: Evidence, gap: float) -> tuple[str, ...]:
    """How it had pinged before, and which library is known for such a gap."""
    told = []
    if evidence.late_gaps and evidence.gap_max_s is not None:
        gaps = counted(evidence.late_gaps, "late gap")
        told.append(f"{gaps} survived before, up to {seconds(evidence.gap_max_s)}.")
    keep_alive = keep_alive_of(evidence)
    library = late_pinger(keep_alive, gap) or late_pinger(keep_alive, evidence.gap_max_s or 0.0)
    if library is not None:
        told.append(f"{library} pings like this.")
    return tuple(told)


def _close_shave(evidence: Evidence) -> Root | None:
    """It closed before its late ping could leave, but it had pinged at the limit before."""
    low, gap_max = evidence.limit_low_s, evidence.gap_max_s
    if client_life(evidence) is not Life.REACTED or not evidence.pingreqs or low is None or gap_max is None:
        return None
    margin = low - gap_max
    if not evidence.late_gaps or margin > max(CLOSE_SHAVE_S, CLOSE_SHAVE_FACTOR * low):
        return None
    left = f"{seconds(margin)} to spare" if margin >= 0 else f"{seconds(-margin)} beyond the limit"
    return Root(
        "pinged_late",
        (f"It had come this close before: {seconds(gap_max)}, {left}.", *_habit(evidence, gap_max)),
        _LIKELY,
        ruled_out=(beaten(_HUNG, "it closed in its turn"),),
        would_settle="A PINGREQ that comes after the broker's close.",
    )


def _missed_tick(evidence: Evidence) -> Root | None:
    """It closed at once where the tick of a library known for late pings falls, and had been late before."""
    silent_s, after_s = evidence.silence_s or 0.0, moment_after(evidence, evidence.client_leg)
    library = late_pinger(keep_alive_of(evidence), silent_s)
    if (
        library is None
        or not evidence.late_gaps
        or not evidence.pingreqs
        or client_life(evidence) is not Life.REACTED
    ):
        return None
    if after_s is None or after_s > AT_ONCE_S:
        return None
    return Root(
        "pinged_late",
        (
            f"It closed {moment(max(0.0, after_s))} after that, and {library} pings after just such a silence.",
        ),
        ruled_out=(beaten(_HUNG, "it closed in its turn, at once"),),
        would_settle="A PINGREQ that comes after the broker's close.",
    )


def _read_on(evidence: Evidence) -> Root | None:
    """The broker's ending stood behind bytes that the client took late, so it was seen late itself."""
    silent_s, high, stalled_s = (
        evidence.silence_counted_s,
        evidence.limit_high_s,
        evidence.client_leg.stalled_s,
    )
    if silent_s is None or high is None or silent_s <= high + LATE_TOLERANCE_S:
        return None
    if silent_s - stalled_s > high + LATE_TOLERANCE_S:
        return None
    return Root(
        "client_not_reading",
        (
            f"The client did not read for {seconds(stalled_s)} in all, and what the broker sends is seen as late.",
        ),
        _UNCLEAR,
        would_settle="The broker's log: when did it close?",
    )


def _not_reading(evidence: Evidence) -> Root | None:
    """Bytes are held for it because it does not take them."""
    if client_life(evidence) is not Life.BLOCKED:
        return None
    leg = evidence.client_leg
    sure = leg.window == 0 or (leg.unacked == 0 and leg.stalled_now)
    return Root(
        "client_not_reading",
        (
            f"{held(leg.unsent)} for the client could not be passed on: it did not read{in_all(leg.stalled_s)}.",
        ),
        _SETTLED if sure else _LIKELY,
        ruled_out=(beaten(_GONE, "nothing sent to it had to be sent again"),),
    )


def _gone(evidence: Evidence) -> Root | None:
    """Not even its kernel answers."""
    if client_life(evidence) is not Life.GONE:
        return None
    leg = evidence.client_leg
    facts = []
    if leg.fin_acked is False:
        facts.append("did not acknowledge the FIN passed on")
    if leg.retransmits:
        facts.append(f"left {counted(leg.retransmits, 'retransmission')} unanswered")
    if leg.ending is not None:
        facts.append(f"was given up by TCP ({leg.ending.value})")
    if not facts:
        facts.append(f"left {counted(leg.unacked or 0, 'byte')} unacknowledged")
    several = len(facts) > 1
    return Root(
        "client_unreachable",
        (f"The client's host {' and '.join(facts)}.",),
        _SETTLED if several else _LIKELY,
        ruled_out=(beaten(_HUNG, "a hung client's kernel still acknowledges"),),
        would_settle=None if several else "Retransmissions as well as an unacknowledged FIN.",
    )


def _fed(evidence: Evidence) -> Root | None:
    """It received all through its silence, and took what it received."""
    gap, received = evidence.downlink_gap_s, received_in_silence(evidence)
    if not received or gap is None or gap >= keep_alive_of(evidence) or not readable(evidence, Side.CLIENT):
        return None
    if not all_acknowledged(evidence.client_leg):
        return None
    sent = counted(received, "packet")
    because = (
        f"The broker sent {sent} meanwhile, at most {seconds(gap)} apart, and the client's kernel took them.",
    )
    if client_life(evidence) is not Life.REACTED:
        return _hung_or(evidence, "receive_resets_ping", because)
    return Root(
        "receive_resets_ping",
        (*because, _closed_after(evidence)),
        ruled_out=(beaten(_HUNG, "it closed in its turn"),),
        would_settle="A PINGREQ once it receives nothing.",
    )


def _unpinging(evidence: Evidence) -> Root | None:
    """It has never pinged, and had reason to."""
    idle = evidence.downlink_gap_s
    if (
        not readable(evidence, Side.CLIENT)
        or evidence.pingreqs
        or (idle is not None and idle <= keep_alive_of(evidence))
    ):
        return None
    because = ("It sent no PINGREQ in all its life.",)
    life = client_life(evidence)
    late = late_pinger(keep_alive_of(evidence), evidence.silence_s or 0.0)
    if life is Life.KERNEL:
        return _hung_or(evidence, "never_pinged", because)
    if life is not Life.REACTED:
        return None
    due = (f"The first one of {late} would have been due just then (pinged_late).",) if late else ()
    return Root(
        "never_pinged",
        (*because, _closed_after(evidence), *due),
        _SETTLED if late is None else _UNCLEAR,
        ruled_out=(beaten(_HUNG, "it closed in its turn"),),
    )


def _hung(evidence: Evidence) -> Root | None:
    """Its kernel answers, it used to ping, and it does nothing."""
    if client_life(evidence) is not Life.KERNEL:
        return None
    return Root(
        "client_hung",
        (
            "Its kernel acknowledged the FIN passed on, but it neither sent nor closed.",
            f"It had sent {counted(evidence.pingreqs, 'PINGREQ')} before.",
        ),
        ruled_out=(beaten(_GONE, "its kernel acknowledged the FIN"),),
        would_settle="The client's process: does its MQTT loop run?",
    )


def _hung_or(evidence: Evidence, other: str, because: tuple[str, ...]) -> Root | None:
    """Between a hung client and one that does not ping on principle: both named, neither blamed."""
    if client_life(evidence) is not Life.KERNEL:
        return None
    return Root(
        None,
        (*because, f"It did not react to the close, so it is client_hung or {other}."),
        _UNCLEAR,
        owner=Owner.CLIENT_APP,
        ruled_out=(beaten(_GONE, "its kernel acknowledged the FIN"),),
        would_settle="The client's process.",
        advice="See whether the client's MQTT loop runs and calls its ping function.",
    )


def _alive(evidence: Evidence) -> Root | None:
    """Its loop runs and used to ping; why it did not this time is not seen."""
    life = client_life(evidence)
    if life is Life.RESET:
        because = (
            "It answered with RST: it closed with bytes unread, or its host had forgotten the connection."
        )
    elif life is Life.REACTED:
        because = _closed_after(evidence)
    else:
        return None
    return Root(
        None,
        (because, f"It had sent {counted(evidence.pingreqs, 'PINGREQ')}; why none came in time is not seen."),
        owner=Owner.CLIENT_APP,
        ruled_out=(beaten(_GONE, "it answered"),),
        would_settle="The client's log around this time.",
        advice="Look at what the client did in its silence.",
    )


def _closed_after(evidence: Evidence) -> str:
    after_s = moment_after(evidence, evidence.client_leg)
    if after_s is None or after_s <= 0:
        return "It closed in its turn."
    return f"It closed {moment(after_s)} after the broker did."


_LOOKS: tuple[Callable[[Evidence], Root | None], ...] = (
    upload_starved,
    broker_not_reading,
    server_keep_alive_ignored,
    _read_on,
    _came_late,
    _not_reading,
    _gone,
    _close_shave,
    _missed_tick,
    _fed,
    _unpinging,
    _hung,
    _alive,
)

"""A repetition in words: what drops how often, which clock it follows, whose time that may be, what would settle it.

It may not know how it was found. Read next: `periods.py`, which finds, and `kaproxy/analysis/constants.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaproxy.analysis.constants import Clock, KnownTime, known
from kaproxy.analysis.findings.asking import named, percent
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.whatif import duration
from kaproxy.diagnosis.verdict import Cause, Confidence, Owner
from kaproxy.diagnosis.wording import counted


@dataclass(frozen=True, slots=True)
class Repeats:
    """Drops that repeat. `subject`: a fleet or client, "" for all; `of`: drops of that kind it has in all."""

    subject: str
    group: str
    clock: Clock
    period_s: float
    drops: int
    of: int
    condition: str  # SQL of its connections
    confidence: Confidence
    either: bool  # age or wall clock, and it cannot be told which
    clients: int
    spread_s: float
    cause: tuple[str, str | None]
    first_us: int | None = None
    last_us: int | None = None
    phase_min: float | None = None
    numbers: Mapping[str, object] = field(default_factory=dict)

    @property
    def fits(self) -> tuple[KnownTime, ...]:
        """Known times it matches, on its clock (on both where it cannot be told)."""
        found = known(self.clock, self.period_s)
        return (*found, *known(Clock.WALL, self.period_s)) if self.either else found


def told(repeats: Repeats, behind: tuple[str, ...]) -> Finding:
    """The finding; `behind`: identifiers of its connections."""
    return Finding(
        kind="period",
        title=_title(repeats),
        owner=_owner(repeats),
        confidence=repeats.confidence,
        advice=_advice(repeats),
        basis=_basis(repeats),
        drops=repeats.drops,
        subject=repeats.subject,
        numbers=_numbers(repeats),
        connections=behind,
        first_us=repeats.first_us,
        last_us=repeats.last_us,
    )


def _title(repeats: Repeats) -> str:
    who = repeats.subject or "Everybody"
    length = duration(repeats.period_s)
    if repeats.either:
        text = (
            f"{who} drops every {length}: at that age or by the wall clock, which cannot be told apart here"
        )
    elif repeats.clock is Clock.CONNECT:
        text = f"{who} drops {length} after connecting, whatever the time of day and however busy"
    elif repeats.clock is Clock.WALL:
        own = (
            "on a schedule, each client at a time of its own"
            if repeats.phase_min is None
            else "by the wall clock"
        )
        text = f"{who} drops every {length} {own}{_phase(repeats)}"
    else:
        since = "anything was sent" if repeats.clock is Clock.LAST_BYTE else "its last control packet"
        text = f"{who} drops {length} after {since}, whatever its Keep Alive"
    return f"{text}; that fits {repeats.fits[0].who}" if repeats.fits else text


def _phase(repeats: Repeats) -> str:
    """ ", at minute 3 of the hour"; nothing for periods that do not fit into hours or days."""
    if repeats.phase_min is None:
        return ""
    period, phase = round(repeats.period_s / 60), int(repeats.phase_min)
    if period == _DAY_MIN:
        return f", at {phase // 60:02}:{phase % 60:02} UTC"
    if period <= _HOUR_MIN and _HOUR_MIN % period == 0:
        return (
            f", at minute {', '.join(str(minute) for minute in range(phase % period, _HOUR_MIN, period)[:4])}"
        )
    return ""


_DAY_MIN, _HOUR_MIN = 1440, 60


def _owner(repeats: Repeats) -> Owner:
    if repeats.clock in (Clock.LAST_BYTE, Clock.LAST_PACKET):
        return Owner.PATH if repeats.clock is Clock.LAST_BYTE else Owner.BROKER
    return Owner.OPERATOR


def _advice(repeats: Repeats) -> str:
    if repeats.cause[0] == Cause.TAKEOVER:
        return (
            "Look for the rival that connects on this schedule, and give it a client identifier of its own."
        )
    if repeats.either:
        return "Let one of these clients connect at another time, and see whether its end moves with it."
    if repeats.clock is Clock.CONNECT:
        return "Look for what ends after that time: credentials, a lease, the broker's maximum age; renew it earlier."
    if repeats.clock is Clock.WALL:
        return "See what runs at those times on the broker's host, the network and the clients: jobs, reloads, backups."
    return f"A Keep Alive of at most {int(repeats.period_s / 1.5)} s, or raise that limit."


_SAME = {
    Clock.CONNECT: "their ages differ by about {}, their ends do not keep to hour or day",
    Clock.WALL: "their ends lie within about {} of one phase",
    Clock.LAST_BYTE: "their idle times differ by about {}",
    Clock.LAST_PACKET: "their silences differ by about {}",
}
_SETTLES = {
    Clock.CONNECT: "The end date of the credentials or the lease would settle it.",
    Clock.WALL: "The schedule of jobs would settle it.",
    Clock.LAST_BYTE: "The idle limits on the path would settle it.",
    Clock.LAST_PACKET: "The broker's limits would settle it.",
}


def _basis(repeats: Repeats) -> str:
    who = f"{counted(repeats.drops, 'drop')} of {counted(repeats.clients, 'client')}"
    share = (
        f", {percent(repeats.drops, repeats.of)} of those that could" if repeats.of > repeats.drops else ""
    )
    if repeats.either:
        return (
            f"{who}{share}: they began together and ended together, so age and wall clock coincide. One that "
            "connected at another time would settle it."
        )
    same = _SAME[repeats.clock].format(duration(max(0.1, round(repeats.spread_s, 1))))
    others = "; ".join(row.who for row in repeats.fits[1:3])
    also = f" It fits also: {others}." if others else ""
    return f"{who}{share}: {same}. Mostly {named(*repeats.cause)}.{also} {_SETTLES[repeats.clock]}"


def _numbers(repeats: Repeats) -> dict[str, object]:
    return {
        "clock": "unclear" if repeats.either else str(repeats.clock),
        "period_s": round(repeats.period_s, 1),
        "spread_s": round(repeats.spread_s, 2),
        "clients": repeats.clients,
        "drops": repeats.drops,
        "share": round(repeats.drops / repeats.of, 4) if repeats.of else 0.0,
        "phase_min": repeats.phase_min,
        "cause": repeats.cause[0],
        "root": repeats.cause[1],
        "fits": [row.who for row in repeats.fits],
        "known_s": [row.low_s for row in repeats.fits],
        **repeats.numbers,
    }

"""What if: how many recorded silences another broker would not have borne, and which Keep Alive would have done.

Arithmetic over what the log has, told with what it has not: a connection's line keeps its longest survived silence
and how many were late, the flight recorder the last ones, a warning some others. So a count is a range. It may not
guess a silence.
Read next: `kaproxy/connection/keepalive.py` for the window of a broker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import floor

from kaproxy.analysis.story import Connection, Said, Warned
from kaproxy.analysis.timeline import client_gaps
from kaproxy.connection.evidence import Evidence
from kaproxy.connection.keepalive import Window
from kaproxy.diagnosis import Cause
from kaproxy.diagnosis.profiles import profile_named
from kaproxy.diagnosis.reading import Life, client_life
from kaproxy.diagnosis.wording import counted, seconds

LATE = "keep_alive.late"
#: Brokers told of, as multiples of Keep Alive: stricter than the standard, and exactly its 1.5.
FACTORS = (1.25, 1.5)
_LARGEST_KEEP_ALIVE = 0xFFFF
_MARGIN = 0.75


@dataclass(frozen=True, slots=True)
class Drops:
    """How often a broker would have expired: `least` is certain, `most` is possible."""

    least: int = 0
    most: int = 0

    def __add__(self, other: Drops) -> Drops:
        return Drops(self.least + other.least, self.most + other.most)

    @property
    def words(self) -> str:
        """ "3 times", "3 to 7 times", "not once"."""
        if self.most == 0:
            return "not once"
        return (
            f"{self.least} to {counted(self.most, 'time')}"
            if self.most > self.least
            else counted(self.most, "time")
        )


def drops(connection: Connection, factor: float) -> Drops:
    """Expiries of a broker that counts control packets and waits exactly `factor` (1.1 or more) x Keep Alive.

    Of a connection without a closing line, only those that its warnings tell of.
    """
    evidence = connection.evidence
    if evidence is None:
        known = sum(gap > factor * keep_alive for gap, keep_alive in _late_gaps(connection.warnings))
        return Drops(known, known)
    limit = factor * (evidence.effective_keep_alive or 0)
    if not limit:
        return Drops()
    last = int((evidence.silence_s or 0.0) > limit)
    return survived(evidence, connection.warnings, limit) + Drops(last, last)


def survived(evidence: Evidence, warnings: Sequence[Warned], limit_s: float) -> Drops:
    """Silences over `limit_s` that the connection survived.

    None where the longest is shorter. Else those that are recorded one by one are certain, and no more are
    possible than were counted late.
    """
    if evidence.gap_max_s is None or evidence.gap_max_s <= limit_s:
        return Drops()
    recorded = client_gaps(evidence.frames)
    in_frames = sum(gap > limit_s for _, gap in recorded)
    earlier = _before_frames(evidence, warnings)
    least = max(1, in_frames + sum(gap > limit_s for gap, _ in _late_gaps(earlier)))
    return Drops(least, max(least, evidence.late_gaps))


def _before_frames(evidence: Evidence, warnings: Sequence[Warned]) -> list[Warned]:
    """Warnings of silences that ended before the flight recorder's first entry of the client, or with it."""
    times = [frame.ago_s for frame in evidence.frames if frame.from_client]
    if not times:
        return list(warnings)
    first = evidence.origin.opened_at + evidence.duration_s - times[0]
    until = first + (evidence.effective_keep_alive or 0) / 2
    return [each for each in warnings if each.at is not None and each.at < until]


def _late_gaps(warnings: Sequence[Warned]) -> Iterator[tuple[float, int]]:
    for each in warnings:
        gap, keep_alive = each.fields.get("gap_s"), each.fields.get("keep_alive")
        if each.event == LATE and isinstance(gap, int | float) and isinstance(keep_alive, int):
            yield float(gap), keep_alive


def keep_alive_for(window: Window, silence_s: float) -> int | None:
    """The smallest Keep Alive (s) at which a broker with this window bears the silence; None: none does."""
    for keep_alive in range(max(1, floor(silence_s / 1.5) - 1), _LARGEST_KEEP_ALIVE + 1):
        limits = window.limits(keep_alive)
        if limits is None or limits[0] > silence_s:
            return keep_alive if limits else None
    return None


def what_if(chosen: Connection, connections: Sequence[Connection]) -> list[str]:
    """The what-ifs of a connection, and of all that are known of its client, as sentences."""
    if chosen.closing is None or chosen.evidence is None:
        return list(_other_brokers(connections))
    told = _other_keep_alive(chosen.evidence, chosen.closing.said)
    return [*([told] if told else []), *_other_brokers(connections)]


def _other_keep_alive(evidence: Evidence, said: Said) -> str | None:
    if evidence.effective_keep_alive is None:
        return None
    if evidence.effective_keep_alive == 0:
        return "Keep Alive was 0, so no broker would have expired it, and none would have noticed it gone."
    if said.cause == Cause.KEEP_ALIVE_TIMEOUT:
        return _longer(evidence)
    if said.cause == Cause.IDLE_CUT:
        return _shorter(evidence)
    if said.cause == Cause.PING_TIMEOUT:
        return _more_patience(evidence)
    return _no_part(evidence)


def _longer(evidence: Evidence) -> str:
    """A larger Keep Alive: it helps where the client spoke again, and never where it did not."""
    silence = evidence.silence_counted_s if evidence.silence_counted_s is not None else evidence.silence_s
    if silence is None:
        return "How long the client had been silent is not recorded, so no other Keep Alive can be tried."
    late = evidence.late_from_client
    life = client_life(evidence)
    if late is None and life in (Life.GONE, Life.KERNEL, Life.BLOCKED):
        return (
            f"No Keep Alive is known to have kept it: nothing more came from the client after {seconds(silence)}, so "
            "a larger one would only have dropped it later, and a smaller one sooner."
        )
    whole = silence + max(0.0, late.after_s if late else 0.0)
    needed = max(whole, evidence.gap_max_s or 0.0)
    enough = keep_alive_for(profile_named(evidence.broker_profile).window, needed)
    if enough is None or enough <= (evidence.effective_keep_alive or 0):
        return "No other Keep Alive would have changed this, by what is recorded."
    if late is None:
        return (
            f"With Keep Alive {enough} in force it would still have stood then; whether the client would "
            "have spoken in time after that is not recorded."
        )
    habit = ""
    if evidence.late_gaps:
        many = counted(evidence.late_gaps, "time")
        habit = (
            f" It was late {many} before: a library whose pings follow the Keep Alive stays late with any."
        )
    return (
        f"With Keep Alive {enough} or more in force this would not have happened, had its silences been as long as "
        f"recorded: its {late.packet} came after {seconds(whole)}.{habit}"
    )


def _shorter(evidence: Evidence) -> str:
    idle = evidence.idle_s
    if idle is None:
        return "How long the connection had been idle is not recorded, so no other Keep Alive can be tried."
    keep_alive = floor(_MARGIN * idle)
    if keep_alive < 1 or keep_alive >= (evidence.effective_keep_alive or 0):
        return f"A smaller Keep Alive is not known to help: it was cut after {seconds(idle)} idle."
    habit = (
        "it never pinged late here"
        if not evidence.late_gaps
        else "provided it pings in time, which it did not always"
    )
    return (
        f"With Keep Alive {keep_alive} this would not have happened, if the client pings by it ({habit}): it was cut "
        f"after {seconds(idle)} idle."
    )


def _more_patience(evidence: Evidence) -> str:
    wait, late = evidence.ping_wait_s, evidence.late_from_broker
    if wait is None:
        return (
            "No PINGREQ was unanswered at the first ending: more patience for PINGRESP is not known to help."
        )
    if late is not None and late.packet == "PINGRESP":
        return (
            f"With a ping timeout above {seconds(wait + max(0.0, late.after_s))} this would not have happened: the "
            f"PINGRESP came {seconds(abs(late.after_s))} after the first ending."
        )
    longest = evidence.ping_rtt_max_ms
    earlier = f" The slowest one before took {longest:g} ms." if longest is not None else ""
    return (
        f"No PINGRESP came in {seconds(wait)} nor afterwards, so how much patience would have been enough is not "
        f"recorded.{earlier}"
    )


def _no_part(evidence: Evidence) -> str | None:
    silence, low = evidence.silence_s, evidence.limit_low_s
    if silence is None or low is None or silence > low:
        return None
    return (
        f"Keep Alive had no part in this: the client had been silent for {seconds(silence)}, and the broker waits at "
        f"least {seconds(low)}."
    )


def _other_brokers(connections: Sequence[Connection]) -> Iterator[str]:
    """What stricter brokers would have done, over all connections, and what that does not know."""
    if not any(_keep_alive_of(each) for each in connections):
        return
    many = counted(len(connections), "connection")
    basis = f"by the silences between its control packets in {many} over {_span(connections)}"
    first, second = (_total(connections, factor) for factor in FACTORS)
    strict, standard = (f"{factor:g} x" for factor in FACTORS)
    if first.most == 0:
        told = f"Not even a broker that waits exactly {strict} Keep Alive would have dropped it, {basis}."
    else:
        told = (
            f"A broker that waits exactly {strict} Keep Alive would have dropped it {first.words}, one at exactly "
            f"{standard} {second.words}, {basis}."
        )
    yield f"{told}{_not_known(connections, exact=first.least == first.most and second.least == second.most)}"


def _total(connections: Sequence[Connection], factor: float) -> Drops:
    return sum((drops(each, factor) for each in connections), Drops())


def _not_known(connections: Sequence[Connection], *, exact: bool) -> str:
    """What is missing from a count."""
    unclosed = sum(each.evidence is None for each in connections)
    lacking = [] if exact else ["Not every silence is recorded one by one"]
    if unclosed:
        lacking.append(
            f"{counted(unclosed, 'connection')} without a readable closing line: of it only warnings are counted"
        )
    return f" {'; '.join(lacking)}." if lacking else ""


def _keep_alive_of(connection: Connection) -> int:
    if connection.evidence is not None:
        return connection.evidence.effective_keep_alive or 0
    opened = (connection.opened or {}).get("effective_keep_alive")
    return opened if isinstance(opened, int) else 0


def _span(connections: Sequence[Connection]) -> str:
    """From the first accept to the last ending that is known."""
    known = [each.evidence for each in connections if each.evidence is not None]
    starts = [each.origin.opened_at for each in known]
    ends = [each.ended_at for each in connections if each.ended_at]
    length = max(ends) - min(starts) if starts and ends else 0.0
    return duration(length) if length > 0 else "an unknown time"


def duration(value_s: float) -> str:
    """A length of time for people: "93.2 s", "52 min", "3.4 h", "12 d"."""
    for unit, size, upto in (("s", 1.0, 600.0), ("min", 60.0, 7200.0), ("h", 3600.0, 172800.0)):
        if value_s < upto:
            return f"{value_s / size:.4g} {unit}" if unit != "min" else f"{value_s / size:.0f} min"
    return f"{value_s / 86400:.1f} d"

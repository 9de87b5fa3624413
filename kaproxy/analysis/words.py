"""What the story's parts are called: packets, legs, warnings, kaproxy's own delay, moments and numbers.

Facts in, short English out, for one connection. It may not know a screen, and it judges nothing: whether kaproxy is
exonerated follows from the thresholds of `kaproxy/diagnosis/reading.py`.
Read next: `ticket.py`, which makes one paragraph of it all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from kaproxy.analysis.story import Said
from kaproxy.connection.evidence import Evidence, Frame
from kaproxy.connection.facts import Ending, LegFacts
from kaproxy.diagnosis import wording
from kaproxy.diagnosis.libraries import hint
from kaproxy.diagnosis.profiles import profile_named
from kaproxy.diagnosis.reading import DELAY_MATTERS_S, own_delay
from kaproxy.diagnosis.verdict import Owner
from kaproxy.diagnosis.wording import counted, seconds
from kaproxy.mqtt.codes import PACKET_NAMES, PacketType

#: A leg's ending, as something its peer did.
ENDINGS: dict[str, str] = {
    Ending.FIN: "closed its leg (FIN)",
    Ending.RST: "reset its leg (RST)",
    Ending.TIMED_OUT: "no longer answered TCP (timed out)",
    Ending.UNREACHABLE: "could not be reached",
    Ending.REFUSED: "refused the dial",
    Ending.LOCAL: "leg ended by kaproxy",
}


def printable(text: str) -> str:
    """Text with every control, format or surrogate character escaped as in a Python string."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def utc(moment: float, *, spec: str = "milliseconds") -> str:
    """Seconds since the epoch in UTC: "2026-05-01T12:00:00.250Z"."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec=spec).replace("+00:00", "Z")


def packet_type(frame: Frame) -> str:
    """The standard's name of the control packet."""
    return PACKET_NAMES[frame.first_byte >> 4]


def packet(frame: Frame, answer: Frame | None = None) -> str:
    """A control packet, and the other peer's answer: "client PINGREQ, answered in 2 ms"."""
    text = f"{'client' if frame.from_client else 'broker'} {packet_type(frame)}"
    if frame.first_byte >> 4 == PacketType.PUBLISH:
        text += f" QoS {frame.first_byte >> 1 & 3}, {frame.size} B"
    if frame.count > 1:
        text += f", {frame.count} at once"
    if answer is not None:
        text += _answered(frame, answer)
    return text


def _answered(frame: Frame, answer: Frame) -> str:
    """How soon, as far as that is recorded: times over 100 s ago are kept to a tenth of a second."""
    took = max(0.0, frame.ago_s - answer.ago_s)
    if frame.ago_s >= _ROUNDED_BEFORE_S and took < 1.0:
        return ", answered"
    return f", answered in {took * 1000:.0f} ms" if took < 1.0 else f", answered in {seconds(took)}"


_ROUNDED_BEFORE_S = 100.0


_NOT_NUMBERS = {"timestamp", "level", "event", "schema", "worker", "conn_id", "client_id", "client_addr"}
_UNITS = {"_s": " s", "_ms": " ms"}


def warning(line: Mapping[str, Any]) -> str:
    """A warning's numbers: "gap 15.002 s, margin -0.002 s, late gaps 3"; any event, also unknown ones."""
    told = [_named(name, value) for name, value in line.items() if _tells(name, value)]
    return printable(", ".join(told) or "no numbers")


def _tells(name: str, value: object) -> bool:
    plain = isinstance(value, str | int | float) and name not in _NOT_NUMBERS
    return plain and name not in ("keep_alive", "explanation") and not (name == "suppressed" and not value)


def _named(name: str, value: object) -> str:
    for suffix, unit in _UNITS.items():
        if name.endswith(suffix):
            return f"{name.removesuffix(suffix).replace('_', ' ')} {value}{unit}"
    return f"{name.replace('_', ' ')} {value}"


def first_ending(evidence: Evidence) -> str:
    """Who ended it first and how, without the time: "broker closed (FIN)"."""
    return wording.ending(evidence).split(" after ")[0].removeprefix("The ")


def leg(facts: LegFacts, duration_s: float) -> str:
    """What was seen on a leg: its ending, then what the kernel told of its peer."""
    told = [_leg_ending(facts, duration_s), *_kernel(facts), *_others(facts)]
    return "; ".join(told) + "."


def _leg_ending(facts: LegFacts, duration_s: float) -> str:
    if facts.ending is None:
        return "not ended by its peer"
    words = ENDINGS.get(facts.ending, str(facts.ending)).replace(" its leg", "")
    after = None if facts.ended_s is None else facts.ended_s - duration_s
    if after is None or abs(after) < _AT_ONCE_S:
        return words
    return f"{words} {seconds(abs(after))} {'after' if after > 0 else 'before'} the first ending"


_AT_ONCE_S = 0.0005


def _kernel(facts: LegFacts) -> Iterator[str]:
    if facts.fin_acked is not None:
        yield (
            "its kernel "
            + ("acknowledged" if facts.fin_acked else "did not acknowledge")
            + " the FIN passed on"
        )
    if facts.unsent == 0 and facts.unacked == 0:
        yield "nothing unsent, nothing unacknowledged"
    else:
        yield from _queues(facts)
    if facts.retransmits:
        yield f"{counted(facts.retransmits, 'retransmission')} unanswered"
    if facts.window is not None:
        yield f"receive window {facts.window} B" if facts.window else "receive window closed"
    if facts.rtt_ms is not None:
        yield f"round trip {facts.rtt_ms:g} ms"
    if facts.last_ack_s is not None:
        yield f"last ACK {seconds(facts.last_ack_s)} before"
    if facts.stalled_s or facts.stalled_now:
        now = ", also at the first ending" if facts.stalled_now else ""
        yield f"took no bytes for {seconds(facts.stalled_s)} in all{now}"
    if facts.window is None and facts.unacked is None and facts.fin_acked is None:
        yield "the kernel told nothing of it"


def _queues(facts: LegFacts) -> Iterator[str]:
    if facts.unsent:
        yield f"{facts.unsent} B not sent"
    if facts.unacked:
        yield f"{facts.unacked} B sent and not acknowledged"


_TOLD = {
    *("ending", "ended_s", "fin_acked", "unsent", "unacked", "retransmits", "backoff"),
    *("window", "rtt_ms", "last_ack_s", "stalled_s", "stalled_now"),
}


def _others(facts: LegFacts) -> Iterator[str]:
    """Facts this file has no words for yet, by their names."""
    for each in fields(facts):
        value = getattr(facts, each.name)
        if each.name not in _TOLD and value not in (None, False, 0, ()):
            yield _named(each.name, value)


def library(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Which library the client may be made with: a hint with its own confidence, no part of the verdict."""
    found = hint(evidence)
    if found is not None:
        yield "library", f"perhaps {' or '.join(found.libraries)} ({found.confidence}): {found.because}."


def others(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What else belongs to the picture: rivals, neighbours, and what could not be seen; a title and a sentence."""
    for title, rival in (("taken by", evidence.taken_over_by), ("took over", evidence.took_over)):
        if rival is not None:
            gap = f", its CONNECT {seconds(rival.gap_s)} before the ending" if rival.gap_s is not None else ""
            yield (
                title,
                f"connection {rival.conn_id} from {rival.client_addr}{gap if title == 'taken by' else ''}.",
            )
    if evidence.closed_within_1s > 1:
        yield "neighbours", f"{evidence.closed_within_1s} connections of this worker ended in that second."
    if evidence.broker_profile.startswith("learned:"):
        profile = profile_named(evidence.broker_profile)
        yield "broker", f"{profile.title}; {profile.source}."
    blind = evidence.unreadable
    if blind is not None:
        where = f" in {blind.packet}" if blind.packet else ""
        yield "not seen", f"the {blind.side}'s bytes from offset {blind.offset}: {blind.what}{where}."
    if evidence.observer_error is not None:
        yield "not seen", f"anything after a fault of kaproxy's own observation: {evidence.observer_error}."
    if evidence.oddities:
        yield "oddities", f"{', '.join(evidence.oddities)}."


def own_part(evidence: Evidence, said: Said) -> tuple[bool, str]:
    """Is kaproxy itself exonerated, and its own delays in words."""
    relay, delay = evidence.relay, own_delay(evidence)
    facts = f"held bytes for {_ms(relay.dwell_max_s)} at most, its loop was late by {_ms(relay.lag_max_s)} at most"
    if said.owner == Owner.PROXY or said.root == "proxy_delayed":
        return False, f"not exonerated: {facts}; the verdict is about kaproxy itself."
    if delay >= DELAY_MATTERS_S:
        return False, f"not exonerated: {facts}; up to {seconds(delay)} of what is seen here may be its own."
    if relay.dwell_max_s >= DELAY_MATTERS_S:
        return True, f"exonerated: {facts}; it held bytes because a peer did not take them."
    return True, f"exonerated: {facts}; nothing below {_ms(DELAY_MATTERS_S)} matters here."


def _ms(value_s: float) -> str:
    return f"{value_s * 1000:.3g} ms" if value_s < 1 else seconds(value_s)

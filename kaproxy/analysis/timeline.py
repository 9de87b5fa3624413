"""The timeline of one connection: control packets, silences, warnings, the first ending and what came after it.

Rows are computed from the evidence; times count from the first ending. A silence is only told where both its ends
are recorded. It may not know a screen's width nor a verdict.
Read next: `words.py` for the texts of rows, `screen.py` for their bars.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from kaproxy.analysis import words
from kaproxy.analysis.story import Warned
from kaproxy.connection.evidence import Evidence, Frame, Late
from kaproxy.connection.facts import Side
from kaproxy.diagnosis.reading import leg
from kaproxy.mqtt.codes import PacketType


class Is(StrEnum):
    """What a row tells of."""

    GAP = "gap"
    PACKET = "packet"
    WARNING = "warning"
    ENDING = "ending"
    COUNTED = "counted"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the timeline. `at_s`: seconds from the first ending; `silence_s`: of the client, up to here."""

    kind: Is
    at_s: float | None
    what: str
    silence_s: float | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The rows in order, and what was left out: control packets before the first row, and warnings."""

    rows: tuple[Row, ...]
    packets_before: int = 0
    warnings_before: int = 0


#: More rows of packets, or of warnings, than this are left out, the oldest first.
MOST_PACKETS, MOST_WARNINGS = 16, 5
#: Times of frames over 100 s ago are rounded to a tenth: shorter differences are none.
ROUNDED_S = 0.15

_ANSWERS = {
    PacketType.CONNECT: (PacketType.CONNACK,),
    PacketType.PUBLISH: (PacketType.PUBACK, PacketType.PUBREC),
    PacketType.PUBREL: (PacketType.PUBCOMP,),
    PacketType.SUBSCRIBE: (PacketType.SUBACK,),
    PacketType.UNSUBSCRIBE: (PacketType.UNSUBACK,),
    PacketType.PINGREQ: (PacketType.PINGRESP,),
}
_ORDER = {Is.PACKET: 0, Is.WARNING: 1, Is.ENDING: 2, Is.COUNTED: 3, Is.AFTER: 4}


def timeline(evidence: Evidence, warnings: Sequence[Warned]) -> Timeline:
    """What was recorded of a connection, in order."""
    packets = list(_packet_rows(evidence))
    shown = packets[-MOST_PACKETS:]
    recorded = sum(frame.count for frame in evidence.frames[_first_frame(evidence, shown) :])
    told = _warning_rows(evidence, warnings)
    rows = [*shown, *told[-MOST_WARNINGS:], *_ending_rows(evidence), *_later_rows(evidence)]
    rows.sort(key=lambda row: (row.at_s or 0.0, _ORDER[row.kind]))
    total = evidence.packets_from_client + evidence.packets_from_broker
    return Timeline(
        rows=(*_longest_gap(evidence), *rows),
        packets_before=max(0, total - max(recorded, len(shown))),
        warnings_before=max(0, len(told) - MOST_WARNINGS),
    )


def client_gaps(frames: Sequence[Frame]) -> list[tuple[float, float]]:
    """(seconds before the first ending, silence of the client that ended then), before the first ending."""
    times = [frame.ago_s for frame in frames if frame.from_client and frame.ago_s >= 0]
    return [(after, before - after) for before, after in pairwise(times)]


def scale_s(evidence: Evidence, rows: Sequence[Row]) -> float | None:
    """The silence a full bar stands for: the longest that is shown or that a limit allows; None: no bars."""
    marks = (evidence.effective_keep_alive, evidence.limit_low_s, _shown_high(evidence, rows))
    longest = max((row.silence_s or 0.0 for row in rows), default=0.0)
    return max(longest, *(mark or 0.0 for mark in marks)) or None


def _shown_high(evidence: Evidence, rows: Sequence[Row]) -> float | None:
    """The window's end, unless it is so far away that it would flatten every bar."""
    longest = max((row.silence_s or 0.0 for row in rows), default=0.0)
    high, low = evidence.limit_high_s, evidence.limit_low_s or 0.0
    return high if high is not None and high <= _FARTHEST * max(longest, low) else None


_FARTHEST = 3.0


def _first_frame(evidence: Evidence, shown: Sequence[Row]) -> int:
    """The place of the first frame that is shown."""
    if not shown:
        return len(evidence.frames)
    since = shown[0].at_s or 0.0
    return next((place for place, frame in enumerate(evidence.frames) if -frame.ago_s >= since), 0)


def _packet_rows(evidence: Evidence) -> Iterator[Row]:
    frames = evidence.frames
    if not any(frame.from_client for frame in frames) and evidence.last_from_client is not None:
        sighting = evidence.last_from_client
        yield Row(Is.PACKET, -sighting.ago_s, f"client {sighting.packet}")
    last_client: float | None = None
    place = 0
    while place < len(frames):
        frame, answer = frames[place], _answer(frames, place)
        spoken = frame if frame.from_client else answer
        silence = last_client - spoken.ago_s if spoken is not None and last_client is not None else None
        if spoken is not None:
            last_client = spoken.ago_s
        kind = Is.PACKET if frame.ago_s >= 0 else Is.AFTER
        yield Row(kind, -frame.ago_s, words.packet(frame, answer), silence)
        place += 1 if answer is None else 2


def _answer(frames: Sequence[Frame], place: int) -> Frame | None:
    """The next frame, where it is the other peer's answer to this one and on the same side of the ending."""
    if place + 1 >= len(frames):
        return None
    frame, following = frames[place], frames[place + 1]
    answers = _ANSWERS.get(PacketType(frame.first_byte >> 4), ())
    fits = following.first_byte >> 4 in answers and following.packet_id == frame.packet_id
    apart = (frame.ago_s >= 0) == (following.ago_s >= 0) and following.from_client != frame.from_client
    return following if fits and apart else None


def _longest_gap(evidence: Evidence) -> Iterator[Row]:
    """The longest silence that was survived, where no frame shows it."""
    longest = evidence.gap_max_s
    shown = max((gap for _, gap in client_gaps(evidence.frames)), default=0.0)
    if longest is not None and longest > shown + ROUNDED_S:
        yield Row(Is.GAP, None, "longest silence survived", longest)


def _warning_rows(evidence: Evidence, warnings: Sequence[Warned]) -> list[Row]:
    ended = evidence.origin.opened_at + evidence.duration_s
    known = [(each.at - ended, each) for each in warnings if each.at is not None]
    known.sort(key=lambda pair: pair[0])
    return [Row(Is.WARNING, at, f"{each.event}: {words.warning(each.fields)}") for at, each in known]


def _ending_rows(evidence: Evidence) -> Iterator[Row]:
    for side, part in (("client", evidence.partial_from_client), ("broker", evidence.partial_from_broker)):
        if part is not None:
            of = f" of {part.size}" if part.size is not None else ""
            yield Row(Is.PACKET, 0.0, f"{side} {part.packet} incomplete: {part.seen}{of} bytes")
    counted, silence = evidence.silence_counted_s, evidence.silence_s
    yield Row(Is.ENDING, 0.0, words.first_ending(evidence), silence)
    if counted is not None and silence is not None and abs(counted - silence) > _SAME_S:
        yield Row(Is.COUNTED, 0.0, f"as {evidence.broker_profile} counts ({evidence.counts})", counted)


_SAME_S = 0.05


def _later_rows(evidence: Evidence) -> Iterator[Row]:
    for side in Side:
        facts = leg(evidence, side)
        silent_first = evidence.closed_by == side and evidence.close_how != "disconnect"
        if facts.ending is not None and facts.ended_s is not None and not silent_first:
            after = facts.ended_s - evidence.duration_s
            yield Row(Is.AFTER, after, f"{side} {words.ENDINGS.get(facts.ending, str(facts.ending))}")
    for side, late in ((Side.CLIENT, evidence.late_from_client), (Side.BROKER, evidence.late_from_broker)):
        if late is not None and not _in_frames(evidence, side, late):
            yield _late_row(evidence, side, late)


def _late_row(evidence: Evidence, side: Side, late: Late) -> Row:
    row = Row(Is.AFTER, late.after_s, f"{side} {late.packet}, after the ending")
    if side is Side.CLIENT and evidence.silence_s is not None:
        row = replace(row, silence_s=evidence.silence_s + late.after_s)
    if late.after_s < 0:
        row = replace(row, what=f"{side} {late.packet}, crossed the ending")
    return row


def _in_frames(evidence: Evidence, side: Side, late: Late) -> bool:
    return any(
        frame.from_client == (side is Side.CLIENT)
        and words.packet_type(frame) == late.packet
        and abs(frame.ago_s + late.after_s) < _SAME_S
        for frame in evidence.frames
    )

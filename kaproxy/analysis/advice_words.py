"""Keepalive advice in words: its finding, with title, what to do, what it rests on, and its numbers.

It may not ask the log anything. Read next: `advice.py`, which finds what is said here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kaproxy.analysis.findings.finding import Finding
from kaproxy.diagnosis.verdict import Confidence, Owner
from kaproxy.diagnosis.wording import counted

if TYPE_CHECKING:
    from kaproxy.analysis.advice import Advice


def said(advice: Advice, examples: tuple[str, ...]) -> Finding:
    """The advice as a finding; `examples` are connections behind it."""
    used = ", ".join(f"{each}" for each in advice.keep_alives[:4])
    high = f"{advice.high.keep_alive} s ({advice.high.why})" if advice.high else "no upper bound seen"
    bounds = f"At least {advice.low.keep_alive} s ({advice.low.why}), at most {high}."
    if advice.cadence is not None:
        bounds = f"Its pings come at {advice.cadence.name}, and no other formula fits them."
    return Finding(
        kind="keep_alive_advice",
        title=_title(advice, used),
        owner=Owner.CLIENT_LIBRARY if advice.cadence else Owner.OPERATOR,
        confidence=_confidence(advice),
        advice=_what_to_do(advice),
        basis=f"{bounds} From the gaps of {counted(advice.connections, 'connection')}; {_not_known(advice)}. Trying it "
        "on a few would settle it.",
        drops=advice.prevented.most if advice.possible else advice.curable,
        subject=advice.group,
        numbers=_numbers(advice),
        connections=examples,
    )


def _confidence(advice: Advice) -> Confidence:
    if advice.possible:
        return Confidence.LIKELY if advice.prevented.least else Confidence.UNCLEAR
    told = advice.cadence is not None or (advice.limit and advice.limit.confidence is Confidence.LIKELY)
    return Confidence.LIKELY if told else Confidence.UNCLEAR


def _not_known(advice: Advice) -> str:
    grows = [each for each in advice.fitting if each.times is not None]
    adds = [each for each in advice.fitting if each.times is None]
    if grows and adds:
        return f"its pings fit {adds[0].name}, and so this helps, or {grows[0].name}, and then no value does"
    return (
        "what a client would do with another Keep Alive is not recorded (some stay late by a multiple of it)"
    )


def _title(advice: Advice, used: str) -> str:
    if advice.cadence is not None:
        return (
            f"No Keep Alive works for {advice.group} (now {used} s): it pings at {advice.cadence.name}, so the library "
            "must change"
        )
    if not advice.possible:
        return f"No Keep Alive works for {advice.group} (now {used} s): the path must change"
    prevented = advice.prevented
    many = (
        f"{prevented.least} to {prevented.most}" if prevented.least < prevented.most else f"{prevented.most}"
    )
    return (
        f"Keep Alive {advice.suggested} s instead of {used} s would have prevented {many} of "
        f"{counted(advice.of, 'drop')} of {advice.group}"
    )


def _what_to_do(advice: Advice) -> str:
    if advice.cadence is not None:
        return (
            "Update or replace the client library, or have the broker wait longer than 1.5 x Keep Alive: pings that "
            "grow with the Keep Alive are as late with any other."
        )
    if not advice.possible:
        return (
            "Raise the idle limit of the path, or take what is slow out of it; no Keep Alive can bridge both."
        )
    plain, wire = advice.bytes_then
    return (
        f"Set Keep Alive {advice.suggested} s. An idle client then sends {advice.pings_then:.0f} pings a day "
        f"({plain / 1000:.1f} kB of MQTT, {wire / 1000:.0f} kB with TCP/IP headers); now {advice.pings_now:.0f}."
    )


def _numbers(advice: Advice) -> dict[str, object]:
    plain, wire = advice.bytes_then
    return {
        "keep_alives": list(advice.keep_alives),
        "low": advice.low.keep_alive,
        "low_why": advice.low.why,
        "high": advice.high.keep_alive if advice.high else None,
        "high_why": advice.high.why if advice.high else None,
        "suggested": advice.suggested,
        "prevented_least": advice.prevented.least,
        "prevented_most": advice.prevented.most,
        "of": advice.of,
        "curable": advice.curable,
        "clients": advice.clients,
        "pings_per_day_now": round(advice.pings_now, 1),
        "pings_per_day": round(advice.pings_then, 1),
        "bytes_per_day": round(plain),
        "wire_bytes_per_day": round(wire),
    }

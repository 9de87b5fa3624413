"""The paragraph to paste into a ticket: one connection's end, for readers who have neither the log nor kaproxy.

It names who, when (UTC), what, the verdict with its numbers, what was warned of before and what kaproxy's own part
was. It may not wrap nor colour.
Read next: `screen.py`, which shows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kaproxy.analysis.story import Closing, Connection, Warned
from kaproxy.analysis.words import own_part, printable, utc
from kaproxy.connection.evidence import Evidence
from kaproxy.diagnosis.wording import counted


def ticket(connection: Connection) -> str:
    """The paragraph; of a connection without evidence, as much of it as there is."""
    closing = connection.closing
    if closing is None:
        return (
            f"MQTT connection {connection.conn_id}: kaproxy's log has no closing line of it, so it was still open or "
            "the line is missing."
        )
    if closing.evidence is None:
        return f"MQTT connection {connection.conn_id}: {_verdict(closing)}"
    parts = (
        _who(closing.evidence),
        _verdict(closing),
        _before(connection.warnings),
        _own(closing),
        _to_do(closing),
    )
    return printable(" ".join(filter(None, parts)))


def _who(evidence: Evidence) -> str:
    origin = evidence.origin
    client = (
        f'MQTT client "{evidence.client_id}"'
        if evidence.client_id is not None
        else "A client without CONNECT"
    )
    version = f", MQTT {evidence.protocol_version}" if evidence.protocol_version else ""
    return (
        f"{client} ({origin.client_addr}:{origin.client_port}{version}), connected to {origin.broker_addr} through "
        f"kaproxy as {origin.conn_id} since {utc(origin.opened_at)}, ended at "
        f"{utc(origin.opened_at + evidence.duration_s)}."
    )


def _verdict(closing: Closing) -> str:
    said = closing.said
    return f"Verdict: {said.name} ({said.confidence}; code {said.code}; to act: {said.owner}). {said.explanation}"


def _before(warnings: Sequence[Warned]) -> str:
    """How often and of what kaproxy had warned."""
    if not warnings:
        return "No warning of it stands in the log."
    kinds = ", ".join(
        f"{event} x{count}" for event, count in Counter(each.event for each in warnings).items()
    )
    first = min((each.at for each in warnings if each.at is not None), default=None)
    since = f", first at {utc(first)}" if first is not None else ""
    return f"{counted(len(warnings), 'warning')} before it ({kinds}{since})."


def _own(closing: Closing) -> str:
    if closing.evidence is None:
        return ""
    return f"kaproxy itself is {own_part(closing.evidence, closing.said)[1]}"


def _to_do(closing: Closing) -> str:
    return f"To do: {closing.said.advice}" if closing.said.advice else ""

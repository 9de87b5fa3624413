"""Signs of a broker: what only some brokers say or do when they refuse or end a connection.

Each row names the profiles that do it, and where that is known from. A sign narrows down which broker it is, and
proves nothing else: a row too many costs an unknown broker its name, never a verdict.
It may not know when or how often a sign was seen. Read next: `learning.py`, which collects them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kaproxy.connection.evidence import Evidence
from kaproxy.diagnosis.profiles import BROKER_PROFILES
from kaproxy.diagnosis.reading import version
from kaproxy.diagnosis.verdict import Cause, Verdict

_IDENTIFIER_REJECTED, _NONSTANDARD = 2, 6


@dataclass(frozen=True, slots=True)
class Sign:
    """One habit: `shows` says whether a closed connection has it, `fits` which profiles have the habit."""

    name: str
    fits: frozenset[str]
    shows: Callable[[Evidence, Verdict], bool]
    source: str


def _refused(evidence: Evidence, verdict: Verdict, code: int) -> bool:
    in_3x = 0 < version(evidence) < 5
    return verdict.cause is Cause.CONNECT_REFUSED and in_3x and evidence.connack_code == code


def _refused_with_6(evidence: Evidence, verdict: Verdict) -> bool:
    return _refused(evidence, verdict, _NONSTANDARD)


def _keep_alive_refused_with_2(evidence: Evidence, verdict: Verdict) -> bool:
    return _refused(evidence, verdict, _IDENTIFIER_REJECTED) and verdict.root == "keep_alive_above_maximum"


def _disconnect_in_3x(evidence: Evidence, _: Verdict) -> bool:
    return "disconnect_from_broker_in_3x" in evidence.oddities


SIGNS = (
    Sign(
        "CONNACK 6 to a 3.x client",
        frozenset({"aedes"}),
        _refused_with_6,
        "moscajs/aedes@v1.1.1:lib/handlers/connect.js (keepaliveLimit)",
    ),
    Sign(
        "CONNACK 2 to a 3.x client for its Keep Alive",
        frozenset({"mosquitto_2.0", "mosquitto_2.0.21"}),
        _keep_alive_refused_with_2,
        "mosquitto.conf(5): max_keepalive; the default of 2.0.12 to 2.0.15 for Keep Alive 0",
    ),
    Sign(
        "DISCONNECT to a 3.x client",
        frozenset({"mochi"}),
        _disconnect_in_3x,
        "mochi-mqtt/server@v2.7.9:clients.go; measured",
    ),
)


def fitting_signs(evidence: Evidence, verdict: Verdict) -> frozenset[str] | None:
    """The profiles that a closed connection's signs leave, None where it shows no sign."""
    left = [sign.fits for sign in SIGNS if sign.shows(evidence, verdict)]
    return frozenset(BROKER_PROFILES).intersection(*left) if left else None


def may_show(evidence: Evidence, verdict: Verdict) -> bool:
    """Could the connection have a sign? All of them are refusals or oddities."""
    return bool(evidence.oddities) or verdict.cause is _SAYS_NO


_SAYS_NO = Cause.CONNECT_REFUSED

"""The end most connections come to: the client sent DISCONNECT, and nothing speaks against that it just left.

Every rule before that of the client's DISCONNECT, and what that one asks besides, has nothing to say of such a
connection, so one look takes the place of nine.
Read next: `stated.py`, for a DISCONNECT that something speaks against.
"""

from __future__ import annotations

from typing import Final

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Phase
from kaproxy.diagnosis.verdict import Cause, Confidence, Finding

IN_ORDER: Final = Finding(Cause.CLIENT_DISCONNECT, ("It left in order.",), Confidence.SETTLED)
_TLS: Final = Phase.TLS


def left_in_order(evidence: Evidence) -> Finding | None:
    """DISCONNECT from the client without a code, no PINGREQ open, after a CONNACK without one."""
    if evidence.first_disconnect != "client" or evidence.disconnect_from_client or evidence.connack_code:
        return None
    if evidence.pings_open or evidence.unreadable is not None or evidence.closed_by == "proxy":
        return None
    if evidence.close_how == "tls_alert" or evidence.phase is _TLS:
        return None
    return IN_ORDER

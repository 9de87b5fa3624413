"""kaproxy's own doing: never blamed on a peer, never counted as a drop of theirs."""

from __future__ import annotations

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import ProxyAction
from kaproxy.diagnosis.verdict import Cause, Confidence, Finding

_CAUSES = {
    ProxyAction.SHUTDOWN: Cause.PROXY_SHUTDOWN,
    ProxyAction.LIMIT: Cause.PROXY_LIMIT,
    ProxyAction.ERROR: Cause.PROXY_ERROR,
}


def proxy_ended(evidence: Evidence) -> Finding | None:
    """kaproxy says that it ended the connection, and why."""
    if evidence.closed_by != "proxy":
        return None
    detail = f"It says: {evidence.proxy_detail}." if evidence.proxy_detail else "It gives no detail."
    if evidence.proxy_action is None:
        because = "It ended the connection without saying why, which is a fault."
        return Finding(Cause.PROXY_ERROR, (because,), Confidence.LIKELY)
    return Finding(_CAUSES[evidence.proxy_action], (detail,), Confidence.SETTLED)

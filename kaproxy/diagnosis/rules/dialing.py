"""What the kernel said of a leg in so many words: refused, no answer, unreachable, given up."""

from __future__ import annotations

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Ending, LegFacts, Phase, Side
from kaproxy.diagnosis.reading import gave_up_first, own_delay
from kaproxy.diagnosis.verdict import Cause, Confidence, Finding, Owner
from kaproxy.diagnosis.wording import counted, seconds

#: A lag of kaproxy's own from here on (s) may have eaten the time of a dial.
_LAG_MATTERS_S = 1.0


def refused(evidence: Evidence) -> Finding | None:
    """The broker's host refused the dial; only a dial can end like this."""
    if evidence.closed_by not in ("broker", "unknown") or evidence.close_how == "disconnect":
        return None
    if Ending.REFUSED not in (evidence.broker_leg.ending, evidence.close_how):
        return None
    because = f"The host of {evidence.origin.broker_addr} is up, and nothing listens there."
    return Finding(Cause.BROKER_REFUSED, (because,), Confidence.SETTLED)


def timed_out(evidence: Evidence) -> Finding | None:
    """The dial got no answer in time."""
    if evidence.phase is not Phase.DIALING or gave_up_first(evidence, Side.BROKER) is not Ending.TIMED_OUT:
        return None
    lag = own_delay(evidence)
    because = f"The dial to {evidence.origin.broker_addr} got no answer."
    if lag < _LAG_MATTERS_S:
        return Finding(Cause.DIAL_TIMEOUT, (because,), Confidence.SETTLED)
    own = f"kaproxy itself was up to {seconds(lag)} late."
    return Finding(
        Cause.DIAL_TIMEOUT,
        (because, own),
        Confidence.UNCLEAR,
        would_settle="The same with kaproxy less loaded.",
    )


def broker_unreachable(evidence: Evidence) -> Finding | None:
    """No route or name for the broker, or TCP gave up on the established leg."""
    ending = gave_up_first(evidence, Side.BROKER)
    if ending is None:
        return None
    if evidence.phase is Phase.DIALING:
        because = f"No route to {evidence.origin.broker_addr}, or its name did not resolve."
        return Finding(Cause.BROKER_UNREACHABLE, (because,), Confidence.SETTLED, owner=Owner.OPERATOR)
    return Finding(
        Cause.BROKER_UNREACHABLE,
        _given_up(evidence.broker_leg, "broker"),
        _how_sure(evidence.broker_leg),
        would_settle=_SECOND_FACT if _how_sure(evidence.broker_leg) is not Confidence.SETTLED else None,
    )


def client_unreachable(evidence: Evidence) -> Finding | None:
    """TCP gave up on the client."""
    if gave_up_first(evidence, Side.CLIENT) is None:
        return None
    sure = _how_sure(evidence.client_leg)
    return Finding(
        Cause.CLIENT_UNREACHABLE,
        _given_up(evidence.client_leg, "client"),
        sure,
        would_settle=_SECOND_FACT if sure is not Confidence.SETTLED else None,
    )


_SECOND_FACT = "Retransmissions counted on that leg."


def _how_sure(leg: LegFacts) -> Confidence:
    return Confidence.SETTLED if leg.retransmits or leg.backoff else Confidence.LIKELY


def _given_up(leg: LegFacts, who: str) -> tuple[str, ...]:
    told = [f"The {who}'s host no longer answers; TCP gave up."]
    if leg.retransmits:
        told.append(f"{counted(leg.retransmits, 'retransmission')} went unanswered.")
    if leg.last_ack_s is not None:
        told.append(f"Its last acknowledgement was {seconds(leg.last_ack_s)} before.")
    return tuple(told)

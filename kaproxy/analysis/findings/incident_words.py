"""What an incident was, in sentences: who ended it, how wide it was, how the clients came back.

From the counts of its drops alone; it asks no engine. Certain only where the broker itself said so (0x8B).
Read next: `incidents.py`, which puts an incident together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from kaproxy.analysis.findings.aftermath import Return, Shape, peak, shape, spread
from kaproxy.analysis.findings.asking import SECOND_US, named, percent, share_of, utc
from kaproxy.analysis.findings.families import BROKER, CLIENT, PROXY, REFUSED, SILENCE
from kaproxy.analysis.findings.finding import CONNECTIONS_KEPT, Finding
from kaproxy.diagnosis.verdict import Cause, Confidence, Owner
from kaproxy.diagnosis.wording import counted, moment, seconds

if TYPE_CHECKING:
    from kaproxy.analysis.findings.incidents import Incident

#: This part of the live connections, or more, is nearly all.
NEARLY_ALL = 0.8
_HALF, _NEAR_ONE = 0.5, 0.9
_NAMED = 3


class What(NamedTuple):
    """What it was: a stable word, the half sentence after the broker's name, who acts, how sure, what to do."""

    word: str
    told: str
    owner: Owner
    confidence: Confidence
    advice: str
    basis: str


def findings(incident: Incident) -> list[Finding]:
    """The incident, and the storm after it where there was one."""
    storms = _storms(incident)
    return [_incident(incident), *([_storm(incident, storms)] if storms else [])]


def _incident(incident: Incident) -> Finding:
    what = _what(incident)
    lasted = (incident.end_us - 1 - incident.start_us) / SECOND_US
    where = _listed(incident.brokers)
    return Finding(
        "incident",
        f"{utc(incident.start_us)} {where}: {what.told} within {moment(lasted)}"
        f"{_wide(incident)}{_recovered(incident)}",
        what.owner,
        what.confidence,
        what.advice,
        what.basis,
        drops=incident.count,
        subject=incident.brokers[0] if len(incident.brokers) == 1 else "",
        numbers=_numbers(incident, what, lasted),
        connections=tuple(each.conn_id for each in incident.drops[:CONNECTIONS_KEPT]),
        first_us=incident.start_us,
        last_us=incident.end_us - 1,
    )


def _wide(incident: Incident) -> str:
    if incident.families == (REFUSED,):
        return ""
    return (
        f", {percent(len(incident.drops), incident.live)} of {incident.live} live ones"
        if incident.live
        else ""
    )


def _recovered(incident: Incident) -> str:
    back = _recovery(incident)
    if not incident.returns:
        return ""
    if not back:
        return "; none of the clients is seen to come back"
    return f"; {len(back)} of {incident.clients} clients were back after {seconds(round(max(back), 1))}"


def _recovery(incident: Incident) -> list[float]:
    """For each client that came back: how long it was away, seconds."""
    return [each.attempts[-1] for each in incident.returns if each.back]


def _numbers(incident: Incident, what: What, lasted: float) -> dict[str, object]:
    first = incident.drops[0]
    back = _recovery(incident)
    causes = Counter(named(each.cause, each.root) for each in incident.drops)
    whole = shape(incident.returns)
    return {
        "what": what.word,
        "drops": incident.count,
        "clients": incident.clients,
        "live_before": incident.live,
        "blast_share": share_of(len(incident.drops), incident.live),
        "lasted_s": round(lasted, 3),
        "brokers": list(incident.brokers),
        "proxies": sorted({each.process for each in incident.drops}),
        "by_cause": dict(causes.most_common()),
        "by_group": dict(Counter(each.group for each in incident.drops).most_common(_NAMED)),
        "first_mover": {
            "conn_id": first.conn_id,
            "client_id": first.client,
            "cause": named(first.cause, first.root),
            "ahead_s": _ahead(incident),
        },
        "clients_back": len(back),
        "recovery_median_s": round(median(back), 3) if back else None,
        "recovery_p90_s": round(spread(back)[1], 3) if back else None,
        "recovery_s": round(max(back), 3) if back else None,
        "attempts": len(incident.moments_s),
        "attempts_in_vain": incident.refused,
        "attempts_peak_per_s": peak(incident.moments_s),
        "reconnects": whole.words if whole else None,
    }


def _ahead(incident: Incident) -> float:
    """How long before the second one the first mover went, seconds."""
    drops = incident.drops
    return round((drops[1].ended_us - drops[0].ended_us) / SECOND_US, 6) if len(drops) > 1 else 0.0


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"


def _what(incident: Incident) -> What:
    count = counted(incident.count, "connection")
    if PROXY in incident.families:
        return _PROXY_FAULT._replace(told=f"kaproxy ended {count} by a fault of its own")
    if incident.families == (REFUSED,):
        return _REFUSALS._replace(
            told=f"{incident.count} attempts of {incident.clients} clients came to nothing"
        )
    if BROKER in incident.families:
        return _by_broker(incident, count)
    if SILENCE in incident.families:
        return _by_silence(incident, count)
    return _by_clients(incident, count)


_PROXY_FAULT = What(
    "proxy_fault",
    "",
    Owner.PROXY,
    Confidence.SETTLED,
    "Please report it with these lines.",
    "kaproxy says so itself.",
)
_REFUSALS = What(
    "refusals",
    "",
    Owner.BROKER,
    Confidence.LIKELY,
    "See why the broker took nobody: was it down, or did its authentication fail?",
    "Far more attempts failed than in the hours around, and no connection that stood ended with them.",
)


def _by_broker(incident: Incident, count: str) -> What:
    share = share_of(len(incident.drops), incident.live)
    stated = sum(each.cause == Cause.BROKER_SHUTDOWN for each in incident.drops)
    refused = any(each.dials_refused for each in incident.drops) or incident.refused > 0
    if stated > _HALF * len(incident.drops):
        sure = Confidence.SETTLED if stated == len(incident.drops) else Confidence.LIKELY
        return What(
            "broker_shutdown",
            f"the broker went down in order and ended {count}",
            Owner.OPERATOR,
            sure,
            "Nothing to do if the stop was planned.",
            f"{stated} of them got DISCONNECT 0x8B, Server shutting down.",
        )
    if refused or share >= NEARLY_ALL:
        why = (
            f"{incident.refused} attempts to come back failed"
            if refused
            else "hardly any other one stood it out"
        )
        return What(
            "broker_restart",
            f"the broker went away with {count}",
            Owner.OPERATOR,
            Confidence.LIKELY if refused or len(incident.drops) >= _SURE else Confidence.UNCLEAR,
            "Look in the broker's log: was it stopped, did it crash, or did its host go?",
            f"The broker ended them without a word, and {why}; a step of its clock and a box before it look alike, "
            "its log settles it.",
        )
    net = _mostly(incident, "net")
    return What(
        "broker_closed_many",
        f"the broker ended {count}" + (f", nearly all of network {net}" if net else ""),
        Owner.PATH if net else Owner.BROKER,
        Confidence.UNCLEAR,
        "Look in the broker's log at this second; if it saw no close, look at what stands between.",
        "So many at once are no chance, but most of the broker's connections stood it out.",
    )


_SURE = 5


def _by_silence(incident: Incident, count: str) -> What:
    net, group = _mostly(incident, "net"), _mostly(incident, "group")
    early = sum(each.root in ("broker_premature", "silent_cap") for each in incident.drops)
    if early > _HALF * len(incident.drops):
        return What(
            "expired_early",
            f"the broker expired {count} before their time",
            Owner.BROKER,
            Confidence.LIKELY,
            "See whether the broker's clock stepped.",
            f"{early} of them had not been silent for as long as their Keep Alive allows.",
        )
    whose = f" of network {net}" if net else f" of {group}" if group else ""
    return What(
        "went_silent",
        f"{count}{whose} had gone silent and were given up",
        Owner.PATH,
        Confidence.LIKELY if net else Confidence.UNCLEAR,
        "Look at what these clients share: power, access point, carrier, uplink.",
        "Many silences ended together, more than a broker's batches of expiries make by chance.",
    )


def _by_clients(incident: Incident, count: str) -> What:
    net, group = _mostly(incident, "net"), _mostly(incident, "group")
    whose = f" of {group}" if group else f" of network {net}" if net else ""
    return What(
        "clients_left",
        f"{count}{whose} were ended from the clients' side",
        Owner.PATH if net and not group else Owner.CLIENT_APP,
        Confidence.UNCLEAR,
        "Look for what reached these clients at this moment: a deployment, a restart, a cut link.",
        "More clients left at once than chance explains; why cannot be seen from here.",
    )


def _mostly(incident: Incident, field: str) -> str | None:
    """The network or client group of nearly all of the drops, where several clients are of it."""
    ((value, most),) = Counter(str(getattr(each, field)) for each in incident.drops).most_common(1)
    return value if value and most >= _NEAR_ONE * len(incident.drops) else None


def _storms(incident: Incident) -> dict[str, Shape]:
    """Client group -> how it came back, for those that came back in a storm."""
    groups: dict[str, list[Return]] = defaultdict(list)
    for each in incident.returns:
        groups[each.group].append(each)
    shapes = {group: shape(its) for group, its in groups.items()}
    return {group: found for group, found in shapes.items() if found is not None and found.storms}


def _storm(incident: Incident, storms: dict[str, Shape]) -> Finding:
    worst = sorted(storms.items(), key=lambda each: (-each[1].attempts, each[0]))
    group, how = worst[0]
    attempts = sum(each.attempts for each in storms.values())
    return Finding(
        "reconnect_storm",
        f"{utc(incident.start_us)} {_listed(incident.brokers)}: {how.clients} clients of {group} came back in a storm, "
        f"{how.words}: {counted(how.attempts, 'attempt')}, the first after {seconds(how.first_wait_s)}",
        Owner.CLIENT_APP,
        Confidence.LIKELY,
        "Let these clients wait longer after each failed attempt, and spread the first one at random.",
        "From the times between a client's drop and its attempts; what did not reach kaproxy is not seen.",
        drops=sum(each.clients for each in storms.values()),
        subject=group,
        numbers={
            "attempts": attempts,
            "attempts_peak_per_s": peak(incident.moments_s),
            "groups": {name: found.words for name, found in worst},
            "first_wait_s": how.first_wait_s,
            "growth": how.growth,
        },
        connections=tuple(each.conn_id for each in incident.drops if each.group in storms)[:CONNECTIONS_KEPT],
        first_us=incident.start_us,
        last_us=incident.end_us - 1 + int(max(incident.moments_s, default=0.0) * SECOND_US),
    )


def recurring(incidents: Sequence[Incident]) -> Finding:
    """Incidents that are so alike that they are one habit."""
    drops = [each for incident in incidents for each in incident.drops]
    first = incidents[0]
    starts = [each.start_us / SECOND_US for each in incidents]
    apart = [later - earlier for earlier, later in pairwise(starts)]
    group = Counter(each.group for each in drops).most_common(1)[0][0]
    usual = median(len(each.drops) for each in incidents)
    ends = {CLIENT: "end from the clients' side", SILENCE: "go silent", BROKER: "are ended by the broker"}
    return Finding(
        "recurring_incident",
        f"{counted(len(incidents), 'time')} connections of {group} to {_listed(first.brokers)} "
        f"{ends.get(first.families[0], 'fail')} together, about {usual:.0f} at a time",
        Owner.OPERATOR,
        Confidence.LIKELY,
        "Find what happens to these clients at those moments: a job, a lease, a link that is set up anew.",
        f"Each time more than chance explains; in the median {seconds(round(median(apart), 1))} apart.",
        drops=sum(each.count for each in incidents),
        subject=group,
        numbers={
            "times": len(incidents),
            "apart_median_s": round(median(apart), 3),
            "starts": [utc(each.start_us) for each in incidents[:CONNECTIONS_KEPT]],
            "by_cause": dict(Counter(named(each.cause, each.root) for each in drops).most_common()),
        },
        connections=tuple(each.conn_id for each in drops[:CONNECTIONS_KEPT]),
        first_us=first.start_us,
        last_us=incidents[-1].end_us - 1,
    )

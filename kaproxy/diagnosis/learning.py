"""What a broker's own expiries and refusals say about which broker it is, where nobody told kaproxy.

An expiry counts where the client's silence is beyond doubt: the broker said 0x8D, or the client's next packet
came just after, or its host was gone. Each profile's window gives every expiry a likelihood (the narrower the
window it falls in, the higher); profiles far behind the best are dropped, and those that would have said it
otherwise. Refusals are signs of some brokers only. What is left is only ever used to believe a silence in the
narrower window more, never to believe one outside it less than before.
It may not know when or where this happens. Read next: `signs.py` for the refusals, `profiles.py`, which reads
the name made here.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Ending
from kaproxy.connection.keepalive import Counts
from kaproxy.diagnosis.profiles import BROKER_PROFILES, BrokerProfile, learned_name
from kaproxy.diagnosis.reading import (
    DELAY_MATTERS_S,
    EARLY_TOLERANCE_S,
    LATE_TOLERANCE_S,
    own_delay,
    version,
)
from kaproxy.diagnosis.signs import fitting_signs, may_show
from kaproxy.diagnosis.verdict import Cause, Verdict

#: Fewer expiries and signs teach nothing; more than these are forgotten, the oldest first.
FEWEST = 3
MOST = 64
#: A profile this many times less likely than the best, all expiries taken together, is dropped.
FAR_BEHIND = 100.0
_KEEP_ALIVE_TIMEOUT = 0x8D
_FIRST_WITH_CODES = 5  # the version whose DISCONNECT comes from the broker too (5.0 3.14)


class Expiry(NamedTuple):
    """One sure expiry: the Keep Alive in force and the silences at it, in seconds."""

    keep_alive: int
    packets_s: float
    bytes_s: float
    both_ways_s: float
    stated: bool | None = None  # did it say 0x8D; None: it cannot, as the client is no 5.0 client
    fin: bool = False  # did it close with FIN

    def silence(self, counts: Counts) -> float:
        """The silence by what a broker counts."""
        return {
            Counts.PACKETS: self.packets_s,
            Counts.BYTES: self.bytes_s,
            Counts.BOTH_WAYS: self.both_ways_s,
        }[counts]


def sure_expiry(evidence: Evidence, verdict: Verdict) -> Expiry | None:
    """The expiry this connection ended by, None where it did not or where it is not beyond doubt."""
    if verdict.cause is not Cause.KEEP_ALIVE_TIMEOUT or evidence.closed_by != "broker":
        return None
    legs = (evidence.client_leg, evidence.broker_leg)
    if own_delay(evidence) >= DELAY_MATTERS_S or any(leg.stalled_s for leg in legs):
        return None
    stated = evidence.disconnect_from_broker == _KEEP_ALIVE_TIMEOUT
    if not (stated or evidence.late_from_client or evidence.client_leg.fin_acked is False):
        return None
    if not evidence.effective_keep_alive or evidence.silence_s is None:
        return None
    packets_s = evidence.silence_s
    bytes_s = packets_s if evidence.silence_bytes_s is None else evidence.silence_bytes_s
    late = evidence.late_from_client
    if late is not None and late.after_s <= 0:  # what crossed the broker's ending had ended no silence
        bytes_s = packets_s
    downlink_s = packets_s if evidence.downlink_idle_s is None else evidence.downlink_idle_s
    return Expiry(
        evidence.effective_keep_alive,
        packets_s,
        bytes_s,
        min(packets_s, downlink_s),
        stated if version(evidence) >= _FIRST_WITH_CODES else None,
        evidence.broker_leg.ending is Ending.FIN,
    )


def may_teach(evidence: Evidence, verdict: Verdict) -> bool:
    """Could this be a sure expiry, or show a sign? Of most connections one look says no."""
    return verdict.cause is _EXPIRED or may_show(evidence, verdict)


_EXPIRED = Cause.KEEP_ALIVE_TIMEOUT


def likelihood(profile: BrokerProfile, expiries: list[Expiry]) -> float:
    """Logarithm of how likely these expiries are for that broker, each spread evenly over its window."""
    total = 0.0
    for expiry in expiries:
        limits = profile.window.limits(expiry.keep_alive)
        if limits is None or _otherwise(profile, expiry):
            return -math.inf
        low, high = limits[0] - EARLY_TOLERANCE_S, limits[1] + LATE_TOLERANCE_S
        if not low <= expiry.silence(profile.window.counts) <= high:
            return -math.inf
        total -= math.log(high - low)
    return total


def _otherwise(profile: BrokerProfile, expiry: Expiry) -> bool:
    """Would that broker have said it otherwise: with or without 0x8D, or with RST, which it always sends?"""
    said = expiry.stated is not None and profile.sends_0x8d is (not expiry.stated)
    return said or (expiry.fin and profile.closes_with == "rst")


class Learner:
    """Collects one broker's sure expiries and signs, and names the profiles they leave."""

    def __init__(self) -> None:
        self._expiries: deque[Expiry] = deque(maxlen=MOST)
        self._fits = frozenset(BROKER_PROFILES) - {"unknown"}  # what the signs leave
        self._seen = 0
        self.name: str | None = None  # a value for `broker_profile`, once something was learned

    def learn(self, evidence: Evidence, verdict: Verdict) -> bool:
        """Take one closed connection in; True where the name has changed."""
        if not may_teach(evidence, verdict):
            return False
        expiry, fits = sure_expiry(evidence, verdict), fitting_signs(evidence, verdict)
        if expiry is None and fits is None:
            return False
        if expiry is not None:
            self._expiries.append(expiry)
        if fits is not None:
            self._fits &= fits
        self._seen += 1
        before, self.name = self.name, self._named()
        return self.name != before

    def _named(self) -> str | None:
        if self._seen < FEWEST:
            return None
        left = tuple(name for name in fitting(list(self._expiries)) if name in self._fits)
        everybody = len(BROKER_PROFILES) - 1
        return learned_name(left, self._seen) if 0 < len(left) < everybody else None


def fitting(expiries: list[Expiry]) -> tuple[str, ...]:
    """The names of the profiles that explain these expiries about as well as the best one does."""
    scores = {
        name: likelihood(profile, expiries) for name, profile in BROKER_PROFILES.items() if name != "unknown"
    }
    best = max(scores.values())
    if best == -math.inf:
        return ()
    return tuple(name for name, score in scores.items() if score >= best - math.log(FAR_BEHIND))

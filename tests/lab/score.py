"""Holds each played scenario against what happened, and counts: right cause, right root, wrong `settled`, warned.

It may not know how a scenario is played. A scenario that could not be played to its end, twice, counts as wrong;
one whose parts this machine does not have is left out, by name. Read next: `report.py` for the page.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from tests.end_to_end.stage import ANY, Expected, Outcome, Scenario

T = TypeVar("T")

#: Share that must be reached, 0 to 1; of wrong `settled` there may be none.
BARS = {"right cause": 0.98, "right root": 0.95, "warned before": 0.90}

#: Drops with a sign before them: cause and root ("*": any). A sign is a gap over the Keep Alive, an open
#: PINGREQ, a peer that takes nothing, or a second CONNECT with the same identifier.
ANNOUNCED = {
    *(("keep_alive_timeout", root) for root in ("client_unreachable", "client_hung", "client_not_reading")),
    *(("keep_alive_timeout", root) for root in ("never_pinged", "receive_resets_ping", "pinged_late")),
    *(("keep_alive_timeout", root) for root in ("upload_starved", "server_keep_alive_ignored")),
    *(("keep_alive_timeout", root) for root in ("broker_not_reading", "proxy_delayed")),
    *(("ping_timeout", root) for root in ("broker_silent", "broker_unreachable", "broker_slow")),
    *(("ping_timeout", root) for root in ("response_lost", "proxy_delayed")),
    ("takeover", "*"),
    ("broker_disconnect", "slow_consumer"),
    ("broker_closed", "slow_consumer"),
    ("client_unreachable", "*"),
    ("broker_unreachable", "*"),
}


def alternatives(value: T | tuple[T, ...]) -> tuple[T, ...]:
    """What an expectation allows, as a tuple."""
    return value if isinstance(value, tuple) else (value,)


def root_wanted(expected: Expected) -> str | None:
    """The root that was played, None where there is none to tell."""
    return next((root for root in alternatives(expected.root) if root is not None), None)


@dataclass(frozen=True)
class Result:
    """One scenario that was played."""

    scenario: Scenario
    outcome: Outcome

    @property
    def expected(self) -> Expected:
        """What happened, as the scenario tells it."""
        return self.scenario.expected

    @property
    def said(self) -> str:
        """The cause on the line, or that there was none."""
        return str(self.outcome.line.get("cause", "(no line)"))

    @property
    def happened(self) -> str:
        """The cause that was played; among alternatives the one that was said, else the first."""
        allowed = alternatives(self.expected.cause)
        return self.said if self.said in allowed else allowed[0]

    @property
    def right_cause(self) -> bool:
        """Does the line name the cause? Where that cannot be decided: does it say so, and not rule out the truth?"""
        if self.outcome.error is not None or self.said not in alternatives(self.expected.cause):
            return False
        return self.expected.undecidable is None or self.open_mind

    @property
    def open_mind(self) -> bool:
        """Unclear, and what really happened (the first alternative) is not ruled out."""
        ruled_out = {one["cause"] for one in self.outcome.line.get("ruled_out") or ()}
        happened = alternatives(self.expected.cause)[0]
        played = {happened, f"{happened}/{root_wanted(self.expected)}"}
        return self.outcome.line.get("confidence") == "unclear" and not played & ruled_out

    @property
    def has_root(self) -> bool:
        """Is there a root to tell, or was one told?"""
        return root_wanted(self.expected) is not None or bool(self.outcome.line.get("root"))

    @property
    def right_root(self) -> bool:
        """Does the line name the root as well?"""
        allowed, said = alternatives(self.expected.root), self.outcome.line.get("root")
        return self.right_cause and (said in allowed or (said is not None and ANY in allowed))

    @property
    def wrong_settled(self) -> bool:
        """Settled, and something else happened; or settled where that cannot be known."""
        line, wanted = self.outcome.line, self.expected.confidence
        if line.get("confidence") != "settled":
            return False
        wrong_root = line.get("root") is not None and not self.right_root
        unknowable = wanted is not None and "settled" not in alternatives(wanted)
        return not self.right_cause or wrong_root or unknowable

    @property
    def announced(self) -> bool:
        """Did this drop announce itself?"""
        if self.scenario.announced is not None:
            return self.scenario.announced
        causes, root = alternatives(self.expected.cause), root_wanted(self.expected)
        return any((cause, why) in ANNOUNCED for cause in causes for why in (root, "*"))

    @property
    def differences(self) -> list[str]:
        """Where the line says something else than happened."""
        if self.outcome.error is not None:
            return [f"could not be played: {_told(self.outcome.error)}"]
        return [*self.expected.differences(self.outcome.line), *self.outcome.faults]


def _told(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {str(error)[:300]}"


@dataclass(frozen=True)
class Score:
    """All results of one run."""

    results: tuple[Result, ...]
    skipped: dict[str, list[str]] = field(default_factory=dict)  # scenario: the parts it lacks

    def share(self, what: str) -> tuple[int, int]:
        """(how many were right, of how many) for one of `BARS`."""
        everything = {
            "right cause": [one.right_cause for one in self.results],
            "right root": [one.right_root for one in self.results if one.has_root],
            "warned before": [bool(one.outcome.warned) for one in self.results if one.announced],
        }[what]
        return sum(everything), len(everything)

    @property
    def wrong_settled(self) -> list[Result]:
        """The worst there is."""
        return [one for one in self.results if one.wrong_settled]

    @property
    def misses(self) -> list[Result]:
        """Whatever differs in any field from what happened."""
        return [one for one in self.results if one.differences or not one.right_cause]

    @property
    def unwarned(self) -> list[Result]:
        """Announced themselves, and nobody was told."""
        return [one for one in self.results if one.announced and not one.outcome.warned]

    def confusion(self) -> dict[str, dict[str, int]]:
        """happened -> said -> how often."""
        table: dict[str, dict[str, int]] = {}
        for one in self.results:
            row = table.setdefault(one.happened, {})
            row[one.said] = row.get(one.said, 0) + 1
        return table

    def missed_bars(self) -> list[str]:
        """The bars that were not reached, each as a sentence."""
        found = [f"wrong settled: {len(self.wrong_settled)}"] if self.wrong_settled else []
        for what, bar in BARS.items():
            right, of = self.share(what)
            if of and right / of < bar:
                found.append(f"{what}: {right} of {of}, below {bar:.0%}")
        return found


def score(played: Iterable[tuple[Scenario, Outcome]], skipped: dict[str, list[str]]) -> Score:
    """The score of a run."""
    return Score(tuple(Result(*one) for one in played), skipped)

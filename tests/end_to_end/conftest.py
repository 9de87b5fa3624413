"""Plays scenarios once per run, all of those asked for beside each other: mostly they wait for somebody's timer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from tests.end_to_end.stage import Outcome, Scenario, all_played
from tests.end_to_end.table import SCENARIOS
from tests.peers.places import lacking
from tests.peers.priority import first_in_line

Outcomes = Callable[[str], Outcome]
AT_ONCE = 12  # on two cores, with other tests beside them
#: The files whose scenarios take longest, which must not begin last.
LONGEST_FIRST = ("ping_timeout", "seed", "keep_alive", "honesty", "boxes")


def _asked_for(items: list[pytest.Item]) -> list[Scenario]:
    names: dict[str, None] = {}
    for item in items:
        for mark in item.iter_markers("plays"):
            names.update(dict.fromkeys(mark.args))
    found = [SCENARIOS[name] for name in names if not lacking(SCENARIOS[name].needs)]
    return sorted(found, key=_place)


def _place(scenario: Scenario) -> int:
    file = scenario.play.__module__.rpartition(".")[2]
    return LONGEST_FIRST.index(file) if file in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.fixture(scope="session")
def outcome_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What came of a scenario, by its name. Whoever asks first waits until all have been played."""
    folder: Path = tmp_path_factory.mktemp("scenarios")
    outcomes: dict[str, Outcome] = {}
    curtain = iter([True])  # it rises once, whatever becomes of the play

    def keep(scenario: Scenario, outcome: Outcome) -> None:
        outcomes[scenario.name] = outcome

    def outcome(name: str) -> Outcome:
        if next(curtain, False):
            with first_in_line():
                trio.run(all_played, _asked_for(request.session.items), folder, AT_ONCE, keep)
        return outcomes[name]

    return outcome

"""Plays scenarios once per run: all of those asked for beside each other, or one at a time under xdist."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from tests.end_to_end.stage import Outcome, Scenario, all_played, played
from tests.end_to_end.table import SCENARIOS
from tests.peers.places import lacking

Outcomes = Callable[[str], Outcome]


def _asked_for(items: list[pytest.Item]) -> list[Scenario]:
    names: dict[str, None] = {}
    for item in items:
        for mark in item.iter_markers("plays"):
            names.update(dict.fromkeys(mark.args))
    return [SCENARIOS[name] for name in names if not lacking(SCENARIOS[name].needs)]


@pytest.fixture(scope="session")
def outcome_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What came of a scenario, by its name."""
    folder: Path = tmp_path_factory.mktemp("scenarios")
    outcomes: dict[str, Outcome] = {}
    together = "PYTEST_XDIST_WORKER" not in os.environ

    def outcome(name: str) -> Outcome:
        if name not in outcomes and together:
            outcomes.update(trio.run(all_played, _asked_for(request.session.items), folder))
        if name not in outcomes:
            outcomes[name] = trio.run(played, SCENARIOS[name], folder / f"{len(outcomes):03}")
        return outcomes[name]

    return outcome

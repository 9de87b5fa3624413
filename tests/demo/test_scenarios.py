"""The table of scenarios names only what can be said, and holds every verdict to it."""

from __future__ import annotations

import pytest

from kaproxy.demo.scenarios import SCENARIOS, Scenario
from kaproxy.diagnosis.roots import describe
from kaproxy.diagnosis.verdict import Cause


def test_names_are_unique() -> None:
    """`--only NAME` means one scenario."""
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


@pytest.mark.parametrize("kind", ["rumqttd", "mosquitto"])
def test_either_broker_shows_at_least_fifteen_ways_to_drop(kind: str) -> None:
    """No broker is a poor show."""
    assert sum(kind in scenario.brokers for scenario in SCENARIOS) >= 15


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_is_expected_stands_in_the_catalogue(scenario: Scenario) -> None:
    """Causes and roots are the catalogue's words."""
    assert describe(Cause(scenario.cause), scenario.root).name in {scenario.cause, scenario.root}


@pytest.mark.parametrize(
    ("cause", "root", "right"),
    [
        ("keep_alive_timeout", "pinged_late", True),
        ("keep_alive_timeout", "client_hung", False),
        ("keep_alive_timeout", None, False),
        ("broker_closed", "pinged_late", False),
    ],
)
def test_a_verdict_is_right_only_in_cause_and_root_together(
    cause: str, root: str | None, right: bool
) -> None:
    """Half right is wrong."""
    late = next(scenario for scenario in SCENARIOS if scenario.name == "late")
    assert late.right({"cause": cause, "root": root}) is right

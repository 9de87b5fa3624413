"""Every scenario's closing line says what really happened, and none of the required causes goes unproven."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.end_to_end.stage import Outcome, Scenario
from tests.end_to_end.table import SCENARIOS
from tests.peers.brokers import NAMES

pytestmark = [pytest.mark.xdist_group("scenarios"), pytest.mark.timeout(600)]

#: Causes, and roots of causes, that must each be produced for real.
MUST_BE_SHOWN = {
    *("client_disconnect", "client_disconnect_with_will", "client_disconnect_error"),
    *("connect_refused", "packet_rejected", "broker_disconnect", "broker_shutdown"),
    *(f"keep_alive_timeout/client_{root}" for root in ("unreachable", "hung", "not_reading")),
    *(f"keep_alive_timeout/{root}" for root in ("never_pinged", "pinged_late", "receive_resets_ping")),
    *(f"ping_timeout/broker_{root}" for root in ("silent", "unreachable")),
    *(f"ping_timeout/{root}" for root in ("response_not_read", "client_timer")),
    *("takeover", "broker_closed", "broker_reset", "client_closed", "client_reset"),
    *("no_connect", "probe", "not_mqtt", "broker_refused", "dial_timeout", "no_connack"),
    *("proxy_shutdown", "proxy_limit", "proxy_error"),
}


def told(outcome: Outcome) -> str:
    """The closing line without its long parts, for the eye."""
    short = {name: value for name, value in outcome.line.items() if name not in {"frames", "advice"}}
    return f"\n{short}\nlogs in {outcome.folder}"


@pytest.mark.parametrize(
    "scenario",
    [pytest.param(one, id=one.name, marks=pytest.mark.plays(one.name)) for one in SCENARIOS.values()],
)
def test_the_closing_line_says_what_happened(
    scenario: Scenario, outcome_of: Callable[[str], Outcome], require: Callable[..., None]
) -> None:
    require(*scenario.needs)
    outcome = outcome_of(scenario.name)
    if outcome.error is not None:
        raise outcome.error
    differences = scenario.expected.differences(outcome.line)
    assert not differences, "; ".join(differences) + told(outcome)
    assert not outcome.faults, "; ".join(outcome.faults) + told(outcome)


def shown() -> set[str]:
    """What the table of scenarios is sure to produce: entries with alternatives prove nothing."""
    found = set()
    for one in SCENARIOS.values():
        cause, root = one.expected.cause, one.expected.root
        if isinstance(cause, str):
            found.add(cause)
            if isinstance(root, str):
                found.add(f"{cause}/{root}")
    return found


def test_every_required_cause_and_root_has_a_scenario_of_its_own() -> None:
    assert shown() >= MUST_BE_SHOWN, sorted(MUST_BE_SHOWN - shown())


@pytest.mark.parametrize("broker", NAMES)
def test_every_broker_expires_silences_and_is_stopped_in_some_scenario(broker: str) -> None:
    causes = {
        one.expected.cause
        for one in SCENARIOS.values()
        if one.name.startswith(f"{broker}:") and isinstance(one.expected.cause, str)
    }
    assert {"keep_alive_timeout", "ping_timeout", "takeover", "client_disconnect", "client_closed"} <= causes

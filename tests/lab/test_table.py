"""The catalogue is as wide as it is said to be: brokers, clients, and every cause and root there is."""

from __future__ import annotations

import pytest

from kaproxy.diagnosis.roots import ROOTS
from kaproxy.diagnosis.verdict import Cause
from tests.end_to_end.stage import ANY
from tests.lab.score import alternatives
from tests.lab.table import CATALOGUE

BROKERS = {"mosquitto", "rumqttd", "aedes", "rabbitmq", "ejabberd", "hivemq", "moquette", "mochi", "amqtt"}
CLIENTS = ("paho-python", "MQTT.js", "golang", "paho-c", "rumqttc", "mosquitto_sub", "aiomqtt", "gmqtt")
#: TLS is not spoken yet; `unknown` is for what nobody has thought of; the long limits would take hours.
NOT_PLAYED = {Cause.TLS_FAILED, Cause.UNKNOWN}
PLAYED_LIMITS = {"limit_50s", "limit_60s"}


def played() -> set[tuple[str, str | None]]:
    """Every cause and root that some scenario may rightly be told as."""
    return {
        (cause, root)
        for one in CATALOGUE.values()
        for cause in alternatives(one.expected.cause)
        for root in (None, *alternatives(one.expected.root))
        if root != ANY
    }


def test_there_are_sixty_scenarios_and_more() -> None:
    assert len(CATALOGUE) >= 60


def test_every_broker_has_scenarios_of_its_own() -> None:
    assert {name.partition(":")[0] for name in CATALOGUE} >= BROKERS


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_has_scenarios_of_its_own(client: str) -> None:
    assert any(client in name for name in CATALOGUE)


@pytest.mark.parametrize("cause", sorted(set(Cause) - NOT_PLAYED))
def test_every_cause_is_played(cause: Cause) -> None:
    assert (cause.value, None) in played()


@pytest.mark.parametrize(
    ("cause", "root"),
    [
        (cause, root)
        for cause, roots in ROOTS.items()
        for root in roots
        if cause is not Cause.IDLE_CUT or root in PLAYED_LIMITS
    ],
)
def test_every_root_is_played(cause: Cause, root: str) -> None:
    shared = {"client_looks_fine", "lifetime_limit"}  # of every way in which a broker ends a connection
    causes = {one for one, why in played() if why == root} if root in shared else {cause.value}
    assert any((one, root) in played() for one in causes)

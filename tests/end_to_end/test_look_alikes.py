"""The five look-alikes nobody tells apart, each pair side by side: different stories, different verdicts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest

from tests.end_to_end.stage import Outcome
from tests.end_to_end.table import SCENARIOS

pytestmark = [pytest.mark.xdist_group("scenarios"), pytest.mark.timeout(600)]

LOOK_ALIKES: dict[str, tuple[str, ...]] = {
    "the client gave up on PINGRESP: the broker, the path, the client's reading or its timer": (
        "mosquitto: the broker process is stopped, paho-python gives up",
        "mosquitto: the path to the broker is cut, paho-python gives up",
        "mosquitto: a client whose receive window is closed gives up on its PINGRESP",
        "mosquitto: MQTT.js 5.8.0 gives up although PINGRESP came",
    ),
    "nothing arrives: the path is dead, the program hangs, or it was never told to ping": (
        "rumqttd: the path to a MQTT.js client is cut",
        "rumqttd: a MQTT.js process is stopped",
        "rumqttd: a client that never pings",
    ),
    "the broker hangs, or cannot be reached": (
        "aedes: the broker process is stopped, MQTT.js gives up",
        "aedes: the path to the broker is cut, MQTT.js gives up",
        "mosquitto: the broker process is killed",
    ),
    "a box cut an idle connection, or the broker expired it": (
        "a box between proxy and broker cuts after 3 s",
        "aedes: a client that never pings",
    ),
    "the client pings late, or the broker counts wrong": (
        "rumqttd: idle clients ping every 1.5 x Keep Alive",
        "a broker that expires clients before their Keep Alive has passed",
    ),
}
PAIRS = [pair for names in LOOK_ALIKES.values() for pair in combinations(names, 2)]


@pytest.mark.parametrize(
    ("one", "other"), [pytest.param(*pair, marks=pytest.mark.plays(*pair)) for pair in PAIRS]
)
def test_look_alikes_are_told_apart(
    one: str, other: str, outcome_of: Callable[[str], Outcome], require: Callable[..., None]
) -> None:
    require(*SCENARIOS[one].needs, *SCENARIOS[other].needs)
    outcomes = {name: outcome_of(name) for name in (one, other)}
    for name, outcome in outcomes.items():
        assert outcome.error is None, f"{name}: {outcome.error!r}"
        assert not SCENARIOS[name].expected.differences(outcome.line), name
    verdicts = [(outcome.line["cause"], outcome.line.get("root")) for outcome in outcomes.values()]
    assert verdicts[0] != verdicts[1]

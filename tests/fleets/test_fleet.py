"""A made-up fleet's log is one the proxy could have written, and its truth is what is in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path

import orjson
import pytest

from kaproxy.analysis.logs import Account, read_lines
from kaproxy.analysis.rejudge import rejudge
from kaproxy.telemetry.schema import events, head
from tests.fleets import bulk, decoys, fleet, plants, plants_shared
from tests.fleets.conftest import LINES, Made
from tests.fleets.plan import Plan
from tests.fleets.truth import Truth
from tests.fleets.world import SITES

#: What a plant's connections are said to have died of, by most of the lines.
CAUSES = {
    "crash-south": {"broker_closed/restart", "broker_refused"},
    "restart-east": {"broker_shutdown/restart", "broker_refused"},
    "fight-gateway-3": {"takeover/two_clients"},
    "fight-line-controller": {"takeover/two_clients"},
    "token-meter": {"broker_closed/lifetime_limit"},
    "late-chiller": {"keep_alive_timeout/pinged_late"},
    "bad-pumps": {"keep_alive_timeout/client_unreachable", "client_unreachable"},
    "impatient-east": {"keep_alive_timeout/broker_premature"},
    "lag-south-2": {"keep_alive_timeout/proxy_delayed"},
    "stall-north": {"ping_timeout/broker_silent"},
}
#: Kinds of plant whose connections belong to another one as well.
ALSO = ("storm", "keep_alive", "no_keep_alive")


def test_the_lines_are_about_as_many_as_asked_for_and_the_truth_counts_them(made: Made) -> None:
    _, truth, lines = made
    count = len(made.closing)
    assert 0.9 * LINES < count < 1.15 * LINES
    assert truth.events == Counter(line["event"] for line in lines)
    assert truth.causes == Counter(line["cause"] for line in made.closing)


def test_every_line_has_the_documented_fields_and_no_other(made: Made) -> None:
    _, _, lines = made
    known = {name: {field.name for field in (*head(), *line.fields)} for name, line in events().items()}
    found: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        found[line["event"]].update(line)
    assert all(names <= known[event] for event, names in found.items())
    assert {"connection.closed", "connection.established", "keep_alive.late", "ping.slow"} <= set(found)


def test_todays_rules_say_of_every_line_what_stands_in_it(made: Made) -> None:
    path, truth, _ = made
    found = rejudge([str(path)])
    assert (found.judged, found.changed) == (truth.events["connection.closed"], 0)
    assert not found.unreadable


def test_lines_stand_in_the_order_in_which_they_were_written(made: Made) -> None:
    _, _, lines = made
    stamps = [line["timestamp"] for line in lines]
    assert stamps == sorted(stamps)


def test_a_connection_is_closed_once_and_opened_once_unless_it_never_stood(made: Made) -> None:
    _, _, lines = made
    closed = Counter(line["conn_id"] for line in made.closing)
    opened = Counter(line["conn_id"] for line in lines if line["event"] == "connection.established")
    stood = {line["conn_id"] for line in made.closing if line["phase"] in ("established", "closing")}
    assert set(closed.values()) == set(opened.values()) == {1}
    assert set(opened) == stood


def test_both_lines_of_a_connection_agree_on_who_it_is(made: Made) -> None:
    _, _, lines = made
    opened = {line["conn_id"]: line for line in lines if line["event"] == "connection.established"}
    for line in made.closing:
        first = opened.get(line["conn_id"])
        if first is not None:
            same = ("client_id", "client_addr", "client_port", "worker", "broker_addr", "keep_alive")
            assert {name: first[name] for name in same} == {name: line[name] for name in same}


def test_the_noise_is_what_the_truth_counts(made: Made) -> None:
    path, truth, _ = made
    account = Account()
    with path.open("rb") as raw:
        list(read_lines(raw, account))
    assert sum(each.count for each in account.others.values()) == sum(truth.noise.values()) > 0


def test_every_plant_has_its_connections_in_the_log_and_is_of_one_of_the_plain_kinds(made: Made) -> None:
    truth = made.truth
    there = {line["conn_id"] for line in made.closing}
    planted = Counter(
        conn_id for plant in truth.plants if plant.kind not in ALSO for conn_id in plant.conn_ids
    )
    assert set(planted) <= there
    assert set(planted.values()) == {1}
    assert all(plant.conn_ids for plant in truth.plants)


@pytest.mark.parametrize("name", CAUSES)
def test_a_plant_dies_of_what_it_was_planted_as(name: str, made: Made) -> None:
    truth = made.truth
    plant = next(each for each in truth.plants if each.name == name)
    own = set(plant.conn_ids)
    said = Counter(
        "/".join(filter(None, (line["cause"], line.get("root"))))
        for line in made.closing
        if line["conn_id"] in own
    )
    assert sum(said[cause] for cause in CAUSES[name]) >= 0.9 * len(own)


def test_the_times_of_a_plant_are_those_of_its_endings(made: Made) -> None:
    _, truth, _ = made
    for plant in truth.plants:
        if "at_us" in plant.numbers and plant.kind == "incident":
            assert 0 <= plant.first_us - plant.numbers["at_us"] < 500_000


def test_nobody_lives_at_a_broker_while_it_is_down(made: Made) -> None:
    truth = made.truth
    crash = next(each for each in truth.plants if each.name == "crash-south")
    start, end = (
        crash.numbers["at_us"] / 1e6 + 0.5,
        crash.numbers["at_us"] / 1e6 + crash.numbers["recovery_s"],
    )
    for line in made.closing:
        if line["broker_addr"] == SITES[1].broker and line["cause"] not in ("broker_refused", "probe"):
            opened = datetime.fromisoformat(line["opened_at"]).timestamp()
            assert not (opened < start and opened + line["duration_s"] > end)
            assert not start < opened < end


def test_the_same_seed_makes_the_same_log_and_another_makes_another(tmp_path: Path) -> None:
    parts = (plants.lifetimes, decoys.coincidences, bulk.stayers)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        fleet.write(tmp_path / name, 1500, seed, parts)
    same, again, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert same == again != other


def test_a_healthy_fleet_has_no_plants_and_drops_all_the_same(tmp_path: Path) -> None:
    truth = fleet.write(tmp_path / "log.jsonl", 4000, 5, fleet.HEALTHY)
    assert not truth.plants
    assert {decoy.kind for decoy in truth.decoys} >= {"poisson", "batch", "coincidence", "restarted_process"}
    assert truth.causes["keep_alive_timeout"] > 20


def test_a_truth_is_read_back_as_it_was_written(made: Made) -> None:
    path, truth, _ = made
    again = path.with_name("again.truth.json")
    truth.save(again)
    assert Truth.load(again) == truth


def test_larger_fleets_have_more_clients_of_what_is_planted() -> None:
    small, large = (Plan(1, lines) for lines in (20_000, 200_000))
    for plan in (small, large):
        plants_shared.premature(plan)
    assert len(large.lives) > 3 * len(small.lives)
    assert orjson.dumps(large.truth.plants[0].subjects) == orjson.dumps(small.truth.plants[0].subjects)

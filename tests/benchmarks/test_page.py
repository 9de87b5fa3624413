"""The page about the benchmarks: its numbers are the results', and what is computed from them is right."""

from __future__ import annotations

import re
from typing import Any

import pytest

from benchmarks.experiments import EXPERIMENTS, Experiment
from benchmarks.page import bars, busy, others, page, scaling
from benchmarks.relays import RELAYS
from benchmarks.report import as_json, as_text
from benchmarks.scale import Costs, costs, need

ON = {
    "date": "2026-11-23",
    "cpu": "a CPU",
    "cores": 2,
    "kernel": "6",
    "python": "3.11",
    "python_is": "somebody's package",
    "trio": "0.35",
    "mypyc": "2",
    "haproxy": "2.6",
    "nginx": "1.22",
    "mitmproxy": "11",
    "quota": "cgroup v2",
    "real_time": True,
    "most_connections": 9000,
    "load_average_before": 0.1,
}
COST = Costs(
    kb=4.0,
    kernel_kb=8.0,
    idle_cores=5e-6,
    message_s=10e-6,
    connects_per_s=2000.0,
    lines_per_s=5000.0,
    line_bytes=2000.0,
)


def samples_of(experiment: Experiment) -> dict[str, list[dict[str, float]]]:
    """Two made-up samples of each relay: HAProxy 100 and 200, kaproxy half of that, compiled twice."""
    worth = {"direct": 1.0, "kaproxy": 50.0, "compiled": 200.0, "kaproxy_2": 180.0, "compiled_2": 190.0}
    return {
        name: [
            {f.key: worth.get(name, 100.0) * k for f in experiment.figures} | {"generator_busy": 0.5}
            for k in (1, 2)
        ]
        for name in experiment.relays
    }


@pytest.fixture
def results() -> dict[str, Any]:
    return as_json(EXPERIMENTS, {e.key: samples_of(e) for e in EXPERIMENTS}, ON, 1.0)


def row_of(results: dict[str, Any], experiment: str, figure: str) -> dict[str, Any]:
    return next(f for f in results["figures"] if (f["experiment"], f["figure"]) == (experiment, figure))


def test_every_relay_of_an_experiment_is_one_that_can_be_started() -> None:
    assert {name for e in EXPERIMENTS for name in (*e.relays, *e.context)} <= set(RELAYS)


def test_a_ratio_is_of_the_pairs_and_a_bar_is_judged_by_it(results: dict[str, Any]) -> None:
    row = row_of(results, "round_trips_50", "rate")
    assert row["ratios"]["kaproxy"] == {"median": 0.5, "low": 0.5, "high": 0.5, "pairs": 2}
    assert row["met"] == {"kaproxy": False, "compiled": True}


def test_added_latency_is_what_is_above_the_direct_figure_of_the_same_round(results: dict[str, Any]) -> None:
    row = row_of(results, "latency_low", "p50")
    assert row["medians"]["haproxy"] == 148.5  # 100 - 1 and 200 - 2
    assert "direct" not in row["medians"]
    assert row["met"] == {"kaproxy": True, "compiled": False}


def test_idle_connections_are_compared_with_the_haproxy_that_logs(results: dict[str, Any]) -> None:
    assert row_of(results, "idle", "kb")["ratios"]["compiled"]["median"] == 2.0


def test_two_workers_are_compared_with_one(results: dict[str, Any]) -> None:
    assert row_of(results, "workers_churn", "rate")["ratios"]["kaproxy_2"]["median"] == 1.8


def test_the_page_leaves_nothing_open_and_shows_what_was_missed(results: dict[str, Any]) -> None:
    text = page(results)
    assert not re.search(r"\$\{|None|nan", text)
    assert "**missed**" in text
    assert "1,000,000" in text
    assert len({line.count("|") for line in text.split("\n## ")[0].splitlines() if line.startswith("|")}) == 1


def test_a_run_of_one_experiment_has_a_page_and_a_table_too() -> None:
    churn = [e for e in EXPERIMENTS if e.key == "churn"]
    results = as_json(churn, {"churn": samples_of(churn[0])}, ON, 1.0)
    assert "did not measure" in page(results)
    assert "CONNECT" in as_text(results)


def test_costs_are_read_off_the_results(results: dict[str, Any]) -> None:
    cost = costs(results, "compiled")
    assert cost is not None
    assert cost.idle_cores == pytest.approx(3.0 / 9000)  # 300 %
    assert cost.message_s == pytest.approx(150e-6)  # half of a round trip of 300 us
    assert costs(results, "direct") is None  # it holds no idle connections


def test_workers_are_for_traffic_or_for_reconnecting_whatever_takes_more() -> None:
    many = need(1_000_000, COST)
    assert (many.idle_cores, many.traffic_cores) == pytest.approx((5.0, 1.0))
    assert (many.workers, many.workers_for) == (12, "traffic")  # 6 cores, half of each kept free
    assert many.machines == 3  # of 8 cores, one of them to spare
    slow = need(1_000_000, Costs(**{**vars(COST), "connects_per_s": 1000.0}))
    assert (slow.workers, slow.workers_for) == (17, "reconnecting")
    assert slow.back_s <= 60.0


def test_memory_addresses_and_descriptors_follow_from_the_connections() -> None:
    many = need(100_000, COST)
    assert (many.memory_gb, many.kernel_gb) == pytest.approx((0.4, 0.8))
    assert many.addresses == 2  # 64,511 ports each
    assert many.descriptors_each == 2 * 50_000 + 64
    assert many.drop_log_gb == pytest.approx(0.2)


def test_two_workers_are_held_to_their_bar_and_the_page_says_which_bars_each_build_misses(
    results: dict[str, Any],
) -> None:
    assert row_of(results, "workers_pingpong", "rate")["met"] == {"kaproxy_2": True, "compiled_2": True}
    pure, compiled = bars(results).split("\n- ")
    assert "The pure build meets" in pure
    assert "round trips, 100-byte PUBLISH, 50 connections: 0.50, wanted >= 1 x" in pure
    assert "50 connections" not in compiled
    assert "added latency, 1,000 round trips/s, p50: 2.01, wanted <= 1 x" in compiled


def test_a_figure_of_kaproxys_own_is_judged_without_a_ratio(results: dict[str, Any]) -> None:
    row = row_of(results, "idle", "line_bytes")
    assert row["ratios"] == {}
    assert row["met"] == {"kaproxy": True, "compiled": True}
    assert row["bar"] == "<= 2500 bytes"


def test_the_page_says_where_no_quotas_were_to_be_had(results: dict[str, Any]) -> None:
    assert "cgroup v2" in page(results)
    without = {**results, "machine": {**ON, "quota": ""}}
    assert "no CPU quotas to be had" in page(without)
    assert "a quarter of one" not in page(without)


def test_the_page_says_whose_python_it_was_and_whether_relays_had_real_time_priority(
    results: dict[str, Any],
) -> None:
    assert "Python 3.11 (somebody's package)" in page(results)
    assert "no real-time priority" not in page(results)
    assert "no real-time priority" in page({**results, "machine": {**ON, "real_time": False}})


def test_the_bare_relay_stands_in_the_page_with_its_cpu() -> None:
    churn = next(e for e in EXPERIMENTS if e.key == "churn")
    samples = {
        **samples_of(churn),
        "direct": [{"rate": 12000.0, "cpu": 0.0, "generator_busy": 1.0}],
        "bare": [{"rate": 9000.0, "cpu": 85.0, "generator_busy": 0.5}],
    }
    text = others(as_json([churn], {"churn": samples}, ON, 1.0))
    assert "| CONNECT + CONNACK + DISCONNECT, per second | 12,000 | 9,000 |  |  |" in text
    assert "| relay CPU per such connection, us | 0.00 | 85.0 |  |  |" in text


def test_the_page_names_the_relays_that_left_the_generator_little_time_to_spare(
    results: dict[str, Any],
) -> None:
    assert "nowhere near its limit (busy for more than 85 % of the time)" in busy(results)
    row_of(results, "churn", "rate")["generator_busy"].update(
        haproxy=0.91, nginx=0.86, compiled=0.85, direct=1.0
    )
    row_of(results, "latency_half", "p50")["generator_busy"]["kaproxy"] = 0.9
    named = busy(results).split("here: ")[1]
    assert named == (
        "added latency, half of HAProxy's most, p50 (kaproxy 90 %); "
        "CONNECT + CONNACK + DISCONNECT (haproxy 91 %, nginx 86 %)."
    )


def test_a_busy_share_is_the_median_of_the_samples() -> None:
    churn = next(e for e in EXPERIMENTS if e.key == "churn")
    taken = [{"rate": 1.0, "cpu": 1.0, "generator_busy": share} for share in (0.5, 0.99, 0.6)]
    assert as_json([churn], {"churn": {"haproxy": taken}}, ON, 1.0)["figures"][0]["generator_busy"] == {
        "haproxy": 0.6
    }


def test_the_same_load_stands_in_the_page_with_peers_that_sleep_and_has_no_bar(
    results: dict[str, Any],
) -> None:
    awake, asleep = (next(e for e in EXPERIMENTS if e.key == key).load for key in ("churn", "churn_asleep"))
    assert {**awake, "sleep": 1, "seconds": 0} == {**asleep, "seconds": 0}
    assert row_of(results, "churn_asleep", "rate")["bar"] == ""
    assert "| CONNECT + CONNACK + DISCONNECT, peers that sleep, per second |" in page(results)


def test_what_is_held_to_a_bar_that_is_near_is_taken_from_more_pairs_than_others() -> None:
    counted = {e.key: e.pairs for e in EXPERIMENTS}
    barred = (
        "round_trips_50",
        "round_trips_1000",
        "churn",
        "latency_low",
        "workers_pingpong",
        "workers_churn",
        "workers_stream",
    )
    assert min(counted[key] for key in barred) > max(counted[key] for key in counted.keys() - barred)


def test_only_a_relay_that_mostly_sleeps_is_given_real_time_priority() -> None:
    assert {e.key for e in EXPERIMENTS if e.real_time} == {"latency_low"}


@pytest.mark.parametrize("key", ["latency_low", "latency_half"])
def test_windows_of_added_latency_are_as_long_as_the_page_says(key: str) -> None:
    latency = next(e for e in EXPERIMENTS if e.key == key)
    for load in (latency.load, latency.quick):
        assert float(str(load["seconds"])) / int(str(load["windows"])) == 0.25
    assert latency.load["windows"] == 6


def test_more_connections_stand_in_one_table(results: dict[str, Any]) -> None:
    assert "| 4,000 | 150 (150) | 150 (150) | 75.0 (75.0) | 300 (300) |" in scaling(results)


def test_every_measure_and_relay_that_is_wanted_is_there() -> None:
    taken = {e.key: {*e.relays, *e.context} for e in EXPERIMENTS}
    peers = {"direct", "haproxy", "nginx", "bare", "trio_streams", "mitmproxy"}
    for key in ("round_trips_50", "latency_low", "stream_small", "stream_large", "churn"):
        assert taken[key] >= peers | {"kaproxy", "compiled"}
    wanted = {f"round_trips{qos}_{count}" for qos in ("", "_qos1") for count in (1, 50, 1000)}
    wanted |= {"latency_half", "idle", "workers_pingpong", "workers_churn", "workers_stream"}
    assert wanted <= set(taken)

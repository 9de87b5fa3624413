"""The table of metrics: every name by the conventions, every field of a snapshot told, every label set bounded."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from kaproxy.telemetry.metrics import HISTOGRAMS, METRICS, VERDICTS_LIMIT, Metric, metrics_markdown
from kaproxy.telemetry.overview import Overview, WorkerView
from kaproxy.telemetry.tally import Snapshot
from tests.telemetry.test_tally import ONE


def overview(*snapshots: Snapshot, **changes: object) -> Overview:
    workers = tuple(
        WorkerView(f"1-{number}", 100 + number, "up", 1, 9.0, snapshot, 0.0)
        for number, snapshot in enumerate(snapshots)
    )
    whole = Overview("0.1", "127.0.0.1:1", "127.0.0.1:2", "unknown", 10.0, False, workers)
    return replace(whole, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Metric) -> None:
    assert re.fullmatch(r"kaproxy_[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.help.endswith(".")
    assert all(len(labels) == len(metric.labels) for labels, _ in metric.read(overview(ONE)))


def test_no_name_is_given_twice_and_each_is_on_the_page() -> None:
    names = [metric.name for metric in METRICS] + [metric.name for metric in HISTOGRAMS]
    assert len(names) == len(set(names))
    assert all(f"| `{name}` |" in metrics_markdown() for name in names)


def test_workers_that_are_gone_and_the_supervisor_are_in_the_sum() -> None:
    whole = overview(ONE, ONE, retired=ONE.retired(), own=Snapshot(log_lines_dropped=4))
    assert (whole.total.accepted, whole.total.live, whole.total.log_lines_dropped) == (30, 6, 7)


def test_more_verdicts_than_a_label_set_should_have_are_told_as_other_and_none_is_lost() -> None:
    many = {("connect_refused", f"root_{number}", "broker"): 1 for number in range(VERDICTS_LIMIT * 2)}
    closed = next(metric for metric in METRICS if metric.name == "kaproxy_connections_closed_total")
    samples = dict(closed.read(overview(Snapshot(verdicts=many))))
    assert len(samples) == VERDICTS_LIMIT + 1
    assert sum(samples.values()) == VERDICTS_LIMIT * 2
    assert samples[("connect_refused", "other", "broker")] == VERDICTS_LIMIT


@pytest.mark.parametrize(
    ("changes", "ready"), [({}, True), ({"draining": True}, False), ({"workers": ()}, False)]
)
def test_ready_means_that_somebody_serves_and_will_go_on(changes: dict[str, object], ready: bool) -> None:
    assert overview(ONE, **changes).ready is ready

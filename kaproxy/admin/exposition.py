"""Metrics written out with prometheus_client, in the form the scraper asks for.

A collector over what was counted as plain integers: nothing is registered, nothing is kept between scrapes.
Read next: `kaproxy/telemetry/metrics.py`, the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from kaproxy.telemetry.metrics import HISTOGRAMS, METRICS, HistogramMetric, Metric
from kaproxy.telemetry.overview import Overview
from kaproxy.telemetry.tally import Snapshot

_FAMILIES: dict[str, type[CounterMetricFamily | GaugeMetricFamily]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
}


class Once(Collector):
    """The metrics of one moment."""

    def __init__(self, overview: Overview) -> None:
        self._overview = overview

    def collect(self) -> Iterator[Family]:
        """Every family with its samples."""
        for metric in METRICS:
            yield _family(metric, self._overview)
        total = self._overview.total
        for histogram in HISTOGRAMS:
            yield _histogram(histogram, total)


def _family(metric: Metric, overview: Overview) -> Family:
    family = _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
    for labels, number in metric.read(overview):
        family.add_metric(labels, float(number))
    return family


def _histogram(metric: HistogramMetric, total: Snapshot) -> Family:
    found = metric.read(total)
    ends = [*(repr(bound) for bound in metric.bounds), "+Inf"]
    counts = accumulate(found.counts or [0] * len(ends))
    family = HistogramMetricFamily(metric.name, metric.help)
    family.add_metric((), buckets=list(zip(ends, counts, strict=True)), sum_value=found.total)
    return family


def exposition(overview: Overview, accept: str) -> tuple[bytes, str]:
    """The page and its content type, in the newest form `accept` (the header) admits."""
    encode, content_type = choose_encoder(accept)
    return encode(Once(overview)), content_type

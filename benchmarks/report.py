"""The results of a run: one JSON object with every sample, and one table for people.

A ratio is the median of the ratios of the pairs of one run, shown with its smallest and largest; it may
not be read without the machine it was taken on, so that stands above it.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.experiments import Experiment, Figure, Sample

COLUMNS = ("direct", "haproxy", "haproxy_log", "kaproxy")


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    cpu = [
        line.split(":", 1)[1].strip() for line in read("/proc/cpuinfo").splitlines() if "model name" in line
    ]
    haproxy = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=False).stdout
    return {
        "cpu": cpu[0] if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "trio": version("trio"),
        "haproxy": " ".join(haproxy.split()[2:3]),
        "load_average_before": os.getloadavg()[0],
    }


def read(path: str) -> str:
    """A file's text, or nothing where there is no such file."""
    return Path(path).read_text() if Path(path).exists() else ""


def as_json(
    experiments: Sequence[Experiment],
    samples: dict[str, dict[str, list[Sample]]],
    before: dict[str, object],
    took: float,
) -> dict[str, Any]:
    """Every figure with its medians, its ratio and its bar, and the samples they came from."""
    rows = [row(e, f, samples[e.key]) for e in experiments for f in e.figures]
    return {"machine": before, "took_s": round(took, 1), "figures": rows, "samples": samples}


def row(experiment: Experiment, figure: Figure, samples: dict[str, list[Sample]]) -> dict[str, Any]:
    """One figure over all relays."""
    values = {name: [s[figure.key] for s in taken] for name, taken in samples.items()}
    ratios = paired(values, figure.added)
    kaproxy = statistics.median(values["kaproxy"])
    busy = max(s["generator_busy"] for s in samples["kaproxy"])
    ratio = statistics.median(ratios) if ratios else None
    return {
        "experiment": experiment.key,
        "figure": figure.key,
        "title": figure.title,
        "unit": figure.unit,
        "medians": {name: statistics.median(v) for name, v in values.items()},
        "ratio": ratio,
        "ratio_low": min(ratios, default=None),
        "ratio_high": max(ratios, default=None),
        "pairs": len(ratios),
        "more_is_better": figure.more_is_better,
        "bar": bar(figure),
        "bar_met": met(figure, ratio, kaproxy),
        "generator_busy": round(busy, 2),
    }


def paired(values: dict[str, list[float]], added: bool) -> list[float]:
    """kaproxy / HAProxy for every pair; of what each adds to the direct figure where that is what counts."""
    base = values["direct"] if added else [0.0] * len(values["kaproxy"])
    trios = zip(values["kaproxy"], values["haproxy"], base, strict=True)
    return [(ours - none) / (theirs - none) for ours, theirs, none in trios if theirs > none]


def bar(figure: Figure) -> str:
    """The bar as it is read: a ratio, or kaproxy's own figure."""
    sign = ">=" if figure.more_is_better else "<="
    if figure.own_bar is not None:
        return f"{sign} {figure.own_bar:g} {figure.unit}"
    return "" if figure.bar is None else f"{sign} {figure.bar:g} x"


def met(figure: Figure, ratio: float | None, own: float) -> bool | None:
    """Whether the bar is met; None where there is none, or nothing to compare with."""
    value, limit = (own, figure.own_bar) if figure.own_bar is not None else (ratio, figure.bar)
    if value is None or limit is None:
        return None
    return value >= limit if figure.more_is_better else value <= limit


def as_text(results: dict[str, Any]) -> str:
    """The table."""
    on = results["machine"]
    head = (
        f"{on['cpu']}, {on['cores']} cores, Linux {on['kernel']}, Python {on['python']}, trio {on['trio']}, "
        f"HAProxy {on['haproxy']}; load average before: {on['load_average_before']:.2f}; "
        f"took {results['took_s']:.0f} s"
    )
    titles = [
        "",
        "unit",
        "direct",
        "HAProxy",
        "HAProxy+log",
        "kaproxy",
        "ratio",
        "lowest..highest",
        "bar",
        "",
    ]
    table = [titles, *(cells(figure) for figure in results["figures"])]
    widths = [max(len(line[i]) for line in table) for i in range(len(titles))]
    lines = [
        "  ".join(
            c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in table
    ]
    return "\n".join([head, "ratio: kaproxy / HAProxy, median of pairs in this run", "", *lines])


def cells(figure: dict[str, Any]) -> list[str]:
    """One figure as the columns of the table."""
    medians = [figure["medians"].get(name) for name in COLUMNS]
    ratio, low, high = figure["ratio"], figure["ratio_low"], figure["ratio_high"]
    return [
        figure["title"],
        figure["unit"],
        *("" if m is None else f"{m:,.0f}" if m >= 1000 else f"{m:.1f}" for m in medians),
        "" if ratio is None else f"{ratio:.2f}",
        "" if ratio is None else f"{low:.2f}..{high:.2f}",
        figure["bar"],
        {True: "met", False: "MISSED", None: ""}[figure["bar_met"]],
    ]

"""The results of a run: one JSON object with every sample, and one table for a terminal.

A ratio is the median of the ratios of the pairs of one run, shown with its smallest and largest; it may
not be read without the machine it was taken on, so that stands above it.
Read next: `page.py`, which writes the same for people.
"""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks import priority, python, quota
from benchmarks.experiments import Experiment, Figure, Sample
from benchmarks.relays import MITMDUMP, PYTHON, most_connections

Values: TypeAlias = dict[str, list[float]]

#: What each is compared with, the first of them that was measured.
COMPARED = {
    "nginx": ("haproxy", "haproxy_log"),
    "kaproxy": ("haproxy", "haproxy_log"),
    "compiled": ("haproxy", "haproxy_log"),
    "kaproxy_2": ("kaproxy_1",),
    "compiled_2": ("compiled_1",),
}
JUDGED = ("kaproxy", "compiled", "kaproxy_2", "compiled_2")


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    models = [
        row.split(":", 1)[1].strip() for row in read("/proc/cpuinfo").splitlines() if "model name" in row
    ]
    python_version, python_is = python.told(PYTHON)
    return {
        "date": date.today().isoformat(),
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": python_version,
        "python_is": python_is,
        "trio": version("trio"),
        "mypyc": version("mypy"),
        "haproxy": said(["haproxy", "-v"]),
        "nginx": said(["nginx", "-v"]),
        "mitmproxy": said([str(MITMDUMP), "--version"]),
        "quota": quota.kind(),
        "real_time": priority.possible(),
        "most_connections": most_connections(),
        "load_average_before": os.getloadavg()[0],
    }


def said(command: list[str]) -> str:
    """The first version number that a program tells."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not here"
    found = re.search(r"\d+\.\d+\.\d+", ran.stdout + ran.stderr)
    return found[0] if found else "unknown"


def read(path: str) -> str:
    """A file's text, or nothing where there is no such file."""
    return Path(path).read_text() if Path(path).exists() else ""


def as_json(
    experiments: Sequence[Experiment],
    samples: Mapping[str, dict[str, list[Sample]]],
    before: dict[str, object],
    took: float,
) -> dict[str, Any]:
    """Every figure with its medians, its ratios and its bar, and the samples they came from."""
    rows = [row(e, f, samples[e.key]) for e in experiments for f in e.figures]
    return {"machine": before, "took_s": round(took, 1), "figures": rows, "samples": dict(samples)}


def row(experiment: Experiment, figure: Figure, samples: dict[str, list[Sample]]) -> dict[str, Any]:
    """One figure over all relays; what a relay adds to the direct figure, where that is what counts."""
    values = {name: [s[figure.key] for s in taken if figure.key in s] for name, taken in samples.items()}
    if figure.added:
        values = added(values)
    medians = {name: statistics.median(v) for name, v in values.items() if v}
    ratios = {n: spread(values, n) for n in COMPARED if figure.compared and spread(values, n)}
    return {
        "experiment": experiment.key,
        "figure": figure.key,
        "title": figure.title,
        "unit": figure.unit,
        "medians": medians,
        "ratios": ratios,
        "more_is_better": figure.more_is_better,
        "bar": bar(figure),
        "met": {n: met(figure, ratios.get(n), medians.get(n)) for n in JUDGED if n in samples},
        "generator_busy": {
            n: round(statistics.median(s["generator_busy"] for s in taken), 2) for n, taken in samples.items()
        },
    }


def added(values: Values) -> Values:
    """What is above the direct figure of the same round, and above the last of them where it was asked once."""
    base = values.get("direct", [])
    return {
        name: [v - base[min(i, len(base) - 1)] if base else v for i, v in enumerate(taken)]
        for name, taken in values.items()
        if name != "direct"
    }


def spread(values: Values, name: str) -> dict[str, float] | None:
    """Median, smallest and largest of the ratios of all pairs; None where there is nothing to compare."""
    base = next((b for b in COMPARED[name] if values.get(b)), None)
    if base is None or not values.get(name):
        return None
    found = [ours / theirs for ours, theirs in zip(values[name], values[base], strict=False) if theirs > 0]
    if not found:
        return None
    return {"median": statistics.median(found), "low": min(found), "high": max(found), "pairs": len(found)}


def bar(figure: Figure) -> str:
    """The bar as it is read: a ratio, or kaproxy's own figure."""
    sign = ">=" if figure.more_is_better else "<="
    if figure.own_bar is not None:
        return f"{sign} {figure.own_bar:g} {figure.unit}".strip()
    return "" if figure.bar is None else f"{sign} {figure.bar:g} x"


def met(figure: Figure, ratio: dict[str, float] | None, own: float | None) -> bool | None:
    """Whether the bar is met; None where there is none, or nothing to compare with."""
    value = own if figure.own_bar is not None else ratio["median"] if ratio else None
    limit = figure.own_bar if figure.own_bar is not None else figure.bar
    if value is None or limit is None:
        return None
    return value >= limit if figure.more_is_better else value <= limit


def number(value: float | None) -> str:
    """Three significant figures, or all of those before the point."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def as_text(results: dict[str, Any]) -> str:
    """The table for a terminal."""
    names = ("direct", "haproxy", "nginx", "kaproxy", "compiled")
    lines = [["", "unit", *names, "kaproxy x", "compiled x", "bar"]]
    for figure in results["figures"]:
        known = {"haproxy": figure["medians"].get("haproxy_log"), **figure["medians"]}
        ratios = figure["ratios"]
        if two_workers(figure):
            known = {name: known.get(f"{name}_2") for name in names}
            ratios = {name: ratios.get(f"{name}_2", {}) for name in names}
        medians = (number(known.get(name)) for name in names)
        shown = (number(ratios.get(name, {}).get("median")) for name in ("kaproxy", "compiled"))
        title = f"{figure['title']}{', 2 workers / 1' * two_workers(figure)}"
        lines.append([title, figure["unit"], *medians, *shown, figure["bar"]])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    table = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([in_a_line(results["machine"]), f"took {results['took_s']:.0f} s", "", *table])


def two_workers(figure: Mapping[str, Any]) -> bool:
    """Whether a row is of the experiments with one worker and two."""
    return bool(figure["experiment"].startswith("workers"))


def in_a_line(facts: Mapping[str, object]) -> str:
    """The machine, in a line."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())

"""The page about a run, `docs/performance.md`: its words are in `page.md`, its numbers come from the results.

It may not measure, nor judge beyond what the results say. Read next: `scale.py`, `plot.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from string import Template
from typing import Any

from benchmarks import scale
from benchmarks.plot import write_plot
from benchmarks.report import number, two_workers

BUSY_LIMIT = 0.85
SIZES = (9000, 100_000, 1_000_000)
REAL_TIME = {
    True: "At the first pace the relay has real-time priority, or the 99th percentile would be",
    False: "**The relay had no real-time priority** at the first pace, which takes root: the 99th percentile may be",
}
VERDICT = {True: "met", False: "**missed**", None: ""}
BUILDS = {"kaproxy": "pure", "compiled": "compiled"}
WITH_QUOTA = """One worker and two, each of which is given a small core: a quarter of one ({0[quota]}; the supervisor is
paid out of the workers' shares), so that the load generator on the other core is not the limit. Both share the relays'
core, and so its caches, which two cores of a bigger machine would not."""
NO_QUOTA = """One worker and two. **There were no CPU quotas to be had on this machine** (which takes root and a cgroup
hierarchy that may be written), so nobody was pinned, and the load generator shared the cores with the workers: that
caps what two can reach, and the ratios say little; the CPU of all processes per operation says more."""


def write_page(results: dict[str, Any], folder: Path) -> None:
    """Writes performance.md, .json and .svg into `folder`."""
    (folder / "performance.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "performance.md").write_text(page(results))
    write_plot(results, folder / "performance.svg")


def page(results: dict[str, Any]) -> str:
    """The page's text."""
    build = "compiled" if scale.costs(results, "compiled") else "kaproxy"
    words = Template(Path(__file__).with_name("page.md").read_text())
    return words.substitute(
        machine=machine(results["machine"]),
        pairs=max((r["pairs"] for f in results["figures"] for r in f["ratios"].values()), default=0),
        table=main_table(results),
        bars=bars(results),
        scaling=scaling(results),
        mitmproxy=results["machine"]["mitmproxy"],
        most=f"{results['machine']['most_connections']:,}",
        others=others(results),
        busy=busy(results),
        compiled=compiled(results),
        workers_on=WITH_QUOTA.format(results["machine"]) if results["machine"]["quota"] else NO_QUOTA,
        workers=workers(results),
        scale_build="pure" if build == "kaproxy" else build,
        publish_every=f"{scale.PUBLISH_EVERY_S:g}",
        back_within=f"{scale.BACK_WITHIN_S:g}",
        scale=scale_table(scale.costs(results, build)),
        ports=f"{scale.PORTS:,}",
        real_time=REAL_TIME[results["machine"]["real_time"]],
        haproxy_log=number(figure(results, "churn", "rate").get("medians", {}).get("haproxy_log"))
        or "not measured",
    )


def machine(on: dict[str, Any]) -> str:
    """What the figures were taken on, as a sentence without its stop."""
    return (
        f"{on['date']}: {on['cpu']}, {on['cores']} cores (load generator on one, relay on another), Linux "
        f"{on['kernel']},\nPython {on['python']} ({on['python_is']}),\ntrio {on['trio']}, mypyc {on['mypyc']}, "
        f"HAProxy {on['haproxy']}, nginx {on['nginx']}; loopback; load average {on['load_average_before']:.1f} before"
    )


def figure(results: dict[str, Any], experiment: str, key: str) -> dict[str, Any]:
    """One figure of the results, or nothing where it was not taken."""
    found = (f for f in results["figures"] if (f["experiment"], f["figure"]) == (experiment, key))
    return next(found, {})


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table, its first column to the left."""
    titles = list(titles)
    lines = [titles, ["---", *["--:"] * (len(titles) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def unit_of(f: dict[str, Any]) -> str:
    """What a figure is and in what it is counted."""
    unit = "per second" if f["unit"] == "/s" else f["unit"]
    return f"{f['title'].strip()}, {unit}" if unit else f["title"].strip()


def single(results: dict[str, Any]) -> list[dict[str, Any]]:
    """The figures of one worker, which are all but those of the workers' experiments."""
    return [f for f in results["figures"] if not two_workers(f)]


def bars(results: dict[str, Any]) -> str:
    """Which bars each build meets, in sentences."""
    return "\n".join(sentence(results, build) for build in BUILDS if judged(results, build))


def judged(results: dict[str, Any], build: str) -> list[tuple[dict[str, Any], bool]]:
    """Every figure with a bar that this build was held to, and whether it meets it."""
    found = ((f, f["met"].get(f"{build}_2" if two_workers(f) else build)) for f in results["figures"])
    return [(f, met) for f, met in found if met is not None]


def sentence(results: dict[str, Any], build: str) -> str:
    """One build's bars, those missed by name."""
    known = judged(results, build)
    missed = [named(f, build) for f, met in known if not met]
    count = f"**{len(known) - len(missed)} of {len(known)}** bars"
    head = f"- The {BUILDS[build]} build meets {count}" + ("; it misses:" if missed else ".")
    return "\n".join([head, *(f"  - {name}" for name in missed)])


def named(f: dict[str, Any], build: str) -> str:
    """A figure that misses its bar, with what it came to and what was wanted."""
    name = f"{build}_2" if two_workers(f) else build
    own = not f["bar"].endswith(" x")
    value = number(f["medians"][name] if own else f["ratios"][name]["median"])
    return f"{f['title'].strip()}{', 2 workers' * two_workers(f)}: {value}, wanted {f['bar']}"


def scaling(results: dict[str, Any]) -> str:
    """Round trips over the number of connections: how many, and at what CPU each."""
    sizes = [f"round_trips_{count}" for count in (1, 50, 1000, 4000)]
    names = ("haproxy", "nginx", "kaproxy", "compiled")
    rows = []
    for size in sizes:
        rate, cpu = (figure(results, size, key).get("medians", {}) for key in ("rate", "cpu"))
        cells = (f"{number(rate[n])} ({number(cpu[n])})" if rate.get(n) else "" for n in names)
        rows.append([f"{int(size.rsplit('_', 1)[1]):,}", *cells])
    return table(["connections", "HAProxy", "nginx", "kaproxy, pure", "compiled"], rows)


def main_table(results: dict[str, Any]) -> str:
    """HAProxy, nginx and kaproxy's builds, with ratios and bars."""
    rows = []
    for f in single(results):
        medians = f["medians"]
        base = medians.get("haproxy", medians.get("haproxy_log"))
        rows.append(
            [
                unit_of(f),
                number(base),
                with_ratio(f, "nginx"),
                with_ratio(f, "kaproxy"),
                VERDICT[f["met"]["kaproxy"]],
                with_ratio(f, "compiled"),
                VERDICT[f["met"]["compiled"]],
                f["bar"],
            ]
        )
    return table(["", "HAProxy", "nginx", "kaproxy, pure", "", "kaproxy, compiled", "", "bar"], rows)


def with_ratio(f: dict[str, Any], name: str) -> str:
    """A median, its ratio and between what that moved."""
    if (median := f["medians"].get(name)) is None:
        return ""
    if not (ratio := f["ratios"].get(name)):
        return number(median)
    spread = f" ({ratio['low']:.2f} .. {ratio['high']:.2f})" if ratio["pairs"] > 1 else ""
    return f"{number(median)}: **{ratio['median']:.2f}**{spread}"


def others(results: dict[str, Any]) -> str:
    """The generator alone, and the relays for context; CPU where the bare one was measured, whose point that is."""
    names = ("direct", "bare", "trio_streams", "mitmproxy")
    rows = [
        [unit_of(f), *(number(f["medians"].get(name)) for name in names)]
        for f in single(results)
        if (f["figure"] in ("rate", "p50") and any(name in f["medians"] for name in names))
        or (f["figure"] == "cpu" and "bare" in f["medians"])
    ]
    return table(["", "direct", "bare sockets", "trio streams", "mitmproxy"], rows)


def busy(results: dict[str, Any]) -> str:
    """Where the generator was near its limit with a relay between, in a sentence."""
    found = [
        f"{f['title'].strip()} ({', '.join(shares)})"
        for f in single(results)
        if f["figure"] in ("rate", "p50") and (shares := near_limit(f))
    ]
    limit = f"busy for more than {round(BUSY_LIMIT * 100)} % of the time"
    if not found:
        return f"With a relay between, the generator was nowhere near its limit ({limit})."
    return f"The generator was near its limit ({limit}), and may have held the relay back, here: {'; '.join(found)}."


def near_limit(f: dict[str, Any]) -> list[str]:
    """The relays that left the generator little time to spare, with its busy share."""
    shares = (
        (name, f["generator_busy"].get(name, 0.0)) for name in ("haproxy", "nginx", "kaproxy", "compiled")
    )
    return [f"{name} {round(share * 100)} %" for name, share in shares if share > BUSY_LIMIT]


def compiled(results: dict[str, Any]) -> str:
    """Compiled against pure."""
    rows = [
        [unit_of(f), number(pure), number(fast), f"{fast / pure:.2f}"]
        for f in single(results)
        if (pure := f["medians"].get("kaproxy")) and (fast := f["medians"].get("compiled"))
        if f["figure"] in ("rate", "cpu", "p50", "kb", "line_cpu")
    ]
    return table(["", "pure", "compiled", "compiled / pure"], rows)


def workers(results: dict[str, Any]) -> str:
    """Two workers against one, both builds."""
    rows = []
    for f in results["figures"]:
        if two_workers(f):
            cells = (cell for build in BUILDS for cell in of_workers(f, build))
            rows.append([unit_of(f), *cells, f["bar"]])
    return table(["", "pure, 1 worker", "2 workers", "", "compiled, 1 worker", "2 workers", "", "bar"], rows)


def of_workers(f: dict[str, Any], build: str) -> tuple[str, str, str]:
    """One worker, two with their ratio to it, and the verdict."""
    return with_ratio(f, f"{build}_1"), with_ratio(f, f"{build}_2"), VERDICT[f["met"].get(f"{build}_2")]


def scale_table(cost: scale.Costs | None) -> str:
    """Numbers of connections side by side."""
    if cost is None:
        return "(This run did not measure what it is computed from.)"
    needs = [scale.need(size, cost) for size in SIZES]
    return table(
        ["connections", *(f"{n.connections:,}" for n in needs)],
        [[title, *(shown(n) for n in needs)] for title, shown in SCALE_ROWS],
    )


SCALE_ROWS: tuple[tuple[str, Callable[[scale.Need], str]], ...] = (
    ("cores, idle", lambda n: number(n.idle_cores)),
    ("cores, messages", lambda n: number(n.traffic_cores)),
    ("workers", lambda n: f"{n.workers} ({n.workers_for})"),
    (f"machines of {scale.MACHINE_CORES} cores, one to spare", lambda n: str(n.machines)),
    ("everybody back after, s", lambda n: number(n.back_s)),
    ("memory, GB", lambda n: number(n.memory_gb)),
    ("the kernel's, GB", lambda n: number(n.kernel_gb)),
    ("descriptors per worker", lambda n: f"{n.descriptors_each:,}"),
    ("addresses", lambda n: str(n.addresses)),
    ("closing lines of a mass drop, s", lambda n: number(n.drop_lines_s)),
    ("their size, GB", lambda n: number(n.drop_log_gb)),
)

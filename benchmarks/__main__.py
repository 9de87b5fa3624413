"""`python -m benchmarks`: kaproxy against HAProxy and others, every figure a ratio from pairs of one run.

The load generator runs on one core, the relay on another, and every sample starts its own relay. It may
not judge: a bar that is missed is shown as missed, and the exit code stays 0.
While working at one thing: `python -m benchmarks --only churn --samples 1 --relays haproxy,kaproxy`.
Read next: `experiments.py` for what is measured, `relays.py` for what it is measured on, `page.py`.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TypeAlias

from benchmarks.experiments import EXPERIMENTS, Experiment, Sample
from benchmarks.generator import Generator
from benchmarks.page import write_page
from benchmarks.relays import RELAYS, available, most_connections, on_all_cores
from benchmarks.report import as_json, as_text, machine

Samples: TypeAlias = dict[str, list[Sample]]
ATTEMPTS = 3


def main() -> int:
    """Runs the chosen experiments, or reads a former run; prints the table, writes the page."""
    options = parse()
    if options.read:
        results = json.loads(options.read.read_text())
    else:
        results = measure(options)
        print(as_text(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if options.write:
        write_page(results, options.write)
    return 0


def measure(options: argparse.Namespace) -> dict[str, object]:
    """Every chosen experiment, on every relay there is."""
    started = time.monotonic()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    chosen = [e for e in EXPERIMENTS if not options.only or e.key in options.only]
    chosen = [e for e in chosen if fits(e)]
    before = machine()
    samples: dict[str, Samples] = {}
    if missing := set(RELAYS) - available():
        print(f"*** not on this machine, so left out: {', '.join(sorted(missing))} ***", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="kaproxy-bench-") as folder:
        generator = Generator.build(Path(folder))
        for experiment in chosen:
            load = {**experiment.load, **(experiment.quick if options.quick else {})}
            if experiment.load["mode"] == "idle":
                load["conns"] = min(int(str(load["conns"])), most_connections())
            if rate := half_rate(experiment, samples):
                load["rate"] = rate
            samples[experiment.key] = run(experiment, load, generator, Path(folder), options)
    return as_json(chosen, samples, before, time.monotonic() - started)


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one sample each, smaller: about three minutes")
    parser.add_argument(
        "--samples",
        type=int,
        help="of each relay, in every experiment (default: 1 to 7, most where there is a bar)",
    )
    parser.add_argument(
        "--only", action="append", choices=[e.key for e in EXPERIMENTS], help="these experiments; repeatable"
    )
    parser.add_argument(
        "--relays", type=lambda names: names.split(","), help="these of the relays only, with commas between"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample and ratio there")
    parser.add_argument(
        "--read", type=Path, metavar="FILE", help="do not measure: take what --json has written"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FOLDER", help="write performance.md, .json and the plot there"
    )
    parser.add_argument(
        "--cores", default=None, metavar="GENERATOR,RELAY", help="default: 0,1 where there are two"
    )
    return parser.parse_args()


def fits(experiment: Experiment) -> bool:
    """Whether descriptors allow that many connections; idle ones may be fewer, which their figures tell."""
    if experiment.load["mode"] == "idle" or int(str(experiment.load["conns"])) <= most_connections():
        return True
    print(f"*** {experiment.key} left out: descriptors for {most_connections()} only ***", file=sys.stderr)
    return False


def half_rate(experiment: Experiment, samples: dict[str, Samples]) -> int:
    """The pace of an experiment that is to run at half of what HAProxy did in another; 0: its own."""
    if experiment.half_of is None or not (done := samples.get(experiment.half_of, {}).get("haproxy")):
        return 0
    return round(statistics.median(sample["rate"] for sample in done) / 2)


def run(
    experiment: Experiment,
    load: dict[str, object],
    generator: Generator,
    folder: Path,
    options: argparse.Namespace,
) -> Samples:
    """One experiment: for every pair each relay once, the order turned round every time; then the context."""
    wanted = available() & set(options.relays or RELAYS)
    names = [name for name in experiment.relays if name in wanted]
    pairs = options.samples or (1 if options.quick else experiment.pairs)
    turns = [name for pair in range(pairs) for name in (names if pair % 2 == 0 else reversed(names))]
    samples: Samples = defaultdict(list)
    for name in [*turns, *(name for name in experiment.context if name in wanted)]:
        samples[name].append(take(experiment, name, load, generator, folder, options))
        show(experiment, name, samples[name])
    return dict(samples)


def take(
    experiment: Experiment,
    name: str,
    load: dict[str, object],
    generator: Generator,
    folder: Path,
    options: argparse.Namespace,
) -> Sample:
    """One sample of one relay. What fails is tried again: it should not cost the whole run, but be told."""
    core = None if on_all_cores(name) else generator.own_core(options.cores)

    def once() -> Sample:
        with RELAYS[name](folder, generator.relay_core(options.cores)) as relay:
            return experiment.sample(generator, relay, load, core)

    for _ in range(ATTEMPTS - 1):
        try:
            return once()
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            print(f"*** {experiment.key}, {name}, once more: {error} ***", file=sys.stderr)
    return once()


def show(experiment: Experiment, name: str, samples: list[Sample]) -> None:
    """Progress, on stderr: one line per sample."""
    figure = experiment.figures[0]
    value = samples[-1][figure.key]
    middle = statistics.median(s[figure.key] for s in samples)
    print(
        f"  {experiment.key:20} {name:12} {value:12,.1f} {figure.unit}  (median {middle:,.1f})",
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(main())

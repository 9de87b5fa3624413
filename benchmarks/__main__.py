"""`python -m benchmarks`: kaproxy against HAProxy in TCP mode, every figure a ratio from pairs of one run.

The load generator runs on one core, the relay on another, and every sample starts its own relay. It may
not judge: a bar of the design that is missed is shown as missed, and the exit code stays 0.
Read next: `experiments.py` for what is measured, `relays.py` for what it is measured on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.experiments import EXPERIMENTS, Experiment, Sample
from benchmarks.generator import Generator
from benchmarks.relays import RELAYS
from benchmarks.report import as_json, as_text, machine


def main() -> int:
    """Runs the chosen experiments and prints the table; returns the exit code."""
    options = parse()
    started = time.monotonic()
    chosen = [e for e in EXPERIMENTS if not options.only or e.key in options.only]
    before = machine()
    with tempfile.TemporaryDirectory(prefix="kaproxy-bench-") as folder:
        generator = Generator.build(Path(folder))
        samples = {e.key: run(e, generator, Path(folder), options) for e in chosen}
    results = as_json(chosen, samples, before, time.monotonic() - started)
    print(as_text(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one pair each, smaller; under a minute")
    parser.add_argument("--pairs", type=int, help="pairs per figure (default: 3, fewer for slow ones)")
    parser.add_argument("--only", action="append", choices=[e.key for e in EXPERIMENTS], help="repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample and ratio there")
    parser.add_argument(
        "--cores", default=None, metavar="GENERATOR,RELAY", help="default: 0,1 where there are two"
    )
    return parser.parse_args()


def run(
    experiment: Experiment, generator: Generator, folder: Path, options: argparse.Namespace
) -> dict[str, list[Sample]]:
    """One experiment: for every pair each relay once, the order turned round every time."""
    names = list(experiment.relays)
    samples: dict[str, list[Sample]] = defaultdict(list)
    pairs = 1 if options.quick else options.pairs or experiment.pairs
    for pair in range(pairs):
        for name in names if pair % 2 == 0 else reversed(names):
            with RELAYS[name](folder, generator.relay_core(options.cores)) as relay:
                sample = experiment.sample(generator, relay, options.quick, options.cores)
            samples[name].append(sample)
            show(experiment, name, samples[name])
    return dict(samples)


def show(experiment: Experiment, name: str, samples: list[Sample]) -> None:
    """Progress, on stderr: one line per sample."""
    figure = experiment.figures[0]
    value = samples[-1][figure.key]
    middle = statistics.median(s[figure.key] for s in samples)
    print(
        f"  {experiment.key:14} {name:12} {value:12,.1f} {figure.unit}  (median {middle:,.1f})",
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(main())

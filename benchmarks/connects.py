"""`python -m benchmarks.connects`: what one CONNECT + CONNACK + DISCONNECT costs a relay, user and system apart.

The shortest honest measure of it: clients churn for a while, and the relay's CPU is taken from before the first of
them until it rests again, so that lines written afterwards are in it. No figure here depends on the clock on the
wall, nor on how fast the generator is, so a busy machine disturbs it little. Relays take turns; medians are shown.
`bare` is the bound: what the same sockets cost a Python that looks at nothing.
Read next: `relays.py`; the benchmark `churn` of `experiments.py` takes the rate, and more relays.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.experiments import addresses
from benchmarks.generator import Generator
from benchmarks.relays import RELAYS, Running, available

RELAYS_SHOWN = ("haproxy", "haproxy_log", "bare", "kaproxy", "compiled")
AT_REST_S = 0.25  # without a tick of CPU: what was put off is done
REST_LIMIT_S = 10.0
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Cpu(NamedTuple):
    """CPU time, seconds."""

    user: float
    system: float


def cpu_of(pid: int) -> Cpu:
    """What all threads of a process have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return Cpu(int(fields[11]) * TICK_S, int(fields[12]) * TICK_S)


def rest(relay: Running) -> Cpu:
    """Waits until the relay has used next to nothing for a while; what it has used by then."""
    deadline = time.monotonic() + REST_LIMIT_S
    before = cpu_of(relay.pid)
    while time.monotonic() < deadline:
        time.sleep(AT_REST_S)
        now = cpu_of(relay.pid)
        if sum(now) - sum(before) <= TICK_S:
            return now
        before = now
    return before


def sample(generator: Generator, relay: Running, seconds: float, core: int | None) -> tuple[Cpu, int]:
    """CPU per connection, microseconds, and how many there were."""
    load = {"mode": "churn", "conns": 50, "warmup": 0, "seconds": seconds, **addresses(relay)}
    before = rest(relay)
    done = generator.run(load, core)["done"]
    after = rest(relay)
    return Cpu(*(1e6 * (b - a) / done for a, b in zip(before, after, strict=True))), done


def main() -> int:
    """Takes turns over the relays and prints a row for each."""
    options = parse()
    wanted = available() & set(options.relays)
    taken: dict[str, list[Cpu]] = {name: [] for name in options.relays if name in wanted}
    with tempfile.TemporaryDirectory(prefix="kaproxy-bench-") as folder:
        generator = Generator.build(Path(folder))
        for _ in range(options.samples):
            for name, costs in taken.items():
                with RELAYS[name](Path(folder), generator.relay_core(None)) as relay:
                    cost, done = sample(generator, relay, options.seconds, generator.own_core(None))
                costs.append(cost)
                print(f"  {name:12} {done:8,} {sum(cost):8.1f} us", file=sys.stderr)
    print(f"{'us per connection':20} {'user':>8} {'system':>8} {'both':>8} {'lowest':>8}  x")
    base = None
    for name, costs in taken.items():
        both = statistics.median(map(sum, costs))
        base = base or both
        user, system = (statistics.median(part) for part in zip(*costs, strict=True))
        print(
            f"{name:20} {user:8.1f} {system:8.1f} {both:8.1f} {min(map(sum, costs)):8.1f}  {both / base:.2f}"
        )
    return 0


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.connects", description=__doc__)
    parser.add_argument("relays", nargs="*", default=RELAYS_SHOWN, help="default: " + " ".join(RELAYS_SHOWN))
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of churn per sample")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

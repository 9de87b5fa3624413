"""`python -m benchmarks.splice`: is it worth moving long PUBLISH bodies through a pipe instead of through Python?

Bare relays that differ in nothing else (`splice_relay.py`) move bodies of several sizes, in turns, over loopback and,
where root allows, over a veth pair between two network namespaces; HAProxy with and without its own splicing stands
beside them on loopback. What decides is CPU per gigabyte: it depends less than MB/s on what else the machine does.
Read next: `splice_relay.py`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.generator import Generator
from benchmarks.python import ROOT
from benchmarks.relays import PYTHON, free_port, haproxy

SIZES = {"64 KB": 1 << 16, "1 MB": 1 << 20, "16 MB": 1 << 24}
WAYS = {
    "recv, 64 KB": ("recv", 1 << 16),
    "recv, 256 KB": ("recv", 1 << 18),
    "recv_into, 64 KB": ("recv_into", 1 << 16),
    "recv_into, 256 KB": ("recv_into", 1 << 18),
    "splice, pipe of 256 KB": ("splice", 1 << 18),
    "splice, pipe of 1 MB": ("splice", 1 << 20),
    "splice, short reads, 256 KB": ("expect", 1 << 18),
    "splice, short reads, 1 MB": ("expect", 1 << 20),
}
PEERS = {"HAProxy": "", "HAProxy, splicing": "option splice-request"}
TITLES = ("CPU s/GB", "lowest", "x", "peers' CPU", "MB/s", "lowest")


@dataclass(frozen=True)
class Place:
    """Where the generator and the relay stand: how their commands begin, and their addresses."""

    name: str
    relay_host: str = "127.0.0.1"
    broker_host: str = "127.0.0.1"
    by_relay: tuple[str, ...] = ()
    by_generator: tuple[str, ...] = ()


@contextmanager
def veth() -> Iterator[Place]:
    """Two network namespaces and a cable between them; needs root."""
    near, far = (f"kapbench{end}{os.getpid() % 10000}" for end in "ab")
    with ExitStack() as undo:
        for space in (near, far):
            ip("netns", "add", space)
            undo.callback(ip, "netns", "del", space)
        ip("link", "add", "kb0", "netns", near, "type", "veth", "peer", "name", "kb0", "netns", far)
        for space, address in ((near, "10.91.0.1/24"), (far, "10.91.0.2/24")):
            ip("-n", space, "addr", "add", address, "dev", "kb0")
            ip("-n", space, "link", "set", "kb0", "up")
        inside = Place("veth pair", "10.91.0.2", "10.91.0.1")
        yield replace(
            inside, by_relay=("ip", "netns", "exec", far), by_generator=("ip", "netns", "exec", near)
        )


def ip(*words: str) -> None:
    """Calls ip(8)."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def bare(place: Place, way: tuple[str, int], core: int | None) -> Iterator[tuple[int, int, int]]:
    """One of the bare relays: its process, its port and its broker's."""
    broker_port = free_port()
    command = [str(PYTHON.program), "-m", "benchmarks.splice_relay", way[0], str(way[1])]
    command += [place.relay_host, place.broker_host, str(broker_port)]
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    with subprocess.Popen(
        [*place.by_relay, *pinned, *command], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as relay:
        assert relay.stdout is not None
        try:
            yield relay.pid, int(relay.stdout.readline()), broker_port
        finally:
            relay.kill()


@contextmanager
def peer(options: str, core: int | None) -> Iterator[tuple[int, int, int]]:
    """HAProxy in the same role."""
    with tempfile.TemporaryDirectory() as folder, haproxy(Path(folder), core, options=options) as relay:
        yield relay.pid, relay.port, relay.broker_port


def sample(generator: Generator, place: Place, name: str, size: int, seconds: float) -> dict[str, Any]:
    """Streams bodies of a size through one relay."""
    core = generator.relay_core(None)
    relay = bare(place, WAYS[name], core) if name in WAYS else peer(PEERS[name], core)
    with relay as (pid, port, broker_port):
        load = {
            "mode": "stream",
            "conns": 20,
            "frame": size,
            "seconds": seconds,
            "sleep": 1,  # its CPU time is the peers'
            "connect": f"{place.relay_host}:{port}",
            "listen": f"{place.broker_host}:{broker_port}",
            "relay-pid": pid,
        }
        return replace(generator, before=place.by_generator).run(load, generator.own_core(None))


def measure(generator: Generator, place: Place, options: argparse.Namespace) -> None:
    """Every way and every size, in turns; prints a table."""
    names = [*WAYS, *(PEERS if not place.by_relay and shutil.which("haproxy") else ())]
    for title, size in SIZES.items():
        costs: dict[str, list[Cost]] = defaultdict(list)
        for turn in range(options.samples):
            for name in names if turn % 2 == 0 else reversed(names):
                costs[name].append(Cost.of(sample(generator, place, name, size, options.seconds)))
        show(f"{place.name}, bodies of {title}", {name: costs[name] for name in names})


class Cost(NamedTuple):
    """What a sample says: CPU seconds per gigabyte (10^9 bytes), of the relay and of its peers, and MB/s."""

    relay: float
    peers: float
    speed: float

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Cost:
        """Reads a generator's answer."""
        gigabytes = answer["bytes"] / 1e9
        return cls(
            answer["relay_cpu_s"] / gigabytes,
            answer["generator_cpu_s"] / gigabytes,
            1e3 * gigabytes / answer["seconds"],
        )


def show(title: str, costs: dict[str, list[Cost]]) -> None:
    """One table: medians, the lowest CPU, and the ratio to the first row's CPU."""
    print(f"\n{title:36}" + "".join(f"{word:>12}" for word in TITLES))
    base = 0.0
    for name, taken in costs.items():
        relay, peers, speed = (statistics.median(column) for column in zip(*taken, strict=True))
        base = base or relay
        lowest, slowest = min(c.relay for c in taken), min(c.speed for c in taken)
        print(
            f"  {name:34}{relay:12.3f}{lowest:12.3f}{relay / base:12.2f}{peers:12.3f}{speed:12,.0f}{slowest:12,.0f}",
            flush=True,
        )


def main() -> int:
    """Loopback, then the veth pair where it may be made."""
    parser = argparse.ArgumentParser(prog="benchmarks.splice", description=__doc__)
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kaproxy-bench-") as folder:
        generator = Generator.build(Path(folder))
        measure(generator, Place("loopback"), options)
        if os.geteuid() == 0 and shutil.which("ip"):
            with veth() as place:
                measure(generator, place, options)
        else:
            print("\nno veth pair: that takes root and ip(8)")
    return 0


if __name__ == "__main__":
    sys.exit(main())

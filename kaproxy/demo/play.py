"""Runs the scenarios side by side and holds every verdict against what was made to happen.

`play` is the whole command: its return value is the exit code, 0 only where every verdict was right.
Read next: `scenarios.py` for the table, `screen.py` for what is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

import trio
from rich.console import Console

from kaproxy.demo.children import PROFILES, broker, mosquitto, proxy
from kaproxy.demo.scenarios import SCENARIOS, Scenario, Stage
from kaproxy.demo.screen import DONE, FAILED, RUNNING, Run, Screen

PATIENCE_S = 40.0  # the most a scenario may take; a fuse
SLOW = {"keep_alive_timeout", "ping_timeout"}  # causes that take somebody's patience
EXPLAINED = "late"  # whose closing line is told in full


def play(
    kind: str = "auto", only: Sequence[str] = (), console: Console | None = None, *, fast: bool = False
) -> int:
    """Run the demonstration with the broker "rumqttd" or "mosquitto", or with what is here ("auto").

    `only` names scenarios; `fast` leaves out those that wait until somebody loses patience. Returns the exit code:
    0 all right, 1 a verdict was wrong or a scenario failed, 2 it cannot be run here.
    """
    console = console or Console()
    kind = at_hand() if kind == "auto" else kind
    trouble = missing(kind) or unknown(kind, only)
    if trouble:
        console.print(trouble, style="red", markup=False, soft_wrap=True)
        return 2
    runs = [Run(scenario) for scenario in choose(kind, only, fast=fast)]
    try:
        trio.run(_perform, kind, runs, Screen(console, runs))
    except* (RuntimeError, trio.TooSlowError) as group:
        for error in group.exceptions:
            console.print(f"{type(error).__name__}: {error}", style="red", markup=False, soft_wrap=True)
    return 0 if all(run.right for run in runs) else 1


def choose(kind: str, only: Sequence[str] = (), *, fast: bool = False) -> list[Scenario]:
    """The scenarios this broker can play, or those named among them, or those that nobody has to wait for."""
    able = [item for item in SCENARIOS if kind in item.brokers and (not only or item.name in only)]
    return [item for item in able if not (fast and item.cause in SLOW)]


def at_hand() -> str:
    """The broker that is installed here; the one of the extra `demo` first."""
    return "mosquitto" if find_spec("iotcore") is None and mosquitto() else "rumqttd"


def unknown(kind: str, only: Sequence[str]) -> str | None:
    """The names among `only` that this broker has no scenario for, as a sentence for the user."""
    names = [item.name for item in choose(kind)]
    strange = [name for name in only if name not in names]
    return f"no such scenario: {', '.join(strange)}; there are: {', '.join(names)}" if strange else None


def missing(kind: str) -> str | None:
    """What this machine lacks for the demonstration, as a sentence for its user."""
    if sys.platform != "linux":
        return "kaproxy demo runs on Linux: its clients play with signals and the kernel's socket filters"
    if kind not in PROFILES:
        return f"no such broker: {kind}; there are: {', '.join(PROFILES)}"
    wanted = ["paho", *(["iotcore"] if kind == "rumqttd" else [])]
    if not all(find_spec(name) for name in wanted):
        return "kaproxy demo needs more packages: pip install 'kaproxy[demo]'"
    if kind == "mosquitto" and mosquitto() is None:
        return "mosquitto is not installed here"
    return None


async def _perform(kind: str, runs: Sequence[Run], screen: Screen) -> None:
    started = trio.current_time()
    screen.console.print(f"Starting {kind} and kaproxy, then {len(runs)} ways to drop, side by side …\n")
    async with (
        trio.open_nursery() as readers,
        broker(readers, kind) as served,
        proxy(readers, served.address, kind) as before,
    ):
        stage = Stage(kind, served, before, readers)
        with screen.showing():
            async with trio.open_nursery() as nursery:
                for run in runs:
                    nursery.start_soon(_one, run, stage, screen)
        screen.result()
        explained = next((run for run in runs if run.scenario.name == EXPLAINED), runs[0])
        if explained.line is not None:
            screen.explain(explained.line, before.warnings(explained.line["conn_id"]))
    screen.score(trio.current_time() - started)


async def _one(run: Run, stage: Stage, screen: Screen) -> None:
    started = trio.current_time()
    run.state = RUNNING
    try:
        with trio.fail_after(PATIENCE_S):
            run.line = await run.scenario.act(stage)
        run.state = DONE
    except (trio.TooSlowError, OSError, RuntimeError, trio.BrokenResourceError) as error:
        run.state, run.trouble = FAILED, f"{type(error).__name__}: {error}"
    run.took_s = trio.current_time() - started
    screen.told(run)

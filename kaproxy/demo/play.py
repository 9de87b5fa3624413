"""Runs the scenarios side by side and holds every verdict against what was made to happen.

`play` is the whole command: its return value is the exit code, 0 only where every verdict was right.
Read next: `scenarios.py` for the table, `screen.py` for what is shown.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

import trio
from rich.console import Console

from kaproxy.demo.children import broker, mosquitto, proxy
from kaproxy.demo.scenarios import SCENARIOS, Scenario, Stage
from kaproxy.demo.screen import DONE, FAILED, RUNNING, Run, Screen

PATIENCE_S = 40.0  # the most a scenario may take; a fuse
EXPLAINED = "late"  # whose closing line is told in full


def play(kind: str = "rumqttd", only: Sequence[str] = (), console: Console | None = None) -> int:
    """Run the demonstration with the broker "rumqttd" or "mosquitto"; `only` names scenarios.

    Returns the exit code: 0 all right, 1 a verdict was wrong or a scenario failed, 2 it cannot be run here.
    """
    console = console or Console()
    chosen = choose(kind, only)
    trouble = missing(kind) or (f"no such scenario: {', '.join(only)}" if not chosen else None)
    if trouble:
        console.print(trouble, style="red", soft_wrap=True)
        return 2
    runs = [Run(scenario) for scenario in chosen]
    try:
        trio.run(_perform, kind, runs, Screen(console, runs))
    except* (RuntimeError, trio.TooSlowError) as group:
        console.print(
            *(f"{type(error).__name__}: {error}" for error in group.exceptions), style="red", soft_wrap=True
        )
    return 0 if all(run.right for run in runs) else 1


def choose(kind: str, only: Sequence[str]) -> list[Scenario]:
    """The scenarios this broker can play, or those named among them."""
    return [item for item in SCENARIOS if kind in item.brokers and (not only or item.name in only)]


def missing(kind: str) -> str | None:
    """What this machine lacks for the demonstration, as a sentence for its user."""
    if sys.platform != "linux":
        return "kaproxy demo runs on Linux: its clients play with signals and the kernel's socket filters"
    wanted = ["paho", *(["iotcore"] if kind == "rumqttd" else [])]
    if not all(importlib.util.find_spec(name) for name in wanted):
        return "kaproxy demo needs the extra packages: pip install 'kaproxy\\[demo]'"
    if kind == "mosquitto" and mosquitto() is None:
        return "mosquitto is not installed here"
    return None


async def _perform(kind: str, runs: Sequence[Run], screen: Screen) -> None:
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

"""`python -m tests.lab`: plays the catalogue, writes the page, and fails where a bar is missed.

`--only TEXT` (repeatable) plays the scenarios whose names contain it; no page is written then, unless
`--page` names one.
Read next: `table.py` for the catalogue.
"""

from __future__ import annotations

import datetime
import sys
import tempfile
import time
from pathlib import Path

import click
import trio

from tests.end_to_end.stage import Outcome, Scenario, all_played
from tests.lab.entry import LAB
from tests.lab.report import page
from tests.lab.score import Result, Score, score
from tests.lab.table import CATALOGUE
from tests.lab.versions import versions
from tests.peers.places import ROOT, lacking

PAGE = ROOT / "docs" / "accuracy.md"


def _said(scenario: Scenario, outcome: Outcome) -> None:
    one = Result(scenario, outcome)
    verdict = f"{outcome.line.get('cause')}/{outcome.line.get('root')} {outcome.line.get('confidence')}"
    mark = "miss" if one.differences or not one.right_cause else "ok  "
    unwarned = " UNWARNED" if one.announced and not outcome.warned else ""
    wrong = " WRONG SETTLED" if one.wrong_settled else ""
    click.echo(f"{mark} {scenario.name}: {verdict}{unwarned}{wrong}")
    for difference in one.differences:
        click.echo(f"       {difference}")
    if mark == "miss":
        click.echo(f"       logs in {outcome.folder}")


def _play(scenarios: list[Scenario], folder: Path, at_once: int) -> Score:
    able = [one for one in scenarios if not lacking(one.needs)]
    skipped = {one.name: lacking(one.needs) for one in scenarios if lacking(one.needs)}
    outcomes = trio.run(all_played, able, folder, at_once, _said)
    broken = [one for one in able if outcomes[one.name].error is not None]
    if broken:  # a peer that did not come up says nothing of the verdicts: once more, with less beside it
        click.echo(f"{len(broken)} could not be played, and are played again")
        outcomes |= trio.run(all_played, broken, folder / "again", 4, _said)
    return score(((one, outcomes[one.name]) for one in able), skipped)


@click.command()
@click.option("--only", multiple=True, help="Play scenarios whose name contains this.")
@click.option("--new", is_flag=True, help="Leave out the scenarios of the test suite.")
@click.option("--at-once", default=10, show_default=True, help="How many play beside each other.")
@click.option("--page", "target", type=click.Path(path_type=Path), help="Where to write the page.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the logs go; must not exist yet.")
@click.option("--names", is_flag=True, help="Only print the names.")
def main(
    only: tuple[str, ...], new: bool, at_once: int, target: Path | None, folder: Path | None, names: bool
) -> None:
    """Play the catalogue of drops and measure the verdicts."""
    chosen = [
        one
        for one in CATALOGUE.values()
        if (not only or any(text in one.name for text in only)) and (not new or one.name in LAB)
    ]
    if names:
        click.echo("\n".join(one.name for one in chosen))
        return
    logs = folder or Path(tempfile.mkdtemp(prefix="kaproxy-lab-"))
    started = time.monotonic()
    result = _play(chosen, logs / "scenarios", at_once)
    took_s = time.monotonic() - started
    if target is None and not only and not new:
        target = PAGE
    if target is not None:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        target.write_text(page(result, versions(), today, took_s))
    _conclude(result, took_s)


def _conclude(result: Score, took_s: float) -> None:
    for what in ("right cause", "right root", "warned before"):
        right, of = result.share(what)
        click.echo(f"{what}: {right} of {of}")
    click.echo(
        f"wrong settled: {len(result.wrong_settled)}; not played: {len(result.skipped)}; {took_s:.0f} s"
    )
    missed = result.missed_bars()
    for bar in missed:
        click.echo(f"BAR MISSED: {bar}", err=True)
    sys.exit(1 if missed or not result.results else 0)


if __name__ == "__main__":
    main()

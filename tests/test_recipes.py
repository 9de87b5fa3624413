"""Every recipe of docs/analysis.md does what its title says, on a log with known faults in it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.fleets import fleet, plants, plants_shared
from tests.fleets.truth import Truth

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "analysis.md").read_text("utf-8")
RECIPE = re.compile(
    r"^### (?P<tool>jq|DuckDB|lnav): (?P<title>.+?)\n(?P<text>.*?)```(?:sh|sql)\n(?P<code>.*?)```",
    re.M | re.S,
)
RECIPES = {f"{found['tool']}: {found['title']}": found["code"] for found in RECIPE.finditer(PAGE)}
PARTS = (
    plants_shared.outages,
    plants.fights,
    plants.late_pingers,
    plants.worst_clients,
    plants_shared.valves,
    plants_shared.idle_limits,
)


class Made:
    """The log, in a folder that looks as the recipes expect, and its truth."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.truth: Truth = fleet.write(folder / "kaproxy.jsonl", 6000, 11, PARTS)
        (folder / "config").symlink_to(ROOT / "config")

    def plant(self, name: str) -> Any:
        return next(each for each in self.truth.plants if each.name == name)

    def sh(self, title: str) -> str:
        """What the recipe prints."""
        home = {**os.environ, "HOME": str(self.folder), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            ["bash", "-euc", RECIPES[title]],
            cwd=self.folder,
            env=home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, title: str) -> list[tuple[Any, ...]]:
        """What the query answers, over the view of the first recipe."""
        view, query = (
            RECIPES[each].replace("'kaproxy.jsonl'", f"'{self.folder}/kaproxy.jsonl'")
            for each in (VIEW, title)
        )
        with duckdb.connect() as database:
            database.execute(view)
            found: list[tuple[Any, ...]] = database.execute(query).fetchall()
        return found


def utc(moment: datetime) -> float:
    """Seconds since 1970 of a time without a zone."""
    return moment.replace(tzinfo=UTC).timestamp()


VIEW = "DuckDB: the closing lines as a table"


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("recipes"))


def drops(made: Made) -> None:
    lines = made.sh("jq: what dropped, most first").splitlines()
    counts = {tuple(line.split("\t")[:2]): int(line.split()[0]) for line in lines}
    found = {(cause.split()[-1], root): count for (cause, root), count in counts.items()}
    assert found["takeover", "two_clients"] == made.truth.causes["takeover"]
    assert list(counts.values()) == sorted(counts.values(), reverse=True)


def story(made: Made) -> None:
    lines = made.sh("jq: one client's story").splitlines()
    closed = [line for line in lines if "\tconnection.closed\t" in line]
    fights = [line for line in closed if "\ttakeover\ttwo_clients\t" in line]
    assert len(fights) == len(made.plant("fight-gateway-3").conn_ids)
    assert {line.split("\t")[2] for line in fights} == set(made.plant("fight-gateway-3").numbers["addresses"])


def closest(made: Made) -> None:
    rows = [
        line.split("\t")
        for line in made.sh("jq: who is closest to the limit, before anything has dropped").splitlines()
    ]
    assert {row[3].split("-")[0] for row in rows} == {"chiller"}
    assert len({row[3] for row in rows}) == len(rows) == 8
    assert all(-0.02 < float(row[0]) <= 0 for row in rows)


def advice(made: Made) -> None:
    first = made.sh("jq: what to do, by how many drops it would have prevented").splitlines()[0]
    assert "operator: " in first


def table(made: Made) -> None:
    with duckdb.connect() as database:
        database.execute(RECIPES[VIEW].replace("'kaproxy.jsonl'", f"'{made.folder}/kaproxy.jsonl'"))
        counted = dict(database.execute("select cause, count(*) from closed group by cause").fetchall())
    assert counted == dict(made.truth.causes)


def hours(made: Made) -> None:
    crash = made.plant("crash-south")
    worst = {
        utc(row[0]) // 3600 for row in made.rows("DuckDB: the worst hours") if row[1] == "broker-south:1883"
    }
    assert crash.numbers["at_us"] // 3_600_000_000 in worst


def together(made: Made) -> None:
    rows = made.rows("DuckDB: what ended together")
    at = made.plant("crash-south").numbers["at_us"] / 1e6
    assert rows[0][1] == "broker-south:1883"
    assert 0 <= utc(rows[0][0]) + 1 - at <= made.plant("crash-south").numbers["recovery_s"] + 1


def idle(made: Made) -> None:
    limit = made.plant("nat").numbers["limit_s"]
    found = {row[0]: row[1:] for row in made.rows("DuckDB: idle times survived and fatal, by network")}
    survived, fatal, count = found["10.81.5.0/24"]
    assert survived < limit <= fatal < limit + 1
    assert count >= 0.9 * len(made.plant("nat").conn_ids)


def cadence(made: Made) -> None:
    first = made.rows("DuckDB: how often each kind of device pings, for its Keep Alive")[0]
    assert first[:3] == ("chiller-#", made.plant("late-chiller").numbers["keep_alive"], 1.5)
    assert first[3] < 0.01
    assert first[4] >= len(made.plant("late-chiller").conn_ids)


def installed(made: Made) -> None:
    made.sh("lnav: install the format, then read")
    assert list((made.folder).rglob("kaproxy_log.json"))


def asked(made: Made) -> None:
    made.sh("lnav: install the format, then read")
    lines = made.sh("lnav: ask without opening it").splitlines()
    assert lines[0] == "cause,root,drops"
    found = {tuple(line.split(",")[:2]): int(line.split(",")[2]) for line in lines[1:]}
    assert found["takeover", "two_clients"] == made.truth.causes["takeover"]


CHECKS: dict[str, Callable[[Made], None]] = {
    "jq: what dropped, most first": drops,
    "jq: one client's story": story,
    "jq: who is closest to the limit, before anything has dropped": closest,
    "jq: what to do, by how many drops it would have prevented": advice,
    VIEW: table,
    "DuckDB: the worst hours": hours,
    "DuckDB: what ended together": together,
    "DuckDB: idle times survived and fatal, by network": idle,
    "DuckDB: how often each kind of device pings, for its Keep Alive": cadence,
    "lnav: install the format, then read": installed,
    "lnav: ask without opening it": asked,
}


def test_every_recipe_of_the_page_is_run_and_no_other() -> None:
    assert RECIPES.keys() == CHECKS.keys()
    blocks = PAGE.split("## Recipes")[1].split("\n## ")[0].count("```") // 2
    assert blocks == len(RECIPES)


@pytest.mark.parametrize("title", CHECKS)
def test_a_recipe_does_what_its_title_says(title: str, made: Made, require: Callable[..., None]) -> None:
    tool = title.split(":")[0]
    if tool != "DuckDB":
        require(tool)
    CHECKS[title](made)

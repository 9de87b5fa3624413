"""The report as one HTML file: it holds everything, asks nobody for anything, and a real browser draws it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.report import html
from kaproxy.analysis.store import DuckEngine, load, memory_engine
from kaproxy.diagnosis.verdict import Confidence, Owner
from tests.fleets import fleet, plants, plants_shared
from tests.peers.places import program

HOSTILE = '<script>alert("x")</script>\x07 & co'
START_US = 1_777_000_000_000_000


def closed(number: int, **changes: object) -> dict[str, object]:
    """A dropped connection of an hour, one a minute."""
    ended = START_US + number * 60_000_000
    return {
        "event": "connection.closed", "source": "a.log", "line_no": number + 1, "at_us": ended,
        "conn_id": f"c{number}", "client_id": f"press-{number % 7}", "client_addr": "192.0.2.7",
        "broker_addr": "broker:1883", "cause": "keep_alive_timeout", "root": "pinged_late",
        "owner": "client_library", "confidence": "likely", "explanation": "It pinged late.", "advice": "Ping earlier.",
        "duration_s": 3600.0, "keep_alive": 10, "opened_us": ended - 3_600_000_000, "ended_us": ended,
        "limit_low_s": 15.0, "margin_min_s": -0.2, "ping_rtt_max_ms": 20.0 + number, "clean": 0, **changes,
    }  # fmt: skip


def finding(**changes: object) -> Finding:
    told = {
        "kind": "incident",
        "title": "Seven drops at once",
        "advice": "Look.",
        "basis": "Counted.",
        **changes,
    }
    return Finding(owner=Owner.BROKER, confidence=Confidence.LIKELY, **told)  # type: ignore[arg-type]


def test_a_finding_stands_with_its_numbers_and_links_to_its_connections() -> None:
    with memory_engine([closed(1)]) as engine:
        found = finding(drops=40, numbers={"rate_per_day": 1234.5}, connections=("c1",), first_us=START_US)
        text = html.page(engine, [found])
    assert "Seven drops at once" in text
    assert "1,234.5" in text
    assert 'href="#drop-c1"' in text
    assert 'id="drop-c1"' in text
    assert "… of 40" in text


def test_what_a_client_calls_itself_is_text_and_no_part_of_the_page() -> None:
    with memory_engine([closed(1, client_id=HOSTILE)]) as engine:
        text = html.page(engine, [finding(title=HOSTILE)], [HOSTILE])
    assert "<script>alert" not in text
    assert "\\u003cscript>alert" in text  # in the data of a chart
    assert "&lt;script&gt;alert" in text
    assert "\x07" not in text


def test_a_log_without_a_drop_is_a_page_too() -> None:
    with memory_engine() as engine:
        text = html.page(engine, [])
    assert "No connection dropped" in text
    assert "vegaEmbed" not in text.split('<script id="specs"')[0]


def test_of_many_drops_those_behind_findings_and_some_of_each_cause_are_shown() -> None:
    many = [closed(number) for number in range(html.MOST_DROPS + 500)]
    rare = closed(0, conn_id="rare", cause="takeover", root="two_clients", ended_us=START_US - 10)
    with memory_engine([*many, rare]) as engine:
        shown = html.drops(engine, [finding(connections=("c3",))])
    names = [each.conn_id for each in shown]
    assert {"rare", "c3", f"c{html.MOST_DROPS + 499}"} <= set(names)
    assert len(names) == len(set(names)) == html.MOST_DROPS
    assert [each.ended for each in shown] == sorted((each.ended for each in shown), reverse=True)


def test_a_file_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    with (
        memory_engine([closed(1)]) as engine,
        pytest.raises(html.ReportError, match="cannot write the report"),
    ):
        html.write(engine, [], [], str(tmp_path / "no" / "folder.html"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a small fleet with something for every chart."""
    from kaproxy.analysis.findings import find_all

    folder = tmp_path_factory.mktemp("report")
    parts = (plants_shared.outages, plants.fights, plants.late_pingers, plants_shared.idle_limits)
    fleet.write(folder / "log.jsonl", 4000, 5, parts)
    engine: DuckEngine
    with load([str(folder / "log.jsonl")]) as engine:
        html.write(engine, find_all(engine), [], str(folder / "report.html"))
    return folder / "report.html"


def browser(page: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    found = program("chromium")
    if found is None:
        pytest.fail("chromium is not here: make peers installs it")
    profile = page.parent / "profile"
    command = [
        found,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={profile}",
        "--no-first-run",
    ]
    return subprocess.run(
        [*command, "--virtual-time-budget=20000", "--enable-logging=stderr", *flags, page.as_uri()],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


@pytest.mark.end_to_end
@pytest.mark.xdist_group("browser")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("size", ["1200,2000", "390,2000"], ids=["desk", "phone"])
def test_a_real_browser_draws_every_chart_and_complains_of_nothing(page: Path, size: str) -> None:
    done = browser(page, f"--window-size={size}", "--dump-dom")
    wanted = len(
        json.loads(re.findall(r'<script id="specs"[^>]*>(.*?)</script>', page.read_text("utf-8"), re.S)[0])
    )
    assert wanted >= 5
    assert f'data-charts="{wanted}"' in done.stdout, done.stderr[-2000:]
    assert "data-error" not in done.stdout.split("<body", 1)[0]
    assert len(re.findall(r'<svg[^>]*class="marks"', done.stdout)) == wanted
    assert "CONSOLE" not in done.stderr


@pytest.mark.end_to_end
@pytest.mark.xdist_group("browser")
@pytest.mark.timeout(300)
def test_the_page_asks_nobody_for_anything(page: Path) -> None:
    log = page.parent / "net.json"
    browser(page, f"--log-net-log={log}", "--dump-dom")
    asked = set(re.findall(r'"url":"(https?://[^"]+)"', log.read_text("utf-8", "replace")))
    named = {url for url in asked if url in page.read_text("utf-8")}
    assert not named
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page.read_text("utf-8"))
    assert policy is not None
    assert policy[1].startswith("default-src 'none'")

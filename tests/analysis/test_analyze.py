"""`kaproxy analyze` whole: a log in, findings out, in every shape; and every wrong word answered clearly."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from kaproxy.analysis.findings import find_all
from kaproxy.analysis.logs import LogError
from kaproxy.analysis.store import load
from kaproxy.analysis.store.saved import save
from tests.fleets import fleet, plants, plants_shared

PARTS = (plants_shared.outages, plants.fights, plants.late_pingers)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("analyze") / "kaproxy.jsonl"
    fleet.write(path, 3000, 7, PARTS)
    with path.open("ab") as stream:
        stream.write(b'{"timestamp":"2026-11-18T00:00:0')
    return path


def analyze(*arguments: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[str]:
    """The command, as a person without a terminal runs it."""
    done = subprocess.run(
        [sys.executable, "-m", "kaproxy", "analyze", *map(str, arguments)],
        input=stdin, capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_the_report_counts_finds_and_names_what_it_did_not_understand(log: Path) -> None:
    done = analyze(log)
    assert (done.returncode, done.stderr) == (0, "")
    assert "connections dropped" in done.stdout
    assert "Findings" in done.stdout
    assert "takeover/two_clients" in done.stdout
    assert "torn" in done.stdout


def test_json_is_one_object_with_the_same_findings(log: Path) -> None:
    done = analyze(log, "--json")
    told = json.loads(done.stdout)
    with load([str(log)]) as engine:
        titles = [each.title for each in find_all(engine)]
    assert [each["title"] for each in told["findings"]] == titles
    assert told["closing_lines"] == sum(each["connections"] for each in told["verdicts"])
    (account,) = told["logs"].values()
    assert any("torn" in what for what in account["others"])


def test_a_compressed_log_through_a_pipe_is_the_same_log(log: Path) -> None:
    piped = analyze("-", "--json", stdin=gzip.compress(log.read_bytes()))
    assert json.loads(piped.stdout)["verdicts"] == json.loads(analyze(log, "--json").stdout)["verdicts"]


def test_what_was_saved_says_the_same_as_its_log(log: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.parquet"
    with load([str(log)]) as engine:
        save(engine, str(kept))
        said, accounts = find_all(engine), engine.accounts
        rows = engine.rows("select * from {closed} order by source, line_no")
    with load([str(kept)]) as engine:
        assert engine.rows("select * from {closed} order by source, line_no") == rows
        assert find_all(engine) == said
        assert engine.accounts == accounts
    assert not list(tmp_path.glob("*.part"))


def test_a_foreign_parquet_file_and_one_beside_logs_are_clear_errors(log: Path, tmp_path: Path) -> None:
    foreign, torn = tmp_path / "foreign.parquet", tmp_path / "torn.parquet"
    one = duckdb.sql("select 1 as x")
    assert one is not None
    one.write_parquet(str(foreign))
    torn.write_bytes(b"PAR1 and no more")
    with pytest.raises(LogError, match="none that kaproxy"):
        load([str(foreign)])
    with pytest.raises(LogError, match="cannot read"):
        load([str(torn)])
    with pytest.raises(LogError, match="saved already"):
        load([str(foreign), str(log)])


def test_the_report_can_be_an_html_file(log: Path, tmp_path: Path) -> None:
    done = analyze(log, "--html", tmp_path / "report.html")
    assert done.returncode == 0
    assert "Content-Security-Policy" in (tmp_path / "report.html").read_text("utf-8")


def test_only_what_is_asked_for_is_counted(log: Path) -> None:
    told = json.loads(analyze(log, "--json", "--cause", "takeover/two_clients").stdout)
    assert {(each["cause"], each["root"]) for each in told["verdicts"]} == {("takeover", "two_clients")}
    assert told["drops"] == told["closing_lines"] > 0


def test_a_what_if_is_answered_in_place_of_the_report(log: Path) -> None:
    done = analyze(log, "--what-if", "keep_alive=45", "--json")
    (answer,) = json.loads(done.stdout)["what_if"]
    assert answer["question"] == "keep_alive=45"
    assert answer["sentences"]


def test_an_unchanged_log_is_judged_the_same_again(log: Path) -> None:
    done = analyze(log, "--rejudge")
    assert done.returncode == 0
    assert "0 have another now" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--cause", "keepalive"), "did you mean keep_alive_timeout"),
        (("--since", "yesterdayish"), "ISO 8601"),
        (("--what-if", "speed=3"), "keep_alive=1 to 65535"),
        (("/no/such.log",), "No such file"),
        (("--connect", "http://127.0.0.1:1/db"), "not both"),
        (("--save", "/no/such/folder/kept.parquet"), "cannot save"),
    ],
)
def test_a_wrong_word_ends_with_2_and_says_what_is_allowed(
    log: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = analyze(log, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_log_the_command_says_what_it_needs() -> None:
    done = analyze()
    assert done.returncode == 2
    assert "LOG" in done.stderr


def test_a_cluster_that_does_not_answer_is_told_in_one_line() -> None:
    done = analyze("--connect", "http://127.0.0.1:1/kaproxy")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1

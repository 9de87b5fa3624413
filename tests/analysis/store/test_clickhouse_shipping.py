"""From a container's standard output to findings: syslog-ng ships, ClickHouse makes rows, kaproxy analyze asks.

Real parts all along, with the configuration that the project ships. One proxy's lines come by docker's syslog driver,
the others' out of docker's json-files. The old server has no tables yet when the first lines come.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from click.testing import CliRunner

from kaproxy.analysis.findings import find_all
from kaproxy.analysis.report import as_json
from kaproxy.analysis.report.summary import summary, unread
from kaproxy.analysis.store.clickhouse import connect
from kaproxy.analysis.store.columns import TABLES
from kaproxy.analysis.store.opening import load
from kaproxy.cli import main
from tests.analysis.store.cluster import fresh, same
from tests.peers.clickhouse import Server
from tests.peers.syslog_ng import Shipper, syslog_ng

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("clickhouse"), pytest.mark.timeout(200)]

PATIENCE_S = 60.0
HOST, PROGRAM = "edge-7", "kaproxy-1"


class Shipped(NamedTuple):
    """The logs, what they themselves tell, and where they were shipped to."""

    logs: list[Path]
    told: list[dict[str, Any]]
    urls: Mapping[str, str]


@pytest.fixture(scope="module")
def shipped(
    require: Callable[..., None],
    debian_pair: list[Server],
    modern: Server,
    fleet_logs: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shipped]:
    """A fleet's logs, shipped to an old server and to a modern one."""
    require("syslog-ng")
    folder, logs = tmp_path_factory.mktemp("shipping"), fleet_logs
    with load([str(log) for log in logs]) as laptop:
        expected = {table: laptop.rows(f"select count(*) from {{{table}}}")[0][0] for table in TABLES}
        findings = json.loads(as_json.report(summary(laptop), find_all(laptop), laptop.accounts))["findings"]
    urls = {"18.16": debian_pair[0].url.replace("/default", "/shipping"), "modern": fresh(modern, "shipping")}
    debian_pair[0].tell("DROP DATABASE IF EXISTS shipping")
    with ExitStack() as running:
        shippers = {to: running.enter_context(syslog_ng(folder / to, url)) for to, url in urls.items()}
        for shipper in shippers.values():
            _feed(shipper, logs)
        early = shippers["18.16"].process
        _wait(lambda: "error" in early.errors.read_text().lower())
        early.stop()  # as docs/analysis.md says: what comes when only `lines` is there makes no rows
        fresh(debian_pair[0], "shipping")
        early.cont()
        for url in urls.values():
            _wait(partial(_holds, url, expected))
        yield Shipped(logs, findings, urls)


def _feed(shipper: Shipper, logs: list[Path]) -> None:
    _wait(shipper.listens)
    shipper.say(HOST, PROGRAM, logs[0].read_bytes().splitlines())
    for log in logs[1:]:
        lines = log.read_text().splitlines(keepends=True)
        said = [{"log": line, "stream": "stdout", "time": "2026-05-01T00:00:00.000000001Z"} for line in lines]
        (shipper.logs / f"{log.stem}-json.log").write_bytes(
            b"".join(orjson.dumps(each) + b"\n" for each in said)
        )


def _wait(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s"
        time.sleep(0.1)


def _holds(url: str, expected: Mapping[str, int]) -> bool:
    engine = connect(url)
    return {table: engine.rows(f"select count(*) from {{{table}}}")[0][0] for table in TABLES} == expected


def _told(*arguments: str) -> dict[str, Any]:
    """What `kaproxy analyze` tells, as JSON."""
    result = CliRunner().invoke(main, ["analyze", "--json", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def _logs_aside(found: list[dict[str, Any]], logs: list[Path]) -> list[dict[str, Any]]:
    """The findings with a log's name for every path and source it goes by."""
    text = json.dumps(found).replace(f"{HOST}/{PROGRAM}", logs[0].stem)
    for log in logs:
        text = text.replace(str(log), log.stem)
    told: list[dict[str, Any]] = json.loads(text)
    for each in told:
        if "proxies" in each["numbers"]:
            each["numbers"]["proxies"] = sorted(
                proxy.rpartition("/")[0].rpartition("/")[2].removesuffix("-json.log")
                for proxy in each["numbers"]["proxies"]
            )
    return told


@pytest.mark.parametrize("release", ["18.16", "modern"])
def test_what_was_shipped_tells_what_the_logs_themselves_tell(shipped: Shipped, release: str) -> None:
    found = _told("--connect", shipped.urls[release])["findings"]
    theirs, ours = (_logs_aside(each, shipped.logs) for each in (found, shipped.told))
    assert [each["title"] for each in theirs] == [each["title"] for each in ours]
    assert theirs == same(ours)
    assert len(ours) > 10


@pytest.mark.parametrize("release", ["18.16", "modern"])
def test_a_row_tells_which_proxy_wrote_its_line(shipped: Shipped, release: str) -> None:
    sql = "select source, min(worker), max(worker) from {closed} group by source"
    told = {
        source.rpartition("/")[2]: workers for source, *workers in connect(shipped.urls[release]).rows(sql)
    }
    expected = {PROGRAM: shipped.logs[0].stem} | {
        f"{log.stem}-json.log": log.stem for log in shipped.logs[1:]
    }
    assert told == {source: [worker, worker] for source, worker in expected.items()}


@pytest.mark.parametrize("release", ["18.16", "modern"])
def test_lines_that_gave_no_row_are_told_with_their_proxy_and_what_they_are(
    shipped: Shipped, release: str
) -> None:
    with load([str(log) for log in shipped.logs]) as laptop:
        logs = {log.stem: laptop.accounts[str(log)] for log in shipped.logs}
    names = {PROGRAM: shipped.logs[0].stem}
    found = {}
    for source, account in connect(shipped.urls[release]).accounts.items():
        name = source.rpartition("/")[2].removesuffix("-json.log")
        found[names.get(name, name)] = account
    assert set(found) == {name for name, account in logs.items() if account.others}
    for name, account in found.items():
        counts = {what.partition(" (this")[0]: each.count for what, each in logs[name].others.items()}
        assert {what: each.count for what, each in account.others.items()} == counts
        assert (account.lines, account.understood) == (logs[name].lines, logs[name].understood)
    for told in unread(connect(shipped.urls[release]).accounts):
        assert re.fullmatch(r".+: [0-9,]+ lines? not understood: [^;]+", told)

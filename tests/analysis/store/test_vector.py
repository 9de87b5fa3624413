"""Vector's configuration: its program is run by Vector's own language, the rest fits together and with the tables.

The request is one as Vector's source builds it (src/sinks/clickhouse/service.rs): for servers of 21.12 and newer.
"""

from __future__ import annotations

import gzip
import importlib
import re
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from kaproxy.analysis.store.clickhouse import connect
from tests.analysis import scene
from tests.analysis.store.cluster import fresh
from tests.diagnosis.cases import CASES
from tests.peers import places
from tests.peers.clickhouse import Server

CONFIG = Path(__file__).parents[3] / "config"
VECTOR: dict[str, Any] = tomllib.loads((CONFIG / "vector" / "vector.toml").read_text("utf-8"))
PROGRAM: str = VECTOR["transforms"]["lines"]["source"]
LINE = '{"event":"proxy.started"}'


@pytest.fixture
def remap(require: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """What becomes of an event."""
    require("vrl")
    monkeypatch.syspath_prepend(str(places.PARTS / "libraries"))
    runtime = importlib.import_module("vrl_python").VRLRuntime

    def run(**event: Any) -> dict[str, Any]:
        found: dict[str, Any] = runtime.run(PROGRAM, event, "UTC").processed_event
        return found

    return run


@pytest.mark.parametrize(
    ("event", "source"),
    [
        ({"container_name": "kaproxy-1", "host": "edge-7", "stream": "stdout"}, "edge-7/kaproxy-1"),
        ({"kubernetes": {"pod_name": "kaproxy-x", "pod_node_name": "node-3"}}, "node-3/kaproxy-x"),
        ({"file": "/var/log/kaproxy/a.log", "host": "edge-7"}, "edge-7//var/log/kaproxy/a.log"),
        ({}, "kaproxy"),
    ],
    ids=["docker", "Kubernetes", "a file", "nothing known"],
)
def test_a_line_keeps_its_text_and_says_which_proxy_wrote_it(
    remap: Callable[..., dict[str, Any]], event: dict[str, Any], source: str
) -> None:
    assert remap(message=LINE, timestamp="2026-05-01T00:00:00Z", **event) == {"source": source, "line": LINE}


def test_an_event_without_a_text_is_an_empty_line(remap: Callable[..., dict[str, Any]]) -> None:
    assert remap(host="edge-7") == {"source": "edge-7/kaproxy", "line": ""}


def test_the_example_that_vector_tests_itself_holds(remap: Callable[..., dict[str, Any]]) -> None:
    (example,) = VECTOR["tests"]
    (given,), (wanted,) = example["inputs"], example["outputs"]
    found = remap(**given["log_fields"])
    told = dict(re.findall(r'assert_eq!\(\.(\w+), "(.*)"\)', wanted["conditions"][0]["source"]))
    assert {name: value.replace(r"\"", '"') for name, value in told.items()} == found


def test_every_part_takes_its_events_from_one_that_is_there() -> None:
    parts = {**VECTOR["sources"], **VECTOR["transforms"]}
    for part in (*VECTOR["transforms"].values(), *VECTOR["sinks"].values()):
        assert set(part["inputs"]) <= set(parts)


def test_it_writes_into_the_table_for_raw_lines_and_fills_columns_of_it(
    remap: Callable[..., dict[str, Any]],
) -> None:
    table = VECTOR["sinks"]["clickhouse"]["table"]
    script = (CONFIG / "clickhouse" / "lines.sql").read_text("utf-8")
    made = re.search(rf"CREATE TABLE IF NOT EXISTS {table} \(\n(.*?)\n\)", script, re.DOTALL)
    assert made is not None
    assert set(remap(message=LINE)) <= set(re.findall(r"^  (\w+) ", made[1], re.MULTILINE))


@pytest.mark.end_to_end
@pytest.mark.xdist_group("clickhouse")
def test_a_request_as_its_sink_makes_it_gives_a_row_of_the_containers_line(
    remap: Callable[..., dict[str, Any]], modern: Server
) -> None:
    url, sink = fresh(modern, "by_vector"), VECTOR["sinks"]["clickhouse"]
    line = orjson.dumps(scene.closed(next(iter(CASES.values())).evidence) | {"conn_id": "c1"}).decode()
    event = remap(message=line, container_name="kaproxy-1", host="edge-7")
    asked = {
        "input_format_import_nested_json": "1",
        "query": "INSERT INTO {database:Identifier}.{table:Identifier} FORMAT JSONEachRow",
        "param_database": "by_vector",
        "param_table": sink["table"],
    }
    assert (sink["format"], sink["compression"]) == ("json_each_row", "gzip")
    request = urllib.request.Request(
        f"http://127.0.0.1:{modern.http}/?{urlencode(asked)}",
        gzip.compress(orjson.dumps(event) + b"\n"),
        {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"},
    )
    with urllib.request.urlopen(request) as response:
        assert response.status == 200
    assert connect(url).rows("select source, conn_id from {closed}") == [("edge-7/kaproxy-1", "c1")]

"""Raw lines become the same rows on every server as on a laptop, and a line that gives none says why."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from kaproxy.analysis.logs import FOREIGN, NOT_JSON, TORN
from kaproxy.analysis.store.clickhouse import connect
from kaproxy.analysis.store.opening import load
from tests.analysis import scene
from tests.analysis.store.cluster import fresh, rounded, rows_of, ship
from tests.diagnosis.cases import CASES
from tests.peers.clickhouse import Server

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("clickhouse"), pytest.mark.timeout(200)]


@pytest.fixture(params=["18.16", "modern"])
def server(debian_pair: list[Server], modern: Server, request: pytest.FixtureRequest) -> Server:
    """An old server and a modern one, each with an empty database called `shipped`."""
    found = modern if request.param == "modern" else debian_pair[0]
    fresh(found, "shipped")
    return found


def _rows(server: Server) -> list[tuple[object, ...]]:
    return rounded(rows_of(connect(server.url.replace("/default", "/shipped")), "closed"))


def test_every_shape_of_a_closing_line_gives_the_same_row_on_both(server: Server, tmp_path: Path) -> None:
    lines = [orjson.dumps(scene.closed(case.evidence) | {"conn_id": name}) for name, case in CASES.items()]
    lines += [lines[0].replace(b"10.1.2.3", address) for address in (b"fd00:1:2:3:4:5:6:7", b"fd00::7")]
    lines[-2:] = [
        line.replace(b'"conn_id":"', b'"conn_id":"%d' % each) for each, line in enumerate(lines[-2:])
    ]
    lines[1] = b"2026-04-24T03:10:00.1Z stdout F " + lines[1]
    lines[2] = orjson.dumps({"log": lines[2].decode() + "\n", "stream": "stdout"})
    log = tmp_path / "cases.log"
    log.write_bytes(b"\n".join(lines) + b"\n")
    ship(server, "shipped", str(log), lines)
    with load([str(log)]) as laptop:
        expected = rounded(rows_of(laptop, "closed"))
    assert len(expected) == len(lines)
    assert _rows(server) == expected


CLIENTS = (
    '","root":"two_clients","x":"',
    '{"cause":"probe"}',
    'client_leg":{"window":7}}',
    "back\\slash\\",
    "line\nend\ttab\x01",
    "Größe 🙂 日本",
    "null",
    "]}[{",
    "",
)


def test_what_a_client_calls_itself_is_taken_for_no_field(server: Server, tmp_path: Path) -> None:
    line = scene.closed(next(iter(CASES.values())).evidence)
    lines = [
        orjson.dumps(line | {"conn_id": f"c{number}", "client_id": client, "proxy_detail": client})
        for number, client in enumerate(CLIENTS)
    ]
    log = tmp_path / "odd clients.log"
    log.write_bytes(b"\n".join(lines) + b"\n")
    ship(server, "shipped", str(log), lines)
    with load([str(log)]) as laptop:
        expected = rounded(rows_of(laptop, "closed"))
    assert len(expected) == len(CLIENTS)
    assert _rows(server) == expected


def test_a_line_that_gives_no_row_is_kept_with_what_it_is(server: Server) -> None:
    odd = {
        b"hello": NOT_JSON,
        b'{"event":"connection.closed","schema":1,"conn_id': TORN,
        b'{"event":"connection.closed","schema":1,"conn_id{"event":"proxy.started","schema":1}': TORN,
        b'{"msg":"hello"}': FOREIGN,
        b'{"event":"x","schema":2}': "of schema 2",
        b'{"event":"connection.closed","schema":1,"conn_id":"c"}': "a line without its times",
    }
    ship(server, "shipped", "odd.log", [*odd, b"", b" \t"])
    answer = server.tell("SELECT line, what FROM not_understood FORMAT JSONEachRow", "shipped")
    assert {tuple(orjson.loads(row).values()) for row in answer.splitlines()} == {
        (line.decode(), what) for line, what in odd.items()
    }

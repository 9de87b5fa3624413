"""What --since, --until, --client and --cause mean: as words, and as the rows that every engine then tells of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from click.testing import CliRunner

from kaproxy.analysis.store.clickhouse import ClickHouse, connect
from kaproxy.analysis.store.copying import copy
from kaproxy.analysis.store.duck import DuckEngine
from kaproxy.analysis.store.filters import FilterError, Filters, moment
from kaproxy.cli import main
from kaproxy.diagnosis.causes import CAUSE_ROWS
from tests.analysis.findings.table import at, table
from tests.analysis.store.cluster import fresh
from tests.peers.clickhouse import Server

#: 2026-05-01 12:00:00 UTC.
NOON_US = at(0)
MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("2026-05-01T12:00:00Z", NOON_US),
        ("2026-05-01T12:00", NOON_US),
        ("2026-05-01 12:00:00", NOON_US),
        ("2026-05-01", NOON_US - 12 * HOUR_US),
        ("2026-05-01T14:00:00+02:00", NOON_US),
        ("2026-05-01T12:00:00.000001Z", NOON_US + 1),
        ("20260501T120000Z", NOON_US),
    ],
)
def test_a_time_is_utc_where_it_does_not_say(text: str, us: int) -> None:
    assert moment(text).of(last_us=7) == us


@pytest.mark.parametrize(
    ("text", "ago_us"),
    [
        ("90m", 90 * MINUTE_US),
        ("1h30m", 90 * MINUTE_US),
        ("1h 30m ago", 90 * MINUTE_US),
        ("1.5h", 90 * MINUTE_US),
        ("2d", 48 * HOUR_US),
        ("1w", 168 * HOUR_US),
        ("250ms", 250_000),
        ("0s", 0),
    ],
)
def test_how_long_ago_is_counted_from_the_logs_last_line(text: str, ago_us: int) -> None:
    assert moment(text).of(NOON_US) == NOON_US - ago_us


def test_longer_ago_than_1970_is_the_beginning() -> None:
    assert moment("99999999999d").of(NOON_US) == moment("0001-01-01").of(NOON_US) == 0


@pytest.mark.parametrize(
    "text", ["", "yesterday", "-1h", "1h30", "2 fortnights", "12:00", "2026-13-01", "1e3s", "noon"]
)
def test_what_is_no_time_is_told_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(
        FilterError, match=r"ISO 8601 .*2026-05-01T12:00:00Z.* or how long before .*2h"
    ) as error:
        Filters.of(since=text)
    assert f'"{text}"' in str(error.value)


@pytest.mark.parametrize(
    ("since", "until"),
    [("1h", "2h"), ("2026-05-02", "2026-05-01"), ("2026-05-01", "2026-05-01"), ("1h", "60m")],
)
def test_a_span_that_ends_before_it_begins_is_refused(since: str, until: str) -> None:
    with pytest.raises(FilterError, match=f"--since {since} is not before --until {until}"):
        Filters.of(since=since, until=until)


@pytest.mark.parametrize(
    "cause", ["nope", "", "/two_clients", "takover", "TAKEOVER", "takeover;drop table closed"]
)
def test_what_is_no_cause_is_told_with_all_that_are(cause: str) -> None:
    with pytest.raises(FilterError) as error:
        Filters.of(cause=cause)
    assert all(name in str(error.value) for name in CAUSE_ROWS)
    assert str(error.value).endswith("did you mean takeover?") is (cause.lower() in ("takover", "takeover"))


def test_what_is_no_root_of_a_cause_is_told_with_its_roots() -> None:
    with pytest.raises(FilterError, match=r"its roots are .*two_clients; did you mean two_clients\?$"):
        Filters.of(cause="takeover/two_client")
    with pytest.raises(FilterError, match=r"client_disconnect has no root .* it has none"):
        Filters.of(cause="client_disconnect/two_clients")


def test_a_refused_connect_is_asked_for_by_the_codes_name() -> None:
    filters = Filters.of(cause="connect_refused/not_authorized")
    assert (filters.cause, filters.root) == ("connect_refused", "not_authorized")


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--since", "yesterday", "ISO 8601"),
        ("--until", "soon", "ISO 8601"),
        ("--cause", "nope", "keep_alive_timeout"),
        ("--cause", "takeover/nope", "two_clients"),
    ],
)
def test_the_command_says_it_in_one_line_before_it_reads_anything(option: str, value: str, told: str) -> None:
    for source in (["no-such.jsonl"], ["--connect", "http://127.0.0.1:1/nowhere"]):
        result = CliRunner().invoke(main, ["analyze", *source, option, value])
        assert result.exit_code == 2
        assert result.output.startswith("kaproxy: ")
        assert told in result.output
        assert value.rpartition("/")[2] in result.output
        assert result.output.count("\n") == 1


# --- on every engine


CLIENTS = (
    "press-1",
    "press-12",
    "press_1",
    "a*b",
    "o'neil\\",
    "100%",
    "Größe",
    "{0}",
    "two words\tand a tab",
)


def _closed() -> Iterator[dict[str, Any]]:
    """A connection of every client, an hour apart; the last ends at noon."""
    for number, client in enumerate(reversed(CLIENTS)):
        cause = ("takeover", "two_clients", "idle_cut")[number % 3]
        verdict = {"cause": "takeover", "root": cause if cause == "two_clients" else "same_host_duplicate"}
        yield {
            "client_id": client,
            "conn_id": f"c{CLIENTS.index(client)}",
            "at_us": NOON_US - number * HOUR_US + 5,
            "ended_us": NOON_US - number * HOUR_US,
            **({"cause": "idle_cut"} if cause == "idle_cut" else verdict),
        }
    yield {
        "client_id": None,
        "conn_id": "none",
        "cause": "not_mqtt",
        "ended_us": NOON_US - 30 * MINUTE_US,
        "at_us": NOON_US,
    }


def _warned() -> Iterator[dict[str, Any]]:
    for number, client in enumerate((*CLIENTS[:2], None)):
        name = f"warning {number}"
        yield {
            "event": name,
            "client_id": client,
            "at_us": NOON_US - number * HOUR_US,
            "fields": f'{{"n":{number}}}',
        }


@pytest.fixture(scope="module")
def laptop() -> Iterator[DuckEngine]:
    """The rows on a laptop."""
    with table(_closed(), _warned()) as engine:
        yield engine


@pytest.fixture(scope="module")
def servers(laptop: DuckEngine, debian_pair: list[Server], modern: Server) -> Mapping[str, ClickHouse]:
    """The same rows on an old server and on a modern one."""
    found = {}
    for release, server in (("18.16", debian_pair[0]), ("modern", modern)):
        url = fresh(server, "filters")
        copy(laptop, url)
        found[release] = connect(url)
    return found


ALL = {f"c{number}" for number in range(len(CLIENTS))} | {"none"}
#: What is asked for -> the connections that are told of, and the warnings.
ASKED: Mapping[str, tuple[dict[str, str], set[str], set[int]]] = {
    "all": ({}, ALL, {0, 1, 2}),
    "one client": ({"client": "press-1"}, {"c0"}, {0, 2}),
    "a pattern": ({"client": "press-*"}, {"c0", "c1"}, {0, 1, 2}),
    "any letter": ({"client": "press?1"}, {"c0", "c2"}, {0, 2}),
    "a letter of two bytes": ({"client": "Gr??e"}, {"c6"}, {2}),
    "an underscore is no pattern": ({"client": "press_1*"}, {"c2"}, {2}),
    "a percent sign is no pattern": ({"client": "1*%"}, {"c5"}, {2}),
    "quotes and backslashes": ({"client": "o'neil\\"}, {"c4"}, {2}),
    "quotes and backslashes in a pattern": ({"client": "?'*\\"}, {"c4"}, {2}),
    "braces": ({"client": "{0}"}, {"c7"}, {2}),
    "a tab": ({"client": "two words\tand*"}, {"c8"}, {2}),
    "nobody": ({"client": "nobody"}, set(), {2}),
    "every client that has a name": ({"client": "*"}, ALL - {"none"}, {0, 1, 2}),
    "a cause": ({"cause": "idle_cut"}, {"c0", "c3", "c6"}, {0, 1, 2}),
    "a cause and a root": ({"cause": "takeover/two_clients"}, {"c1", "c4", "c7"}, {0, 1, 2}),
    "since then": ({"since": "2026-05-01T11:00:00Z"}, {"c8", "c7", "none"}, {0, 1}),
    "until then, which is outside": ({"until": "2026-05-01T05:00:00Z"}, {"c0"}, set()),
    "ago": ({"since": "90m", "until": "15m"}, {"c7", "none"}, {1}),
    "a client and a span": ({"client": "press-*", "until": "8h"}, {"c0"}, set()),
    "before everything": ({"until": "99999d"}, set(), set()),
    "since ever": ({"since": "99999999999d"}, ALL, {0, 1, 2}),
}


def _told(engine: DuckEngine | ClickHouse) -> tuple[set[str], set[int]]:
    closed = {conn_id for (conn_id,) in engine.rows("select conn_id from {closed}")}
    return closed, {int(event.split()[1]) for (event,) in engine.rows("select event from {warned}")}


@pytest.mark.parametrize("asked", ASKED)
def test_a_laptop_tells_of_what_is_asked_for(laptop: DuckEngine, asked: str) -> None:
    given, *expected = ASKED[asked]
    laptop.ask_for(Filters.of(**given))
    try:
        assert _told(laptop) == tuple(expected)
    finally:
        laptop.ask_for(Filters())


@pytest.mark.end_to_end
@pytest.mark.xdist_group("clickhouse")
@pytest.mark.parametrize("release", ["18.16", "modern"])
def test_a_server_tells_of_the_same(servers: Mapping[str, ClickHouse], release: str) -> None:
    engine, found = servers[release], {}
    for name, (given, *_) in ASKED.items():
        engine.ask_for(Filters.of(**given))
        found[name] = _told(engine)
    assert found == {name: tuple(expected) for name, (_, *expected) in ASKED.items()}

"""What a URL means, what ClickHouse is asked, and what becomes of its errors; no server here."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kaproxy.analysis.store import clickhouse
from kaproxy.analysis.store.clickhouse import Address, condition, connect
from kaproxy.analysis.store.engine import EngineError
from kaproxy.analysis.store.filters import Filters

LAST_US = 1_777_852_800_000_000
DENIED = "Code: 164, DB::Exception: Cannot modify 'readonly' setting in readonly mode"
Asked = list[tuple[str, Mapping[str, str]]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What would be posted: the body and its settings. Every answer is one row with one number."""
    found: Asked = []

    def post(_: Address, body: str, settings: Mapping[str, str]) -> str:
        found.append((body, settings))
        return "a\nString\n18.16.1\n" if "version()" in body else "a\nNullable(Int64)\n7\n"

    monkeypatch.setattr(clickhouse, "post", post)
    return found


def test_a_url_names_scheme_user_host_port_and_database() -> None:
    address = Address.of("https://ann:p%40ss@db.example:9443/logs")
    assert (address.secure, address.host, address.port, address.database) == (
        True,
        "db.example",
        9443,
        "logs",
    )
    assert (address.user, address.password) == ("ann", "p@ss")


@pytest.mark.parametrize(
    ("url", "port"), [("http://h", 8123), ("https://h", 8443), ("http://[::1]/d", 8123), ("http://h:80", 80)]
)
def test_the_port_is_clickhouses_where_none_is_given(url: str, port: int) -> None:
    assert Address.of(url).port == port


@pytest.mark.parametrize(
    "url",
    [
        "tcp://h:9000",
        "h:8123",
        "http://",
        "http://h:port",
        "http://h/d;drop",
        "http://h/a/b",
        "http://h/d?nodes=a",
        "http://h/d?remote=a'b",
        "http://h/d?cluster=a b",
        "http://h/d?final=maybe",
    ],
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(EngineError):
        Address.of(url)


def test_the_password_shows_in_no_text_of_the_address() -> None:
    assert (
        "secret" not in repr(Address.of("http://ann:secret@h/d")) + Address.of("http://ann:secret@h/d").where
    )


def test_a_refused_url_does_not_show_its_password() -> None:
    with pytest.raises(EngineError) as error:
        Address.of("ftp://ann:secret@h/d")
    assert "secret" not in str(error.value)


def test_one_server_is_asked_for_its_table_without_repeated_lines() -> None:
    assert Address.of("http://h/logs").table("closed") == "logs.closed FINAL"
    assert Address.of("http://h/logs?final=0").table("closed") == "logs.closed"


def test_several_servers_are_asked_through_one() -> None:
    address = Address.of("http://h/logs?remote=a:9000,b:9000")
    assert address.table("warned") == "remote('a:9000,b:9000', logs, warned) FINAL"
    assert Address.of("http://h/logs?cluster=all").table("closed") == "cluster('all', logs, closed) FINAL"


def test_the_other_servers_are_told_who_asks() -> None:
    address = Address.of("http://ann:it's@h/logs?remote=a")
    assert address.table("closed") == r"remote('a', logs, closed, 'ann', 'it\'s') FINAL"


def test_a_query_is_filled_in_and_may_change_nothing(asked: Asked) -> None:
    engine = connect("http://h/logs")
    assert engine.rows("select cast(floor(x) as {INT}) from {closed}") == [(7,)]
    body, settings = asked[-1]
    assert "cast(floor(x) as Nullable(Int64)) from logs.closed FINAL\n" in body
    assert settings == {"readonly": "2"}


def test_it_says_its_version_and_place_and_when_the_last_line_was_written(asked: Asked) -> None:
    engine = connect("http://ann:secret@h:81/logs")
    assert engine.name == "clickhouse 18.16.1 at h:81"
    assert engine.last_us == 7
    assert len(asked) == 3


def test_filters_are_left_to_the_servers(asked: Asked) -> None:
    connect("http://h/d?remote=a,b", Filters(cause="takeover")).rows("select 1 from {closed} where 2 = 2")
    assert "FROM" not in asked[-1][0]
    assert "remote('a,b', d, closed) FINAL PREWHERE (cause = 'takeover') where 2 = 2" in asked[-1][0]


def test_a_user_who_can_only_read_is_asked_without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def post(_: Address, body: str, settings: Mapping[str, str]) -> str:
        if settings:
            raise EngineError(DENIED)
        return "a\nNullable(Int64)\n1\n"

    monkeypatch.setattr(clickhouse, "post", post)
    assert connect("http://h").rows("select 1") == [(1,)]


def test_other_errors_are_not_taken_for_that() -> None:
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:1: "):
        connect("http://127.0.0.1:1/d")


@pytest.mark.parametrize(
    ("client", "wanted"),
    [
        ("press-1", "client_id = 'press-1'"),
        ("o'neil\\", r"client_id = 'o\'neil\\'"),
        ("press-*", "client_id like 'press-%'"),
        ("a_b%?*", r"client_id like 'a\\_b\\%_%'"),
    ],
)
def test_a_client_is_asked_for_in_clickhouses_own_escapes(client: str, wanted: str) -> None:
    assert condition(Filters(client=client), "closed", LAST_US) == wanted
    assert condition(Filters(client=client), "warned", LAST_US) == f"(client_id is null or {wanted})"


def test_a_time_span_and_a_cause_are_asked_for_as_on_a_laptop() -> None:
    filters = Filters.of(since="2h", until="1h", cause="takeover/two_clients")
    hour = 3_600_000_000
    span = f"ended_us >= {LAST_US - 2 * hour} and ended_us < {LAST_US - hour}"
    assert condition(filters, "closed", LAST_US) == f"{span} and cause = 'takeover' and root = 'two_clients'"
    assert condition(filters, "warned", LAST_US) == span.replace("ended_us", "at_us")


def test_nothing_asked_for_is_no_condition() -> None:
    assert condition(Filters(), "closed", LAST_US) == condition(Filters(), "warned", LAST_US) == ""


def test_servers_named_by_a_pattern_are_asked_for_lines_not_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bodies: list[str] = []

    def post(_: Address, body: str, settings: Mapping[str, str]) -> str:
        bodies.append(body)
        if "not_understood" in body:
            return "source\twhat\tn\nString\tString\tUInt64\nedge/k\ttorn\t2\n"
        return (
            "source\tn\nString\tUInt64\nedge/k\t5\nedge/other\t7\n" if "group by" in body else "a\nInt64\n7\n"
        )

    monkeypatch.setattr(clickhouse, "post", post)
    (account,) = connect("http://h/d?remote=edge{1,2}:9000").accounts.values()
    assert (account.lines, account.understood, account.others["torn"].count) == (12, 10, 2)
    assert "from remote('edge{1,2}:9000', d, not_understood) group by" in bodies[-3]


def test_tables_without_views_on_raw_lines_have_no_lines_not_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def post(_: Address, body: str, settings: Mapping[str, str]) -> str:
        if "not_understood" in body:
            raise EngineError("clickhouse at h:8123: Code: 60, Table d.not_understood doesn't exist.")
        return "a\nInt64\n7\n"

    monkeypatch.setattr(clickhouse, "post", post)
    assert connect("http://h/d").accounts == {}


def test_no_distinct_values_are_none_of_them(asked: Asked) -> None:
    connect("http://h/d").rows(
        "select count(distinct client_id), count(distinct case when a < 1 then b end) from {closed}"
    )
    assert (
        "ifNull(count(distinct client_id), 0), ifNull(count(distinct case when a < 1 then b end), 0)"
        in asked[-1][0]
    )

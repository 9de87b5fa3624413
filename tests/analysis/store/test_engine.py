"""Engines: what is asked twice is answered once, shared tables follow what is asked for, threads may ask at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import sleep
from typing import Any

import pytest

from kaproxy.analysis.store import EngineError, Filters, Row, memory_engine
from kaproxy.analysis.store.engine import Memory
from kaproxy.analysis.store.shared import DROP_COLUMNS, SHARED
from tests.analysis.findings.table import at, table

_BY_CAUSE = "select cause, count(*) from {drops} where clean = 0 group by cause order by cause"


class Slow:
    """Answers with the query itself, counts how often it was asked, and fails where it is told to."""

    name = "slow"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def rows(self, sql: str) -> list[Row]:
        """One row."""
        self.asked.append(sql)
        sleep(0.02)
        if sql == "wrong":
            raise EngineError("no such thing")
        return [(sql,)]


def test_threads_that_ask_the_same_at_once_share_one_answer() -> None:
    slow, together = Slow(), Barrier(4)
    memory = Memory(slow)

    def ask(sql: str) -> list[Row]:
        together.wait()
        return memory.rows(sql)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, ["one", "one", "two", "one"]))
    assert answers == [[("one",)], [("one",)], [("two",)], [("one",)]]
    assert sorted(slow.asked) == ["one", "two"]
    assert memory.name == "slow"


def test_a_failed_query_fails_for_everybody_who_asks_and_is_not_asked_again() -> None:
    slow = Slow()
    memory = Memory(slow)
    for _ in range(2):
        with pytest.raises(EngineError, match="no such thing"):
            memory.rows("wrong")
    assert slow.asked == ["wrong"]


def test_what_is_made_of_answers_is_made_once() -> None:
    memory, made = Memory(Slow()), list[str]()

    def work(engine: object) -> int:
        assert engine is memory
        made.append("made")
        return len(made)

    assert [memory.kept(work), memory.kept(work)] == [1, 1]


def test_drops_hold_every_ending_that_nobody_meant_and_no_clean_one() -> None:
    rows = [{"cause": "client_reset"}, {"cause": "client_disconnect"}, {"cause": "idle_cut"}]
    with table([{"ended_us": at(0), **row} for row in rows]) as engine:
        assert engine.rows(_BY_CAUSE) == [("client_reset", 1), ("idle_cut", 1)]
        assert engine.rows("select count(*) from {drops}") == [(2,)]


def test_clients_count_every_line_once() -> None:
    rows: list[dict[str, Any]] = [
        {"client_id": "a", "ended_us": at(1)},
        {"client_id": "a", "ended_us": at(9)},
        {"client_id": None},
    ]
    with table(rows) as engine:
        counted = engine.rows(
            "select client_id, lines, seconds, last_us - first_us from {clients} as counted order by client_id"
        )
        assert counted == [("a", 2, 120.0, 8_000_000), (None, 1, 60.0, 0)]


def test_shared_tables_are_of_what_is_asked_for_now() -> None:
    rows = [{"client_id": "a", "cause": "idle_cut"}, {"client_id": "b", "cause": "idle_cut"}]
    with table(rows) as engine:
        assert engine.rows("select count(*) from {drops}") == [(2,)]
        engine.ask_for(Filters(client="b"))
        assert engine.rows("select client_id from {drops}") == [("b",)]
        assert engine.rows("select client_id, lines from {clients} as counted") == [("b", 1)]


def test_threads_may_ask_one_engine_at_once() -> None:
    with table([{"cause": "idle_cut"}] * 50) as engine, ThreadPoolExecutor(4) as pool:
        asked = ["select count(*) from {drops}", "select sum(lines) from {clients} as counted"] * 20
        assert set(pool.map(lambda sql: engine.rows(sql)[0][0], asked)) == {50}


def test_an_empty_log_has_empty_shared_tables() -> None:
    with memory_engine() as engine:
        counts = [engine.rows(f"select count(*) from {{{name}}} as shared") for name in SHARED]
    assert counts == [[(0,)]] * len(SHARED)


def test_warnings_are_all_other_lines_but_those_of_established_connections() -> None:
    events = ["keep_alive.late", "connection.established", "proxy.started"]
    with table([], [{"event": event} for event in events]) as engine:
        told = engine.rows("select event from {warnings} order by event")
    assert told == [("keep_alive.late",), ("proxy.started",)]


def test_columns_of_drops_are_named_once() -> None:
    assert len(set(DROP_COLUMNS)) == len(DROP_COLUMNS)

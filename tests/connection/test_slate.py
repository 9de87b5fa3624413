"""A worker's slate: what its writer puts there is what every reader finds, whenever it looks."""

from __future__ import annotations

import hashlib
import mmap
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kaproxy.connection.directory import Past
from kaproxy.connection.slate import (
    COUNTS,
    ENDINGS,
    PASTS,
    ROW,
    Named,
    Slate,
    key_of,
    size_of,
)

#: Anything a client identifier may be: half of a surrogate pair among it, and longer than a row.
IDS = st.text(st.characters(), max_size=30) | st.text("xä\t\n\udc80", min_size=200, max_size=3 * ROW)


def shared(rows: int = 64) -> tuple[Slate, Slate]:
    """A slate for its writer, and the same for somebody else."""
    memory = mmap.mmap(-1, size_of(rows))
    return Slate(memoryview(memory)), Slate(memoryview(memory))


def named(client_id: str, number: int = 1) -> Named:
    return Named(f"c{number}", client_id, "192.0.2.1", 1795414260.25)


def enter(slate: Slate, client_id: str, number: int = 1) -> int:
    return slate.enter(*named(client_id, number))


def test_an_empty_slate_says_nothing() -> None:
    _, reader = shared()
    assert (reader.live, list(reader.named()), reader.endings_between(0.0, 1e9)) == (0, [], 0)
    assert not reader.may_hold(key_of("dev"))
    assert reader.past_of(key_of("dev")) is None


def test_keys_are_the_same_in_every_process_and_none_is_zero() -> None:
    assert key_of("dev-1") == int.from_bytes(hashlib.blake2b(b"dev-1", digest_size=8).digest(), "little")
    assert all(key_of(f"dev-{number}") for number in range(1000))


@given(st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=40))
def test_an_identifier_may_be_held_as_long_as_a_connection_has_it(ids: list[str]) -> None:
    writer, reader = shared()
    live: Counter[str] = Counter()
    for number, client_id in enumerate(ids):
        if number % 3 == 2 and live[client_id]:
            live[client_id] -= 1
            writer.let_go(key_of(client_id))
        else:
            live[client_id] += 1
            writer.hold(key_of(client_id))
        assert all(reader.may_hold(key_of(each)) for each in live if live[each])
        assert not any(reader.may_hold(key_of(each)) for each in "abc" if not live[each])


def test_two_identifiers_of_one_count_are_told_apart_by_asking_only() -> None:
    writer, reader = shared()
    writer.hold(7)
    assert reader.may_hold(7 + COUNTS)
    writer.let_go(7)
    assert not reader.may_hold(7 + COUNTS)


@settings(max_examples=60)
@given(st.lists(st.tuples(IDS, st.booleans()), max_size=30))
def test_who_is_entered_and_not_struck_is_found_whatever_the_name(entries: list[tuple[str, bool]]) -> None:
    writer, reader = shared(400)
    rows: dict[Named, int] = {}
    for number, (client_id, strikes) in enumerate(entries):
        rows[named(client_id, number)] = enter(writer, client_id, number)
        if strikes and rows:
            writer.strike(rows.pop(next(iter(rows))))
        assert sorted(reader.named()) == sorted(rows)
    for row in rows.values():
        writer.strike(row)
    assert list(reader.named()) == []


def test_rows_are_used_again_and_where_there_are_none_left_nothing_else_is_lost() -> None:
    writer, reader = shared(4)
    for number in range(100):
        writer.strike(enter(writer, "x" * 2 * ROW, number))
    rows = [enter(writer, "dev", number) for number in range(3)]
    assert enter(writer, "x" * 2 * ROW, 3) == -1
    assert {each.conn_id for each in reader.named()} == {"c0", "c1", "c2"}
    rows.append(enter(writer, "dev", 4))
    assert -1 not in rows
    writer.strike(-1)
    assert len(list(reader.named())) == 4


@given(st.lists(st.integers(0, 40), max_size=80), st.integers(0, 40), st.integers(0, 40))
@example([1] * 50, 1, 1)
def test_endings_are_counted_between_two_moments(times: list[int], one: int, other: int) -> None:
    writer, reader = shared()
    for at in sorted(times):
        writer.add_ending(1.0 + at)
    low, high = sorted((1.0 + one, 1.0 + other))
    assert reader.endings_between(low, high) == sum(low <= 1.0 + at <= high for at in times)


@pytest.mark.parametrize("count", [ENDINGS - 1, ENDINGS, ENDINGS + 1, 2 * ENDINGS + 17])
def test_of_more_endings_than_are_kept_the_last_are_counted(count: int) -> None:
    writer, reader = shared()
    for number in range(count):
        writer.add_ending(float(number))
    assert reader.endings_between(count - 10.0, count + 10.0) == 10
    assert reader.endings_between(-1.0, count + 10.0) == min(count, ENDINGS)
    assert reader.endings_between(count + 1.0, count + 2.0) == 0


@given(st.lists(st.tuples(st.integers(0, 12), st.floats(0.001, 1e6), st.integers(1, 99)), max_size=40))
def test_the_newest_past_of_an_identifier_is_found(written: list[tuple[int, float, int]]) -> None:
    writer, reader = shared()
    known = {}
    for number, since, connects in written:
        key = key_of(f"dev-{number}")
        known[key] = Past(since, connects, since + 1.0)
        writer.remember(key, since, connects, since + 1.0)
    for number in range(13):
        assert reader.past_of(key_of(f"dev-{number}")) == known.get(key_of(f"dev-{number}"))


def test_of_pasts_in_one_set_the_oldest_is_written_over() -> None:
    writer, reader = shared()
    keys = [5 + number * COUNTS * PASTS for number in range(6)]  # all in one set
    for age, key in enumerate(keys[:5]):
        writer.remember(key, 0.5, 1, 10.0 - age)
    assert [reader.past_of(key) is not None for key in keys] == [True, True, True, False, True, False]
    writer.remember(keys[5], 0.5, 2, 11.0)
    assert [reader.past_of(key) is not None for key in keys] == [True, True, True, False, False, True]


def test_pasts_of_a_whole_fleet_are_kept_but_for_a_few_in_ten_thousand() -> None:
    writer, reader = shared()
    keys = [key_of(f"meter-{number}") for number in range(9000)]
    for key in keys:
        writer.remember(key, 1.0, 1, 2.0)
    assert sum(reader.past_of(key) is None for key in keys) <= 9


def test_for_the_next_process_connections_are_gone_and_what_has_ended_is_known() -> None:
    writer, reader = shared()
    key = key_of("dev")
    writer.set_live(7)
    writer.hold(key)
    enter(writer, "x" * 2 * ROW)
    writer.add_ending(5.0)
    writer.remember(key, 1.0, 2, 5.0)
    reader.wipe()
    assert (reader.live, reader.may_hold(key), list(reader.named())) == (0, False, [])
    assert (reader.endings_between(4.0, 6.0), reader.past_of(key)) == (1, Past(1.0, 2, 5.0))
    successor = Slate(writer.memory)
    enter(successor, "next", 9)
    successor.add_ending(6.0)
    assert [each.client_id for each in reader.named()] == ["next"]
    assert reader.endings_between(4.0, 6.0) == 2


def test_one_killed_while_it_writes_leaves_nobody_half_entered() -> None:
    writer, reader = shared()
    row = enter(writer, "x" * 3 * ROW)
    numbers = writer._numbers
    numbers[row * (ROW // 4)] = 0  # as before its first row was marked, or after it was struck
    assert list(reader.named()) == []

"""Old lines under today's rules: what changed is told, with where; what did not is counted; nothing is passed over."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console

from kaproxy.analysis.logs import LogError
from kaproxy.analysis.rejudge import BATCH, EXAMPLES_KEPT, Asked, Rejudged, Said, rejudge, worth
from kaproxy.analysis.rejudge_screen import show
from kaproxy.analysis.store.filters import Filters
from tests.analysis.scene import Line, closed, late, named
from tests.diagnosis.cases import CASES

LATE = CASES["paho.mqtt.golang 1.4 at Keep Alive 10 against aedes"].evidence
GONE = CASES["device gone"].evidence
LEFT = CASES["normal DISCONNECT"].evidence


def log(folder: Path, *lines: Line | bytes, name: str = "log.jsonl") -> str:
    path = folder / name
    path.write_bytes(
        b"".join(each if isinstance(each, bytes) else orjson.dumps(each) + b"\n" for each in lines)
    )
    return str(path)


def shown(found: Rejudged) -> str:
    out = io.StringIO()
    show(found, Console(file=out, width=100))
    return out.getvalue()


@pytest.fixture(name="every_case")
def _every_case(tmp_path: Path) -> str:
    return log(tmp_path, *(closed(case.evidence) for case in CASES.values()))


def test_a_log_of_this_version_says_what_its_rules_say(every_case: str) -> None:
    found = rejudge([every_case])
    assert (found.judged, found.same, found.changed) == (len(CASES), len(CASES), 0)
    assert not found.changes
    assert not found.unreadable
    assert "0 have another now" in shown(found)


def test_an_altered_verdict_is_told_with_what_is_said_now_and_where_it_stands(tmp_path: Path) -> None:
    altered = closed(named(LATE, "old-1")) | {
        "cause": "broker_closed",
        "owner": "broker",
        "confidence": "unclear",
    }
    del altered["root"]
    path = log(tmp_path, closed(GONE), altered, closed(LEFT))
    found = rejudge([path])
    before = Said("broker_closed", None, "broker", "unclear")
    after = Said("keep_alive_timeout", "pinged_late", "client_library", "likely")
    assert list(found.changes) == [(before, after)]
    assert found.changes[before, after].first == [("old-1", path, 2)]
    assert (found.judged, found.same, found.changed) == (3, 2, 1)
    text = shown(found)
    assert "broker_closed (unclear, broker)" in text
    assert "keep_alive_timeout / pinged_late (likely, client_library)" in text
    assert f"old-1  {path}:2" in text


@pytest.mark.parametrize("field", ["root", "owner", "confidence"])
def test_a_verdict_that_differs_in_one_word_has_changed(field: str, tmp_path: Path) -> None:
    found = rejudge([log(tmp_path, closed(LATE) | {field: "other"})])
    assert found.changed == 1


def test_other_words_for_the_same_verdict_are_counted_and_are_no_change(tmp_path: Path) -> None:
    found = rejudge([log(tmp_path, closed(LATE) | {"advice": "Turn it off and on."}, closed(LATE))])
    assert (found.same, found.worded, found.changed) == (2, 1, 0)
    assert "1 of them in other words" in shown(found)


def test_a_line_whose_evidence_cannot_be_read_is_counted_and_named_by_its_field(tmp_path: Path) -> None:
    path = log(
        tmp_path,
        closed(LATE) | {"silence_s": "long"},
        closed(GONE),
        closed(named(LATE, "b")) | {"silence_s": []},
        {**closed(GONE), "phase": None},
    )
    found = rejudge([path])
    assert found.judged == 1
    counts = {why.split(":")[0]: each.count for why, each in found.unreadable.items()}
    assert counts == {"silence_s": 2, "phase": 1}
    silences = next(each for why, each in found.unreadable.items() if why.startswith("silence_s"))
    assert [each.line for each in silences.first] == [1, 3]
    assert "3 closing lines without evidence that can be read" in shown(found)


def test_entries_of_one_list_are_unreadable_for_one_reason(tmp_path: Path) -> None:
    frames = [[], ["-1 C PINGREQ 2", "nonsense"], ["nonsense"]]
    found = rejudge([log(tmp_path, *(closed(LATE) | {"frames": each} for each in frames))])
    assert [each.count for each in found.unreadable.values()] == [2]


def test_other_lines_are_accounted_for_by_log_and_number(tmp_path: Path) -> None:
    torn = orjson.dumps(closed(LATE))[:300] + b"\n"
    older = orjson.dumps(closed(LATE) | {"schema": 0}) + b"\n"
    first = log(tmp_path, closed(LATE), torn, late(LATE, 5.0, 14.0, 1), older, name="a.jsonl")
    second = log(tmp_path, b"Killed\n", closed(GONE), name="b.jsonl")
    found = rejudge([first, second])
    assert found.judged == 2
    assert [(each.lines, each.understood) for each in found.accounts.values()] == [(4, 2), (2, 1)]
    assert sorted(numbers for each in found.accounts[first].others.values() for numbers in each.first) == [
        2,
        4,
    ]
    assert f"{second}: 1 not JSON: line 1" in shown(found)


def test_the_examples_are_the_first_ones_and_few_whatever_the_number(tmp_path: Path) -> None:
    wrong = [closed(named(LATE, f"c-{place}")) | {"cause": "unknown"} for place in range(EXAMPLES_KEPT + 3)]
    found = rejudge([log(tmp_path, *wrong)])
    (examples,) = found.changes.values()
    assert (examples.count, [each.conn_id for each in examples.first]) == (
        EXAMPLES_KEPT + 3,
        [f"c-{place}" for place in range(EXAMPLES_KEPT)],
    )
    assert "… and 3 more" in shown(found)


def test_a_log_longer_than_a_batch_keeps_its_line_numbers_and_adds_up(tmp_path: Path) -> None:
    line = orjson.dumps(closed(LEFT)) + b"\n"
    odd = orjson.dumps(closed(named(LATE, "x")) | {"cause": "unknown"}) + b"\n"
    path = log(tmp_path, line * BATCH, b"noise\n", odd)
    told: list[int] = []
    found = rejudge([path], progress=lambda source, judged: told.append(judged))
    assert next(iter(found.changes.values())).first[0].line == BATCH + 2
    assert found.accounts[path].others["not JSON"].first == [BATCH + 1]
    assert told == [BATCH, BATCH + 1]


def test_several_processes_find_what_one_finds(tmp_path: Path) -> None:
    line = orjson.dumps(closed(LEFT)) + b"\n"
    odd = orjson.dumps(closed(named(LATE, "x")) | {"cause": "unknown"}) + b"\n"
    path = log(tmp_path, line * (BATCH - 5), odd * 8, b"{torn\n" * 7, line * 4)
    assert rejudge([path], processes=2) == rejudge([path], processes=1)


def test_a_small_log_is_not_worth_a_second_process_and_a_large_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    small, large = log(tmp_path, closed(LEFT)), str(tmp_path / "large")
    with open(large, "wb") as sparse:  # noqa: PTH123
        sparse.truncate(200 << 20)
    assert (worth([small]), worth(["-"]), worth([small, large])) == (1, 1, 2)


@pytest.mark.parametrize(
    ("asked", "judged"),
    [
        ({"client": "sensor-17"}, 1),
        ({"client": "press-*"}, 2),
        ({"cause": "keep_alive_timeout"}, 3),
        ({"cause": "keep_alive_timeout/pinged_late"}, 2),
        ({"since": "1m"}, 2),
        ({"until": "1m"}, 1),
        ({}, 3),
    ],
)
def test_only_the_lines_asked_for_are_judged(asked: dict[str, Any], judged: int, tmp_path: Path) -> None:
    lines = (
        closed(named(GONE, "a", 600.0, "press-2")),
        closed(named(LATE, "b", 0.0, "press-3")),
        closed(named(LATE, "c", 0.0)),
    )
    last_us = round((LATE.origin.opened_at + LATE.duration_s) * 1e6)
    wanted = Asked(Filters.of(**asked), last_us)
    assert rejudge([log(tmp_path, *lines)], wanted=wanted).judged == judged


def test_a_line_without_a_time_is_in_no_span(tmp_path: Path) -> None:
    wanted = Asked(Filters.of(since="2020-01-01"))
    assert rejudge([log(tmp_path, closed(LATE) | {"opened_at": "once"})], wanted=wanted).judged == 0


def test_a_log_that_cannot_be_opened_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"nowhere\.jsonl"):
        rejudge([str(tmp_path / "nowhere.jsonl")])


def test_logs_may_come_from_anywhere() -> None:
    @contextmanager
    def memory(path: str) -> Iterator[Iterator[bytes]]:
        yield iter([orjson.dumps(closed(LATE)) + b"\n"])

    assert rejudge(["that one"], opened=memory).judged == 1


def test_as_json_has_every_change_with_its_examples(tmp_path: Path) -> None:
    path = log(tmp_path, closed(LATE) | {"cause": "unknown", "root": None}, closed(GONE) | {"phase": 7})
    said = orjson.loads(orjson.dumps(rejudge([path]).as_json()))
    assert said["changes"][0]["before"]["cause"] == "unknown"
    assert said["changes"][0]["after"]["root"] == "pinged_late"
    assert said["changes"][0]["first"] == [{"conn_id": LATE.origin.conn_id, "source": path, "line": 1}]
    assert said["unreadable"][0]["count"] == 1
    assert (said["judged"], said["changed"]) == (1, 1)


def test_a_control_character_in_a_log_does_not_reach_the_terminal(tmp_path: Path) -> None:
    evil = closed(replace(LATE, origin=replace(LATE.origin, conn_id="\x1b[31mred"))) | {"cause": "\x1b[2J"}
    assert "\x1b" not in shown(rejudge([log(tmp_path, evil)]))

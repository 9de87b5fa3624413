"""The screen to the letter, at two widths. `python -m tests.analysis.test_screen` writes the golden files anew."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from kaproxy.analysis.logs import Account, read_lines
from kaproxy.analysis.screen import Screen
from kaproxy.analysis.story import Target, select
from tests.analysis.scene import SCENES, Line, as_text, closed, head, late, named
from tests.diagnosis.cases import CASES, FRAMES, evidence

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = (80, 120)


def shown(
    lines: Sequence[Line],
    width: int = 80,
    target: Target | None = None,
    *,
    extra: bytes = b"",
    encoding: str = "utf-8",
) -> str:
    """What stands on a console of that width that is no terminal."""
    account = Account()
    raw = io.BytesIO(as_text(*lines) + extra)
    found = select(read_lines(raw, account), target or Target(client_id="sensor-17"))
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace", newline="\n")
    Screen(Console(file=out, width=width)).show(found, account)
    out.seek(0)
    return out.read()


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", sorted(SCENES))
def test_the_screens_are_the_golden_ones(name: str, width: int) -> None:
    assert shown(SCENES[name](), width) == (GOLDEN / f"{name}_{width}.txt").read_text("utf-8")


@pytest.mark.parametrize("width", [60, *WIDTHS])
@pytest.mark.parametrize("name", sorted(CASES))
def test_every_case_fits_the_width_and_says_its_verdict(name: str, width: int) -> None:
    found = CASES[name].evidence
    if found.client_id is not None and not found.frames:
        found = replace(found, frames=FRAMES)
    text = shown([closed(found)], width, Target(conn_id=found.origin.conn_id))
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert all(line == line.rstrip() for line in text.splitlines())
    assert f"{CASES[name].cause}" in words(text)
    for part in ("What was seen on each leg", "Ruled out", "For the ticket"):
        assert part in text


def test_the_ticket_is_one_paragraph_with_who_when_and_what() -> None:
    ticket = words(shown(SCENES["pinged_late"]()).split("For the ticket")[1])
    for part in (
        'MQTT client "sensor-17" (10.1.2.3:41022, MQTT 3.1.1)',
        "10.0.0.5:1883",
        "w1-7 since 2026-04-24T03:06:40.250Z, ended at 2026-04-24T03:10:00.250Z",
        "keep_alive_timeout / pinged_late (likely; code cE; to act: client_library)",
        "2 warnings before it (keep_alive.late x2, first at 2026-04-24T03:08:00.249Z)",
        "kaproxy itself is exonerated",
    ):
        assert part in ticket


def test_lines_that_were_not_understood_stand_in_a_note_with_their_numbers() -> None:
    text = words(shown(SCENES["takeover"](), extra=b'{"timestamp": "20\nnoise\nnoise\n'))
    assert "of 6 lines, 3 are kaproxy's; the others: 1 torn (not a complete JSON object) (line 4); " in text
    assert "2 not JSON (lines 5, 6)." in text


def test_lines_lost_by_kaproxy_stand_in_a_note() -> None:
    lost = head("log.dropped", 1.0) | {"lines": 12}
    assert "12 lines never reached this log" in words(shown([lost, closed(evidence())]))


def test_kaproxy_is_not_exonerated_where_it_was_late_itself() -> None:
    text = words(shown([closed(CASES["kaproxy was late itself, ping"].evidence)]))
    assert "not exonerated: held bytes for 0 ms at most, its loop was late by 45 s at most" in text


def test_holding_bytes_for_a_peer_that_does_not_read_is_no_delay_of_kaproxys() -> None:
    assert "exonerated: held bytes for 61 s at most" in words(shown(SCENES["response_not_read"]()))


def test_a_verdict_that_todays_rules_would_not_give_is_said() -> None:
    line = closed(evidence()) | {"cause": "client_closed", "root": "storm"}
    assert "Judged again by this version's rules: broker_closed / client_looks_fine (unclear)." in words(
        shown([line])
    )


def test_evidence_that_cannot_be_read_leaves_verdict_warnings_and_ticket() -> None:
    found = evidence()
    text = words(shown([late(found, 60.0, 70.0, 1), closed(found) | {"idle_s": "?"}]))
    assert "Its evidence cannot be read (line 2): idle_s" in text
    assert "keep_alive.late: gap 70.0 s" in text
    assert "MQTT connection w1-7: Verdict: broker_closed" in text


def test_a_connection_without_closing_line_says_so() -> None:
    text = words(shown([late(evidence(), 60.0, 70.0, 1)]))
    assert "No closing line in this log: it was still open, or the line is missing." in text


def test_many_connections_are_cut_to_the_newest_and_the_chosen_one_stays() -> None:
    left = CASES["normal DISCONNECT"].evidence
    lines = [closed(named(evidence(), "drop", 9000.0))]
    lines += [closed(named(left, f"c{n}", 1000.0 - n)) for n in range(20)]
    text = shown(lines)
    assert "… 15 connections not listed" in text
    assert "\n> 2026-04-24T00:36:40Z    200 s  drop" in text
    assert "c19" in text


def test_control_characters_and_markup_of_a_client_identifier_reach_no_terminal() -> None:
    name = "\x1b[31m[bold]x\u202e"
    text = shown([closed(named(evidence(), "a", client_id=name))], target=Target(client_id=name))
    assert "\x1b" not in text
    assert "\\x1b[31m[bold]x\\u202e" in text


def test_wide_characters_fit_too() -> None:
    name = "温度計" * 12
    text = shown([closed(named(evidence(), "a", client_id=name))], target=Target(client_id=name))
    assert all(cell_len(line) <= 80 for line in text.splitlines())


def test_a_console_without_unicode_gets_bars_of_plain_characters() -> None:
    text = shown(SCENES["pinged_late"](), encoding="ascii")
    assert "=|=" in text
    assert text.isascii()


def test_one_connection_is_told_alone() -> None:
    text = shown(SCENES["pinged_late"](), target=Target(conn_id="0c51e9"))
    assert text.startswith('\nConnection 0c51e9 of client "sensor-17"\n')
    assert "w1-7" not in text


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for each, made in SCENES.items():
        for columns in WIDTHS:
            (GOLDEN / f"{each}_{columns}.txt").write_text(shown(made(), columns), "utf-8")

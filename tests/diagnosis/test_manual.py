from __future__ import annotations

from pathlib import Path

import pytest

from kaproxy.connection.facts import Phase
from kaproxy.diagnosis import Cause, Owner
from kaproxy.diagnosis.causes import CAUSE_ROWS, CAUSES, Row
from kaproxy.diagnosis.codes import FIRST_LETTERS, SECOND_LETTERS, termination_code
from kaproxy.diagnosis.manual import causes_markdown
from kaproxy.diagnosis.roots import ROOTS, describe
from kaproxy.diagnosis.rules import RULES
from kaproxy.diagnosis.shapes import EXTRA_FIELDS, FACTS, MEASURED, STATED, STORY
from tests.diagnosis.cases import CASES

PAGE = Path(__file__).parents[2] / "docs" / "causes.md"
ROWS = [*CAUSES, *(row for rows in ROOTS.values() for row in rows.values())]

#: Design section 7: stable strings, added, never renamed.
CONTRACT: dict[str, set[str]] = {
    "keep_alive_timeout": {
        "client_unreachable", "client_hung", "client_not_reading", "never_pinged", "receive_resets_ping",
        "pinged_late", "upload_starved", "server_keep_alive_ignored", "silent_cap", "broker_not_reading",
        "broker_premature", "proxy_delayed",
    },
    "ping_timeout": {
        "broker_silent", "broker_unreachable", "broker_slow", "response_not_read", "response_lost",
        "client_timer", "proxy_delayed",
    },
    "takeover": {"two_clients", "reconnect_after_half_open", "same_host_duplicate"},
    "packet_rejected": {
        "malformed", "protocol_violation", "too_large", "not_authorized_suspected", "quota", "receive_maximum",
    },
    "connect_refused": {"keep_alive_above_maximum"},
    "broker_disconnect": {"slow_consumer", "lifetime_limit", "restart", "client_looks_fine"},
    "client_closed": {"process_exit", "storm"},
}  # fmt: skip


def test_every_cause_has_its_row_and_every_row_its_cause() -> None:
    assert list(CAUSE_ROWS) == list(Cause)


@pytest.mark.parametrize(("cause", "roots"), CONTRACT.items())
def test_the_roots_of_the_contract_are_in_the_catalogue(cause: str, roots: set[str]) -> None:
    assert roots <= set(ROOTS[cause])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_is_told_in_full(row: Row) -> None:
    for text in (row.meaning, row.evidence, row.look_alikes, row.advice):
        assert text.endswith((".", "?"))
    assert row.owner in Owner
    assert len(row.advice) < 110


def test_what_a_rule_says_is_marked_as_judged_and_nothing_else() -> None:
    said = {(str(case.cause), case.root) for case in CASES.values()}
    causes = {cause for cause, _ in said}
    assert {row.name for row in CAUSES if row.judged} == causes
    for cause, rows in ROOTS.items():
        for row in rows.values():
            if not row.judged:
                assert (cause, row.name) not in said


def test_a_root_speaks_before_its_cause_and_a_cause_for_roots_without_words() -> None:
    assert describe("keep_alive_timeout", "client_hung").name == "client_hung"
    assert describe("keep_alive_timeout", None).name == "keep_alive_timeout"
    assert describe("connect_refused", "server_busy").name == "connect_refused"


def test_every_phase_has_a_letter_of_its_own() -> None:
    assert set(SECOND_LETTERS) == set(Phase)
    assert len(set(SECOND_LETTERS.values())) == len(Phase)


@pytest.mark.parametrize(
    ("closed_by", "phase", "silence", "code"),
    [
        ("client", Phase.CLOSING, "", "CL"),
        ("broker", Phase.ESTABLISHED, "c", "cE"),
        ("client", Phase.ESTABLISHED, "b", "bE"),
        ("proxy", Phase.ACCEPTED, "", "PA"),
        ("unknown", Phase.AWAITING_CONNACK, "", "UK"),
    ],
)
def test_the_code_is_who_and_when(closed_by: str, phase: Phase, silence: str, code: str) -> None:
    assert termination_code(closed_by, phase, silence) == code
    assert code[0] in FIRST_LETTERS


def test_the_page_is_the_one_in_docs() -> None:
    assert PAGE.read_text("utf-8") == causes_markdown()


def test_the_page_names_every_cause_root_and_rule() -> None:
    page = causes_markdown()
    for row in CAUSES:
        assert f"### {row.name}\n" in page
    for rows in ROOTS.values():
        for name in rows:
            assert f"| `{name}` |" in page
    assert all(rule.name in page for rule in RULES)


def test_the_page_says_what_is_not_yet_judged() -> None:
    reserved = sum(not row.judged for row in ROWS) + sum(not row.judged for row in CAUSES)
    assert causes_markdown().count("*Not yet judged.*") == reserved


def test_every_extra_field_is_one() -> None:
    names = {name for group in (FACTS, STATED, MEASURED, STORY) for name, _ in group}
    assert set(EXTRA_FIELDS) <= names | {"loop_lag_recent_ms"}

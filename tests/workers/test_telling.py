"""How the supervisor tells of a worker that ended: what is on its slate has no closing line, however it went."""

from __future__ import annotations

import pytest

from kaproxy.workers import telling
from kaproxy.workers.ledger import slate_of
from kaproxy.workers.slot import Slot


def ended_with(live: int, *names: str) -> Slot:
    slot = Slot("1-1", [])
    slate = slate_of(slot.ledger.descriptor)
    slate.set_live(live)
    for name in names:
        slate.enter(f"id of {name}", name, "192.0.2.7", 1795414260.25)
    return slot


@pytest.mark.parametrize("code", [-9, 1, 0])
def test_connections_without_closing_lines_are_told_of_whether_it_was_killed_or_exited(code: int) -> None:
    slot = ended_with(3, "press-7", "press-8")
    assert telling.lost(slot.ledger.live, slot.ledger.named) == 3
    record = telling.died(slot, code, slot.ledger.named, 3, 0.0)
    assert record["connections_lost"] == 3
    assert "the 2 that had sent CONNECT" in record["explanation"]
    assert "1 had not sent CONNECT and stay unnamed." in record["explanation"]
    assert [(line["conn_id"], line["client_id"]) for line in telling.cut(slot.name, slot.ledger.named)] == [
        ("id of press-7", "press-7"),
        ("id of press-8", "press-8"),
    ]
    slot.leave()
    assert (
        telling.lost(slot.ledger.live, slot.ledger.named),
        list(telling.cut(slot.name, slot.ledger.named)),
    ) == (0, [])


def test_one_whose_connections_all_have_their_lines_has_lost_none() -> None:
    slot = ended_with(0)
    record = telling.died(slot, 0, slot.ledger.named, 0, 0.0)
    assert record["explanation"].endswith("It had no connection without a closing line.")


def test_a_connection_that_had_ended_and_waited_for_its_line_is_lost_too() -> None:
    ledger = ended_with(0, "press-7").ledger
    assert telling.lost(ledger.live, ledger.named) == 1

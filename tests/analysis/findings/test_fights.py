"""Takeover fights: two that take turns are found, through one proxy or two; a client that came back is not."""

from __future__ import annotations

from typing import Any

from kaproxy.analysis.findings import fights
from kaproxy.diagnosis.verdict import Confidence, Owner
from tests.analysis.findings.table import at, table

HERE = {"client_addr": "10.0.0.7", "keep_alive": 60}
THERE = {"client_addr": "10.9.9.9", "keep_alive": 15}
TAKEN = {"cause": "takeover", "closed_by": "broker", "close_how": "fin", "silence_s": 2.0}


def turns(
    *sides: dict[str, Any], every: float = 10.0, client: str = "press-7", **more: Any
) -> list[dict[str, Any]]:
    """Connections that each begin 5 ms before the one before ends; the last ends in order."""
    rows = []
    for place, side in enumerate(sides):
        last = place == len(sides) - 1
        ended = at((place + 1) * every)
        rows.append(
            {
                "client_id": client,
                "opened_us": at(place * every) - 5000,
                "ended_us": ended,
                **({} if last else {**TAKEN, **more}),
                **side,
            }
        )
    return rows


def test_two_hosts_that_take_turns_are_a_fight() -> None:
    (found,) = fights.find(table(turns(*[HERE, THERE] * 8)))
    assert (found.kind, found.subject, found.drops) == ("takeover_fight", "press-7", 15)
    assert found.numbers["differs"] == ["client_addr", "keep_alive"]
    assert found.numbers["every_s"] == 10.0
    assert (found.owner, found.confidence) == (Owner.OPERATOR, Confidence.SETTLED)
    assert "10.0.0.7 (Keep Alive 60" in found.title
    assert "10.9.9.9 (Keep Alive 15" in found.title


def test_the_same_settings_at_two_addresses_are_likely_only() -> None:
    (found,) = fights.find(table(turns(*[HERE, {**THERE, "keep_alive": 60}] * 8)))
    assert found.confidence is Confidence.LIKELY
    assert found.numbers["differs"] == ["client_addr"]


def test_a_fight_through_two_proxies_is_joined_although_neither_saw_it() -> None:
    unseen: dict[str, Any] = {"cause": "broker_closed", "root": "client_looks_fine"}
    sides = [{**HERE, "source": "a.jsonl"}, {**THERE, "source": "b.jsonl"}]
    (found,) = fights.find(table(turns(*sides * 6, **unseen)))
    assert found.drops == 11
    assert found.numbers["seen_by_no_proxy_alone_share"] == 1.0
    assert found.confidence is Confidence.LIKELY


def test_a_client_that_comes_back_after_its_connection_died_is_no_fight() -> None:
    dead: dict[str, Any] = {"root": "reconnect_after_half_open", "silence_s": 80.0}
    assert fights.find(table(turns(*[HERE] * 12, every=100.0, **dead))) == []


def test_a_client_that_moves_between_networks_with_a_dead_connection_behind_is_no_fight() -> None:
    silent: dict[str, Any] = {"silence_s": 75.0}
    assert fights.find(table(turns(*[HERE, {**THERE, "keep_alive": 60}] * 6, every=100.0, **silent))) == []


def test_a_supervisor_that_replaces_its_process_every_few_hours_is_no_fight() -> None:
    assert fights.find(table(turns(*[HERE] * 12, every=4 * 3600.0, root="same_host_duplicate"))) == []


def test_one_host_that_runs_the_client_twice_is_its_own_rival() -> None:
    (found,) = fights.find(table(turns(*[HERE] * 12, root="same_host_duplicate")))
    assert found.title == (
        "press-7 runs twice at 10.0.0.7 (Keep Alive 60, MQTT 3.1.1): it took its own identifier 11 times, every 10 s"
    )
    assert (found.owner, found.confidence) == (Owner.CLIENT_APP, Confidence.LIKELY)


def test_a_takeover_or_two_is_no_fight() -> None:
    assert fights.find(table(turns(HERE, THERE, HERE))) == []


def test_restarts_of_the_broker_seen_by_two_proxies_are_no_fight() -> None:
    rows = [
        {
            "client_id": "press-1",
            "worker": f"w{n % 2}",
            "opened_us": at(n * 100 + 20),
            "ended_us": at(n * 100 + 100),
            "cause": "broker_closed",
            "closed_by": "broker",
        }
        for n in range(12)
    ]
    assert fights.find(table(rows)) == []


def test_a_taker_that_is_not_in_the_log_is_known_by_its_address() -> None:
    lost = [
        {
            "client_id": "press-7",
            **HERE,
            **TAKEN,
            "opened_us": at(n * 20),
            "ended_us": at(n * 20 + 10),
            "taken_over_by_client_addr": "10.9.9.9",
        }
        for n in range(6)
    ]
    found = fights.find(table(lost))
    assert [each.drops for each in found] == [6]


def test_many_fights_are_told_together_after_the_first() -> None:
    rows = [row for n in range(13) for row in turns(*[HERE, THERE] * 4, client=f"clone-{n}")]
    found = fights.find(table(rows))
    assert [each.kind for each in found] == ["takeover_fight"] * 10 + ["takeover_fights"]
    assert found[-1].title.startswith("3 more client identifiers are fought over, 21 takeovers")

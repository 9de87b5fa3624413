"""Stalls: many late answers at once are the broker's; of one network they are not, nor in kaproxy's own pause."""

from __future__ import annotations

from random import Random
from typing import Any

from kaproxy.analysis.findings import stalls
from kaproxy.diagnosis.verdict import Confidence, Owner
from tests.analysis.findings.table import at, table

STALL_AT, STALL_S = 40_000.0, 60.0


def fleet() -> list[dict[str, Any]]:
    """A day of 80 connections from four networks, by two workers."""
    return [
        {
            "conn_id": f"w-{n}",
            "client_id": f"press-{n}",
            "client_net": f"10.0.{n % 4}.0/24",
            "worker": f"w{n % 2}",
            "opened_us": at(0),
            "ended_us": at(86_400),
        }
        for n in range(80)
    ]


def slow(n: int, waited: float, moment: float) -> dict[str, Any]:
    return {
        "event": "ping.slow",
        "conn_id": f"w-{n}",
        "client_id": f"press-{n}",
        "client_net": f"10.0.{n % 4}.0/24",
        "worker": f"w{n % 2}",
        "ping_rtt_ms": waited * 1000,
        "at_us": at(moment),
    }


def stalled(of: int = 60) -> list[dict[str, Any]]:
    rng = Random(3)
    return [slow(n, rng.uniform(5, STALL_S), STALL_AT + STALL_S + rng.uniform(0, 0.1)) for n in range(of)]


def now_and_then() -> list[dict[str, Any]]:
    rng = Random(8)
    return [slow(n % 80, 6.0, rng.uniform(0, 86_400)) for n in range(50)]


def test_a_broker_that_answers_nobody_is_found() -> None:
    (found,) = stalls.find(table(fleet(), [*stalled(), *now_and_then()]))
    assert (found.kind, found.subject, found.owner) == ("broker_stall", "broker:1883", Owner.BROKER)
    assert found.confidence is Confidence.LIKELY
    assert found.numbers["waited"] == 60
    assert found.numbers["live_before"] == 80
    assert abs(float(found.numbers["lasted_s"]) - STALL_S) < 5  # type: ignore[arg-type]


def test_those_that_gave_up_are_counted_and_named() -> None:
    gave_up = [
        {
            **row,
            "cause": "ping_timeout",
            "root": "broker_silent",
            "ping_wait_s": 60.0,
            "ended_us": at(STALL_AT + n),
        }
        for n, row in enumerate(fleet()[:12])
    ]
    (found,) = stalls.find(table([*gave_up, *fleet()[12:]], stalled()))
    assert (found.drops, found.numbers["gave_up"]) == (12, 12)
    assert "w-0" in found.connections


def test_a_slow_answer_now_and_then_is_none() -> None:
    assert stalls.find(table(fleet(), now_and_then())) == []


def test_one_network_alone_is_not_the_broker() -> None:
    alone = [each for each in stalled(80) if each["client_net"] == "10.0.3.0/24"]
    (found,) = stalls.find(table(fleet(), alone))
    assert (found.kind, found.subject, found.confidence) == (
        "slow_network",
        "10.0.3.0/24",
        Confidence.UNCLEAR,
    )


def test_a_network_that_has_nearly_all_clients_does_not_hide_the_broker() -> None:
    rows = [{**row, "client_net": "10.0.3.0/24"} if n >= 4 else row for n, row in enumerate(fleet())]
    waits = [{**each, "client_net": rows[n]["client_net"]} for n, each in enumerate(stalled())]
    (found,) = stalls.find(table(rows, waits))
    assert found.kind == "broker_stall"


def test_in_a_pause_of_kaproxy_every_answer_is_late() -> None:
    lagging = {"event": "proxy.lagging", "worker": "w0", "lag_ms": 30_000.0, "at_us": at(STALL_AT + STALL_S)}
    assert stalls.find(table(fleet(), [*stalled(), lagging])) == []


def test_a_log_without_warnings_and_give_ups_has_none() -> None:
    assert stalls.find(table(fleet())) == []

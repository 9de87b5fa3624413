"""Incidents: drops that belong together are told once, with their width and recovery; look-alikes are not."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from kaproxy.analysis.findings import incidents
from kaproxy.analysis.findings.finding import Finding
from kaproxy.diagnosis.verdict import Confidence, Owner
from tests.analysis.findings.table import at, table

DAY = 86_400.0
LOST = {"cause": "broker_closed", "closed_by": "broker", "close_how": "fin"}
OUTAGE_AT = 0.5 * DAY + 0.2


def ordinary(seed: int = 1, drops: int = 40, **more: Any) -> list[dict[str, Any]]:
    """A day in which clients come and go, and some drop at random."""
    rng = Random(seed)
    rows = []
    for number in range(400):
        ends = rng.uniform(600, DAY)
        cause = {"cause": rng.choice(("client_reset", "keep_alive_timeout"))} if number < drops else {}
        rows.append(
            {"client_id": f"gauge-{number}", "ended_us": at(ends), "duration_s": 500.0, **cause, **more}
        )
    return rows


def crowd(clients: int, lasts: float = 0.4, start: float = OUTAGE_AT, **more: Any) -> list[dict[str, Any]]:
    """Clients of all ages that drop within a moment."""
    rng = Random(4)
    return [
        {
            "client_id": f"press-{n}",
            "conn_id": f"lost-{start}-{n}",
            "opened_us": at(start - rng.uniform(3600, 40_000)),
            "ended_us": at(start + lasts * n / clients),
            **LOST,
            **more,
        }
        for n in range(clients)
    ]


def back(clients: int, *waits: float, start: float = OUTAGE_AT) -> list[dict[str, Any]]:
    """Each dials after each of these waits; the last dial stands, the ones before are refused."""
    rows = []
    for n in range(clients):
        moment = start + 0.4 * n / clients
        for place, wait in enumerate(waits, 1):
            moment += wait
            stands = place == len(waits)
            lasts = 3600.0 if stands else 0.001
            refused = {"cause": "broker_refused", "phase": "dialing", "closed_by": "broker"}
            rows.append(
                {
                    "client_id": f"press-{n}",
                    "opened_us": at(moment),
                    "ended_us": at(moment + lasts),
                    **({} if stands else refused),
                }
            )
    return rows


def incident(found: list[Finding]) -> Finding:
    (only,) = [each for each in found if each.kind == "incident"]
    return only


def test_a_broker_that_goes_away_is_one_incident_with_all_of_its_clients() -> None:
    found = incident(incidents.find(table([*ordinary(), *crowd(60), *back(60, 2.0, 4.0, 8.0)])))
    assert found.numbers["what"] == "broker_restart"
    assert (found.drops, found.subject, found.owner) == (60, "broker:1883", Owner.OPERATOR)
    assert found.confidence is Confidence.LIKELY
    assert found.first_us == at(OUTAGE_AT)
    first = found.numbers["first_mover"]
    assert isinstance(first, dict)
    assert first["client_id"] == "press-0"
    assert found.numbers["recovery_s"] == pytest.approx(14.0)
    assert (found.numbers["clients_back"], found.numbers["attempts_in_vain"]) == (60, 120)
    assert found.numbers["blast_share"] > 0.9  # type: ignore[operator]


def test_the_storm_after_it_is_told_with_its_shape() -> None:
    rows = [*ordinary(), *crowd(30), *back(30, *[1.0] * 12)]
    (storm,) = [each for each in incidents.find(table(rows)) if each.kind == "reconnect_storm"]
    assert (storm.subject, storm.numbers["attempts"]) == ("press-#", 360)
    assert "no back-off, no jitter" in storm.title
    assert storm.owner is Owner.CLIENT_APP


def test_what_the_broker_said_itself_is_settled() -> None:
    down: dict[str, Any] = {
        "cause": "broker_shutdown",
        "close_how": "disconnect",
        "disconnect_from_broker": 0x8B,
    }
    found = incident(incidents.find(table([*ordinary(), *crowd(20, **down)])))
    assert (found.numbers["what"], found.confidence) == ("broker_shutdown", Confidence.SETTLED)


def test_logs_of_several_proxies_are_joined() -> None:
    rows = [{**row, "source": f"proxy-{n % 3}.jsonl"} for n, row in enumerate(crowd(30))]
    found = incident(incidents.find(table([*ordinary(), *rows])))
    assert found.numbers["proxies"] == ["proxy-0.jsonl/w", "proxy-1.jsonl/w", "proxy-2.jsonl/w"]
    assert found.drops == 30


def test_a_part_of_the_connections_that_the_broker_ended_is_unclear() -> None:
    standing = [{"client_id": f"tank-{n}", "ended_us": at(DAY), "duration_s": DAY} for n in range(200)]
    found = incident(incidents.find(table([*ordinary(), *standing, *crowd(20)])))
    assert (found.numbers["what"], found.confidence) == ("broker_closed_many", Confidence.UNCLEAR)
    assert found.numbers["live_before"] >= 220  # type: ignore[operator]


def test_connections_that_are_still_open_count_as_live() -> None:
    began = [
        {
            "event": "connection.established",
            "conn_id": f"open-{n}",
            "broker_addr": "broker:1883",
            "at_us": at(60),
        }
        for n in range(300)
    ]
    rows = crowd(20)
    own = [{**each, "conn_id": row["conn_id"]} for each, row in zip(began, rows, strict=False)]
    found = incident(incidents.find(table(rows, [*began, *own])))
    assert found.numbers["live_before"] == 320


def test_a_batch_of_expiries_is_no_incident() -> None:
    silent: dict[str, Any] = {"cause": "keep_alive_timeout", "silence_s": 93.0}
    standing = [{"client_id": f"tank-{n}", "ended_us": at(DAY), "duration_s": DAY} for n in range(40)]
    assert incidents.find(table([*ordinary(), *standing, *crowd(7, 0.004, **silent)])) == []


def test_a_network_that_goes_dark_is_one() -> None:
    silent: dict[str, Any] = {
        "cause": "keep_alive_timeout",
        "root": "client_unreachable",
        "client_net": "10.9.9.0/24",
    }
    found = incident(incidents.find(table([*ordinary(), *crowd(40, 5.0, **silent)])))
    assert (found.numbers["what"], found.owner) == ("went_silent", Owner.PATH)
    assert "of network 10.9.9.0/24" in found.title


def test_a_clock_that_stepped_is_no_silence() -> None:
    early: dict[str, Any] = {"cause": "keep_alive_timeout", "root": "broker_premature"}
    assert (
        incident(incidents.find(table([*ordinary(), *crowd(40, **early)]))).numbers["what"] == "expired_early"
    )


def test_unlike_drops_in_one_second_are_coincidence() -> None:
    kinds = ("broker_closed", "client_closed", "keep_alive_timeout", "client_reset", "idle_cut")
    rows = [{**row, "cause": kinds[n % 5], "broker_addr": f"b{n % 3}:1883"} for n, row in enumerate(crowd(5))]
    assert incidents.find(table([*ordinary(), *rows])) == []


def test_a_busy_fleet_has_no_incidents_of_its_own() -> None:
    rng = Random(9)
    rows = [
        {
            "client_id": f"press-{n}",
            "ended_us": at(rng.uniform(0, 7200)),
            "duration_s": rng.uniform(60, 900),
            **LOST,
        }
        for n in range(4000)
    ]
    assert incidents.find(table(rows)) == []


def test_clients_that_came_together_and_end_at_one_age_are_no_incident() -> None:
    rng = Random(6)
    starts = [rng.uniform(0, 120) for _ in range(80)]
    rows = [
        {
            "client_id": f"meter-{n}",
            "opened_us": at(start),
            "ended_us": at(start + 3600 + rng.uniform(0, 0.5)),
            **LOST,
        }
        for n, start in enumerate(starts)
    ]
    assert incidents.find(table([*ordinary(), *rows])) == []


def test_one_client_in_a_loop_is_no_incident() -> None:
    rows = [
        {"client_id": "press-1", "ended_us": at(OUTAGE_AT + n / 10), "duration_s": 0.05, **LOST}
        for n in range(80)
    ]
    assert incidents.find(table([*ordinary(), *rows])) == []


def test_what_recurs_is_told_once() -> None:
    rows = [
        row
        for hour in range(2, 20)
        for row in crowd(12, 20.0, start=hour * 3600.0 + 1000, cause="client_reset", closed_by="client")
    ]
    (found,) = incidents.find(table([*ordinary(), *rows]))
    assert (found.kind, found.subject, found.numbers["times"]) == ("recurring_incident", "press-#", 18)
    assert found.numbers["apart_median_s"] == pytest.approx(3600, abs=1)


def test_attempts_in_vain_without_a_crowd_that_was_lost_are_refusals() -> None:
    refused: dict[str, Any] = {
        "cause": "connect_refused",
        "root": "server_unavailable",
        "phase": "awaiting_connack",
    }
    found = incident(incidents.find(table([*ordinary(), *crowd(40, 30.0, **refused)])))
    assert found.numbers["what"] == "refusals"


def test_a_log_without_drops_has_none() -> None:
    assert incidents.find(table([{"ended_us": at(1)}])) == []
    assert incidents.find(table()) == []

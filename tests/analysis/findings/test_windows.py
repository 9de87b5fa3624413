"""The broker's patience: its window is read from sure expiries, and a kill before time is told as one."""

from __future__ import annotations

from random import Random
from typing import Any

from kaproxy.analysis.findings import windows
from kaproxy.diagnosis.verdict import Confidence, Owner
from tests.analysis.findings.table import at, table

EXPIRED = {
    "cause": "keep_alive_timeout",
    "root": "client_unreachable",
    "closed_by": "broker",
    "close_how": "fin",
    "client_leg_fin_acked": 0,
    "broker_leg_ending": "fin",
}


def expiries(low: float, high: float, count: int = 60, **more: Any) -> list[dict[str, Any]]:
    rng = Random(5)
    return [
        {
            **EXPIRED,
            "silence_s": (silence := rng.uniform(low, high)),
            "silence_counted_s": silence,
            "silence_bytes_s": silence,
            "downlink_idle_s": silence,
            "ended_us": at(n),
            **more,
        }
        for n in range(count)
    ]


def test_a_window_of_six_seconds_fits_mosquitto() -> None:
    (found,) = windows.find(table(expiries(90.1, 96.6)))
    assert (found.kind, found.numbers["fits"]) == ("broker_window", ["mosquitto_2.0"])
    assert found.numbers["factor_low"] > 1.5  # type: ignore[operator]
    assert found.owner is Owner.NOBODY


def test_a_profile_that_cannot_be_is_told() -> None:
    (found,) = windows.find(table(expiries(90.1, 96.6, broker_profile="aedes")))
    assert found.title.endswith("that fits mosquitto_2.0; it is judged as aedes")
    assert found.owner is Owner.OPERATOR
    assert 'broker.profile = "mosquitto_2.0"' in found.advice


def test_a_profile_that_is_only_wider_than_need_be_is_not() -> None:
    (found,) = windows.find(table(expiries(90.0, 90.04, broker_profile="mosquitto_2.0")))
    assert "judged as" not in found.title


def test_silences_that_leave_a_doubt_teach_nothing() -> None:
    for doubt in ({"client_leg_fin_acked": 1}, {"loop_lag_max_ms": 900.0}, {"client_leg_stalled_s": 2.0}):
        assert windows.find(table(expiries(90.1, 96.6, **doubt))) == []


def test_a_few_expiries_make_no_window() -> None:
    assert windows.find(table(expiries(90.1, 96.6, count=4))) == []


def test_kills_before_time_are_told_and_do_not_widen_the_window() -> None:
    early = {"root": "broker_premature", "disconnect_from_broker": 0x8D, "effective_keep_alive": 120}
    rows = [*expiries(90.1, 96.6), *expiries(75.0, 88.0, count=9, **early)]
    window, premature = windows.find(table(rows))
    assert window.numbers["factor_low"] > 1.5  # type: ignore[operator]
    assert (premature.kind, premature.drops, premature.owner) == ("broker_premature", 9, Owner.BROKER)
    assert premature.confidence is Confidence.SETTLED
    assert 0.62 < float(premature.numbers["factor_low"]) < 0.74  # type: ignore[arg-type]


def test_a_silent_cap_is_not_premature() -> None:
    assert windows.find(table(expiries(75.0, 88.0, root="silent_cap"))) == []

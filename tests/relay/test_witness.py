"""Facts about the guard between the relay and its observer."""

from __future__ import annotations

import pytest

from kaproxy.connection.events import Closed, Event, KeepAliveOverdue, ObserverFailed
from kaproxy.connection.facts import Ending, LegFacts, Origin, ProxyAction, RelayFacts, Side
from kaproxy.relay.witness import Tracker, Witness, first_ending, with_legs
from tests.relay.rig import RecordingTracker

ORIGIN = Origin("00ff", "default", "127.0.0.1", 40000, "127.0.0.1:1883", 0.0)
CALLS = ["broker_connected", "leg_ended", "proxy_ended", "next_look", "look", "observer_failed", "close"]


def witness(events: list[Event], *fail_on: str) -> Witness:
    def make(origin: Origin, now: float) -> Tracker:
        tracker = RecordingTracker(origin, now)
        tracker.fail_on = set(fail_on)
        return tracker

    return Witness(ORIGIN, make, events.append, 100.0)


def run(watched: Witness) -> None:
    watched.broker_connected(101.0)
    watched.next_look(102.0)
    watched.look(103.0)
    watched.leg_ended(Side.BROKER, Ending.FIN, 104.0)
    watched.proxy_ended(ProxyAction.SHUTDOWN, "", 105.0)
    watched.close(106.0, LegFacts(), LegFacts(ending=Ending.FIN, ended_s=4.0), RelayFacts())
    watched.close(107.0, LegFacts(), LegFacts(), RelayFacts())
    watched.leg_ended(Side.CLIENT, Ending.FIN, 108.0)
    watched.look(109.0)


@pytest.mark.parametrize("failing", [*CALLS, "", "all"])
def test_one_closing_line_comes_out_whatever_raises(failing: str) -> None:
    events: list[Event] = []
    run(witness(events, *(CALLS if failing == "all" else [failing])))
    closed = [event for event in events if isinstance(event, Closed)]
    assert len(closed) == 1
    assert (closed[0].evidence.closed_by, closed[0].evidence.close_how) == ("broker", "fin")


def test_a_failed_close_leaves_what_the_relay_knows() -> None:
    events: list[Event] = []
    watched = witness(events, "close")
    leg = LegFacts(ending=Ending.RST, ended_s=2.0, unsent=7)
    watched.close(110.0, leg, LegFacts(ending=Ending.FIN, ended_s=3.0), RelayFacts(0.1, 0.2))
    evidence = next(event for event in events if isinstance(event, Closed)).evidence
    assert (evidence.closed_by, evidence.close_how, evidence.duration_s) == ("client", "rst", 2.0)
    assert evidence.client_leg is leg
    assert evidence.observer_error == "RuntimeError: close fails"


def test_the_proxys_own_doing_is_told_as_such_without_a_tracker() -> None:
    events: list[Event] = []
    watched = witness(events, "close")
    watched.close(110.0, LegFacts(), LegFacts(), RelayFacts(), (ProxyAction.ERROR, "why"))
    evidence = next(event for event in events if isinstance(event, Closed)).evidence
    assert (evidence.closed_by, evidence.close_how) == ("proxy", "local")
    assert (evidence.proxy_action, evidence.proxy_detail) == (ProxyAction.ERROR, "why")
    assert evidence.duration_s == 10.0


def test_a_failure_of_the_observer_is_told_once() -> None:
    events: list[Event] = []
    watched = witness(events, "observer_failed")
    watched.failed(ValueError("first"), 1.0)
    watched.failed(ValueError("second"), 2.0)
    assert events == [ObserverFailed(ORIGIN, "ValueError: first")]


def test_a_sink_that_raises_is_asked_again_next_time() -> None:
    told: list[Event] = []

    def sink(event: Event) -> None:
        told.append(event)
        raise RuntimeError("sink")

    watched = Witness(ORIGIN, RecordingTracker, sink, 0.0)
    watched.emit([ObserverFailed(ORIGIN, "a"), ObserverFailed(ORIGIN, "b")])
    assert len(told) == 2


def test_the_earlier_leg_is_the_first_ending() -> None:
    early, late = LegFacts(ending=Ending.FIN, ended_s=1.0), LegFacts(ending=Ending.RST, ended_s=2.0)
    assert first_ending(early, late) == ("client", Ending.FIN, 1.0)
    assert first_ending(late, early) == ("broker", Ending.FIN, 1.0)
    assert first_ending(LegFacts(), LegFacts()) == ("unknown", Ending.LOCAL, None)


def test_only_suspicions_get_leg_facts() -> None:
    leg = LegFacts(unsent=1)
    overdue = KeepAliveOverdue(ORIGIN, "c", 2.0, 1, 1.5, 1.5, None)
    told = with_legs(overdue, leg, leg)
    assert isinstance(told, KeepAliveOverdue)
    assert told.client_leg is leg
    failed = ObserverFailed(ORIGIN, "x")
    assert with_legs(failed, leg, leg) is failed

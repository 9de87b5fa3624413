"""What would have happened: each habit of a client under another Keep Alive, each ending under another patience."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fleets.replay import Lived, Replayed, keep_alive, window

#: Pings at 1.5 x 10 s, and was expired by a hair.
LATE = Lived(10, "times", 15.0, "late", 15.001, 15.01, None, ((15.003, 1), (15.0, 6)))
TICK = replace(LATE, habit="plus")
#: Sends when it has something to tell; a box cuts at 300 s.
QUIET = Lived(900, "app", 0.0, "cut", 300.2, None, 300.0, ((250.0, 1), (120.0, 3)))


def test_a_multiple_of_the_keep_alive_stays_one() -> None:
    assert LATE.with_keep_alive(15.0, 40) == 60.0
    assert keep_alive([LATE], 40).prevented == 0


def test_a_tick_after_the_keep_alive_matters_less_the_longer_it_is() -> None:
    assert TICK.with_keep_alive(15.0, 40) == 45.0
    assert keep_alive([TICK], 40) == Replayed(1, 0)
    assert keep_alive([TICK], 8) == Replayed(0, 7)


@pytest.mark.parametrize(("value", "prevented"), [(200, 1), (299, 1), (300, 0), (900, 0)])
def test_a_ping_before_the_limit_of_the_path_keeps_it(value: int, prevented: int) -> None:
    assert keep_alive([QUIET], value) == Replayed(prevented, 0)


def test_the_dead_are_not_saved() -> None:
    dead = replace(LATE, ending="gone", spoke_s=None, gaps=())
    assert keep_alive([dead], 600) == window([dead], 9.0) == Replayed(0, 0)


def test_every_gap_beyond_a_brokers_patience_is_a_drop() -> None:
    assert window([LATE], 1.25) == Replayed(0, 7)
    assert window([LATE], 1.5) == Replayed(0, 1)
    assert window([LATE], 1.6) == Replayed(1, 0)


def test_a_last_silence_beyond_it_is_one_too() -> None:
    assert window([replace(QUIET, keep_alive=150, gaps=())], 1.5) == Replayed(0, 1)


def test_an_impatient_broker_is_satisfied_by_pings_before_its_time() -> None:
    early = Lived(120, "times", 90.0, "premature", 50.0, 90.0, 50.0, ())
    assert keep_alive([early], 60).prevented == 1
    assert keep_alive([early], 70).prevented == 0
    assert window([early], 1.25).prevented == 1

"""A part that is not there skips the test that needs it, and fails it where CI is set."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.peers import places


@pytest.fixture
def no_mosquitto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(places.PARTS_NEEDED, "mosquitto", lambda: False)


@pytest.mark.usefixtures("no_mosquitto")
def test_a_missing_part_skips_with_its_name(
    require: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="mosquitto"):
        require("mosquitto")


@pytest.mark.usefixtures("no_mosquitto")
def test_a_missing_part_fails_in_ci(require: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="mosquitto"):
        require("mosquitto")


def test_no_part_is_needed_by_default(require: Callable[..., None]) -> None:
    require()


def test_ports_are_handed_out_from_their_range_and_not_twice_in_a_row() -> None:
    one, other = places.free_port(), places.free_port()
    assert one != other
    assert min(one, other) >= places.FIRST_PORT
    assert max(one, other) <= places.LAST_PORT

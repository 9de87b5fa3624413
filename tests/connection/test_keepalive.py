"""When a broker may expire a client, as numbers."""

import pytest

from kaproxy.connection.keepalive import Rounding, Window


def test_keep_alive_zero_has_no_limit() -> None:
    assert Window().limits(0) is None


def test_a_broker_that_never_enforces_has_no_limit() -> None:
    assert Window(enforced=False).limits(60) is None


@pytest.mark.parametrize(
    ("window", "keep_alive", "limits"),
    [
        (Window(), 60, (90.0, 90.0)),
        (Window(), 5, (7.5, 7.5)),
        (Window(rounding=Rounding.FLOOR, late_s=7.0), 5, (7.0, 14.0)),
        (Window(rounding=Rounding.NEAREST), 5, (8.0, 8.0)),
        (Window(factor_high=2.25), 60, (90.0, 135.0)),
        (Window(factor_high=2.25, late_s=1.0), 10, (15.0, 23.5)),
        (Window(early_s=0.2), 1, (1.3, 1.5)),
        (Window(early_s=5.0), 1, (0.0, 1.5)),
        (Window(), 65535, (98302.5, 98302.5)),
    ],
)
def test_limits_follow_rounding_factor_and_lateness(
    window: Window, keep_alive: int, limits: tuple[float, float]
) -> None:
    assert window.limits(keep_alive) == pytest.approx(limits)


@pytest.mark.parametrize("keep_alive", range(1, 200))
@pytest.mark.parametrize("rounding", list(Rounding))
def test_the_low_end_is_never_above_the_high_end(rounding: Rounding, keep_alive: int) -> None:
    limits = Window(rounding=rounding, early_s=0.1, factor_high=1.0).limits(keep_alive)
    assert limits is not None
    assert 0 <= limits[0] <= limits[1]

"""When a worker tells its news: at moments that are the same for all processes of a machine."""

from __future__ import annotations

import pytest

from kaproxy.config import Config
from kaproxy.proxy import relay_config_of
from kaproxy.settings.sample import effective_toml
from kaproxy.settings.sources import Loaded
from kaproxy.workers.child import TELLINGS_PER_S, config_of, until_next


def test_workers_that_ask_at_different_times_tell_at_the_same_moment() -> None:
    moments = [4100.0 + number / 7919 for number in range(7919)]
    told = {round((moment + until_next(moment)) * TELLINGS_PER_S, 6) for moment in moments}
    assert told == {4100 * TELLINGS_PER_S + number for number in range(1, TELLINGS_PER_S + 1)}


@pytest.mark.parametrize("now", [0.0, 0.019999, 0.02, 12345.678, 3e6 + 0.02])
def test_the_next_moment_is_never_far_and_never_now(now: float) -> None:
    assert 0.0 < until_next(now) <= 1.0 / TELLINGS_PER_S + 1e-9


def test_a_worker_knows_how_many_share_its_cores() -> None:
    config = Config.model_validate({"workers": 3})
    handed_over = config_of(effective_toml(Loaded(config, {}, None)))
    assert relay_config_of(handed_over).workers == 3

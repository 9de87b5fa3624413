"""How a scenario enters the laboratory's own table, which the test suite does not play."""

from __future__ import annotations

import functools

from tests.end_to_end.stage import Scenario, scenario

LAB: dict[str, Scenario] = {}

#: `@lab(name, expected, *needs)`: as `scenario`, for the laboratory alone.
lab = functools.partial(scenario, table=LAB)

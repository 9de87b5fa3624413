"""The catalogue of the laboratory: every scenario of the test suite, and those that only the laboratory plays."""

from __future__ import annotations

from tests.end_to_end.stage import Scenario
from tests.end_to_end.table import SCENARIOS
from tests.lab import brokers, clients, crowds, keepalives, paths, rejections
from tests.lab.entry import LAB

FILES = (brokers, clients, keepalives, paths, rejections, crowds)
#: Slow brokers start first, since they take longest; the rest as it comes.
CATALOGUE: dict[str, Scenario] = {**LAB, **SCENARIOS}

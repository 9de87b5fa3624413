"""One small fleet that the tests of this folder share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kaproxy.analysis.logs import Account, read_lines
from tests.fleets import fleet
from tests.fleets.truth import Truth, truth_of

LINES, SEED = 12_000, 1


class Made(NamedTuple):
    """A fleet's log, its truth, and its lines as they are read back."""

    path: Path
    truth: Truth
    lines: list[dict[str, Any]]

    @property
    def closing(self) -> list[dict[str, Any]]:
        """The closing lines."""
        return [line for line in self.lines if line["event"] == "connection.closed"]


@pytest.fixture(scope="session", name="made")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    path = tmp_path_factory.mktemp("fleet") / "fleet.jsonl"
    fleet.write(path, LINES, SEED)
    with path.open("rb") as raw:
        lines = [dict(line.fields) for line in read_lines(raw, Account())]
    return Made(path, Truth.load(truth_of(path)), lines)

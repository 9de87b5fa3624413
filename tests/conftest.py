"""What every test may use: the parts a test needs, or a loud reason why it cannot run here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers.places import lacking

END_TO_END = Path(__file__).parent / "end_to_end"


def pytest_configure(config: pytest.Config) -> None:
    """Markers of our own."""
    config.addinivalue_line(
        "markers", "plays(*names): the end-to-end scenarios whose outcome a test looks at"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything under end_to_end/ is marked so."""
    for item in items:
        if END_TO_END in item.path.parents:
            item.add_marker(pytest.mark.end_to_end)


@pytest.fixture(scope="session")
def require() -> Callable[..., None]:
    """`require("mosquitto", "network namespaces")`: go on, or skip for want of a part (fail, where CI is set)."""

    def check(*needs: str) -> None:
        if not (missing := lacking(frozenset(needs))):
            return
        reason = f"this machine lacks {', '.join(missing)}; see tests/peers/install"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)

    return check

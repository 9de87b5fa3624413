"""What every test may use: the parts a test needs, or a loud reason why it cannot run here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.peers.places import lacking
from tests.peers.priority import first_in_line

HERE = Path(__file__).parent
END_TO_END = HERE / "end_to_end"
PARTS = ("end_to_end", "root", "load")
#: What takes longest goes first where workers share the tests, so that none of it is waited for alone at the end.
DEAR = (
    *("fleets", "analysis/test_analyze.py", "analysis/store/test_loading.py", "mqtt/test_junk.py"),
    *("mqtt/oracle", "analysis/report", "test_cli.py", "mqtt", "analysis", "test_recipes.py"),
    *("demo", "diagnosis/test_properties.py", "connection", "relay"),
)


def pytest_configure(config: pytest.Config) -> None:
    """Markers of our own."""
    config.addinivalue_line(
        "markers", "plays(*names): the end-to-end scenarios whose outcome a test looks at"
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Everything under end_to_end/ is marked so."""
    if END_TO_END in item.path.parents:
        item.add_marker(pytest.mark.end_to_end)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where workers share the tests: groups stay together, and what takes longest goes first."""
    for path in {item.path for item in items if any(item.get_closest_marker(name) for name in PARTS)}:
        named = END_TO_END in path.parents or any(f"mark.{name}" in path.read_text() for name in PARTS)
        assert named, f"{path}: .ci/test finds the files of a part by the words pytest.mark.…"
    if os.environ.get("PYTEST_XDIST_WORKER"):
        items.sort(key=_place)
    if getattr(config.option, "loadgroup", False):
        for item in items:
            _in_group(item)


def _place(item: pytest.Item) -> int:
    path = item.path.relative_to(HERE).as_posix()
    return next((place for place, dear in enumerate(DEAR) if path.startswith(dear)), len(DEAR))


def _in_group(item: pytest.Item) -> None:
    """Name the group behind the test's identifier, where the scheduler looks for it.

    pytest-xdist 3.8 writes it to an attribute that pytest 9.2 no longer reads, and then every worker makes
    every group's fixtures anew without a word.
    """
    groups = {str(mark.args[0]) for mark in item.iter_markers("xdist_group")}
    suffix = f"@{'_'.join(sorted(groups))}"
    if not groups or item.nodeid.endswith(suffix):
        return
    item._id = type(item._id).parse(item.nodeid + suffix)
    assert item.nodeid.endswith(suffix), "groups have no effect with this pytest and pytest-xdist"


@pytest.fixture
def ahead() -> Iterator[None]:
    """For tests with real timers: they and what they start do not wait for other tests' computing."""
    with first_in_line():
        yield


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

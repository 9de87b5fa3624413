"""What the tests of this folder share: real ClickHouse servers, two of Debian's release and a modern one; and a fleet.

The clocks of every second of the fleet's logs tick by the second, so that many moments are the same, and what is found
must not rest on which of two rows comes first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fleets import fleet
from tests.peers.clickhouse import Server, debian_servers, modern_server


@pytest.fixture(scope="session")
def debian_pair(
    require: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Server]]:
    """Two servers of 18.16, of one cluster; each test makes databases of its own."""
    require("clickhouse-server")
    with debian_servers(tmp_path_factory.mktemp("debian"), 2) as servers:
        yield servers


@pytest.fixture(scope="session")
def modern(require: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of today; each test makes databases of its own."""
    require("chdb")
    with modern_server(tmp_path_factory.mktemp("modern")) as server:
        yield server


LINES, SEED = 3_000, 1
_FRACTION, _DURATION = re.compile(rb'(?<=:\d\d)\.\d+Z"'), re.compile(rb'("duration_s":\d+)\.\d+')


@pytest.fixture(scope="session")
def fleet_logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A fleet's logs, one of each worker's."""
    folder = tmp_path_factory.mktemp("fleet")
    fleet.write(folder / "fleet.jsonl", LINES, SEED)
    logs = fleet.write_by_worker(folder, folder / "fleet.jsonl")
    for log in logs[::2]:
        log.write_bytes(b"".join(_by_the_second(line) for line in log.read_bytes().splitlines(keepends=True)))
    return logs


def _by_the_second(line: bytes) -> bytes:
    """The line as a proxy with a coarse clock would have written it."""
    return _DURATION.sub(rb"\1.0", _FRACTION.sub(b'Z"', line))

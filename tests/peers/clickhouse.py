"""ClickHouse as test parts: servers of Debian's release, as many as a test wants, and a modern one out of a library.

Each listens on 127.0.0.1 with its data in a folder of its own, and is gone when its block ends. A server takes
about half a second to start.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.peers import places
from tests.peers.children import Child, child

PATIENCE_S = 120.0

_USERS = """<yandex>
  <profiles><default/><reader><readonly>1</readonly></reader></profiles>
  <users>
    <default><password/><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>all</quota></default>
    <someone><password>not so secret</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile>
      <quota>all</quota></someone>
    <reader><password/><networks><ip>127.0.0.1</ip></networks><profile>reader</profile><quota>all</quota></reader>
  </users>
  <quotas><all/></quotas>
</yandex>
"""
_CONFIG = """<yandex>
  <logger><level>warning</level><console>1</console></logger>
  <http_port>{http}</http_port><tcp_port>{native}</tcp_port><listen_host>127.0.0.1</listen_host>
  <path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path>
  <mark_cache_size>67108864</mark_cache_size>
  <users_config>{folder}/users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database>
  <remote_servers><pair>{shards}</pair></remote_servers>
</yandex>
"""
_SHARD = "<shard><replica><host>127.0.0.1</host><port>{port}</port></replica></shard>"


class Server:
    """A server that answers: its URL, its native port, and the statements it is told."""

    def __init__(self, http: int, native: int, process: Child) -> None:
        """Known by its ports."""
        self.http, self.native, self.process = http, native, process

    @property
    def url(self) -> str:
        """Its database, as `kaproxy analyze --connect` takes it."""
        return f"http://127.0.0.1:{self.http}/default"

    def tell(self, statement: str, database: str = "default") -> str:
        """Carry out one statement; fails with the server's words."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=60)
        try:
            connection.request("POST", f"/?database={database}", statement.encode())
            response = connection.getresponse()
            answer = response.read().decode()
        finally:
            connection.close()
        assert response.status == 200, f"{answer[:1000]} in {statement[:200]}"
        return answer

    def make(self, script: Path, database: str = "default") -> None:
        """Carry out every statement of an SQL file."""
        for statement in statements(script.read_text("utf-8")):
            self.tell(statement, database)

    def fresh(self, database: str, *scripts: Path) -> str:
        """A new database of this name, made by these SQL files; its URL."""
        self.tell(f"DROP DATABASE IF EXISTS {database}")
        self.tell(f"CREATE DATABASE {database}")
        for script in scripts:
            self.make(script, database)
        return f"http://127.0.0.1:{self.http}/{database}"

    def answers(self) -> bool:
        """Is it up?"""
        try:
            return self.tell("select 1") == "1\n"
        except OSError:
            return False


def statements(script: str) -> list[str]:
    """The statements of a script, its comments left out; they end with a semicolon at the end of a line."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    return [part for part in ("\n".join(lines) + "\n").split(";\n") if part.strip()]


@contextmanager
def debian_servers(folder: Path, many: int = 1) -> Iterator[list[Server]]:
    """Servers of Debian's release, `many` of them; each knows the cluster `pair` of them all."""
    ports = [(places.free_port(), places.free_port()) for _ in range(many)]
    shards = "".join(_SHARD.format(port=native) for _, native in ports)
    running: list[Server] = []
    try:
        for number, (web, native) in enumerate(ports):
            running.append(_started(folder / f"server{number}", web, native, shards))
        _wait(running)
        yield running
    finally:
        for server in running:
            server.process.end()


@contextmanager
def modern_server(folder: Path) -> Iterator[Server]:
    """A modern ClickHouse behind the same HTTP, from the chdb library in a process of its own."""
    web = places.free_port()
    command = [*places.python(), "-m", "tests.peers.chdb", str(web), str(folder / "chdb")]
    with child(command, folder / "chdb.log") as process:
        server = Server(web, 0, process)
        _wait([server])
        yield server


def _started(folder: Path, web: int, native: int, shards: str) -> Server:
    folder.mkdir()
    (folder / "users.xml").write_text(_USERS)
    config = folder / "config.xml"
    config.write_text(_CONFIG.format(http=web, native=native, folder=folder, shards=shards))
    libraries = ":".join(str(places.CLICKHOUSE / each) for each in places.DEBIAN_LIBRARIES)
    command = [str(places.CLICKHOUSE / "usr/sbin/clickhouse-server"), f"--config-file={config}"]
    process = Child(command, folder / "server.log", None, {"LD_LIBRARY_PATH": libraries})
    return Server(web, native, process)


def _wait(servers: list[Server]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    for server in servers:
        while not server.answers():
            assert server.process.exit_code is None, server.process.errors.read_text()[-2000:]
            assert time.monotonic() < deadline, f"no answer on port {server.http} within {PATIENCE_S} s"
            time.sleep(0.05)

"""syslog-ng as a test part, with the project's own configuration: what it reads goes to a ClickHouse.

It reads `logs/*.log` of its folder and takes lines of docker's syslog driver on a port of 127.0.0.1.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.peers import places
from tests.peers.children import Child, child

CONFIG = places.ROOT / "config" / "syslog-ng" / "syslog-ng.conf"


class Shipper:
    """A running syslog-ng."""

    def __init__(self, folder: Path, port: int, process: Child) -> None:
        """Known by its folder and its port."""
        self.logs, self.port, self.process = folder / "logs", port, process

    def say(self, host: str, program: str, lines: Iterable[bytes]) -> None:
        """Send lines as docker's syslog driver does."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            for line in lines:
                head = f"<30>1 2026-05-01T12:00:00.000000Z {host} {program} 77 {program} - ".encode()
                connection.sendall(head + line + b"\n")

    def listens(self) -> bool:
        """Does it take connections?"""
        return f":{self.port:04X} 00000000:0000 0A" in places.listening()


@contextmanager
def syslog_ng(folder: Path, url: str) -> Iterator[Shipper]:
    """One that ships to the database of this URL, for as long as the block lasts."""
    port, found = places.free_port(), urlsplit(url)
    for name in ("logs", "buffer"):
        (folder / name).mkdir(parents=True)
    environment = {
        "CLICKHOUSE_URL": f"{found.scheme}://{found.netloc}",
        "CLICKHOUSE_DATABASE": found.path.strip("/"),
        "CLICKHOUSE_USER": "default",
        "CLICKHOUSE_PASSWORD": "",
        "KAPROXY_SYSLOG_PORT": str(port),
        "KAPROXY_LOGS": str(folder / "logs"),
        "KAPROXY_BUFFER": str(folder / "buffer"),
        "LD_LIBRARY_PATH": ":".join(
            str(places.SYSLOG_NG / each) for each in (*places.DEBIAN_LIBRARIES, "usr/lib/syslog-ng")
        ),
    }
    modules = next((places.SYSLOG_NG / "usr" / "lib" / "syslog-ng").glob("[0-9]*"))
    command = [str(places.SYSLOG_NG / "usr" / "sbin" / "syslog-ng"), "-F", "--no-caps", "--stderr"]
    command += ["-f", str(CONFIG), f"--module-path={modules}", "-R", str(folder / "persist")]
    command += ["-c", str(folder / "ctl"), "-p", str(folder / "pid")]
    with child(command, folder / "syslog-ng.log", env=environment) as process:
        yield Shipper(folder, port, process)

"""The proxy itself as a child process: `kaproxy run` as an operator starts it, its log lines in a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers import places
from tests.peers.children import Child, child, until

Address = tuple[str, int]
Line = dict[str, Any]


@dataclass(frozen=True)
class Proxy:
    """A running proxy."""

    host: str
    port: int
    process: Child

    @property
    def address(self) -> Address:
        """Where clients connect."""
        return self.host, self.port

    def closings(self) -> list[Line]:
        """Every closing line so far."""
        return self.process.all("connection.closed")

    async def closing(self, client_id: str | None = None, timeout_s: float = 30.0, **fields: object) -> Line:
        """The closing line of a client identifier (or of the only connection there was)."""
        wanted = {**fields} if client_id is None else {"client_id": client_id, **fields}
        return await self.process.said("connection.closed", timeout_s, **wanted)

    async def closed(self, count: int, timeout_s: float = 30.0) -> list[Line]:
        """Wait for this many closing lines; all of them."""
        await until(f"{count} closing lines", lambda: len(self.closings()) >= count, timeout_s)
        return self.closings()

    def faults(self) -> str:
        """Whatever it wrote to standard error: an unhandled exception, a warning."""
        return self.process.errors.read_text(errors="replace")


@asynccontextmanager
async def proxy(
    upstream: Address,
    folder: Path,
    *,
    profile: str | None = None,
    host: str = "127.0.0.1",
    namespace: str | None = None,
    env: dict[str, str] | None = None,
    program: str = "kaproxy",
) -> AsyncIterator[Proxy]:
    """`kaproxy run` in front of `upstream`, ready when it says so."""
    port = places.free_port()
    command = [*places.python(), "-m", program, "run", "--listen", f"{host}:{port}"]
    command += ["--upstream", f"{upstream[0]}:{upstream[1]}"]
    if profile is not None:
        command += ["--broker-profile", profile]
    with child(command, folder / f"proxy-{port}.log", namespace=namespace, env=env) as process:
        await process.said("proxy.started", 60)
        yield Proxy(host, port, process)

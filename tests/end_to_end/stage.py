"""What a scenario is, and the stage it plays on.

A scenario makes one connection drop in a known way and returns its closing line; what the line must say
stands beside it. The stage starts parts (brokers, proxies, clients) and takes them down in reverse order,
and afterwards checks what holds for every run: one closing line per accepted connection, nothing on
standard error, exit code 0.
Read next: `keep_alive.py` and its neighbours for the scenarios, `test_verdicts.py` for how they are held to account.
"""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import trio

from tests.peers import brokers, netns, places, scripted
from tests.peers import proxy as proxies
from tests.peers.proxy import Line, Proxy

T = TypeVar("T")
ANY = "(any)"  # as an expectation: some value, whichever
ONE_SCENARIO_S = 150.0
WARNINGS = frozenset(
    {
        *(
            "keep_alive.late",
            "keep_alive.missed",
            "keep_alive.overdue",
            "keep_alive.risky",
            "ping.slow",
            "ping.unanswered",
        ),
        *("client.not_reading", "broker.not_reading", "client_id.contested", "proxy.lagging"),
    }
)
QUICK = {"KAPROXY_LOG_LEVEL": "debug", "KAPROXY_TIMEOUTS_DRAIN": "1s"}


@dataclass(frozen=True)
class Expected:
    """What the closing line must say. A tuple names alternatives that are all right."""

    cause: str | tuple[str, ...]
    root: str | tuple[str | None, ...] | None = None
    owner: str | tuple[str, ...] | None = None  # None: not looked at
    closed_by: str | tuple[str, ...] | None = None
    close_how: str | tuple[str, ...] | None = None
    confidence: str | tuple[str, ...] | None = None
    undecidable: str | None = None  # why no evidence can tell these causes (or roots) apart

    def differences(self, line: Line) -> list[str]:
        """Where a closing line says something else."""
        found = []
        for name in ("cause", "root", "owner", "closed_by", "close_how", "confidence"):
            wanted = getattr(self, name)
            if wanted is None and name != "root":
                continue
            allowed = wanted if isinstance(wanted, tuple) else (wanted,)
            if allowed == (ANY,) and line.get(name) is not None:
                continue
            if line.get(name) not in allowed:
                found.append(f"{name} is {line.get(name)!r}, happened: {' or '.join(map(repr, allowed))}")
        return found


Play = Callable[["Stage"], Awaitable[Line]]


@dataclass(frozen=True)
class Scenario:
    """One way to drop, and what must be said of it."""

    name: str
    play: Play
    expected: Expected
    needs: frozenset[str]
    announced: bool | None = None  # does this drop announce itself; None: as its cause and root do


class Stage:
    """Parts of one scenario."""

    def __init__(self, folder: Path, stack: AsyncExitStack, nursery: trio.Nursery) -> None:
        """Parts log into `folder`, end with `stack`; background plays run in `nursery`."""
        folder.mkdir(parents=True)
        self.folder = folder
        self.proxies: list[Proxy] = []
        self._stack = stack
        self._nursery = nursery

    async def enter(self, part: AbstractAsyncContextManager[T]) -> T:
        """Start a part that ends with the scenario."""
        return await self._stack.enter_async_context(part)

    def enter_now(self, part: AbstractContextManager[T]) -> T:
        """The same for a part that starts at once."""
        return self._stack.enter_context(part)

    def meanwhile(self, play: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        """Run something beside the scenario; the end of its connection is no fault of its own."""
        self._nursery.start_soon(_until_ended, play, arguments)

    async def broker(self, name: str, **options: Any) -> brokers.Broker:
        """A real broker."""
        return await self.enter(brokers.broker(name, self.folder, **options))

    async def scripted_broker(self, behaviour: scripted.Behaviour, **options: Any) -> scripted.Script:
        """A broker that does as told."""
        return await self.enter(scripted.broker(behaviour, **options))

    async def proxy(
        self, upstream: proxies.Address, *, env: dict[str, str] | None = None, **options: Any
    ) -> Proxy:
        """The proxy in front of an address."""
        started = await self.enter(
            proxies.proxy(upstream, self.folder, env={**QUICK, **(env or {})}, **options)
        )
        self.proxies.append(started)
        return started

    async def before(self, broker: brokers.Broker, **options: Any) -> Proxy:
        """The proxy in front of a real broker, told which one that is."""
        return await self.proxy((broker.host, broker.port), profile=broker.profile, **options)

    def hosts(self) -> netns.Hosts:
        """Two hosts with a path between them."""
        return self.enter_now(netns.two_hosts())

    async def wind_down(self) -> list[str]:
        """Stop every proxy as an operator does; what was wrong with any of them."""
        for running in self.proxies:
            if not running.process.told_to_end:  # a second SIGTERM means: at once
                running.process.terminate()
        return [fault for running in self.proxies for fault in await _faults(running)]


async def _until_ended(play: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...]) -> None:
    try:
        await play(*arguments)
    except scripted.EndedError:
        return


async def _faults(running: Proxy) -> list[str]:
    code = await running.process.ended(20)
    found = [] if code == 0 else [f"the proxy ended with exit code {code}"]
    if running.faults():
        found.append(f"the proxy wrote to standard error: {running.faults()[-2000:]}")
    accepted = [line["conn_id"] for line in running.process.all("connection.accepted")]
    closed = [line["conn_id"] for line in running.closings()]
    if sorted(accepted) != sorted(closed):
        found.append(f"accepted {sorted(accepted)}, closing lines for {sorted(closed)}")
    return found


@dataclass(frozen=True)
class Outcome:
    """What came of a scenario."""

    line: Line = field(default_factory=dict)
    warned: tuple[str, ...] = ()  # warnings of this client that stood in the log before its closing line
    faults: tuple[str, ...] = ()
    error: BaseException | None = None
    folder: Path = Path()


@asynccontextmanager
async def _stage(folder: Path) -> AsyncIterator[Stage]:
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        yield Stage(folder, stack, nursery)
        nursery.cancel_scope.cancel()


async def played(scenario: Scenario, folder: Path) -> Outcome:
    """Play one scenario. Never raises: what went wrong is part of the outcome."""
    try:
        with trio.fail_after(ONE_SCENARIO_S):
            async with _stage(folder) as stage:
                line = await scenario.play(stage)
                faults = await stage.wind_down()
                warned = tuple(name for one in stage.proxies for name in _warnings(one, line))
    except Exception as error:
        (folder / "error.txt").write_text("".join(traceback.format_exception(error)))
        return Outcome(error=error, folder=folder)
    return Outcome(line, warned, tuple(faults), folder=folder)


def _warnings(running: Proxy, line: Line) -> list[str]:
    """Names of the warnings before a closing line: those of its connection and client, and of the proxy itself."""
    found: list[str] = []
    client_id = line.get("client_id")
    for said in running.process.lines():
        if said["event"] == "connection.closed" and said["conn_id"] == line["conn_id"]:
            return found
        of_client = said.get("conn_id") == line["conn_id"] or (
            client_id and said.get("client_id") == client_id
        )
        if said["event"] in WARNINGS and (of_client or said["event"] == "proxy.lagging"):
            found.append(said["event"])
    return []


async def all_played(
    scenarios: list[Scenario],
    folder: Path,
    at_once: int = 12,
    after: Callable[[Scenario, Outcome], None] = lambda *_: None,
) -> dict[str, Outcome]:
    """Play many scenarios beside each other, `at_once` at a time; `after` hears of each as it ends."""
    outcomes: dict[str, Outcome] = {}
    places_left = trio.CapacityLimiter(at_once)

    async def play(number: int, scenario: Scenario) -> None:
        async with places_left:
            outcome = await played(scenario, folder / f"{number:03}")
            outcomes[scenario.name] = outcome
            after(scenario, outcome)

    async with trio.open_nursery() as nursery:
        for number, scenario in enumerate(scenarios):
            nursery.start_soon(play, number, scenario)
    return outcomes


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    name: str,
    expected: Expected,
    *needs: str,
    announced: bool | None = None,
    table: dict[str, Scenario] = SCENARIOS,
) -> Callable[[Play], Play]:
    """Enter a function into a table of scenarios."""

    def enter(play: Play) -> Play:
        assert name not in table, name
        unheard = set(needs) - places.PARTS_NEEDED.keys()
        assert not unheard, unheard
        table[name] = Scenario(name, play, expected, frozenset(needs), announced)
        return play

    return enter


def needs_of(broker: str) -> tuple[str, ...]:
    """Parts a broker needs; rumqttd comes with the Python packages."""
    return () if broker == "rumqttd" else (broker,)

"""The configuration: every key of kaproxy with its default, kind and meaning, in one frozen model.

The table of keys is this file; nothing else lists them (the reference file, the variables and the effective
configuration printed by `kaproxy check` are made from it). It may not know where a value came from.
Read next: `settings/sources.py`, which reads file < environment < flags, and `config/kaproxy.toml`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field

from kaproxy.diagnosis.profiles import BROKER_PROFILES
from kaproxy.settings.kinds import (
    Address,
    Choice,
    Count,
    Duration,
    Factor,
    HostPort,
    Kind,
    LogFile,
    Name,
    Size,
)

_FOREVER = 365 * 86400.0
_MIB = 1 << 20


class Table(BaseModel):
    """A frozen table that refuses keys it does not have."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(Table):
    """[limits]"""

    max_connections: Annotated[int, Count(0, 1_000_000, "no limit")] = Field(
        default=0,
        description="Connections at once, of all workers together; one more is closed at accept, told as cause "
        "proxy_limit.",
    )
    backlog: Annotated[int, Count(1, 65535)] = Field(
        default=1024,
        description="Connections the kernel may hold before accept; it caps this at net.core.somaxconn.",
    )


class Timeouts(Table):
    """[timeouts]"""

    dial: Annotated[float, Duration(0.1, 600)] = Field(
        default=10.0, description="How long the broker may take to answer a dial; then cause dial_timeout."
    )
    linger: Annotated[float, Duration(0, 86400)] = Field(
        default=60.0, description="After a FIN from one side: how long bytes from the other may go on."
    )
    post_mortem: Annotated[float, Duration(0, 60)] = Field(
        default=3.0,
        description="How long to watch a forwarded FIN being acknowledged before the closing line.",
    )
    drain: Annotated[float, Duration(0, 3600)] = Field(
        default=10.0, description="After SIGTERM or SIGINT: how long live connections may go on."
    )
    resolve: Annotated[float, Duration(1, 86400)] = Field(
        default=30.0, description="How often the broker's name is looked up again."
    )


class Log(Table):
    """[log]"""

    format: Annotated[str, Choice(("json", "console", "logfmt"))] = Field(
        default="json", description="One JSON object per line, text for people, or key=value."
    )
    level: Annotated[str, Choice(("debug", "info", "warning", "error"))] = Field(
        default="info", description="The least severe line written; connection.accepted is debug."
    )
    file: Annotated[str, LogFile()] = Field(
        default="-", description="Where lines go; a file is appended to, and reopened on SIGHUP."
    )
    buffer: Annotated[int, Size(64 << 10, 1 << 30)] = Field(
        default=8 * _MIB,
        description="Lines kept while the reader is slow; beyond it they are dropped and counted.",
    )
    frames: Annotated[int, Count(0, 255, "none")] = Field(
        default=16, description="The last control packets kept of each connection for its closing line."
    )


class Warnings(Table):
    """[warnings]"""

    keep_alive_late: Annotated[float, Factor(0.5, 10)] = Field(
        default=1.0,
        description="keep_alive.late is told of a gap longer than this factor x Keep Alive, keep_alive.missed "
        "while it lasts.",
    )
    ping_unanswered: Annotated[float, Duration(0.1, 3600)] = Field(
        default=5.0,
        description="ping.unanswered is told of a PINGREQ that has waited this long for its PINGRESP, or a third of "
        "the Keep Alive.",
    )
    ping_slow: Annotated[float, Duration(0.001, 3600)] = Field(
        default=1.0,
        description="ping.slow is told of a PINGRESP that took this long, or a quarter of the Keep Alive.",
    )
    not_reading: Annotated[float, Duration(0.1, 3600)] = Field(
        default=2.0,
        description="client.not_reading and broker.not_reading are told of a peer that takes nothing this long.",
    )
    lagging: Annotated[float, Duration(0.001, 3600)] = Field(
        default=0.1, description="proxy.lagging is told when kaproxy's own loop was late by this much."
    )
    path_idle_limit: Annotated[float, Duration(0, _FOREVER)] = Field(
        default=0.0,
        description="The idle limit of the path, 0 where it is not known; keep_alive.risky is told of a "
        "Keep Alive that reaches it.",
    )
    interval: Annotated[float, Duration(0, _FOREVER)] = Field(
        default=60.0, description="The same warning of the same connection is told at most once in this time."
    )


class Config(Table):
    """Everything kaproxy can be told. Addresses are (host, port), durations seconds, sizes bytes."""

    listen: Annotated[Address, HostPort(0)] = Field(
        default=Address("127.0.0.1", 1883), description="Where clients connect."
    )
    upstream: Annotated[Address, HostPort(1)] = Field(
        default=Address("127.0.0.1", 1884),
        description="The broker; a name is looked up again from time to time.",
    )
    listener: Annotated[str, Name()] = Field(
        default="default", description="The name of this way in, as it stands in each line."
    )
    worker: Annotated[str, Name()] = Field(
        default="1",
        description="The name of this process, as it stands in each line; give each of several proxies its own.",
    )
    workers: Annotated[int, Count(1, 64)] = Field(
        default=1,
        description="Processes that share the listening address; a supervisor starts them anew when they die. "
        'Worker 2 of "1" is called "1-2". Each has its own log.buffer.',
    )
    admin: Annotated[Address | None, HostPort(0, or_none=True)] = Field(
        default=None,
        description="Where /healthz, /readyz, /metrics and /status are served (the extra `admin`); empty: nowhere. "
        "No password protects it: keep it off public networks.",
    )
    broker_profile: Annotated[str, Choice(tuple(BROKER_PROFILES))] = Field(
        default="unknown", description="Whose keepalive window to judge by; unknown: the union of all."
    )
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    log: Log = Log()
    warnings: Warnings = Warnings()


@dataclass(frozen=True, slots=True)
class Key:
    """One configuration key: its dotted name ("timeouts.dial"), kind, default and meaning."""

    name: str
    kind: Kind
    default: object
    meaning: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "KAPROXY_" + self.name.upper().replace(".", "_")

    @property
    def table(self) -> str:
        """The TOML table it stands in, "" at the top."""
        return self.name.rpartition(".")[0]

    def value(self, config: Config) -> object:
        """Its value in a configuration."""
        found: Any = config
        for part in self.name.split("."):
            found = getattr(found, part)
        return cast("object", found)


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[Key]:
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Table):
            yield from _keys(info.annotation, f"{name}.")
        else:
            kind = next(item for item in info.metadata if isinstance(item, Kind))
            yield Key(prefix + name, kind, info.default, info.description or "")


KEYS: dict[str, Key] = {key.name: key for key in _keys(Config)}
TABLES: tuple[str, ...] = tuple(dict.fromkeys(key.table for key in KEYS.values() if key.table))

_ANY = {"0.0.0.0", "::", "0"}
_SELF = {"127.0.0.1", "::1", "localhost"}


def contradictions(config: Config) -> Iterator[tuple[str, str, str]]:
    """What no single key shows: (one key, the other key, what is wrong with the two together)."""
    listen, upstream = config.listen, config.upstream
    here, there = listen.host.lower(), upstream.host.lower().rstrip(".")
    if listen.port == upstream.port and (
        here == there or (here in _ANY and there in _ANY | _SELF) or (here in _SELF and there == "localhost")
    ):
        yield "listen", "upstream", "the proxy would connect to itself, a loop"
    admin = config.admin
    if admin is not None and admin.port and admin.port == listen.port:
        admin_host = admin.host.lower()
        if admin_host == here or admin_host in _ANY or here in _ANY:
            yield "admin", "listen", "two things cannot listen on one address"

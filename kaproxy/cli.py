"""The commands of kaproxy: flags in, exit codes out (0; 1 runtime failure; 2 usage or configuration).

Heavy modules are imported where a command needs them, so that `--help` is quick. It may hold no logic of a
layer; what a running proxy is made of stands in `serve.py`.
Read next: `kaproxy/config.py` for the keys behind the flags.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kaproxy import __version__

if TYPE_CHECKING:
    from kaproxy.settings.sources import Loaded
    from kaproxy.telemetry.log import Log

Command = TypeVar("Command", bound=Callable[..., Any])

#: Flag to configuration key.
_FLAGS = {
    "listen": "listen",
    "upstream": "upstream",
    "log_format": "log.format",
    "log_file": "log.file",
    "broker_profile": "broker_profile",
    "workers": "workers",
    "admin": "admin",
}


def _configuration_flags(command: Command) -> Command:
    """The flags that `run` and `check` share; their values are checked with all the others, not by click."""
    for option in (
        click.option("--broker-profile", metavar="NAME", help="Whose keepalive window to judge by."),
        click.option("--log-file", metavar="FILE", help='Where lines go; "-" is standard output.'),
        click.option("--log-format", metavar="json|console|logfmt", help="How lines are written."),
        click.option("--workers", metavar="N", help="Processes that share the work; 1 needs no supervisor."),
        click.option("--admin", metavar="HOST:PORT", help="Where metrics, health and status are served."),
        click.option("--upstream", metavar="HOST:PORT", help="The broker."),
        click.option("--listen", metavar="HOST:PORT", help="Where clients connect."),
        click.option("--config", metavar="FILE", help="Configuration file; else KAPROXY_CONFIG names it."),
    ):
        command = option(command)
    return command


def _load(config: str | None, given: dict[str, str | None]) -> Loaded:
    from kaproxy.settings.sources import load

    return load(config, os.environ, {_FLAGS[flag]: value for flag, value in given.items()})


def _load_or_exit(config: str | None, given: dict[str, str | None]) -> Loaded:
    """The configuration; where it cannot be used, every error on standard error and exit code 2."""
    from kaproxy.settings.sources import ConfigError

    try:
        return _load(config, given)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        many = len(error.problems)
        click.echo(f"kaproxy: {many} configuration error{'s' if many != 1 else ''}", err=True)
        sys.exit(2)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kaproxy")
def main() -> None:
    """A transparent MQTT proxy that says who ended a connection, how, why, and who has to act."""


@main.command()
@_configuration_flags
def run(config: str | None, **given: str | None) -> None:
    """Relay clients to their broker and write a line for every connection that ends.

    SIGTERM and SIGINT drain (a second one ends at once); SIGHUP reopens the log file and reads the
    configuration again.
    """
    loaded = _load_or_exit(config, given)
    sys.exit(_serve(loaded, lambda: _load(config, given)))


def _serve(loaded: Loaded, load_again: Callable[[], Loaded]) -> int:
    from kaproxy.proxy import open_log

    config = loaded.config
    if config.admin is not None and not _has_admin():
        click.echo("kaproxy: the admin side needs more packages: pip install 'kaproxy[admin]'", err=True)
        return 2
    _fill_standard_descriptors()
    lock = os.memfd_create("kaproxy log lock") if config.workers > 1 else None
    try:
        log = open_log(config, lock=lock)
    except OSError as error:
        return _failure(f"cannot open the log file {config.log.file}: {error.strerror}")
    if lock is None:
        from kaproxy.serve import Service

        return _run(log, Service(loaded, log, load_again).run)
    from kaproxy.workers.supervisor import Supervisor

    return _run(log, Supervisor(loaded, log, lock, load_again).run)


def _run(log: Log, run: Callable[[], Awaitable[int | None]]) -> int:
    """Run to the end, then let the last lines out; the exit code."""
    import trio

    from kaproxy.errors import StartError

    gc.collect()
    gc.freeze()  # what was imported never becomes garbage: measured, 28 ms less in each full collection
    # what a connection consists of is let go without it; while many come it would look at all they are made of every
    # few connections, which took a thirtieth of the time
    gc.set_threshold(10_000, 10, 10)
    try:
        return trio.run(run) or 0
    except StartError as error:
        return _failure(str(error))
    finally:
        log.close()


def _has_admin() -> bool:
    return all(importlib.util.find_spec(name) for name in ("hypercorn", "starlette", "prometheus_client"))


@main.command(hidden=True)
@click.argument("name")
@click.option("--channel", type=int, required=True, help="Descriptor of the line to the supervisor.")
def worker(name: str, channel: int) -> None:
    """One of several workers; `kaproxy run` starts it."""
    import socket

    from kaproxy.workers.child import Worker

    try:
        one = Worker(socket.socket(fileno=channel))
    except (OSError, EOFError) as error:
        sys.exit(_failure(f"worker {name}: {error}"))
    sys.exit(_run(one.log, one.run))


def _failure(message: str) -> int:
    click.echo(f"kaproxy: {message}", err=True)
    return 1


def _fill_standard_descriptors() -> None:
    """A closed standard descriptor would be given to the next socket, and log lines sent to a client."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


@main.command()
@_configuration_flags
def check(config: str | None, **given: str | None) -> None:
    """Check the configuration: every error at once, or the values in force and where each came from."""
    from kaproxy.settings.sample import effective_toml

    click.echo(effective_toml(_load_or_exit(config, given)), nl=False)


@main.command()
@click.argument("name", metavar="CAUSE", required=False)
@click.option(
    "--log", metavar="FILE", help='kaproxy\'s log, JSON lines, also .gz and .zst; "-" is standard input.'
)
@click.option("--client", metavar="ID", help="Tell of this client identifier's connections in the log.")
@click.option("--conn", metavar="CONN_ID", help="Tell of this one connection.")
def explain(name: str | None, log: str | None, client: str | None, conn: str | None) -> None:
    """What a word of a closing line means, or the whole story of a client in a log.

    CAUSE is a cause, root, cause/root or code. With --log and one of --client and --conn: the connections, the
    newest drop (or that connection) against its deadlines, what was ruled out, and a paragraph for a ticket.
    """
    if name is not None and log is None and client is None and conn is None:
        _explain_name(name)
    elif name is not None:
        raise click.UsageError("CAUSE stands alone: leave it out, or --log, --client and --conn")
    elif log is None:
        hint = "CAUSE, or --log with --client or --conn"
        raise click.UsageError(f"Missing {hint}" if client is conn is None else f"Missing --log: {hint}")
    elif (client is None) == (conn is None):
        raise click.UsageError("--log needs one of --client and --conn, and not both")
    else:
        _explain_log(log, client, conn)


def _explain_name(name: str) -> None:
    from kaproxy.explain import UnknownNameError
    from kaproxy.explain import explain as explained

    try:
        click.echo(explained(name), nl=False)
    except UnknownNameError as error:
        click.echo(f"kaproxy: {error}", err=True)
        sys.exit(2)


def _explain_log(log: str, client: str | None, conn: str | None) -> None:
    from kaproxy.analysis.logs import LogError
    from kaproxy.analysis.story import Target, UnknownTargetError
    from kaproxy.analysis.telling import tell, unknown_words

    _tolerate_any_text()
    try:
        tell(log, Target(client, conn))
    except LogError as error:
        click.echo(f"kaproxy: {error}", err=True)
        sys.exit(2)
    except UnknownTargetError as error:
        click.echo(f"kaproxy: {unknown_words(error, log)}", err=True)
        sys.exit(2)


@main.command()
@click.argument("logs", nargs=-1, metavar="LOG...")
@click.option("--since", metavar="TIME", help='From then on: ISO 8601, or "2h" before the log\'s end.')
@click.option("--until", metavar="TIME", help="Until then.")
@click.option("--client", metavar="ID", help="Only this client identifier; * and ? make a pattern.")
@click.option("--cause", metavar="CAUSE[/ROOT]", help="Only closing lines with this verdict.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for programs.")
@click.option("--html", metavar="FILE", help="Write the report as one offline HTML file, too.")
@click.option("--save", metavar="F.parquet|URL", help="Keep what was read, to ask again at once.")
@click.option(
    "--connect", metavar="URL", help="Ask a ClickHouse instead: http://USER:PASSWORD@HOST:8123/DATABASE."
)
@click.option(
    "--what-if", metavar="WHAT=N", multiple=True, help="keep_alive=45 or window=1.25, from recorded gaps."
)
@click.option("--rejudge", is_flag=True, help="Today's rules over the old lines: which verdicts change.")
def analyze(logs: tuple[str, ...], connect: str | None, **given: Any) -> None:
    """Findings, numbers and advice from kaproxy's logs.

    LOG is a file (also .gz, .zst, or a Parquet file that --save wrote), a pattern, or "-" for standard input;
    lines that docker or kubectl wrapped are taken out of their wrapping.
    """
    if bool(logs) == (connect is not None):
        raise click.UsageError("Name at least one LOG, or --connect URL, and not both")
    if connect is not None and (given["rejudge"] or given["save"]):
        raise click.UsageError("--rejudge and --save need the logs themselves, not --connect")
    _analyze(logs, connect, given)


def _analyze(logs: tuple[str, ...], connect: str | None, given: dict[str, Any]) -> None:
    gc.set_threshold(200_000, 20, 20)  # hardly anything becomes garbage: measured, a tenth of the time less
    from kaproxy.analysis.analyze import Asked, analyze
    from kaproxy.analysis.fleet_what_if import WhatIfError
    from kaproxy.analysis.logs import LogError
    from kaproxy.analysis.report.html import ReportError
    from kaproxy.analysis.store.duck import MissingLibraryError
    from kaproxy.analysis.store.engine import EngineError
    from kaproxy.analysis.store.filters import FilterError, Filters

    _tolerate_any_text()
    try:
        filters = Filters.of(given["since"], given["until"], given["client"], given["cause"])
        asked = Asked(
            logs,
            filters,
            connect,
            given["as_json"],
            given["html"],
            given["save"],
            given["what_if"],
            given["rejudge"],
        )
        analyze(asked)
    except (FilterError, WhatIfError, LogError) as error:
        _failure(str(error))
        sys.exit(2)
    except (EngineError, ReportError, MissingLibraryError) as error:
        sys.exit(_failure(str(error)))


def _tolerate_any_text() -> None:
    """A client identifier may hold anything; what the terminal cannot show is escaped."""
    from io import TextIOWrapper

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@main.command()
@click.argument("only", nargs=-1, metavar="[SCENARIO]...")
@click.option(
    "--broker", default="auto", show_default=True, metavar="rumqttd|mosquitto|auto", help="Who serves."
)
@click.option("--fast", is_flag=True, help="Leave out what waits until somebody loses patience.")
def demo(only: tuple[str, ...], broker: str, fast: bool) -> None:
    """Embedded broker, real clients, every way to drop: what happened, and what kaproxy said."""
    from kaproxy.demo.play import play

    sys.exit(play(broker, only, fast=fast))

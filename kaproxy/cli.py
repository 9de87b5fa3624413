"""The commands of kaproxy: flags in, exit codes out (0; 1 runtime failure; 2 usage or configuration).

Heavy modules are imported where a command needs them, so that `--help` is quick. It may hold no logic of a
layer; what a running proxy is made of stands in `serve.py`.
Read next: `kaproxy/config.py` for the keys behind the flags.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kaproxy import __version__

if TYPE_CHECKING:
    from kaproxy.settings.sources import Loaded

Command = TypeVar("Command", bound=Callable[..., Any])

#: Flag to configuration key.
_FLAGS = {
    "listen": "listen",
    "upstream": "upstream",
    "log_format": "log.format",
    "log_file": "log.file",
    "broker_profile": "broker_profile",
}


def _configuration_flags(command: Command) -> Command:
    """The flags that `run` and `check` share; their values are checked with all the others, not by click."""
    for option in (
        click.option("--broker-profile", metavar="NAME", help="Whose keepalive window to judge by."),
        click.option("--log-file", metavar="FILE", help='Where lines go; "-" is standard output.'),
        click.option("--log-format", metavar="json|console|logfmt", help="How lines are written."),
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
    import trio

    from kaproxy.serve import Service, StartError, open_log

    _fill_standard_descriptors()
    try:
        log = open_log(loaded.config)
    except OSError as error:
        return _failure(f"cannot open the log file {loaded.config.log.file}: {error.strerror}")
    gc.collect()
    gc.freeze()  # what was imported never becomes garbage: measured, 28 ms less in each full collection
    try:
        trio.run(Service(loaded, log, load_again).run)
    except StartError as error:
        return _failure(str(error))
    finally:
        log.close()
    return 0


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
@click.option("--log", metavar="FILE", help='kaproxy\'s log, JSON lines, also .gz; "-" is standard input.')
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
    from io import TextIOWrapper

    from kaproxy.analysis.logs import LogError
    from kaproxy.analysis.story import Target, UnknownTargetError
    from kaproxy.analysis.telling import tell, unknown_words

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a client identifier may hold anything
    try:
        tell(log, Target(client, conn))
    except LogError as error:
        click.echo(f"kaproxy: {error}", err=True)
        sys.exit(2)
    except UnknownTargetError as error:
        click.echo(f"kaproxy: {unknown_words(error, log)}", err=True)
        sys.exit(2)


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

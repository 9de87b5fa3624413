"""Where values come from: file < environment < flags, each remembered with its source, every error at once.

Each source is checked on its own, so a bad value that a stronger source hides is still told. It opens one
file and nothing else; it may not know what a key means, only its kind (`kaproxy/config.py`).
Read next: `kaproxy/cli.py`, which prints the problems.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kaproxy.config import KEYS, TABLES, Config, contradictions
from kaproxy.settings.kinds import nearest

PREFIX = "KAPROXY_"
FILE_VARIABLE = "KAPROXY_CONFIG"
# Kubernetes and Docker links put these into every container beside a service that is called kaproxy.
_ORCHESTRATOR = re.compile(r"KAPROXY_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)?)")


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was given, and where: "kaproxy.toml:7", "environment", "flag"."""

    where: str
    name: str  # as the person wrote it: the key, the variable, the flag
    value: object


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, with the sentence that says where, what was given and what is allowed."""

    text: str

    def __str__(self) -> str:
        return self.text


class ConfigError(Exception):
    """The configuration cannot be used; `problems` has every reason."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that is right, and the source of each key that is not at its default."""

    config: Config
    origins: Mapping[str, Given]
    path: str | None

    def origin(self, key: str) -> str:
        """Where a key's value came from, in words."""
        given = self.origins.get(key)
        if given is None:
            return "default"
        return given.where if given.name == key else f"{given.where} {given.name}"


Layer = dict[str, Given]


def load(path: str | None, environ: Mapping[str, str], flags: Mapping[str, str | None]) -> Loaded:
    """The configuration of a file, the environment and flags ({"log.format": "json"}; None: not given).

    Where `path` is None the file is the one KAPROXY_CONFIG names, if any. Raises ConfigError.
    """
    problems: list[Problem] = []
    path = path or environ.get(FILE_VARIABLE) or None
    layers = [
        _from_file(path, problems) if path else {},
        _from_environment(environ, problems),
        _from_flags(flags),
    ]
    merged: Layer = {}
    for layer in layers:
        problems += _check(layer)
        merged |= layer
    if problems:
        raise ConfigError(problems)
    config = Config.model_validate(_nested(merged))
    loaded = Loaded(config, merged, path)
    if clashes := [_clash(loaded, *clash) for clash in contradictions(config)]:
        raise ConfigError(clashes)
    return loaded


def _from_file(path: str, problems: list[Problem]) -> Layer:
    try:
        text = Path(path).read_text("utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        problems.append(Problem(f"{path}: cannot be read: {error.strerror or error}"))
    except UnicodeDecodeError as error:
        problems.append(Problem(f"{path}: not UTF-8 at byte {error.start}"))
    except tomllib.TOMLDecodeError as error:
        problems.append(Problem(f"{path}: not TOML: {error}"))
    else:
        lines = _lines_of_keys(text)
        return dict(_flattened(document, path, lines, problems))
    return {}


def _flattened(
    document: Mapping[str, Any],
    path: str,
    lines: Mapping[str, int],
    problems: list[Problem],
    prefix: str = "",
) -> Iterator[tuple[str, Given]]:
    for name, value in document.items():
        key = prefix + name
        where = f"{path}:{lines[key]}" if key in lines else path
        if key in KEYS:
            yield key, Given(where, key, value)
        elif key in TABLES and isinstance(value, dict):
            yield from _flattened(value, path, lines, problems, f"{key}.")
        elif key in TABLES:
            problems.append(Problem(f"{where}: {key} is a table: write [{key}] and its keys below it"))
        else:
            kind = "table" if isinstance(value, dict) else "key"
            problems.append(Problem(f"{where}: {key}: unknown {kind}{_nearest_key(key)}"))


def _nearest_key(key: str) -> str:
    """A suggestion by the last part of the name: first among its table's keys, then anywhere."""
    table, _, last = key.rpartition(".")
    anywhere = {name.rpartition(".")[2]: name for name in (*TABLES, *KEYS)}
    beside = {short: name for short, name in anywhere.items() if name.rpartition(".")[0] == table}
    found = next((names[near] for names in (beside, anywhere) if (near := nearest(last, names))), None)
    return f"; did you mean {found}?" if found else ""


def _from_environment(environ: Mapping[str, str], problems: list[Problem]) -> Layer:
    by_variable = {key.variable: name for name, key in KEYS.items()}
    layer: Layer = {}
    for variable, value in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable == FILE_VARIABLE or _ORCHESTRATOR.fullmatch(variable):
            continue
        if variable not in by_variable:
            problems.append(
                Problem(f"environment: {variable}: unknown variable{_nearest_variable(variable)}")
            )
        elif value:  # an empty variable is one that was not set, as `${X:-}` in a compose file makes it
            layer[by_variable[variable]] = Given("environment", variable, value)
    return layer


def _nearest_variable(variable: str) -> str:
    """A suggestion by what follows the prefix, which is alike in all of them."""
    names = [key.variable.removeprefix(PREFIX) for key in KEYS.values()]
    found = nearest(variable.removeprefix(PREFIX), [*names, FILE_VARIABLE.removeprefix(PREFIX)])
    return f"; did you mean {PREFIX}{found}?" if found else ""


def _from_flags(flags: Mapping[str, str | None]) -> Layer:
    return {
        key: Given("flag", "--" + key.replace(".", "-").replace("_", "-"), value)
        for key, value in flags.items()
        if value is not None
    }


def _check(layer: Layer) -> list[Problem]:
    """What pydantic finds wrong with one source's values, each told with its own source."""
    try:
        Config.model_validate(_nested(layer))
    except ValidationError as error:
        found = [(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors()]
        return [_problem(layer[key], key, message.removeprefix("Value error, ")) for key, message in found]
    return []


def _problem(given: Given, key: str, message: str) -> Problem:
    shown = f'"{given.value}"' if isinstance(given.value, str) else str(given.value)
    return Problem(f"{given.where}: {given.name} = {shown}: {message} (allowed: {KEYS[key].kind.allowed})")


def _clash(loaded: Loaded, one: str, other: str, message: str) -> Problem:
    told = [f"{key} = {KEYS[key].kind.show(KEYS[key].value(loaded.config))}" for key in (one, other)]
    sources = [loaded.origin(key) for key in (one, other)]
    return Problem(f"{told[0]} ({sources[0]}) and {told[1]} ({sources[1]}): {message}")


def _nested(layer: Layer) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, given in layer.items():
        table, _, name = key.rpartition(".")
        (document.setdefault(table, {}) if table else document)[name] = given.value
    return document


_HEADER = re.compile(r"\s*\[\s*([\w.\-\"' ]+?)\s*\]")
_ASSIGNMENT = re.compile(r"\s*([\w.\-\"' ]+?)\s*=")


def _lines_of_keys(text: str) -> dict[str, int]:
    """The line of each dotted key and table, which tomllib does not tell."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _bare(header[1])
            lines.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            lines.setdefault(f"{table}.{_bare(assignment[1])}".lstrip("."), number)
    return lines


def _bare(dotted: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in dotted.split("."))

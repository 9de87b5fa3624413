"""The reference file: every key with its meaning, default, allowed values and variable, as TOML.

`config/kaproxy.toml` is this text (`python -m kaproxy.docs` writes it), and `kaproxy check` prints the
effective configuration in the same order. It may not hold a fact about a key: `kaproxy/config.py` does.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from kaproxy.config import KEYS, Config, Key
from kaproxy.settings.sources import Loaded

_HEAD = """\
kaproxy: every key, at its default. Give this file with --config or KAPROXY_CONFIG.

A flag is stronger than an environment variable, a variable is stronger than this file. Unknown keys and
unknown KAPROXY_ variables are errors; `kaproxy check` shows all at once, and where each value came from.
An empty variable is one that was not given.
Durations are text with a unit (ms s m h d), sizes likewise (B KiB MiB GiB kB MB GB).
SIGHUP reopens log.file and reads again: log.level, log.frames, broker_profile and [warnings], the last three
for connections accepted from then on. Everything else needs a restart, and SIGHUP's line says so."""


def sample_toml() -> str:
    """The text of config/kaproxy.toml."""
    lines = [_comment(line) for line in _HEAD.splitlines()]
    for table, keys in _by_table():
        lines += ["", f"[{table}]"] if table else []
        for key in keys:
            lines += ["", *_about(key), f"{key.name.rpartition('.')[2]} = {key.kind.show(key.default)}"]
    return "\n".join(lines) + "\n"


def effective_toml(loaded: Loaded) -> str:
    """The configuration in force as TOML, the source of each value behind it."""
    lines: list[str] = []
    for table, keys in _by_table():
        lines += ["", f"[{table}]"] if table else []
        for key in keys:
            assignment = f"{key.name.rpartition('.')[2]} = {key.kind.show(key.value(loaded.config))}"
            lines.append(f"{assignment:<44}# {loaded.origin(key.name)}")
    return "\n".join(lines) + "\n"


def changed_keys(before: Config, after: Config) -> list[str]:
    """The names of the keys whose values differ."""
    return [name for name, key in KEYS.items() if key.value(before) != key.value(after)]


def _by_table() -> Iterator[tuple[str, list[Key]]]:
    for table in dict.fromkeys(key.table for key in KEYS.values()):
        yield table, [key for key in KEYS.values() if key.table == table]


def _about(key: Key) -> list[str]:
    allowed = f"Allowed: {key.kind.allowed}. Variable: {key.variable}."
    return [_comment(line) for text in (key.meaning, allowed) for line in textwrap.wrap(text, 108)]


def _comment(line: str) -> str:
    return f"# {line}" if line else "#"

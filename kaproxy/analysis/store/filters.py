"""Which lines are asked for: a time span, clients, causes; as people write them, and as a condition in SQL.

A closing line belongs to the moment of its first ending, any other to when it was written. It may not know an
engine's tables. Read next: `duck.py`, where `{closed}` and `{warned}` are what these leave.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from kaproxy.diagnosis.causes import CAUSE_ROWS
from kaproxy.diagnosis.roots import ROOTS
from kaproxy.diagnosis.verdict import Cause
from kaproxy.mqtt.codes import CONNACK_RETURN_CODES, REASON_CODES, reason_slug

#: The condition that leaves every line.
ALL = "1 = 1"


class FilterError(ValueError):
    """What is asked for cannot be; the message says what can."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment: microseconds since 1970 UTC, or that long before the log's last line (`ago`)."""

    us: int
    ago: bool = False

    def of(self, last_us: int) -> int:
        """As microseconds since 1970 UTC, where the log's last line is of `last_us`; nothing is older than 1970."""
        return max(0, last_us - self.us if self.ago else self.us)


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked for; nothing given: all. `client`: an identifier, with `*` and `?` a pattern."""

    since: Moment | None = None
    until: Moment | None = None
    client: str | None = None
    cause: str | None = None
    root: str | None = None

    @classmethod
    def of(
        cls,
        since: str | None = None,
        until: str | None = None,
        client: str | None = None,
        cause: str | None = None,
    ) -> Filters:
        """From the words of the command line. Raises FilterError."""
        named, _, root = (cause or "").partition("/")
        if cause is not None:
            _check_cause(named, root)
        start, end = (moment(text) if text is not None else None for text in (since, until))
        if start and end and start.ago == end.ago and start.of(_ANY_US) >= end.of(_ANY_US):
            raise FilterError(f"--since {since} is not before --until {until}")
        return cls(start, end, client, named or None, root or None)

    @property
    def ago(self) -> bool:
        """Does a time count back from the log's last line?"""
        return any(each is not None and each.ago for each in (self.since, self.until))

    def closed(self, last_us: int) -> str:
        """The condition for closing lines, "1 = 1" for all."""
        return _both(*self._span("ended_us", last_us), *self._client(), *self._cause())

    def warned(self, last_us: int) -> str:
        """The condition for other lines; those of no connection belong to every client."""
        client = [f"(client_id is null or {each})" for each in self._client()]
        return _both(*self._span("at_us", last_us), *client)

    def _span(self, column: str, last_us: int) -> Iterable[str]:
        if self.since is not None:
            yield f"{column} >= {self.since.of(last_us)}"
        if self.until is not None:
            yield f"{column} < {self.until.of(last_us)}"

    def _client(self) -> Iterable[str]:
        if self.client is None:
            return
        name = self.client.replace("'", "''")
        if re.search(r"[*?]", self.client):
            yield f"client_id like '{_like(name)}' escape '!'"
        else:
            yield f"client_id = '{name}'"

    def _cause(self) -> Iterable[str]:
        if self.cause is not None:
            yield f"cause = '{self.cause}'"
        if self.root is not None:
            yield f"root = '{self.root}'"


def _both(*conditions: str) -> str:
    return " and ".join(conditions) or ALL


def _like(pattern: str) -> str:
    """`*` and `?` as SQL writes them."""
    return re.sub(r"[!%_]", r"!\g<0>", pattern).replace("*", "%").replace("?", "_")


_ANY_US = 1 << 62  # two moments told alike are in the same order whenever the log's last line was
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_UNITS_US = {"ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6, "d": 86400e6, "w": 7 * 86400e6}
_FORM = (
    'a time in ISO 8601 ("2026-05-01T12:00:00Z", UTC where it does not say) or how long before the log\'s end'
)


def moment(text: str) -> Moment:
    """ "2026-05-01T12:00Z", "2026-05-01", or "90m", "2h", "1h30m" before the log's last line. Raises FilterError."""
    ago = text.removesuffix("ago").strip()
    if re.fullmatch(rf"({_AGO.pattern}\s*)+", ago):
        return Moment(round(sum(float(n) * _UNITS_US[unit] for n, unit in _AGO.findall(ago))), ago=True)
    try:
        found = datetime.fromisoformat(text)
        stated = found if found.tzinfo else datetime.fromisoformat(f"{found.isoformat()}+00:00")
        return Moment(round(stated.timestamp() * 1e6))
    except (ValueError, OverflowError):
        raise FilterError(f'"{text}" is not {_FORM} ("2h", "90m")') from None


def _check_cause(cause: str, root: str) -> None:
    if cause not in CAUSE_ROWS:
        raise FilterError(
            f'no cause is called "{cause}"; causes are {", ".join(CAUSE_ROWS)}{_near(cause, CAUSE_ROWS)}'
        )
    roots = sorted(_roots(cause))
    if root and root not in roots:
        allowed = f"its roots are {', '.join(roots)}" if roots else "it has none"
        raise FilterError(f'{cause} has no root called "{root}"; {allowed}{_near(root, roots)}')


def _roots(cause: str) -> set[str]:
    """Roots of a cause; those of connect_refused are named after CONNACK's codes (3.2.2.2)."""
    roots = set(ROOTS.get(cause, {}))
    if cause == Cause.CONNECT_REFUSED:
        for version, codes in ((4, CONNACK_RETURN_CODES), (5, REASON_CODES)):
            roots |= {reason_slug(code, version, "CONNACK") for code in codes if code}
    return roots


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name.lower(), list(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""

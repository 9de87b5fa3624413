"""What every finder asks alike: the drops, the log's span, connections behind a finding, literals in SQL.

Words and SQL that both engines take: no alias is called like a column, since ClickHouse would put it into WHERE.
It may not know what is looked for. Read next: `causes.py`, the simplest of the finders.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from kaproxy.analysis.findings.finding import CONNECTIONS_KEPT
from kaproxy.analysis.store.engine import Engine
from kaproxy.diagnosis.causes import CAUSE_ROWS, Row
from kaproxy.diagnosis.roots import describe
from kaproxy.diagnosis.verdict import Cause

#: Condition of a connection that nobody meant to end.
DROP = "clean = 0"
SECOND_US = 1_000_000
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Span:
    """What the lines asked for cover: closing lines and drops among them, the first moment told of and the last."""

    lines: int
    drops: int
    first_us: int
    last_us: int

    @property
    def seconds(self) -> float:
        """From the first moment to the last, at least 1 s."""
        return max(1.0, (self.last_us - self.first_us) / SECOND_US)

    @property
    def days(self) -> float:
        """The same in days, as small as it is."""
        return self.seconds / DAY_S


def span(engine: Engine) -> Span:
    """What the log covers; all 0 where it is empty."""
    (lines, drops, *moments) = engine.rows(
        f"select sum(lines), sum(case when {DROP} then lines else 0 end), min(first_us), max(last_us) "
        "from {clients} as clients"
    )[0]
    moments += engine.rows("select min(at_us), max(at_us) from {warned}")[0]
    known = [int(each) for each in moments if each]
    return Span(int(lines or 0), int(drops or 0), min(known, default=0), max(known, default=0))


def literal(engine: Engine, value: str) -> str:
    """A text as SQL; ClickHouse reads backslashes in it, DuckDB does not. Braces are doubled: a query is a format."""
    if engine.name.startswith("clickhouse"):
        value = value.replace("\\", "\\\\")
    value = value.replace("'", "''").replace("{", "{{").replace("}", "}}")
    return f"'{value}'"


def one_of(engine: Engine, column: str, values: Iterable[str]) -> str:
    """Condition: the column is one of these; never true where there are none."""
    listed = ", ".join(literal(engine, value) for value in values)
    return f"{column} in ({listed})" if listed else "1 = 0"


def connections(engine: Engine, condition: str, table: str = "{drops}") -> tuple[str, ...]:
    """The first connections that ended under this condition; of all and not of the drops in `table` "{closed}"."""
    sql = f"select conn_id, ended_us from {table} where {condition} order by ended_us, conn_id"
    return tuple(str(row[0]) for row in engine.rows(f"{sql} limit {CONNECTIONS_KEPT}"))


def utc(moment_us: int) -> str:
    """A moment as people write it: "2026-05-01 12:00:00Z"."""
    return datetime.fromtimestamp(moment_us // SECOND_US, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def percent(part: float, whole: float) -> str:
    """A share: "12 %", "3.4 %", "0.02 %"."""
    share = 100.0 * part / whole if whole else 0.0
    return f"{share:.0f} %" if share >= _WHOLE_PERCENT else f"{share:.2g} %"


_WHOLE_PERCENT = 10.0


def named(cause: str, root: str | None) -> str:
    """A cause with its root, as it is written everywhere: "keep_alive_timeout/pinged_late"."""
    return f"{cause}/{root}" if root else cause


def catalogue(cause: str, root: str | None) -> Row:
    """The row that speaks for a verdict; that of `unknown` for a cause of another version."""
    return describe(cause, root) if cause in CAUSE_ROWS else CAUSE_ROWS[Cause.UNKNOWN]


def share_of(part: float, whole: float) -> float:
    """A share as a finding's number, 0 to 1."""
    return round(part / whole, 4) if whole else 0.0

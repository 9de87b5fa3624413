"""ClickHouse as the engine: one server, or several that answer one query together.

A query is one POST over plain HTTP and its answer is text, so that a server of 2018 and one of today are asked
alike and no driver is needed. `config/clickhouse/` makes the tables. It reads and never writes; only `insert`
does, for `copying.py`. It may not know what a column means.
Read next: `tsv.py`, `engine.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import IO, Self
from urllib.parse import SplitResult, parse_qs, unquote, urlencode, urlsplit

from kaproxy.analysis.logs import Account, Others
from kaproxy.analysis.store.columns import TABLES
from kaproxy.analysis.store.engine import EngineError, Row
from kaproxy.analysis.store.filters import Filters
from kaproxy.analysis.store.shared import SHARED
from kaproxy.analysis.store.tsv import FORMAT, rows_of

#: What the words of a query are here. All may hold NULL: a cast of what is unknown stays unknown.
WORDS: Mapping[str, str] = {"INT": "Nullable(Int64)", "REAL": "Nullable(Float64)", "TEXT": "Nullable(String)"}

TIMEOUT_S = 600.0
_PORTS = {"http": 8123, "https": 8443}
_NAME = re.compile(r"\w+")
_OPTIONS = {"remote": re.compile(r"[\w.:,{}|\[\]-]+"), "cluster": _NAME, "final": re.compile("[01]")}
#: 18.16 counts no distinct value as NULL where all are unknown.
_DISTINCT = re.compile(r"count\(distinct [^()]*\)")
#: ClickHouse's numbers for two errors.
_UNKNOWN_TABLE, _READONLY = "Code: 60", "Code: 164"
#: Where the views of `lines.sql` put what gave no row.
_ODD = "not_understood"


@dataclass(frozen=True)
class Address:
    """Where the tables are, read from `http://USER:PASSWORD@HOST:PORT/DATABASE?remote=A:9000,B:9000`.

    `remote` names the servers (by their native ports) that each hold a part of the log, `cluster` a cluster of
    the server's configuration instead. `final=0` trusts that no line was shipped twice, which is faster.
    """

    secure: bool
    host: str
    port: int
    database: str
    user: str = ""
    password: str = field(default="", repr=False)
    remote: str = ""
    cluster: str = ""
    final: bool = True

    @classmethod
    def of(cls, url: str) -> Self:
        """Read a URL. Raises EngineError, which never shows the password."""
        try:
            parts, port = urlsplit(url), urlsplit(url).port
        except ValueError as error:
            raise EngineError(f"not the URL of a ClickHouse: {error}") from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise EngineError("not the URL of a ClickHouse: http://HOST:8123/DATABASE is one")
        options = _options(parts)
        return cls(
            secure=parts.scheme == "https",
            host=parts.hostname,
            port=port or _PORTS[parts.scheme],
            database=_matching(_NAME, "database", parts.path.strip("/") or "default"),
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            remote=options.get("remote", ""),
            cluster=options.get("cluster", ""),
            final=options.get("final", "1") == "1",
        )

    @property
    def where(self) -> str:
        """The server in words, without its user."""
        return f"{self.host}:{self.port}"

    def table(self, name: str, *, final: bool = True) -> str:
        """The table, or the tables of that name on all the servers, as FROM takes it.

        `final`: without lines that were shipped twice, unless the URL trusts that there are none.
        """
        if self.remote:
            who = f", {_quoted(self.user)}, {_quoted(self.password)}" if self.user else ""
            source = f"remote({_quoted(self.remote)}, {self.database}, {name}{who})"
        elif self.cluster:
            source = f"cluster({_quoted(self.cluster)}, {self.database}, {name})"
        else:
            source = f"{self.database}.{name}"
        return f"{source} FINAL" if self.final and final else source


class ClickHouse:
    """The tables on one or several servers, asked through one of them."""

    def __init__(self, address: Address) -> None:
        """Ask who is there and up to when. Raises EngineError."""
        self._address = address
        self._settings = {"readonly": "2"}  # 1 would forbid remote() as well
        self._only: dict[str, str] = {}
        self._version = self._find_version()
        self.last_us = self._last()
        self.ask_for(Filters())

    @property
    def name(self) -> str:
        """ "clickhouse", its version, and where it is."""
        return f"clickhouse {self._version} at {self._address.where}"

    def ask_for(self, filters: Filters) -> None:
        """What `{closed}` and `{warned}` stand for from now on."""
        self.filters = filters
        # PREWHERE leaves WHERE to the query, and unlike a subquery is carried out by every server for itself.
        conditions = {table: condition(filters, table, self.last_us) for table in TABLES}
        self._only = {table: f" PREWHERE ({text})" if text else "" for table, text in conditions.items()}

    def rows(self, sql: str) -> list[Row]:
        """The rows of a query after its placeholders are filled in. Raises EngineError in one line."""
        tables = {table: self._address.table(table) + self._only.get(table, "") for table in TABLES}
        tables |= {"drops": tables["closed"], "warnings": tables["warned"]}
        tables |= {"clients": f"({SHARED['clients'].format(**tables)})"}
        asked = _DISTINCT.sub(r"ifNull(\g<0>, 0)", sql).format(**WORDS, **tables)
        query = f"{asked}\nFORMAT {FORMAT}"
        return rows_of(post(self._address, query, self._settings))

    @property
    def accounts(self) -> Mapping[str, Account]:
        """What the views made no row of, by source, those without such lines left out. Raises EngineError.

        Which lines they were is not known; the servers keep their text for 30 days. Nothing where no view reads lines.
        """
        odd = _as_it_is(self._address.table(_ODD, final=False))
        try:
            others = self.rows(
                f"select source, what, count(*) from {odd} group by source, what order by source, what"
            )
        except EngineError as error:
            if _ODD in str(error):
                return {}
            raise
        found: dict[str, Account] = {}
        for source, what, count in others:
            found.setdefault(str(source), Account()).others[str(what)] = Others(int(count))
        for table in TABLES if found else ():
            asked = f"select source, count(*) from {_as_it_is(self._address.table(table))} group by source"
            for source, count in self.rows(asked):
                if source in found:
                    found[source].understood += int(count)
        for account in found.values():
            account.lines = account.understood + sum(each.count for each in account.others.values())
        return found

    def close(self) -> None:
        """Nothing is kept open between two queries."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _find_version(self) -> str:
        try:
            return str(self.rows("select version()")[0][0])
        except EngineError as error:
            if _READONLY not in str(error):
                raise
            self._settings = {}  # this user can only read, and may not even say so
            return str(self.rows("select version()")[0][0])

    def _last(self) -> int:
        """When the last line was written; 0 where there is none."""
        found = [self.rows(f"select max(at_us) from {{{table}}}")[0][0] for table in TABLES]
        return max(int(each or 0) for each in found)


def _as_it_is(text: str) -> str:
    """For a query, which is a format: `remote` may have braces."""
    return text.replace("{", "{{").replace("}", "}}")


def connect(url: str, filters: Filters | None = None) -> ClickHouse:
    """The engine behind a URL (see `Address`). Raises EngineError where nobody answers or the URL is none."""
    engine = ClickHouse(Address.of(url))
    if filters is not None:
        engine.ask_for(filters)
    return engine


def condition(filters: Filters, table: str, last_us: int) -> str:
    """The lines asked for as ClickHouse reads a condition; "" for all of them."""
    rest = replace(filters, client=None)
    found = [rest.closed(last_us) if table == "closed" else rest.warned(last_us)]
    if filters.client is not None:
        client = _client(filters.client)
        found.append(client if table == "closed" else f"(client_id is null or {client})")
    return " and ".join(each for each in found if each != "1 = 1")


def _client(wanted: str) -> str:
    if not re.search("[*?]", wanted):
        return f"client_id = {_quoted(wanted)}"
    pattern = re.sub(r"[\\%_]", r"\\\g<0>", wanted).replace("*", "%").replace("?", "_")
    return f"client_id like {_quoted(pattern)}"


def insert(address: Address, table: str, names: Sequence[str], rows: IO[bytes]) -> None:
    """Add the rows of a file, in ClickHouse's TabSeparated, to a table. Raises EngineError."""
    query = f"INSERT INTO {address.database}.{table} ({', '.join(names)}) FORMAT TabSeparated"
    post(address, rows, {"query": query})


def post(address: Address, body: str | IO[bytes], settings: Mapping[str, str]) -> str:
    """One request and the whole answer. Raises EngineError, in one line and without the password."""
    kind = HTTPSConnection if address.secure else HTTPConnection
    connection = kind(address.host, address.port, timeout=TIMEOUT_S)
    # Only with wait_end_of_query an error in the middle of an answer still shows in its status.
    query = urlencode({"database": address.database, "wait_end_of_query": "1", **settings})
    headers = (
        {"X-ClickHouse-User": address.user, "X-ClickHouse-Key": address.password} if address.user else {}
    )
    try:
        connection.request("POST", f"/?{query}", body.encode() if isinstance(body, str) else body, headers)
        response = connection.getresponse()
        answer = response.read().decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        raise EngineError(f"clickhouse at {address.where}: {str(error) or type(error).__name__}") from None
    finally:
        connection.close()
    if response.status != HTTPStatus.OK:
        raise EngineError(f"clickhouse at {address.where}: {_complaint(answer, address)}")
    return answer


def _complaint(answer: str, address: Address) -> str:
    """A server's error in one line: without its stack, its class names, and the password a query may hold."""
    text = " ".join(answer.split("Stack trace")[0].split()) or "refused without a word"
    text = text.replace(", e.what() = DB::Exception", "").replace("e.displayText() = ", "")
    if address.password:
        text = text.replace(address.password, "…")
    if text.startswith(_UNKNOWN_TABLE):
        text += " (the tables are made by config/clickhouse/)"
    return text[:500]


def _options(parts: SplitResult) -> dict[str, str]:
    given = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    if unknown := sorted(set(given) - set(_OPTIONS)):
        raise EngineError(f"unknown in the URL: {', '.join(unknown)}; known are {', '.join(_OPTIONS)}")
    for name, form in _OPTIONS.items():
        if name in given:
            _matching(form, name, given[name])
    return given


def _matching(form: re.Pattern[str], what: str, text: str) -> str:
    if not form.fullmatch(text):
        raise EngineError(f"{text!r} cannot be a {what}")
    return text


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", r"\\").replace("'", r"\'") + "'"

"""The fields of every line: `docs/log-schema.md` is made from this table, and the tests hold the lines to it.

A field is added, never renamed; a change of meaning raises `SCHEMA`. This file is data and its reading; it may
not know how a line is made. Rows are written as in `schema_closed.py`; `= name` takes the closing line's row,
with `!` where it is never missing here.
Read next: `schema_closed.py` for the closing line, `schema_markdown.py` for the page made of both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from kaproxy.diagnosis.shapes import USUAL
from kaproxy.telemetry.schema_closed import CLOSED, PARTS

#: The version of the fields, in each line.
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a line, or of a table or list inside one (`part`)."""

    name: str
    type: str  # text integer number boolean time table list
    unit: str
    values: str
    standard: str
    meaning: str
    group: str = ""
    part: str = ""
    optional: bool = False
    usual: str = ""  # the value at which it is left out, as JSON


@dataclass(frozen=True, slots=True)
class EventLine:
    """One kind of line: its event name, its level, when it is written, its fields after the head."""

    event: str
    level: str
    when: str
    fields: tuple[Field, ...]


_HEAD = """
timestamp | time | ISO 8601, UTC, microseconds | | | When the line was written.
level | text | | debug, info, warning, error | | How severe.
event | text | | | | Which kind of line: the headings of this page.
schema | integer | | 1 | | The version of these fields.
worker | text | | | | The process that wrote it: the configuration's `worker`; of several, with `-1`, `-2` …
"""

_EVENTS = """
# connection.accepted | debug | A client's TCP connection was accepted.
= conn_id listener client_addr client_port broker_addr transport

# connection.established | info | A CONNACK with success went to the client.
= conn_id listener client_addr client_port broker_addr client_id! protocol_version!
= keep_alive! effective_keep_alive! limit_low_s limit_high_s clean_start! session_present! will_present!
connack_s | number | s | | | From the complete CONNECT to the complete CONNACK.

# keep_alive.late | warning | A gap longer than the Keep Alive survived: the client breaks 3.1.2-20 and was lucky.
= conn_id client_id! client_addr
gap_s | number | s | | | From one complete control packet of the client to the next.
= keep_alive!
margin_s | number? | s | | | What was left to the low end of the broker's window; negative: beyond it.
= late_gaps
suppressed | integer | | 0 and up | | Earlier ones of this connection not told because of `warnings.interval`.

# keep_alive.missed | warning | The Keep Alive has passed and the client is still silent: it breaks 3.1.2-20.
= conn_id client_id! client_addr silence_s! keep_alive!
left_s | number? | s | | | What is left of the broker's patience, to the low end of its window.
last_packet | text? | | | | The last complete control packet from the client.
suppressed | integer | | 0 and up | | Earlier ones of this connection not told because of `warnings.interval`.

# keep_alive.overdue | warning | The client's silence passed the limit and the connection still stands.
= conn_id client_id! client_addr silence_s! keep_alive! limit_low_s! limit_high_s!
last_packet | text? | | | | The last complete control packet from the client.
client_leg | table:leg? | | | | What the kernel said of the client leg at this moment.
broker_leg | table:leg? | | | | What the kernel said of the broker leg at this moment.

# ping.unanswered | warning | A PINGREQ has waited longer than `warnings.ping_unanswered` for its PINGRESP.
= conn_id client_id! client_addr ping_wait_s! pings_open! keep_alive! ping_rtt_max_ms
client_leg | table:leg? | | | | What the kernel said of the client leg at this moment.
broker_leg | table:leg? | | | | What the kernel said of the broker leg at this moment.

# ping.slow | warning | A PINGRESP took longer than `warnings.ping_slow`.
= conn_id client_id! client_addr
ping_rtt_ms | number | ms | | | How long it took, from PINGREQ to PINGRESP as seen here.
= ping_rtt_max_ms! keep_alive!
suppressed | integer | | 0 and up | | Earlier ones of this connection not told because of `warnings.interval`.

# client.not_reading | warning | The client has taken nothing of what is held for it for `warnings.not_reading`.
@stalled

# broker.not_reading | warning | The broker has taken nothing of what is held for it for `warnings.not_reading`.
@stalled

# client_id.contested | warning | A CONNECT came with the client identifier of a connection that is alive here.
= conn_id client_id! client_addr keep_alive!
holder_conn_id | text | | | | The connection that holds the client identifier.
holder_addr | text | | | | Its client's address.
holder_age_s | number | s | | | Since it was accepted.
holder_silence_s | number | s | | | Since its client's last complete control packet.
holder_keep_alive | integer | s | 0 to 65535 | | Its Keep Alive; a different one speaks for two clients.
suppressed | integer | | 0 and up | | Earlier ones of this client identifier not told because of `warnings.interval`.

# keep_alive.risky | warning | The Keep Alive agreed on cannot protect this connection.
= conn_id client_id! client_addr keep_alive!
reason | text | | zero, path_limit, above_maximum | | Why.
limit_s | number? | s | | | What it collides with.
explanation | text | | | | The reason in words.

# proxy.lagging | warning | kaproxy's own loop was late by more than `warnings.lagging`.
lag_ms | number | ms | | | How late.
connections_live | integer | | 0 and up | | Connections open at that moment.
suppressed | integer | | 0 and up | | Earlier ones not told because of `warnings.interval`.

# observer.failed | error | The observation of a connection failed, kaproxy's own fault; its bytes go on.
= conn_id client_addr
error | text | | | | What went wrong.

# connection.closed | by cause | A connection is over: exactly one such line per accepted connection.
@closed

# broker_profile.learned | info | The expiries and refusals of an unknown broker have told which profiles it fits.
broker_profile | text | | learned:NAMES:COUNT | | The profiles it fits, and from how many endings that is known.

# proxy.started | info | kaproxy accepts connections; of several workers, all do.
@target
config_file | text? | | | | The configuration file in use.
pid | integer | | | | The process; of several workers, the supervisor's.
build | text | | pure, compiled | | Whether the hot packages run as written or compiled to machine code.
workers | integer? | | 2 and up | | How many workers there are; left out at one.
admin | text? | | HOST:PORT | | Where the admin side is served.

# worker.started | info | A worker accepts connections; written by the supervisor.
@worker
starts | integer | | 1 and up | | How often a process was started for it.

# worker.died | error | A worker ended unasked (level warning where it drained); another is started in its place.
@worker
exit_status | integer? | | 0 and up | | How it ended; missing where a signal killed it.
exit_signal | text? | | SIGKILL, … | | The signal that killed it.
lived_s | number | s | | | Since it was started.
connections_lost | integer | | 0 and up | | Its connections, which have no closing lines.
restart_in_s | number? | s | | | When another is started; missing while draining.
explanation | text | | | | The same in words, and what is not known.

# worker.not_started | error | A worker's process could not be started; it is tried again.
worker_name | text | | | | Which.
error | text | | | | Why.

# worker.silent | error | A worker has stopped without ending (SIGSTOP, a bug): its bytes wait, others accept.
@worker
silent_s | number | s | | | Since when it has said nothing to the supervisor.
connections_live | integer | | 0 and up | | Its connections; they are left to it.

# worker.answers | warning | A worker that was silent runs again, and accepts again.
@worker
silent_s | number | s | | | How long it had said nothing.
connections_live | integer | | 0 and up | | Its connections.

# worker.orphaned | error | The supervisor is gone: this worker accepts no more connections and drains.
connections_live | integer | | 0 and up | | Connections that are still open.

# connection.lost | warning | A connection of a killed worker, which could write no closing line.
conn_id | text | | | | The connection.
worker_name | text | | | | The worker it was in.
= client_addr client_id!
opened_at | time | ISO 8601, UTC, microseconds | | | Accept.

# proxy.reloaded | info | SIGHUP was followed: log file opened anew, configuration read again.
changed | list | | | | The keys that changed and are in force now.
needs_restart | list | | | | The keys that changed and stay as they were until a restart.

# proxy.reload_failed | error | SIGHUP found errors in the configuration; the old one stays in force.
problems | list | | | | Every error, as `kaproxy check` tells it.

# proxy.stopping | info | A signal asked kaproxy to end: it accepts no more connections.
signal | text | | SIGTERM, SIGINT | | Which.
connections_live | integer | | 0 and up | | Connections that are still open.
drain_s | number | s | | | How long they may go on.

# proxy.stopped | info | The last line.
@target
uptime_s | number | s | | | Since proxy.started.
connections_accepted | integer | | 0 and up | | Connections accepted.
connections_closed | integer | | 0 and up | | Closing lines made.
connections_lost | integer? | | 0 and up | | Connections of killed workers; left out at one worker.
causes | table | | | | How many of them by cause.
log_lines_dropped | integer | | 0 and up | | Lines the reader of the log was too slow for.

# log.dropped | warning | The reader of the log was too slow: lines are missing before this one.
lines | integer | | 1 and up | | Lines lost since the last time this was told.
bytes | integer | B | | | Their size.
lines_total | integer | | 1 and up | | Lines lost since the start.
bytes_total | integer | B | | | Their size.

# log.reopen_failed | error | The log file could not be opened anew; the old one is still written to.
file | text | | | | Its path.
error | text | | | | Why.
"""

_STALLED = """
stalled_s | number | s | | | Since when it has taken nothing; the other peer is not read meanwhile.
client_leg | table:leg? | | | | What the kernel said of the client leg at this moment.
broker_leg | table:leg? | | | | What the kernel said of the broker leg at this moment.
"""

_WORKER = """
worker_name | text | | | | Which, as it stands in `worker` of its own lines.
worker_pid | integer? | | | | Its process.
"""

_TARGET = """
version | text | | | | kaproxy's version.
listen | text | | HOST:PORT | | The address it is bound to.
upstream | text | | HOST:PORT | | The broker as configured.
broker_profile | text | | @profiles | | Whose keepalive window connections are judged by.
"""


def _row(line: str, group: str = "") -> Field:
    name, type_, unit, values, standard, meaning = (cell.strip() for cell in line.split("|"))
    base, _, part = type_.removesuffix("?").partition(":")
    usual = json.dumps(USUAL[name]) if group and name in USUAL else ""
    return Field(name, base, unit, values, standard, meaning, group, part, type_.endswith("?"), usual)


def _rows(text: str) -> Iterator[Field]:
    """The rows of a table, each with the [group] it stands under."""
    group = ""
    for line in filter(None, text.splitlines()):
        if line.startswith("["):
            group = line.strip("[]")
        else:
            yield _row(line, group)


def _event_rows(lines: list[str]) -> Iterator[Field]:
    closed = {item.name: item for item in _rows(CLOSED)}
    for line in lines:
        if line == "@closed":
            yield from closed.values()
        elif line == "@target":
            yield from _rows(_TARGET)
        elif line == "@worker":
            yield from _rows(_WORKER)
        elif line == "@stalled":
            yield from _event_rows(["= conn_id client_id client_addr keep_alive"])
            yield from _rows(_STALLED)
        elif line.startswith("="):
            for name in line[1:].split():
                item = replace(closed[name.rstrip("!")], group="")
                yield replace(item, optional=False, usual="") if name.endswith("!") else item
        else:
            yield _row(line)


@cache
def head() -> tuple[Field, ...]:
    """The fields every line starts with."""
    return tuple(_rows(_HEAD))


@cache
def events() -> dict[str, EventLine]:
    """Every kind of line by its event name."""
    found: dict[str, EventLine] = {}
    for block in _EVENTS.split("\n# ")[1:]:
        title, *lines = filter(None, block.splitlines())
        name, level, when = (cell.strip() for cell in title.split("|"))
        found[name] = EventLine(name, level, when, tuple(_event_rows(lines)))
    return found


@cache
def parts() -> dict[str, tuple[Field, ...]]:
    """The fields of the tables inside lines, by the part's name."""
    rows = list(_rows(PARTS))
    return {
        name: tuple(row for row in rows if row.group == name) for name in dict.fromkeys(r.group for r in rows)
    }

"""Tables that many questions share, worked out of the two: `{drops}`, `{clients}` and `{warnings}` in a query.

DuckDB makes each once, at the first query that names it; ClickHouse works it out within every query. So questions
that need no single clean line, or only counts by client, never read all lines again. It may not know what is asked.
Read next: `engine.py`, `duck.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Columns of `{drops}`: what is asked of drops. A query for another one fails at once, in DuckDB.
DROP_COLUMNS = (
    *("source", "worker", "conn_id", "listener", "client_addr", "broker_addr", "client_id", "client_group"),
    *("client_net", "protocol_version", "opened_us", "ended_us", "duration_s", "phase", "closed_by", "clean"),
    *("cause", "root", "confidence", "disconnect_from_broker", "keep_alive", "effective_keep_alive"),
    *("limit_low_s", "broker_profile", "counts", "silence_s", "silence_bytes_s", "silence_counted_s"),
    *("gap_max_s", "idle_s", "downlink_idle_s", "pingreqs", "pingresps", "ping_wait_s", "ping_rtt_max_ms"),
    *("late_gaps", "late_from_client_packet", "late_from_client_after_s", "packets_from_broker"),
    *("client_leg_fin_acked", "client_leg_stalled_s", "broker_leg_ending", "broker_leg_stalled_s"),
    *("loop_lag_max_ms", "neighbours_live", "neighbours_dials_refused", "clean_start", "will_present"),
    "taken_over_by_client_addr",
)
#: At least every closing line of a connection that nobody meant to end: queries keep `clean = 0`, or what only drops
#: meet, in their condition, since ClickHouse takes all closing lines for it, which its servers sift each for itself.
_DROPS = f"select {', '.join(DROP_COLUMNS)} from {{closed}} where clean = 0"

_KEYS = (
    "client_group, client_id, source, worker, listener, broker_addr, broker_profile, client_net, "
    "effective_keep_alive, cause, root, clean"
)
#: Closing lines counted by whose they are and how they ended. `seconds`: of connection; `first_us`, `last_us`: of ends.
_CLIENTS = (
    f"select {_KEYS}, count(*) as lines, sum(duration_s) as seconds, sum(pingreqs) as pings, "
    "min(path_idle_limit_s) as path_limit_s, min(ended_us) as first_us, max(ended_us) as last_us "
    f"from {{closed}} group by {_KEYS}"
)

_WARNING_COLUMNS = (
    *("source", "worker", "conn_id", "client_id", "client_group", "client_net", "event", "at_us"),
    *("keep_alive", "gap_s", "margin_s", "ping_rtt_ms", "ping_wait_s"),
    *("lag_ms", "lines", "log_lines_dropped"),
)
#: At least every other line but those of connections that were established: most of them are.
_WARNINGS = f"select {', '.join(_WARNING_COLUMNS)} from {{warned}} where event <> 'connection.established'"

#: Word of a query -> what it stands for, as a query of its own.
SHARED: Mapping[str, str] = {"drops": _DROPS, "clients": _CLIENTS, "warnings": _WARNINGS}

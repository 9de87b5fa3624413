"""Causes by family: which endings may belong together, though their names differ.

A table. It may not know a rule. Read next: `incidents.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kaproxy.diagnosis.verdict import Cause

BROKER, SILENCE, CLIENT, REFUSED, PROXY = "broker", "silence", "client", "refused", "proxy"

#: Endings of connections that stood, which an incident may end together. What one client does to itself (takeovers,
#: rejected packets), what a box does by its own clock (idle_cut) and what `stalls.py` tells of is not in here.
FAMILIES: Mapping[str, tuple[Cause, ...]] = {
    BROKER: (
        Cause.BROKER_CLOSED,
        Cause.BROKER_RESET,
        Cause.BROKER_SHUTDOWN,
        Cause.BROKER_DISCONNECT,
        Cause.BROKER_UNREACHABLE,
    ),
    SILENCE: (Cause.KEEP_ALIVE_TIMEOUT, Cause.CLIENT_UNREACHABLE),
    CLIENT: (Cause.CLIENT_CLOSED, Cause.CLIENT_RESET, Cause.CLIENT_DISCONNECT_ERROR),
    PROXY: (Cause.PROXY_ERROR,),
}
#: Attempts that came to nothing: what follows an incident, or one of their own where nothing went before.
ATTEMPTS: Mapping[str, tuple[Cause, ...]] = {
    REFUSED: (
        Cause.BROKER_REFUSED,
        Cause.BROKER_UNREACHABLE,
        Cause.DIAL_TIMEOUT,
        Cause.NO_CONNACK,
        Cause.CONNECT_REFUSED,
        Cause.PROXY_LIMIT,
    ),
}
#: Clients of a family that make an incident where they are only a part of those connected. Brokers expire in batches,
#: and a dead cell takes a handful along, so silences need more of them.
FEWEST_CLIENTS: Mapping[str, int] = {BROKER: 5, SILENCE: 10, CLIENT: 6, PROXY: 1, REFUSED: 10}
STOOD = "phase in ('established', 'closing')"


def family_sql(families: Mapping[str, tuple[Cause, ...]]) -> str:
    """SQL for the name of a drop's family."""
    whens = " ".join(f"when {_in(causes)} then '{name}'" for name, causes in families.items())
    return f"case {whens} end"


def in_families(families: Mapping[str, tuple[Cause, ...]]) -> str:
    """Condition: the cause is of one of these families."""
    return _in(cause for causes in families.values() for cause in causes)


def _in(causes: Iterable[Cause]) -> str:
    listed = ", ".join(f"'{cause}'" for cause in causes)
    return f"cause in ({listed})"

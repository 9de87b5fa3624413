"""All scenarios, by name: importing this file fills the table."""

from __future__ import annotations

from tests.end_to_end import boxes, closed, honesty, keep_alive, own, ping_timeout, seed, stated, unconnected
from tests.end_to_end.stage import SCENARIOS

FILES = (keep_alive, ping_timeout, stated, closed, unconnected, own, boxes, seed, honesty)

__all__ = ["FILES", "SCENARIOS"]

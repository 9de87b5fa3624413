"""The largest of many measurements since any moment asked for later, in little memory.

A worker keeps two of these for all its connections: how late its loop was, how long its batches took.
Only peaks that no later one has exceeded are kept, so the list is short and sorted both ways.
It may not know a clock: times come in as arguments. Read next: `poller.py`, which feeds it.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

RESOLUTION_S: Final = 0.0005
"""Shorter times are not recorded: they are the normal pace of the loop."""


class Peaks:
    """Time spans seen by one worker, asked for by connections of any age."""

    __slots__ = ("_ended", "_spans")

    def __init__(self) -> None:
        self._ended: list[float] = []  # when each span ended, rising
        self._spans: list[float] = []  # how long it was, falling

    def add(self, span: float, ended: float) -> None:
        """A span of `span` seconds ended at `ended`; calls come in order of `ended`."""
        span = round(span, 4)  # tenths of a millisecond: bounds how many falling values there can be
        while self._spans and self._spans[-1] <= span:
            del self._spans[-1], self._ended[-1]
        self._spans.append(span)
        self._ended.append(ended)

    def since(self, opened: float) -> float:
        """The longest part of any span that fell after `opened`; 0.0 if there was none.

        A span that began before a connection was opened only counts with what it overlapped.
        """
        if not self._ended or self._ended[-1] < opened:
            return 0.0
        at = bisect_left(self._ended, opened)
        longest = min(self._spans[at], self._ended[at] - opened)
        if at + 1 < len(self._spans):  # the one after it is shorter, but may lie whole in this time
            longest = max(longest, min(self._spans[at + 1], self._ended[at + 1] - opened))
        return longest

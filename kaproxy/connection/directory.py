"""The connections of one worker that have to know of each other.

Which live connection holds a client identifier (a second CONNECT with it takes the Session over,
MQTT 5.0 3.1.4-3), and how many connections ended in the same second. Bounded: identifiers of live
connections only, endings of the last seconds only.
Read next: `tracker.py`, which claims and releases.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kaproxy.connection.tracker import ConnectionTracker

#: Endings are remembered this long: longer than the wait before a closing line.
ENDINGS_KEPT_S = 10.0
_PRUNE_EVERY = 1024


class Directory:
    """Client identifier to live connection, and the recent endings."""

    __slots__ = ("_endings", "_holders")

    def __init__(self) -> None:
        self._holders: dict[str, ConnectionTracker] = {}
        self._endings: list[float] = []

    def claim(self, client_id: str, newcomer: ConnectionTracker) -> ConnectionTracker | None:
        """`newcomer` sent CONNECT with this identifier; returns the live connection that held it, if any."""
        holder = self._holders.get(client_id)
        self._holders[client_id] = newcomer
        return holder if holder is not newcomer else None

    def give_back(
        self, client_id: str, newcomer: ConnectionTracker, holder: ConnectionTracker | None
    ) -> None:
        """The broker refused `newcomer`: the identifier stays with whom it was."""
        if self._holders.get(client_id) is not newcomer:
            return
        if holder is None or holder.first_ending_at is not None:
            del self._holders[client_id]
        else:
            self._holders[client_id] = holder

    def release(self, client_id: str, holder: ConnectionTracker) -> None:
        """`holder` is ending; a later CONNECT with its identifier takes nothing over."""
        if self._holders.get(client_id) is holder:
            del self._holders[client_id]

    def note_ending(self, now: float) -> None:
        """A connection had its first ending. Times come in order, as one loop's clock gives them."""
        endings = self._endings
        endings.append(now)
        if len(endings) % _PRUNE_EVERY == 0 and endings[0] < now - ENDINGS_KEPT_S:
            del endings[: bisect_left(endings, now - ENDINGS_KEPT_S)]

    def ended_around(self, when: float) -> int:
        """How many first endings within one second around `when`, half a second each way."""
        return bisect_right(self._endings, when + 0.5) - bisect_left(self._endings, when - 0.5)

    def __len__(self) -> int:
        return len(self._holders)

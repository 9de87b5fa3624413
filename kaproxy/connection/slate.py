"""What one worker lets all others see without being asked: numbers on a slate, in memory they share.

Each worker writes its own slate and reads those of others, so nobody is sent what concerns nobody: whether a client
identifier is held there, what its past is, how many connections are live, when connections ended. The supervisor reads
whose connections a killed worker had. Every number is written at once and has one writer; what takes several numbers
is marked by the one that is written last, and unmarked before it changes.
It may not know where the memory comes from. Read next: `elsewhere.py`, which writes and asks.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final, NamedTuple

from kaproxy.connection.directory import Past

#: First endings kept: in the second around one that is asked for, more would not be counted.
ENDINGS: Final = 1 << 14
#: Counts of held identifiers. Two identifiers of one count are asked about in vain, no more.
COUNTS: Final = 1 << 16
#: Pasts kept, in sets of which the oldest is written over.
PASTS: Final = 1 << 16
_WAYS: Final = 4
#: Bytes of a row. A named connection has as many rows as its name takes.
ROW: Final = 256
_HEAD: Final = 16  # how long its piece is, which row has the next, when the connection was opened
_ROOM: Final = ROW - _HEAD

# Where things are, bytes from the beginning, and of which sort.
_ENDINGS_AT: Final = 64
_COUNTS_AT: Final = _ENDINGS_AT + 8 * ENDINGS
_PASTS_AT: Final = _COUNTS_AT + 4 * COUNTS
_PAST: Final = 4  # numbers: key, since, CONNECTs, ended at
_ENDED_AT: Final = 3
_SET: Final = _PAST * _WAYS
_ROWS_AT: Final = _PASTS_AT + 8 * _PAST * PASTS

# The header's numbers.
_LIVE: Final = 0
_ENDED: Final = 1  # endings written
_USED: Final = 2  # rows ever used


def size_of(rows: int) -> int:
    """Bytes of a slate with so many rows."""
    return _ROWS_AT + ROW * rows


def key_of(client_id: str) -> int:
    """A client identifier as every worker of a machine numbers it: 64 bits, never 0."""
    digest = blake2b(client_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


class Named(NamedTuple):
    """A connection that has sent CONNECT."""

    conn_id: str
    client_id: str
    client_addr: str
    opened_at: float  # wall clock, s

    @classmethod
    def of(cls, opened_at: float, data: bytes) -> Named:
        """As it stands in its rows. Raises ValueError where it does not."""
        conn_id, client_addr, client_id = data.decode("utf-8", "surrogatepass").split("\t", 2)
        return cls(conn_id, client_id, client_addr, opened_at)


class Slate:
    """One worker's slate, for its writer and its readers. Times are monotonic seconds, one clock for all."""

    __slots__ = (
        "_counts",
        "_endings",
        "_free",
        "_header",
        "_keys",
        "_numbers",
        "_opened",
        "_pasts",
        "_rows",
        "memory",
    )

    def __init__(self, memory: memoryview) -> None:
        """`memory`: of `size_of` bytes, at a multiple of 8; all zero for a slate nobody has written on."""
        self.memory = memory
        self._header = memory[:_ENDINGS_AT].cast("q")
        self._endings = memory[_ENDINGS_AT:_COUNTS_AT].cast("d")
        self._counts = memory[_COUNTS_AT:_PASTS_AT].cast("I")
        self._keys = memory[_PASTS_AT:_ROWS_AT].cast("Q")
        self._pasts = memory[_PASTS_AT:_ROWS_AT].cast("d")
        self._rows = memory[_ROWS_AT:]
        self._numbers = self._rows.cast("i")
        self._opened = self._rows.cast("d")
        self._free: list[int] = []

    # -- live connections ------------------------------------------------------------------------------

    @property
    def live(self) -> int:
        """Connections between accept and their first ending."""
        live: int = self._header[_LIVE]
        return live

    def set_live(self, count: int) -> None:
        """So many connections are live."""
        self._header[_LIVE] = count

    # -- endings ---------------------------------------------------------------------------------------

    def add_ending(self, now: float) -> None:
        """A first ending; none is earlier than the one before it."""
        written: int = self._header[_ENDED]
        self._endings[written % ENDINGS] = now
        self._header[_ENDED] = written + 1

    def endings_between(self, start: float, end: float) -> int:
        """How many in [start, end], as far as kept."""
        endings, written = self._endings, self._header[_ENDED]
        at = written % ENDINGS
        last = at if at and endings[at - 1] <= end else bisect_right(endings, end, 0, at)
        found: int = last - bisect_left(endings, start, 0, last)
        if written >= ENDINGS:  # the older ones stand behind
            found += bisect_right(endings, end, at, ENDINGS) - bisect_left(endings, start, at, ENDINGS)
        return found

    # -- client identifiers ----------------------------------------------------------------------------

    def hold(self, key: int) -> None:
        """A connection has this identifier."""
        self._counts[key % COUNTS] += 1

    def let_go(self, key: int) -> None:
        """It is over, and its line out."""
        self._counts[key % COUNTS] -= 1

    def may_hold(self, key: int) -> bool:
        """Whether a connection may have this identifier; False: none has."""
        count: int = self._counts[key % COUNTS]
        return count != 0

    def remember(self, key: int, since: float, connects: int, ended_at: float) -> None:
        """The past of an identifier whose connection has ended, as in `Past`."""
        first = _first_of(key)
        keys = self._keys[first : first + _SET : _PAST].tolist()
        if key not in keys and 0 not in keys:
            ended = [self._pasts[at + _ENDED_AT] for at in range(first, first + _SET, _PAST)]
            at = first + _PAST * ended.index(min(ended))
        else:
            at = first + _PAST * keys.index(key if key in keys else 0)
        self._keys[at] = 0
        pasts = self._pasts
        pasts[at + 1] = since
        pasts[at + 2] = connects
        pasts[at + _ENDED_AT] = ended_at
        self._keys[at] = key

    def past_of(self, key: int) -> Past | None:
        """What is remembered of that identifier."""
        first = _first_of(key)
        keys = self._keys[first : first + _SET : _PAST].tolist()
        if key not in keys:
            return None
        at = first + _PAST * keys.index(key)
        pasts = self._pasts
        past = Past(pasts[at + 1], int(pasts[at + 2]), pasts[at + _ENDED_AT])
        return past if self._keys[at] == key else None  # it may just have been written over

    # -- named connections -----------------------------------------------------------------------------

    def enter(self, conn_id: str, client_id: str, client_addr: str, opened_at: float) -> int:
        """Have it found by whoever buries this worker, as `Named`; returns where, -1 where there is no room."""
        # the identifier last: it may hold anything
        data = f"{conn_id}\t{client_addr}\t{client_id}".encode("utf-8", "surrogatepass")
        if len(data) <= _ROOM:
            return self._put(self._take(), data, opened_at, -1, 1)
        rows = [self._take() for _ in range(0, len(data), _ROOM)]
        if -1 in rows:
            self._free.extend(row for row in rows if row != -1)
            return -1
        after = -1
        for number in range(len(rows) - 1, -1, -1):
            piece = data[number * _ROOM : (number + 1) * _ROOM]
            after = self._put(rows[number], piece, opened_at, after, -1 if number else 1)
        return after

    def _put(self, row: int, piece: bytes, opened_at: float, after: int, sign: int) -> int:
        """A row, if there is one; it counts once its length stands, and begins a connection where that is above 0."""
        if row != -1:
            start = row * ROW + _HEAD
            self._rows[start : start + len(piece)] = piece
            self._opened[row * (ROW // 8) + 1] = opened_at
            self._numbers[row * (ROW // 4) + 1] = after
            self._numbers[row * (ROW // 4)] = sign * len(piece)
        return row

    def strike(self, row: int) -> None:
        """It is over."""
        while row != -1:
            self._numbers[row * (ROW // 4)] = 0
            self._free.append(row)
            row = self._numbers[row * (ROW // 4) + 1]

    def _take(self) -> int:
        if self._free:
            return self._free.pop()
        row: int = self._header[_USED]
        if row * ROW == len(self._rows):
            return -1
        self._header[_USED] = row + 1
        return row

    def named(self) -> Iterator[Named]:
        """The connections entered and not struck, of a worker that writes no more."""
        for row in range(self._header[_USED]):
            if self._numbers[row * (ROW // 4)] > 0:
                yield Named.of(self._opened[row * (ROW // 8) + 1], b"".join(self._pieces(row)))

    def _pieces(self, row: int) -> Iterator[bytes]:
        while row != -1:
            size = abs(self._numbers[row * (ROW // 4)])
            yield bytes(self._rows[row * ROW + _HEAD : row * ROW + _HEAD + size])
            row = self._numbers[row * (ROW // 4) + 1]

    def wipe(self) -> None:
        """Its writer is gone, and so are its connections; what has ended remains known."""
        for row in range(self._header[_USED]):
            self._numbers[row * (ROW // 4)] = 0
        self._header[_USED] = self._header[_LIVE] = 0
        self.memory[_COUNTS_AT:_PASTS_AT] = bytes(_PASTS_AT - _COUNTS_AT)
        self._free.clear()


def _first_of(key: int) -> int:
    """Where the set of that identifier's past begins. Other bits of the key than those of its count."""
    return key // COUNTS % (PASTS // _WAYS) * _SET

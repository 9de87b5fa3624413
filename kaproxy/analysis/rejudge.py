"""Old lines, today's rules: every closing line's evidence judged again, and what is said of it now that was not then.

A log is read in batches, which several processes may share; what comes back is counts, and a few examples of each
change. Lines whose evidence cannot be read are counted and named. It may not change a log, nor say which of two
verdicts is right. Read next: `logs.py` for the reading, `kaproxy/diagnosis/record.py` for the evidence in a line.
"""

from __future__ import annotations

import multiprocessing
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from kaproxy.analysis.logs import Account, Fields, LogError, open_log, read_line
from kaproxy.analysis.store.filters import Filters
from kaproxy.diagnosis import diagnose
from kaproxy.diagnosis.record import RecordError, from_record
from kaproxy.diagnosis.verdict import Verdict

#: Examples kept of each change, and of each reason why evidence cannot be read.
EXAMPLES_KEPT = 5
#: Lines given to a process at a time, and how many such batches may wait for each.
BATCH, _AHEAD = 2000, 3
CLOSED = "connection.closed"

Opened: TypeAlias = Callable[[str], AbstractContextManager[Iterator[bytes]]]
#: Called with the log being read and how many closing lines were judged so far.
Progress: TypeAlias = Callable[[str, int], None]


class Said(NamedTuple):
    """What matters of a verdict: two that agree in these are the same, in whatever words they are told."""

    cause: str
    root: str | None
    owner: str
    confidence: str

    @property
    def name(self) -> str:
        """ "keep_alive_timeout / pinged_late (likely, client_library)"."""
        named = " / ".join(filter(None, (self.cause, self.root)))
        return f"{named} ({self.confidence}, {self.owner})"


class Example(NamedTuple):
    """A line: its connection ("" where it names none), its log and its number in it."""

    conn_id: str
    source: str
    line: int


@dataclass(slots=True)
class Examples:
    """How many, and the first of them."""

    count: int = 0
    first: list[Example] = field(default_factory=list)

    def add(self, example: Example) -> None:
        """One more."""
        self.count += 1
        if len(self.first) < EXAMPLES_KEPT:
            self.first.append(example)

    def merge(self, other: Examples) -> None:
        """What another process found behind these."""
        self.count += other.count
        self.first = [*self.first, *other.first][:EXAMPLES_KEPT]


@dataclass(slots=True)
class Rejudged:
    """What came of it.

    `judged` closing lines were judged again, of which `same` have the verdict they had; `changes` are the others, by
    what was said before and what is now. `worded` of the same are now explained or advised in other words.
    `unreadable` are closing lines without evidence that can be read, by why; `accounts` tell of each log's other
    lines.
    """

    judged: int = 0
    same: int = 0
    worded: int = 0
    changes: dict[tuple[Said, Said], Examples] = field(default_factory=dict)
    unreadable: dict[str, Examples] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)

    @property
    def changed(self) -> int:
        """How many lines have another verdict now."""
        return self.judged - self.same

    def most_first(self) -> list[tuple[Said, Said, Examples]]:
        """The changes, those of the most lines first."""
        found = [(before, after, examples) for (before, after), examples in self.changes.items()]
        return sorted(found, key=lambda each: (-each[2].count, each[0].name, each[1].name))

    def merge(self, other: Rejudged) -> None:
        """What another process found in later lines."""
        self.judged += other.judged
        self.same += other.same
        self.worded += other.worded
        for change, examples in other.changes.items():
            self.changes.setdefault(change, Examples()).merge(examples)
        for why, examples in other.unreadable.items():
            self.unreadable.setdefault(why, Examples()).merge(examples)
        for source, account in other.accounts.items():
            _merge_account(self.accounts.setdefault(source, Account()), account)

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "judged": self.judged,
            "same": self.same,
            "worded": self.worded,
            "changed": self.changed,
            "changes": [
                {
                    "count": each.count,
                    "before": before._asdict(),
                    "after": after._asdict(),
                    "first": _plain(each),
                }
                for before, after, each in self.most_first()
            ],
            "unreadable": [
                {"count": each.count, "why": why, "first": _plain(each)}
                for why, each in self.unreadable.items()
            ],
        }


@dataclass(frozen=True, slots=True)
class Asked:
    """Is a closing line among those that are asked for? `last_us`: the log's last moment, which "2h ago" is of."""

    filters: Filters
    last_us: int = 0

    def __call__(self, fields: Fields) -> bool:
        """Its time, client, cause and root are."""
        asked = self.filters
        for name, value in (("cause", asked.cause), ("root", asked.root)):
            if value is not None and fields.get(name) != value:
                return False
        return self._client(fields.get("client_id")) and self._in_span(fields)

    def _client(self, client_id: object) -> bool:
        asked = self.filters.client
        if asked is None:
            return True
        pattern = re.escape(asked).replace(r"\*", ".*").replace(r"\?", ".")
        return isinstance(client_id, str) and re.fullmatch(pattern, client_id, re.DOTALL) is not None

    def _in_span(self, fields: Fields) -> bool:
        since, until = self.filters.since, self.filters.until
        if since is None and until is None:
            return True
        try:
            opened = datetime.fromisoformat(fields["opened_at"])
            ended = round((opened.timestamp() + float(fields["duration_s"])) * 1e6)
        except (KeyError, TypeError, ValueError):
            return False
        after = since is None or ended >= since.of(self.last_us)
        return after and (until is None or ended < until.of(self.last_us))


class _Batch(NamedTuple):
    source: str
    first: int  # number of its first line
    lines: list[bytes]


def rejudge(
    paths: Sequence[str],
    *,
    wanted: Callable[[Fields], bool] | None = None,
    progress: Progress | None = None,
    processes: int | None = None,
    opened: Opened = open_log,
) -> Rejudged:
    """Judge the closing lines of these logs again; those that `wanted` says no to are left out.

    `processes` None: as many as pay for these logs. With more than one, `wanted` has to be one that can be pickled, as
    `Asked` can. `opened` gives the raw lines of a log. Raises LogError where one cannot be read at all.
    """
    found = Rejudged(accounts={path: Account() for path in paths})
    count = worth(paths) if processes is None else processes
    judged = _alone if count <= 1 else _Several(count)
    for batch, part in judged(_batches(paths, opened), wanted):
        found.merge(part)
        if progress is not None:
            progress(batch.source, found.judged)
    return found


def worth(paths: Iterable[str]) -> int:
    """How many processes pay for logs of these sizes; 1 where a size is not known, up to the processors there are."""
    size = sum(Path(path).stat().st_size for path in paths if Path(path).is_file())
    return max(1, min(len(os.sched_getaffinity(0)), size // _WORTH_BYTES + 1)) if _AFFINITY else 1


#: A process takes a second to start, in which another judges logs of this size, bytes.
_WORTH_BYTES = 32 << 20
_AFFINITY = hasattr(os, "sched_getaffinity")


def _batches(paths: Iterable[str], opened: Opened) -> Iterator[_Batch]:
    for path in paths:
        with opened(path) as lines:
            first, held = 1, list[bytes]()
            for raw in lines:
                held.append(raw)
                if len(held) == BATCH:
                    yield _Batch(path, first, held)
                    first, held = first + BATCH, []
            if held:
                yield _Batch(path, first, held)


_Wanted: TypeAlias = Callable[[Fields], bool] | None


def _alone(batches: Iterable[_Batch], wanted: _Wanted) -> Iterator[tuple[_Batch, Rejudged]]:
    return ((batch, judge_batch(batch, wanted)) for batch in batches)


class _Several:
    """Batches shared by processes, their results in order; a bounded number of batches is read ahead."""

    def __init__(self, processes: int) -> None:
        self._processes = processes

    def __call__(self, batches: Iterable[_Batch], wanted: _Wanted) -> Iterator[tuple[_Batch, Rejudged]]:
        context = multiprocessing.get_context("spawn")  # a fork would take over whatever threads there are
        waiting: deque[tuple[_Batch, Future[Rejudged]]] = deque()
        with ProcessPoolExecutor(self._processes, mp_context=context) as pool:
            for batch in batches:
                waiting.append((batch, pool.submit(judge_batch, batch, wanted)))
                if len(waiting) >= self._processes * _AHEAD:
                    yield _taken(waiting)
            while waiting:
                yield _taken(waiting)


def _taken(waiting: deque[tuple[_Batch, Future[Rejudged]]]) -> tuple[_Batch, Rejudged]:
    batch, future = waiting.popleft()
    return batch, future.result()


def judge_batch(batch: _Batch, wanted: _Wanted) -> Rejudged:
    """Some lines of one log, judged again."""
    account = Account()
    found = Rejudged(accounts={batch.source: account})
    for number, raw in enumerate(batch.lines, batch.first):
        account.lines += 1
        for line in read_line(raw, number, account):
            fields = line.fields
            if fields["event"] == CLOSED and (wanted is None or wanted(fields)):
                _judge(fields, Example(str(fields.get("conn_id", "")), batch.source, number), found)
    return found


def _judge(fields: Fields, example: Example, found: Rejudged) -> None:
    try:
        evidence = from_record(fields)
    except RecordError as error:
        why = f"{_NUMBERED.sub('', error.field)}: allowed is {error.allowed}"
        found.unreadable.setdefault(why, Examples()).add(example)
        return
    verdict = diagnose(evidence)
    before, after = _said(fields), _says(verdict)
    found.judged += 1
    if before != after:
        found.changes.setdefault((before, after), Examples()).add(example)
        return
    found.same += 1
    found.worded += (fields.get("explanation"), fields.get("advice")) != (verdict.explanation, verdict.advice)


_NUMBERED = re.compile(r"\[\d+\]")


def _said(fields: Fields) -> Said:
    """The line's own verdict; "-" where it has none."""

    def word(name: str) -> str:
        return str(fields.get(name, "-"))

    root: Any = fields.get("root")
    return Said(word("cause"), None if root is None else str(root), word("owner"), word("confidence"))


def _says(verdict: Verdict) -> Said:
    return Said(str(verdict.cause), verdict.root, str(verdict.owner), str(verdict.confidence))


def _merge_account(whole: Account, part: Account) -> None:
    whole.lines += part.lines
    whole.understood += part.understood
    for what, others in part.others.items():
        for number in others.first:
            whole.note(what, number)
        whole.others[what].count += others.count - len(others.first)


def _plain(examples: Examples) -> list[dict[str, object]]:
    return [each._asdict() for each in examples.first]


__all__ = ["Asked", "Example", "Examples", "LogError", "Rejudged", "Said", "rejudge"]

"""What stands out in the tables: each file finds one kind of thing, and says it in sentences with numbers.

`find_all` asks every finder, two at a time; the report shows what they say in this order. It may not know how
anything is shown. Read next: `finding.py` for what a finding is, then `causes.py`, the simplest finder.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from kaproxy.analysis.findings import (
    causes,
    changes,
    clients,
    fights,
    groups,
    incidents,
    late_pingers,
    margins,
    path_limits,
    periods,
    proxy,
    stalls,
    windows,
)
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.store.engine import Engine, EngineError, Memory
from kaproxy.diagnosis.verdict import Confidence, Owner

__all__ = ["FAILED", "FINDERS", "Finder", "Finding", "find_all"]

Finder: TypeAlias = Callable[[Engine], list[Finding]]

#: The kind of a finding that says that a search failed.
FAILED = "analysis_failed"

#: Finders that work at a time: while one waits for the engine, the other puts its rows together.
_AT_ONCE = 2


def _advice(engine: Engine) -> list[Finding]:
    """The advice stands outside this folder and uses its finders, so it is looked up only when asked."""
    from kaproxy.analysis import advice

    return advice.find(engine)


#: What is looked for, by the word that progress is told with; in the order of the report.
FINDERS: tuple[tuple[str, Finder], ...] = (
    ("causes", causes.find),
    ("changes", changes.find),
    ("incidents", incidents.find),
    ("stalls of brokers", stalls.find),
    ("takeover fights", fights.find),
    ("clients", clients.find),
    ("groups", groups.find),
    ("margins", margins.find),
    ("brokers' patience", windows.find),
    ("kaproxy itself", proxy.find),
    ("periods", periods.find),
    ("idle limits of the path", path_limits.find),
    ("late pingers", late_pingers.find),
    ("keepalive advice", _advice),
)


def find_all(
    engine: Engine,
    progress: Callable[[str, int, int], None] | None = None,
    finders: tuple[tuple[str, Finder], ...] = FINDERS,
) -> list[Finding]:
    """Everything that stands out. `progress` is called with a finder's word, its number from 1, and how many.

    A finder that fails does not cost the report: its failure is a finding that says so.
    """
    memory = engine if isinstance(engine, Memory) else Memory(engine)
    found: list[Finding] = []
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        asked = [pool.submit(_found, memory, word, finder) for word, finder in finders]
        for number, ((word, _), its) in enumerate(zip(finders, asked, strict=True), 1):
            if progress is not None:
                progress(word, number, len(finders))
            found.extend(its.result())
    finally:
        pool.shutdown(cancel_futures=True)
    return found


def _found(engine: Engine, word: str, finder: Finder) -> list[Finding]:
    try:
        return finder(engine)
    except Exception as error:
        return [_failed(word, error)]


def _failed(word: str, error: Exception) -> Finding:
    asked = isinstance(error, EngineError)
    return Finding(
        FAILED,
        f"The search for {word} failed, so nothing can be said of it: {type(error).__name__}: {error}",
        Owner.OPERATOR if asked else Owner.PROXY,
        Confidence.SETTLED,
        "Look at the database's own log." if asked else "Please report it with this sentence.",
        "The analysis itself failed; the other findings do not rest on it.",
        subject=word,
        numbers={"error": type(error).__name__},
    )

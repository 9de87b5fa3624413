"""The page a laboratory run leaves behind: `docs/accuracy.md`.

It may not know how scenarios are played, and writes nothing of the machine: no paths, no addresses.
Read next: `score.py` for what is counted.
"""

from __future__ import annotations

from tests.lab.score import BARS, Result, Score, alternatives

INTRODUCTION = """# How often the verdict is right

Written by `make lab`: every scenario makes one connection drop in a known way, with the real thing wherever it
can be had, and what the closing line says is held against what happened. Do not edit by hand.
"""

#: What a closing line tells in the list of misses.
FACTS = (
    *("cause", "root", "owner", "confidence", "closed_by", "close_how", "reason_code", "phase"),
    *("protocol_version", "broker_profile", "keep_alive", "effective_keep_alive", "silence_s", "limit_low_s"),
    *("limit_high_s", "idle_s", "pings_open", "ping_wait_s", "late_gaps", "closed_within_1s", "history"),
)


def page(score: Score, versions: dict[str, str], when: str, took_s: float) -> str:
    """The whole page."""
    parts = [
        INTRODUCTION,
        f"Played on {when}: {len(score.results)} scenarios in {took_s / 60:.1f} minutes.\n",
        _figures(score),
        _confusion(score),
        _roots(score),
        _settled(score),
        _misses(score),
        _unwarned(score),
        _undecidable(score),
        _skipped(score),
        _versions(versions),
    ]
    return "\n".join(part for part in parts if part)


def _table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in row) + " |\n" for row in lines)


def _figures(score: Score) -> str:
    rows: list[tuple[object, ...]] = []
    for what, bar in BARS.items():
        right, of = score.share(what)
        rows.append((what, f"{right} of {of}", f"{right / max(of, 1):.1%}", f"at least {bar:.0%}"))
    rows.append(("wrong `settled`", len(score.wrong_settled), "", "0"))
    return _table(("", "count", "share", "bar"), rows)


def _confusion(score: Score) -> str:
    table = score.confusion()
    said = sorted({cause for row in table.values() for cause in row} | set(table))
    letters = {cause: f"{number}" for number, cause in enumerate(said, 1)}
    rows: list[tuple[object, ...]] = [
        (f"{letters[cause]} `{cause}`", *(table[cause].get(other, "") for other in said))
        for cause in said
        if cause in table
    ]
    head = ("happened, down; said, across", *(letters[cause] for cause in said))
    strangers = [f"{letters[cause]}: `{cause}`" for cause in said if cause not in table]
    note = f"\nSaid and never played: {', '.join(strangers)}.\n" if strangers else ""
    return "## Cause against cause\n\n" + _table(head, rows) + note


def _roots(score: Score) -> str:
    counts: dict[tuple[str, str], list[Result]] = {}
    for one in score.results:
        for root in alternatives(one.expected.root):
            if root is not None and len([r for r in alternatives(one.expected.root) if r]) == 1:
                counts.setdefault((one.happened, root), []).append(one)
    rows: list[tuple[object, ...]] = [
        (f"`{cause}`", f"`{root}`", len(ones), sum(one.right_root for one in ones))
        for (cause, root), ones in sorted(counts.items())
    ]
    return "## Roots\n\n" + _table(("cause", "root", "played", "right"), rows)


def _facts(one: Result) -> str:
    line = one.outcome.line
    told = ", ".join(f"{name} {line[name]}" for name in FACTS if line.get(name) not in (None, "", 0))
    return f"  - line: {told}\n" if line else ""


def _entries(title: str, ones: list[Result], why: str) -> str:
    if not ones:
        return f"## {title}\n\nNone.\n"
    return f"## {title}\n\n{why}\n\n" + "".join(
        f"- {one.scenario.name}: {'; '.join(one.differences) or 'not as open as it should be'}\n{_facts(one)}"
        for one in ones
    )


def _settled(score: Score) -> str:
    return _entries("Wrong settled", score.wrong_settled, "Said with certainty, and wrong:")


def _misses(score: Score) -> str:
    return _entries("Misses", score.misses, "Any field that differs from what happened:")


def _unwarned(score: Score) -> str:
    names = "".join(f"- {one.scenario.name}\n" for one in score.unwarned)
    return f"## Announced themselves, and nobody was warned\n\n{names or 'None.'}\n"


def _undecidable(score: Score) -> str:
    marked = [one for one in score.results if one.expected.undecidable]
    names = "".join(f"- {one.scenario.name}: {one.expected.undecidable}\n" for one in marked)
    return (
        "## Cannot be decided\n\n`unclear`, with what really happened not ruled out, counts as right here:\n\n"
        + names
        if marked
        else ""
    )


def _skipped(score: Score) -> str:
    if not score.skipped:
        return ""
    names = "".join(f"- {name}: no {', '.join(parts)}\n" for name, parts in sorted(score.skipped.items()))
    return "## Not played here\n\n" + names


def _versions(versions: dict[str, str]) -> str:
    return "## Played with\n\n" + _table(("part", "version"), [*sorted(versions.items())])

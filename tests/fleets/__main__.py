"""`python -m tests.fleets --lines N --out F.jsonl --seed S` writes a log and its truth; `--score` scores findings.

Read next: `fleet.py`, `scoring.py`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from kaproxy.analysis.findings import find_all
from kaproxy.analysis.store.opening import load
from tests.fleets import fleet, table
from tests.fleets.keeping import held
from tests.fleets.scoring import WHAT_IF, Score, score, score_what_ifs, total


def main() -> None:
    """What the arguments ask for."""
    asked = argparse.ArgumentParser(
        prog="python -m tests.fleets", description="A made-up fleet's log, and its truth."
    )
    asked.add_argument("--lines", type=int, default=200_000, help="closing lines, about")
    asked.add_argument("--out", type=Path, default=Path("fleet.jsonl"), help="where the log goes")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument(
        "--score", action="store_true", help="score findings over some logs, into docs/analysis.md"
    )
    asked.add_argument("--logs", type=int, default=5, help="how many logs to score over")
    asked.add_argument("--dry", action="store_true", help="leave docs/analysis.md as it is")
    args = asked.parse_args()
    if args.score:
        _score(args.logs, args.lines, args.seed, write=not args.dry)
    else:
        _write(args.out, args.lines, args.seed)


def _write(out: Path, lines: int, seed: int) -> None:
    began = time.process_time()
    truth = fleet.write(out, lines, seed)
    took, count = time.process_time() - began, sum(truth.events.values())
    print(f"{count} lines in {took:.1f} s of CPU ({count / took:.0f}/s), {out.stat().st_size / 1e6:.0f} MB")
    print(f"{truth.events['connection.closed']} closing: {dict(truth.causes.most_common())}")
    for plant in truth.plants:
        print(f"  {plant.name:<22} {plant.kind:<16} {len(plant.conn_ids):>6}  {plant.why}")


def _score(logs: int, lines: int, first_seed: int, *, write: bool) -> None:
    texts = []
    for faint, what in ((False, "Clear"), (True, "Faint")):
        whole, closing, exact = _scored(range(first_seed, first_seed + logs), lines, faint)
        said = f"Of the what-ifs, {exact:.0%} say one number each and not a range."
        texts.append(f"{table.markdown(whole, logs, closing, what)}\n\n{said}")
        print(texts[-1], *table.details(whole), sep="\n")
    if write:
        table.put("\n\n".join(texts))


def _scored(seeds: range, lines: int, faint: bool) -> tuple[Score, int, float]:
    """The score of some logs together, their closing lines, and the part of the what-ifs that are single numbers."""
    scores: list[Score] = []
    closing = exact = 0
    for seed in seeds:
        with TemporaryDirectory(prefix="kaproxy-fleet-") as folder:
            log = Path(folder) / "fleet.jsonl"
            truth = fleet.write(log, lines, seed, faint=faint)
            with load([str(log)]) as engine:
                found = score(find_all(engine), truth)
                answers = held(engine, truth)
            found[WHAT_IF].add(score_what_ifs(answers))
            scores.append(found)
            exact += sum(each.exact for each in answers)
        closing += truth.events["connection.closed"]
    whole = total(scores)
    return whole, closing, exact / max(1, whole[WHAT_IF].planted)


if __name__ == "__main__":
    main()

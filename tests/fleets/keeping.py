"""Keepalive advice and what-ifs held against what would have happened: `replay.py` knows every gap.

Advice is right when its whole range lies over the planted floor and under the planted limit, and when the drops it
says it would have prevented are those that a replay with the advised value prevents. A what-if is right for a client
group when the replay's counts lie within its ranges. It may not know how either is found. Read next: `scoring.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.fleet_what_if import Answer, GroupAnswer, what_if
from kaproxy.analysis.store.engine import Engine
from kaproxy.analysis.whatif import Drops
from kaproxy.diagnosis.verdict import Confidence
from tests.fleets import replay
from tests.fleets.replay import Lived, Replayed
from tests.fleets.truth import Plant, Truth

#: What is asked of every fleet.
QUESTIONS = ("keep_alive=8", "keep_alive=45", "keep_alive=180", "window=1.25", "window=1.5", "window=2")
#: A count may be so much above the truth (part, and number) and still be of use.
_LOOSE, _FEW = 0.25, 3
#: So many (part) may be judged otherwise than they were planted.
_NEAR = 0.02


def range_and_gain(finding: Finding, plant: Plant, truth: Truth) -> bool:
    """The advised range is one that would have survived, and the drops it would have prevented are counted right."""
    low, high, suggested = (finding.numbers.get(name) for name in ("low", "high", "suggested"))
    if not isinstance(suggested, int) or not isinstance(low, int) or low < plant.numbers["floor_s"]:
        return False
    limit = plant.numbers["limit_s"]
    if limit is not None and (not isinstance(high, int) or high >= limit):
        return False
    gained = replay.keep_alive(truth.lived[plant.subjects[0]], suggested).prevented
    least, most = (finding.numbers[name] for name in ("prevented_least", "prevented_most"))
    useful = max((1 + _LOOSE) * gained, gained + _FEW)
    if not isinstance(least, int) or not isinstance(most, int):
        return False
    return most <= useful and _within(Drops(least, most), gained)


def none_works(finding: Finding, plant: Plant, truth: Truth) -> bool:
    """It says that no value works; where the log cannot show it, that nothing is sure to be prevented."""
    if finding.numbers.get("suggested") is None:
        return finding.title.startswith("No Keep Alive works")
    unsure = finding.confidence is Confidence.UNCLEAR and finding.numbers.get("prevented_least") == 0
    return not plant.numbers["sure"] and unsure


@dataclass(frozen=True, slots=True)
class Held:
    """A what-if of one client group against its replay."""

    question: str
    group: str
    said: GroupAnswer
    true: Replayed

    @property
    def right(self) -> bool:
        """Are both true counts within what was said?"""
        return _within(self.said.prevented, self.true.prevented) and _within(self.said.added, self.true.added)

    @property
    def exact(self) -> bool:
        """Was one number said of each?"""
        return all(each.least == each.most for each in (self.said.prevented, self.said.added))

    @property
    def words(self) -> str:
        """The two of them."""
        said, true = self.said, self.true
        return (
            f"{self.question} of {self.group}: said -{said.prevented.least}..{said.prevented.most} "
            f"+{said.added.least}..{said.added.most}, true -{true.prevented} +{true.added}"
        )


def _within(said: Drops, true: int) -> bool:
    near = int(_NEAR * true)
    return said.least - near <= true <= said.most + near


def held(engine: Engine, truth: Truth, questions: Iterable[str] = QUESTIONS) -> list[Held]:
    """Every question of every client group of which something was said, or would have happened."""
    return [each for question in questions for each in _held(question, what_if(engine, question), truth)]


def _held(question: str, answer: Answer, truth: Truth) -> Iterable[Held]:
    said = {each.group: each for each in answer.groups}
    ask = _replayed(question)
    for group in sorted({*said, *truth.lived}):
        true = ask(truth.lived.get(group, ()))
        if group in said or true != Replayed():
            yield Held(question, group, said.get(group, GroupAnswer(group, 0, 0, Drops(), Drops())), true)


def _replayed(question: str) -> Callable[[Sequence[Lived]], Replayed]:
    name, _, value = question.partition("=")
    if name == "window":
        return lambda lives: replay.window(lives, float(value))
    return lambda lives: replay.keep_alive(lives, int(value))

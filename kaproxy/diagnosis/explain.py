"""From a finding to a verdict: the explanation with its numbers, the advice, the owner, the code.

Sentences come from the rule, advice and owner from the catalogue unless the rule knows better. This file may
not judge.
Read next: `verdict.py`, and `record.py` for how a verdict is written.
"""

from __future__ import annotations

from typing import Final

from kaproxy.connection.evidence import Evidence
from kaproxy.diagnosis import wording
from kaproxy.diagnosis.causes import CAUSE_ROWS
from kaproxy.diagnosis.codes import termination_code
from kaproxy.diagnosis.roots import describe
from kaproxy.diagnosis.verdict import Confidence, Finding, Verdict

_SETTLED: Final = Confidence.SETTLED  # a member costs a call each time it is asked for, before Python 3.12


def verdict(evidence: Evidence, finding: Finding) -> Verdict:
    """The verdict a finding comes to."""
    row = describe(finding.cause, finding.root)
    explanation = wording.ending(evidence)
    for because in finding.because:
        if because:
            explanation += f" {because}"
    settled = finding.confidence is _SETTLED
    return Verdict(
        cause=finding.cause,
        root=finding.root,
        owner=finding.owner or row.owner,
        confidence=finding.confidence,
        code=termination_code(evidence.closed_by, evidence.phase, CAUSE_ROWS[finding.cause].letter),
        explanation=explanation,
        advice=finding.advice or row.advice,
        ruled_out=finding.ruled_out,
        would_settle=None if settled and finding.root else finding.would_settle,
    )

"""`diagnose`: evidence in, verdict out. Total and pure: every evidence gets a verdict, and always the same one.

Read next: `rules/__init__.py`, the table it walks.
"""

from __future__ import annotations

from kaproxy.connection.evidence import Evidence
from kaproxy.diagnosis.explain import verdict
from kaproxy.diagnosis.rules import RULES
from kaproxy.diagnosis.rules.endings import unknown
from kaproxy.diagnosis.verdict import Finding, Verdict


def diagnose(evidence: Evidence) -> Verdict:
    """Who ended the connection, how, why, and who has to act; never raises."""
    return verdict(evidence, first_finding(evidence)[1])


def first_finding(evidence: Evidence) -> tuple[str, Finding]:
    """The name of the first rule that finds something, and its finding."""
    for name, judge in RULES:
        finding = judge(evidence)
        if finding is not None:
            return name, finding
    return "nothing explains it", unknown(evidence)

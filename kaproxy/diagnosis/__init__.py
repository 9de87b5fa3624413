"""Judging a connection: from the evidence to who ended it, how, why, and who has to act.

Pure: it knows no socket, clock, log or configuration. `diagnose` is total. The closing line is made of both,
evidence and verdict (`record.py`), so that old lines can be judged again by newer rules.
Read next: `judge.py`, then `causes.py` for the words.
"""

from kaproxy.diagnosis.judge import diagnose
from kaproxy.diagnosis.verdict import Cause, Confidence, Finding, Owner, RuledOut, Verdict

__all__ = ["Cause", "Confidence", "Finding", "Owner", "RuledOut", "Verdict", "diagnose"]

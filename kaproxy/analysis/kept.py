"""Findings kept with the lines they were found in, so that a saved log asked the same again answers at once.

They are good for the very same question (everything), asked by the very same code: `code` is part of what is kept,
and whoever changes a module that findings come from has them found anew. It may not know where they are kept.
Read next: `store/saved.py`, which keeps them; `analyze.py`, which asks for them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from kaproxy import __version__
from kaproxy.analysis.findings import FAILED
from kaproxy.analysis.findings.asking import Span
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.report import as_json
from kaproxy.analysis.report.summary import Summary, Verdicts
from kaproxy.diagnosis.verdict import Confidence, Owner

_ROOT = Path(__file__).parents[1]
#: Packages that a finding may come out different by.
_PACKAGES = ("analysis", "diagnosis", "connection", "mqtt")


@cache
def code() -> str:
    """Which code finds: the version, and a digest of every module that may have a say in it."""
    digest = hashlib.sha256(__version__.encode())
    for package in _PACKAGES:
        for path in sorted((_ROOT / package).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def written(counted: Summary, findings: Sequence[Finding]) -> str:
    """What was found in everything, as JSON; empty where a search failed, which may go better the next time."""
    if any(each.kind == FAILED for each in findings):
        return ""
    kept = {"code": code(), "summary": asdict(counted), "findings": [asdict(each) for each in findings]}
    return as_json.dumped(kept)


def read(text: str, engine: str) -> tuple[Summary, list[Finding]] | None:
    """What was kept; None where other code, or another engine than `engine`, found it."""
    kept: dict[str, Any] = json.loads(text)
    if kept["code"] != code() or kept["summary"]["engine"] != engine:
        return None
    return _summary(kept["summary"]), [_finding(each) for each in kept["findings"]]


def _summary(told: Mapping[str, Any]) -> Summary:
    verdicts = tuple(Verdicts(**each) for each in told["verdicts"])
    return Summary(told["engine"], Span(**told["covered"]), told["clients"], verdicts)


def _finding(told: Mapping[str, Any]) -> Finding:
    parts = {
        **told,
        "owner": Owner(told["owner"]),
        "confidence": Confidence(told["confidence"]),
        "connections": tuple(told["connections"]),
    }
    return Finding(**parts)

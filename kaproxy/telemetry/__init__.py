"""Telemetry: what leaves the process. Verdicts and warnings become lines, and lines go out without blocking.

It may not know how bytes are relayed, and it judges nothing itself.
Read next: `recorder.py` (event to line), `schema.py` (every field), `log.py` (the line), `sink.py` (the way out).
"""

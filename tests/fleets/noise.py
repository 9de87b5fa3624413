"""Lines that are none of kaproxy's, or not whole: torn, foreign, of another schema, put between those of a log.

Read next: `fleet.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from random import Random

#: About one line in so many is noise.
_EVERY = 2500
_FOREIGN = (
    b'{"level":"info","msg":"compaction done","took_ms":12}\n',
    b'{"event":"request","path":"/health","status":200}\n',
)
_TEXT = (b"1794830011: New connection from 10.9.9.9:51022 on port 1883.\n", b"Killed\n")


def with_noise(lines: Iterable[bytes], rng: Random, count: Counter[str]) -> Iterator[bytes]:
    """The lines, and some others between them; `count` says what was put in."""
    for line in lines:
        yield line
        if rng.randrange(_EVERY) == 0:
            what, noise = _noise(line, rng)
            count[what] += 1
            yield noise


def _noise(line: bytes, rng: Random) -> tuple[str, bytes]:
    what = rng.choice(("torn", "foreign", "text", "older_schema"))
    if what == "torn":
        return what, line[: rng.randrange(40, len(line) // 2)] + b"\n"
    if what == "older_schema":
        return what, line.replace(b'"schema":1', b'"schema":0', 1)
    return what, rng.choice(_FOREIGN if what == "foreign" else _TEXT)

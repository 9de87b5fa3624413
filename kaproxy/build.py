"""Which build runs: the plain sources, or their hot packages compiled from the same sources with mypyc.

Both do the same; the compiled one does it in less time (`docs/performance.md`). Which packages are compiled
is said in `pyproject.toml`, and nothing else here knows of it.
"""

from __future__ import annotations

from kaproxy.mqtt import decoder

PURE, COMPILED = "pure", "compiled"


def build() -> str:
    """`compiled` where the decoder is machine code, else `pure`."""
    return PURE if str(decoder.__file__).endswith(".py") else COMPILED

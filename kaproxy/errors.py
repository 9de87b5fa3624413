"""What stops kaproxy from starting, in a shape that every part may raise.

It may not know any part. Read next: `kaproxy/cli.py`, which tells it and ends with exit code 1.
"""

from __future__ import annotations


class StartError(Exception):
    """The proxy could not start; the message is one line for the person at the terminal."""

"""One proxied connection's life: control packets, endings and `now` in; events and evidence out.

Pure: no socket, no clock, no log. Read next: `facts.py` (the words), `tracker.py` (the inputs),
`scene.py` (the evidence), `directory.py` (connections that know of each other).
"""

from kaproxy.connection.directory import Directory
from kaproxy.connection.evidence import Evidence
from kaproxy.connection.policy import Policy
from kaproxy.connection.tracker import ConnectionTracker

__all__ = ["ConnectionTracker", "Directory", "Evidence", "Policy"]

"""kaproxy: a transparent MQTT proxy that says why a connection ended.

Read next: `mqtt` (bytes to control packets), `connection` (packets and endings to evidence),
`diagnosis` (evidence to verdict), `relay` (the bytes themselves), `telemetry` (the log lines).
"""

__version__ = "0.1.0"

"""MQTT 3.1, 3.1.1 and 5.0 as an observer sees them: bytes of one direction to control packets.

It knows no peer, no socket and no time, and it never raises on what a peer sent.
Read next: `packets.py` (what comes out), `decoder.py` (how), `codes.py` and `properties.py` (the tables).
"""

"""The decoder against mqtt-packet, an independent implementation in JavaScript.

`oracle.mjs` answers questions, `speech.py` translates between its objects and our records. Install it with
tests/peers/install (or set KAPROXY_NODE_MODULES to a folder that holds mqtt-packet 9).
"""

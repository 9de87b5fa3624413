"""Fleets of clients made up, with what is wrong with them: logs as the proxy writes them, and the truth beside them.

Nothing here waits or opens a socket: a fleet is a list of lives with times, each judged by kaproxy's own rules and
written by its own writers. Read next: `world.py` for the words, `plants.py` for what is wrong, `scoring.py`.
"""

"""Reading logs: yesterday's closing lines, told and counted again by today's program.

`logs.py` reads lines, `story.py` picks the connections of a client, `whatif.py` and `timeline.py` compute,
`words.py` says it, `screen.py` shows it. It imports diagnosis, connection and mqtt; never the relay, nor what
writes the lines.
"""

"""The relay: moves bytes between two legs untouched, and reports what happened to them.

It knows sockets, the kernel and trio; it may not know what a control packet means, what an ending was
caused by, or where events go: trackers and the event sink are handed to it.
Read next: `server.py` (the outside), then `poller.py` (the loop), `pair.py` (one connection's life).
"""

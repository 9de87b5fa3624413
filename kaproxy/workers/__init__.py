"""Several processes behind one listening address: the supervisor that keeps them, and each worker's end of it.

The supervisor opens one listening socket per worker (SO_REUSEPORT: the kernel spreads clients evenly) and keeps
all of them, so that what waits in a dead worker's queue is not lost: the others accept it until the next one is
up. Bytes never pass the supervisor. One worker needs none of this.
Read next: `supervisor.py`, `child.py`, `channel.py` for what they say to each other.
"""

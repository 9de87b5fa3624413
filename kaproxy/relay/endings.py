"""The one place that turns what the operating system says into an ending.

An errno is read here and nowhere else. The kernel tells an error once, to whichever call comes first
(`recv`, `send` or SO_ERROR), so whoever gets it has to remember it; see `Leg.foretold`.
Read next: `pair.py`, which decides what an ending of one leg means for the other.
"""

from __future__ import annotations

import errno
from typing import Final

from kaproxy.connection.facts import Ending

AGAIN: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR})
"""Nothing happened; the poller will say when to try again."""

EXHAUSTED: Final = frozenset(
    {
        errno.EMFILE,  # this process has no descriptor left
        errno.ENFILE,  # the host has none
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EADDRNOTAVAIL,  # dialing: every local port towards that broker is in use
    }
)
"""The proxy's host is at a limit: told as the proxy's doing, never as a peer's."""

_ENDINGS: Final = {
    errno.ECONNRESET: Ending.RST,
    errno.ECONNABORTED: Ending.RST,
    # A send after the peer's FIN that was answered by a reset. In the order of arrival the FIN came first,
    # and reading still yields what preceded it and then end of file: the reset is a consequence.
    errno.EPIPE: Ending.FIN,
    errno.ETIMEDOUT: Ending.TIMED_OUT,
    errno.ECONNREFUSED: Ending.REFUSED,
    errno.EHOSTUNREACH: Ending.UNREACHABLE,
    errno.ENETUNREACH: Ending.UNREACHABLE,
    errno.EHOSTDOWN: Ending.UNREACHABLE,
    errno.ENETDOWN: Ending.UNREACHABLE,
    errno.ENONET: Ending.UNREACHABLE,
    errno.ENOPROTOOPT: Ending.UNREACHABLE,  # ICMP protocol unreachable
    errno.EPROTO: Ending.UNREACHABLE,  # ICMP parameter problem
    errno.EACCES: Ending.UNREACHABLE,  # a firewall of this host forbids the dial
    errno.EPERM: Ending.UNREACHABLE,
}


def ending_of(error: OSError) -> Ending:
    """How a leg ended, from the error its socket gave.

    Raises the error again where it is not an ending of the peer's (EBADF, ENOMEM …): that is a fault of
    the proxy or its host and must not be told as anybody else's.
    """
    ending = _ENDINGS.get(error.errno or 0)
    if ending is None:
        raise error
    return ending

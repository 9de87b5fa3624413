"""Facts about errno and endings."""

import errno

import pytest

from kaproxy.connection.facts import Ending
from kaproxy.relay.endings import AGAIN, EXHAUSTED, ending_of


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        (errno.ECONNRESET, Ending.RST),
        (errno.ECONNABORTED, Ending.RST),
        (errno.EPIPE, Ending.FIN),
        (errno.ETIMEDOUT, Ending.TIMED_OUT),
        (errno.ECONNREFUSED, Ending.REFUSED),
        (errno.EHOSTUNREACH, Ending.UNREACHABLE),
        (errno.ENETUNREACH, Ending.UNREACHABLE),
        (errno.EHOSTDOWN, Ending.UNREACHABLE),
        (errno.EPERM, Ending.UNREACHABLE),
    ],
)
def test_each_errno_of_a_peer_is_one_ending(code: int, ending: Ending) -> None:
    assert ending_of(OSError(code, "")) is ending


@pytest.mark.parametrize("code", [errno.EBADF, errno.EINVAL, *sorted(EXHAUSTED), *sorted(AGAIN)])
def test_a_fault_of_our_own_is_nobodys_ending(code: int) -> None:
    with pytest.raises(OSError, match="ours"):
        ending_of(OSError(code, "ours"))


def test_an_error_without_a_number_is_raised_again() -> None:
    with pytest.raises(OSError, match="odd"):
        ending_of(OSError("odd"))

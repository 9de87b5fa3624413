"""What the kernel tells of one TCP socket: TCP_INFO, SIOCOUTQ, and the RST switch.

Kernels return as much of `struct tcp_info` (include/uapi/linux/tcp.h) as they know, so every field is
decoded by the length that came back, and what lies beyond it is None, not zero.
Read next: `leg.py`, which makes `LegFacts` of these numbers.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from collections.abc import Callable
from enum import IntEnum
from typing import Final, NamedTuple

from kaproxy.relay.syscalls import in_c

_ASKED: Final = 512  # longer than any kernel's struct tcp_info so far (280 bytes in Linux 6.18)
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)
_INT: Final = struct.Struct("i")
_U32 = struct.Struct("=I")


class TcpState(IntEnum):
    """States of RFC 9293 section 3.3.2 by the kernel's numbers (include/net/tcp_states.h)."""

    UNKNOWN = 0
    ESTABLISHED = 1
    SYN_SENT = 2
    SYN_RECV = 3
    FIN_WAIT1 = 4
    FIN_WAIT2 = 5
    TIME_WAIT = 6
    CLOSE = 7
    CLOSE_WAIT = 8
    LAST_ACK = 9
    LISTEN = 10
    CLOSING = 11


class TcpInfo(NamedTuple):
    """The fields the project uses; None: this kernel does not tell."""

    state: int
    retransmits: int | None  # unanswered retransmissions of the segment in flight
    backoff: int | None
    unacked_segments: int | None
    last_data_recv_ms: int | None
    last_ack_recv_ms: int | None
    rtt_us: int | None
    total_retrans: int | None
    notsent: int | None  # bytes in the send queue that were never sent
    snd_wnd: int | None  # the peer's receive window, bytes

    @property
    def all_taken(self) -> bool:
        """Nothing is outstanding, which needs no further question; of a socket that was reset this does not tell."""
        return self.notsent == 0 and self.unacked_segments == 0 and self.state != TcpState.CLOSE


_told: Final[Callable[[socket.SocketType, type[TcpInfo]], TcpInfo] | None] = in_c("tcp_info")
_BYTES: Final[tuple[int, ...]] = (0, 2, 4)  # offsets of state, retransmits, backoff
_WORDS: Final[tuple[int, ...]] = (24, 52, 56, 68, 100, 144, 228)  # u32 offsets, in the order of TcpInfo
_WHOLE: Final = struct.Struct(
    "=BxBxB19xI24xII8xI28xI40xI80xI"
)  # the same at once; Linux 5.4 and later return it


def decode(raw: bytes) -> TcpInfo:
    """`struct tcp_info` as the kernel returned it, of whatever length, the empty one included."""
    size = len(raw)
    if size >= _WHOLE.size:
        return TcpInfo._make(_WHOLE.unpack_from(raw))
    state, *small = [raw[at] if at < size else None for at in _BYTES]
    words = [_U32.unpack_from(raw, at)[0] if at + 4 <= size else None for at in _WORDS]
    return TcpInfo(state or TcpState.UNKNOWN, *small, *words)


def plain_read(sock: socket.SocketType) -> TcpInfo:
    """TCP_INFO of a socket, still readable after a reset. Raises OSError on a closed descriptor."""
    return decode(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ASKED))


def read(sock: socket.SocketType) -> TcpInfo:
    """`plain_read`, or the same in C."""
    return plain_read(sock) if _told is None else _told(sock, TcpInfo)


def outstanding(sock: socket.SocketType) -> int:
    """Bytes written to this socket that the peer's kernel has not acknowledged (SIOCOUTQ).

    Counts what was never sent too, and one for a FIN.
    """
    queued: int = _INT.unpack(fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0"))[0]
    return queued


def reset_on_close(sock: socket.SocketType) -> None:
    """Make the coming close() send RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)

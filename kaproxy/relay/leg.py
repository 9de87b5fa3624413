"""One side of a connection: its socket, the bytes held for its peer, and what the kernel says of it.

A leg does what it is told and keeps count; what an ending means for the other side is decided in
`pair.py`. `Leg.relay` is the hot path: nearly every byte goes through it and through nothing else here.
"""

from __future__ import annotations

import math
import os
import select
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from kaproxy.connection.events import Event
from kaproxy.connection.facts import Ending, LegFacts, Side
from kaproxy.relay import tcp_info
from kaproxy.relay.syscalls import Unsent, transfer
from kaproxy.relay.tcp_info import TcpState

if TYPE_CHECKING:
    from kaproxy.relay.pair import Pair

CHUNK: Final = 65536
"""Most bytes read at once from a peer that does not send more, and most held while the broker is dialed."""
LONG_CHUNK: Final = 524288
"""Most read at once, and then held, after a read that was full: the copies cost less than the calls.
Measured: half and twice as much are slower, see "Large payloads" in docs/performance.md."""

IN: Final = select.EPOLLIN
OUT: Final = select.EPOLLOUT
ERROR: Final = select.EPOLLERR
_RDHUP: Final = select.EPOLLRDHUP
_UNMASKABLE: Final = select.EPOLLHUP | ERROR
_HANGUP: Final = _RDHUP | _UNMASKABLE
_URGENT: Final = select.EPOLLPRI
FLOWS: Final = IN | _RDHUP | _URGENT | select.EPOLLET
"""What a leg is watched for that bytes only flow through: told once of what is new, the kernel need not look at the
socket again after it was read, a twentieth of a round trip among many. A read that gave less than was asked for has
left nothing (epoll(7)), unless it stopped at the mark of urgent data (tcp(7)): hence that too, see `Leg.urgent`."""
UNREGISTERED: Final = -1


class Due(IntEnum):
    """What the peer of a leg is still to be sent once the bytes held for it are out."""

    NOTHING = 0
    FIN = 1
    RST = 2


#: The members by themselves: to look one up in its enumeration takes longer than what is done with it.
NOTHING_DUE: Final = Due.NOTHING
FIN_DUE: Final = Due.FIN
RST_DUE: Final = Due.RST


class Leg:
    """One peer's TCP connection with the proxy. `held*` and `due` are about bytes going *to* that peer."""

    __slots__ = (
        "backlog_from",  # since when a look has found its kernel unwilling to take more; infinity: it was willing
        "connecting",  # the dial is under way
        "due",
        "ended_at",
        "ending",
        "fd",  # the open socket's descriptor, else -1: what goes to a closed one must not reach another's
        "fin_acked",
        "foretold",  # the ending a send() was told of while there was still something to read
        "held",  # bytes this peer has not taken yet; None nearly always
        "held_at",  # when the first of them was read from the other peer
        "hung_up",  # the kernel said that nothing more will come than what it has
        "last_look",  # what it said last, after the first ending
        "mask",  # what the poller watches for
        "observe",  # shows bytes read here to the tracker
        "open",  # the socket is
        "other",
        "pair",
        "reading",  # this peer's direction has not ended
        "room",  # most bytes the next read takes
        "shut",  # our FIN went out to this peer
        "side",
        "snapshot",  # what the kernel said at the first ending, or at the last suspicion before it
        "sock",
        "stalled_from",  # since when this peer has not taken what is held for it; infinity: it has
        "stalled_s",
        "target",  # the other leg's `fd`, kept here as well: to ask that leg is a cache line more for every chunk
        "through",  # bytes read here may go straight to the other leg, nothing else is to be considered
        "unmaskable",  # the kernel reports a hang-up or an error whatever we ask to be woken for
        "urgent",  # there was urgent data: the kernel tells of what is left, as a read stops at its mark
        "writing",  # this peer can still be sent bytes
    )

    __deletable__ = ("other", "pair")  # or the compiled class would not let go of them

    # first what every chunk needs: compiled, it is in one cache line
    observe: Callable[[bytes, float], Sequence[Event]]
    fd: int
    target: int
    room: int
    through: bool
    sock: socket.SocketType
    other: Leg
    pair: Pair

    def __init__(self, side: Side, observe: Callable[[bytes, float], Sequence[Event]]) -> None:
        self.side = side
        self.observe = observe
        self.open = self.connecting = self.reading = self.writing = False
        self.hung_up = self.unmaskable = self.shut = self.through = self.urgent = False
        self.mask = UNREGISTERED
        self.fd = self.target = -1
        self.room = CHUNK
        self.due = NOTHING_DUE
        self.held: bytearray | None = None
        self.held_at = self.stalled_s = 0.0
        self.stalled_from = self.backlog_from = math.inf
        self.ending: Ending | None = None
        self.foretold: Ending | None = None
        self.ended_at: float | None = None
        self.snapshot: LegFacts | None = None
        self.last_look: tcp_info.TcpInfo | None = None
        self.fin_acked: bool | None = None

    # -- its socket ----------------------------------------------------------------------------------

    def take(self, sock: socket.SocketType) -> None:
        """Have a socket, connected or on the way to it."""
        self.sock, self.fd, self.open = sock, sock.fileno(), True
        self.other.target = self.fd

    def let_go(self) -> None:
        """Close the socket, in the way it is set to. Bytes held for the peer stay: they may go to the next address."""
        self.open = self.connecting = False
        self.fd = self.other.target = -1
        self.sock.close()

    # -- bytes ---------------------------------------------------------------------------------------

    def relay(self, now: float) -> None:
        """Read a chunk, send the same bytes on, show them. Only while `through`."""
        try:
            got = transfer(self.fd, self.target, self.room)
        except OSError as error:
            self.pair.read_failed(self, error, now)
            return
        if not isinstance(got, bytes):
            self._relay_in_part(got, now)
        elif got:
            self.show(got, now)
            if len(got) >= CHUNK:
                if len(got) == self.room:
                    self.pair.poller.watch_again(self)
                self.room = LONG_CHUNK
            elif self.room != CHUNK:
                self.room = CHUNK
        else:
            self.pair.read_end(self, now)

    def _relay_in_part(self, unsent: Unsent, now: float) -> None:
        """The other peer did not take all: it is shown whole, and kept or given up."""
        data, sent, code = unsent
        self.show(data, now)
        if code:
            self.pair.send_failed(self.other, data, OSError(code, os.strerror(code)), now)
        else:
            self.pair.not_taken(self.other, data, sent, now)

    def show(self, data: bytes, now: float) -> None:
        """Let the tracker see what was read; nothing it raises gets through here."""
        try:
            events = self.observe(data, now)
            if events:
                self.pair.told(events, now)
        except Exception as fault:
            self.pair.observer_failed(fault, now)

    def hold(self, data: bytes, sent: int, now: float) -> None:
        """Keep what this peer did not take of `data` until it does."""
        if self.held is None:
            self.held = bytearray(memoryview(data)[sent:])
            self.held_at = now
            if not self.connecting:
                self.stalled_from = now
        else:
            self.held += data

    def drop_held(self, now: float) -> None:
        """Nothing is held for this peer any more: it took it, or never will."""
        if self.held is not None:
            self.pair.dwelt(now - self.held_at)
            self.held = None
        if self.stalled_from != math.inf:
            self.stalled_s += now - self.stalled_from
            self.stalled_from = math.inf

    def may_read(self) -> bool:
        """Whether there is room for a chunk from this peer: back pressure is kept by not reading."""
        to = self.other
        if to.held is None or not (to.writing or to.connecting):
            return True
        if self.hung_up:
            # all of it, so that its last bytes and its ending are seen before the other peer takes them; nothing more
            # can come than what the kernel held until then, so it is no new memory
            return True
        return to.connecting and len(to.held) < CHUNK

    # -- the poller's view ---------------------------------------------------------------------------

    def notice(self, mask: int) -> None:
        """What the kernel said of this peer besides that there are bytes, or room for some; it stays true."""
        if mask & _HANGUP:
            self.hung_up = True
            self.unmaskable = self.unmaskable or mask & _UNMASKABLE != 0
        if mask & _URGENT:
            self.urgent = True

    def wanted(self) -> int:
        """What to be woken for; UNREGISTERED where the kernel would wake us for nothing, endlessly."""
        if self.connecting:
            return OUT
        if self.through and self.held is None and not self.urgent:
            return FLOWS
        mask = OUT if self.held is not None and self.writing else 0
        if self.reading:
            # a peer that leaves while it is not read should be noticed now, not later
            mask |= IN | _RDHUP if self.may_read() else _RDHUP
        return mask if mask or not self.unmaskable else UNREGISTERED

    # -- endings -------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Both directions of this leg have ended, in order or by force."""
        return not self.open or (self.ending is not None and not self.writing and self.due is not RST_DUE)

    def shut_down(self) -> None:
        """Send FIN: no more bytes for this peer. Its own direction goes on."""
        self.shut, self.writing = True, False
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:  # ENOTCONN: it was reset meanwhile, which the next read or wake tells
            return

    def delivered(self) -> bool:
        """This peer's kernel has acknowledged everything written to it, or never will."""
        try:
            return tcp_info.outstanding(self.sock) == 0 or tcp_info.read(self.sock).state == TcpState.CLOSE
        except OSError:
            return True

    def drain(self) -> None:
        """Throw away what was received and not read: closing over it would send RST where FIN is meant.

        Only as much as the kernel can have had: a peer that goes on sending is not to be read for ever.
        """
        with suppress(OSError):
            left = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            while left > 0 and (data := self.sock.recv(CHUNK)):
                left -= len(data)

    # -- facts ---------------------------------------------------------------------------------------

    def stalled_for(self, now: float) -> float:
        """Seconds this peer has taken nothing, as far as looks like this one tell; 0.0 while it takes what comes.

        Bytes that fit our kernel's send buffer are not held here: there a closed window tells.
        """
        if self.held is None and not self._window_closed():
            self.backlog_from = math.inf
            return 0.0
        self.backlog_from = min(self.backlog_from, self.stalled_from, now)
        return now - self.backlog_from

    def _window_closed(self) -> bool:
        """Do bytes wait in our kernel because this peer's receive window has no room?"""
        if not self.open or self.connecting:
            return False
        try:
            queued = tcp_info.outstanding(self.sock)
            info = tcp_info.read(self.sock) if queued else None
        except OSError:
            return False
        return info is not None and bool(info.notsent) and (info.snd_wnd == 0 or queued == info.notsent)

    def measure(self, now: float) -> LegFacts:
        """What the kernel and our own buffer say of this leg now."""
        held = len(self.held) if self.held is not None else 0
        stalled_s = self._stalled_s(now)
        if not self.open or self.connecting:
            return LegFacts(unsent=held, stalled_s=stalled_s)
        stalled_now = self.held is not None
        try:
            info = tcp_info.read(self.sock)
            queued = 0 if info.all_taken else tcp_info.outstanding(self.sock)
        except OSError:
            return LegFacts(unsent=held, stalled_s=stalled_s, stalled_now=stalled_now)
        notsent = info.notsent or 0
        return LegFacts(
            unsent=held + notsent,
            unacked=max(0, queued - notsent),
            retransmits=info.retransmits,
            backoff=info.backoff,
            rtt_ms=None if info.rtt_us is None else info.rtt_us / 1000,
            last_ack_s=None if info.last_ack_recv_ms is None else info.last_ack_recv_ms / 1000,
            window=info.snd_wnd,
            stalled_s=stalled_s,
            stalled_now=stalled_now,
        )

    def remember(self, now: float) -> LegFacts:
        """Measure, and keep it for the closing line.

        Of a leg that was reset the kernel has dropped the queues: sizes survive in its sequence numbers,
        the back-off does not, so the last suspicion's is kept where there was one.
        """
        before, self.snapshot = self.snapshot, self.measure(now)
        if before is not None and before.backoff and self.snapshot.backoff == 0:
            self.snapshot = replace(self.snapshot, backoff=before.backoff)
        return self.snapshot

    def look(self) -> None:
        """Look again after the first ending: has the FIN arrived, is the kernel still retransmitting?"""
        if not self.open or self.connecting:
            return
        try:
            self.last_look = info = tcp_info.read(self.sock)
        except OSError:
            return
        if self.shut and not self.fin_acked:
            self.fin_acked = self._fin_acked(info)

    def _fin_acked(self, info: tcp_info.TcpInfo) -> bool | None:
        """What the state says of the FIN sent; None: still on its way, or kept back by a closed window."""
        if info.state == TcpState.CLOSE:
            return None if self.foretold else True
        if info.state in (TcpState.FIN_WAIT2, TcpState.TIME_WAIT):
            return True
        return False if info.retransmits else None

    def facts(self, now: float) -> LegFacts:
        """This leg's part of the closing line."""
        first, last = self.snapshot or LegFacts(), self.last_look
        return LegFacts(
            ending=self.ending,
            ended_s=None if self.ended_at is None else self.ended_at - self.pair.witness.opened,
            unsent=first.unsent,
            unacked=first.unacked,
            retransmits=first.retransmits if last is None else last.retransmits,
            backoff=first.backoff if last is None else last.backoff,
            rtt_ms=first.rtt_ms,
            last_ack_s=first.last_ack_s,
            window=first.window,
            fin_acked=self.fin_acked,
            stalled_s=self._stalled_s(now),
            stalled_now=first.stalled_now,
        )

    def _stalled_s(self, now: float) -> float:
        return self.stalled_s + (now - self.stalled_from if self.stalled_from != math.inf else 0.0)

"""One connection's life: from accept, over the dial and the flow of bytes, to both legs' endings.

The rules (RFC 9293 section 3.6, and what two hosts without a proxy would see of each other):
- FIN in gives FIN out once the bytes before it are out; the other direction goes on.
- RST in gives RST out, once the other peer's kernel has acknowledged the bytes before it. A leg that
  timed out or became unreachable gives RST too: its path is gone, and a FIN would claim an orderly end.
- A dial that failed gives RST: a direct connect would have failed as well.
Every public method is one thing that happened; each but the hot path's ends in `settle`, which does
what has become due, and asks to be woken for the rest. It may not judge, and not wait.
Read next: `leg.py` for what a leg can do, `closing.py` for the end of a life.
"""

from __future__ import annotations

import math
import socket
from typing import TYPE_CHECKING, Final

from kaproxy.connection.events import Event
from kaproxy.connection.facts import BROKER, CLIENT, Ending, ProxyAction
from kaproxy.relay import closing, dialing, tcp_info
from kaproxy.relay.dialing import Address, Dial
from kaproxy.relay.endings import AGAIN, ending_of
from kaproxy.relay.leg import CHUNK, ERROR, FIN_DUE, IN, NOTHING_DUE, OUT, RST_DUE, Leg
from kaproxy.relay.syscalls import receive
from kaproxy.relay.witness import Witness, unseen, with_legs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kaproxy.relay.poller import Poller

STALL_LOOK_S: Final = 1.0
"""How often the tracker is told of a peer for which bytes are held."""
LOOKS_PER_S: Final = 8
"""Moments of a second on which looks fall that are far away, so that those of many connections come together."""
FAR_S: Final = 2.0
READS: Final = 16
"""Chunks read of a leg that hung up before others get their turn."""
_FIN: Final = Ending.FIN
_RST: Final = Ending.RST


class Pair:
    """Both legs of one connection, and what is still to happen to them. Times are monotonic seconds."""

    __slots__ = (
        "alarm",  # when the poller is set to wake this pair; infinity: not at all
        "broker",
        "client",
        "dial",  # the dial under way, or failed and waiting for the client to say its name
        "dwell",  # longest time a chunk was held here
        "ended_by_proxy",
        "first_at",  # the first ending
        "gone",  # its sockets are closed
        "look_at",  # when the tracker wants to look
        "looks",  # looks taken at the leg that was sent FIN
        "moved_at",  # last byte relayed, kept up from the first ending on
        "named_by",  # after a failed dial: how long the client may still say who it is
        "patience_s",  # how long the rest may take once the line is out
        "poller",
        "probe_at",  # when to see whether the bytes before a RST have arrived
        "released",
        "shut_at",  # when the first FIN was forwarded
        "unsettled",  # the poller will have it settled before the batch is over
        "witness",
    )

    def __init__(self, poller: Poller, witness: Witness, now: float) -> None:
        self.poller = poller
        self.witness = witness
        self.client = Leg(CLIENT, witness.from_client)
        self.broker = Leg(BROKER, witness.from_broker)
        self.client.other, self.broker.other = self.broker, self.client
        self.client.pair = self.broker.pair = self
        self.dial: Dial | None = None
        self.ended_by_proxy: tuple[ProxyAction, str] | None = None
        self.first_at: float | None = None
        self.alarm = self.look_at = self.probe_at = self.named_by = self.shut_at = math.inf
        self.moved_at = now
        self.dwell = 0.0
        self.looks = 0
        self.patience_s = poller.timing.linger_s
        self.gone = self.released = self.unsettled = False

    # -- what happens --------------------------------------------------------------------------------

    def start(self, client: socket.SocketType, addresses: tuple[Address, ...], now: float) -> None:
        """The client's connection was accepted: dial the broker at once."""
        self.attach(self.client, client)  # the listener's TCP_NODELAY is this socket's too (tcp(7))
        self.client.reading = self.client.writing = True
        self.dial = Dial(addresses, now, self.poller.timing.dial_timeout_s)
        self.look_at = together(self.witness.next_look(now), now)
        dialing.go_on(self, now)
        self.settle(now)

    def attach(self, leg: Leg, sock: socket.SocketType) -> None:
        """Give a leg its socket and the poller the leg."""
        leg.take(sock)
        self.poller.add(leg)

    def stir(self, leg: Leg, mask: int, now: float) -> None:
        """The poller has something for a leg that is not simply relaying. `settle` has to follow in the same batch."""
        if leg.connecting:
            dialing.progress(self, mask, now)
        elif leg.open:
            if mask & OUT and leg.held is not None and leg.writing:
                self.flush(leg, now)
            leg.notice(mask)
            if leg.reading:
                if leg.hung_up or mask & IN:
                    self.read(leg, now)
            elif mask & ERROR and leg.open:  # a flush just now may have closed it
                self._reset_after_fin(leg, now)

    def wake(self, now: float) -> None:
        """A deadline of this pair has come, or was to come when it was set."""
        if self.released:
            return
        if now >= self.look_at and self.first_at is None:
            self._look(now)
            if self.dial is None:  # nearly always: it only flows
                self.poller.schedule(self, self.look_at)
                return
        if self.dial is not None and self.broker.connecting and now >= self.dial.deadline:
            self.dial.failure = Ending.TIMED_OUT
            dialing.go_on(self, now)
        if self.first_at is not None:
            closing.look_again(self, now)
        self.settle(now)

    def judge(self, now: float) -> None:
        """All is over and known: the line."""
        closing.judge(self, now)

    def told(self, events: Sequence[Event], now: float) -> None:
        """The tracker has something to tell, so that its next deadline may have changed too."""
        self.witness.emit(events)
        when = together(self.witness.next_look(now), now)
        if when < self.look_at:
            self.look_at = when
            self.poller.schedule(self, when)

    def observer_failed(self, fault: Exception, now: float) -> None:
        """Observing a chunk raised. Once the tracker is told so and fails again, it is not asked again."""
        if self.witness.error is not None:
            self.client.observe = self.broker.observe = unseen
        self.witness.failed(fault, now)

    def fault(self, fault: Exception, now: float) -> None:
        """Handling this connection raised: it ends here, and no other one is touched."""
        if self.first_at is not None and not self.witness.closed:
            self.witness.failed(fault, now)  # not the first ending, but it should not go untold
        closing.cut(self, ProxyAction.ERROR, closing.fault_text(fault), now)

    # -- the hot path's exceptions -------------------------------------------------------------------

    def read_end(self, leg: Leg, now: float) -> None:
        """End of file."""
        self.ended(leg, leg.foretold or _FIN, now)
        self.settle(now)

    def read_failed(self, leg: Leg, error: OSError, now: float) -> None:
        """A read gave no bytes, perhaps for good."""
        if error.errno not in AGAIN:
            self.ended(leg, ending_of(error), now)
            self.settle(now)

    def send_failed(self, leg: Leg, data: bytes, error: OSError, now: float) -> None:
        """A direct send to `leg` did not take anything."""
        self.not_sent(leg, data, error, now)
        self.settle(now)

    def not_taken(self, leg: Leg, data: bytes, sent: int, now: float) -> None:
        """A direct send to `leg` took less than all."""
        leg.hold(data, sent, now)
        self.look_at = min(self.look_at, now + STALL_LOOK_S)
        self.settle(now)

    def dwelt(self, seconds: float) -> None:
        """A chunk was held that long."""
        self.dwell = max(self.dwell, seconds)

    # -- bytes ---------------------------------------------------------------------------------------

    def read(self, leg: Leg, now: float) -> None:
        """Read a chunk, or of a leg that hung up what is left, as far as there is room for it."""
        for _ in range(READS if leg.hung_up else 1):
            if not (leg.reading and leg.may_read() and self._take(leg, now)):
                return

    def _take(self, leg: Leg, now: float) -> bool:
        """One chunk of `leg`, observed and passed on, held, or let go. False: there was none."""
        try:
            data = receive(leg.fd, CHUNK)
        except OSError as error:
            if error.errno not in AGAIN:
                self.ended(leg, ending_of(error), now)
            return False
        if not data:
            self.ended(leg, leg.foretold or _FIN, now)
            return False
        leg.show(data, now)
        if leg.hung_up and self._may_be_last(leg, data):
            return self._pass_on_last(leg, data, now)
        self._pass_on(leg.other, data, now)
        return True

    def _may_be_last(self, leg: Leg, data: bytes) -> bool:
        """Nothing but this and the FIN is left of `leg`, it seems, and the other peer can be sent both."""
        to = leg.other
        free = to.writing and to.held is None and to.due is NOTHING_DUE
        return free and len(data) < CHUNK and leg.foretold is None and self.ended_by_proxy is None

    def _pass_on_last(self, leg: Leg, data: bytes, now: float) -> bool:
        """Pass on what may be the last bytes of a peer: with its FIN, if they are. False: they were."""
        to = leg.other
        try:
            more = receive(leg.fd, CHUNK)
        except OSError as error:
            self._pass_on(to, data, now)
            if error.errno not in AGAIN:
                self.ended(leg, ending_of(error), now)
            return False
        if more:
            leg.show(more, now)
            self._pass_on(to, data + more, now)
            return True
        self.ended(leg, _FIN, now)  # first: what both kernels say is of the time before these bytes
        self._pass_on(to, data, now, socket.MSG_MORE)  # settling sends the FIN, and both in one segment
        return False

    def _pass_on(self, leg: Leg, data: bytes, now: float, flags: int = 0) -> None:
        if self.ended_by_proxy is not None:
            return
        if leg.connecting or leg.held is not None:
            leg.hold(data, 0, now)
        elif leg.writing:
            try:
                sent = leg.sock.send(data, flags)
            except OSError as error:
                self.not_sent(leg, data, error, now)
            else:
                self.moved_at = now
                if sent != len(data):
                    leg.hold(data, sent, now)

    def flush(self, leg: Leg, now: float) -> None:
        """Send what is held, as far as it goes."""
        if leg.held is None:
            return
        try:
            sent = leg.sock.send(leg.held)
        except OSError as error:
            self.not_sent(leg, b"", error, now)
            return
        self.moved_at = now
        del leg.held[:sent]
        if not leg.held:
            leg.drop_held(now)
        elif leg.stalled_from == math.inf:
            leg.stalled_from = now

    def not_sent(self, leg: Leg, data: bytes, error: OSError, now: float) -> None:
        """A send failed. It took the error from the socket, so remember which; the read side goes first."""
        if error.errno in AGAIN:
            if data:
                leg.hold(data, 0, now)
            return
        ending = ending_of(error)
        leg.writing, leg.hung_up = False, True
        leg.drop_held(now)
        if not leg.reading:
            self._reset_after_fin(leg, now)
            return
        leg.foretold = ending
        self.read(leg, now)

    # -- endings -------------------------------------------------------------------------------------

    def ended(self, leg: Leg, ending: Ending, now: float) -> None:
        """A leg ended, one way or the other: the first time counts, and the other leg is to learn of it."""
        leg.ending, leg.ended_at, leg.reading = ending, now, False
        closing.first_ending(self, now)
        self.witness.leg_ended(leg.side, ending, now)
        if ending is _FIN:
            leg.other.due = leg.other.due or FIN_DUE
            return
        leg.other.due = RST_DUE
        self.close(leg, now)

    def _reset_after_fin(self, leg: Leg, now: float) -> None:
        """A peer that had sent FIN resets: what it is sent now has no reader. The FIN stays its ending."""
        leg.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # told here; else the poller repeats it
        leg.hung_up, leg.writing, leg.foretold = True, False, _RST
        leg.drop_held(now)
        leg.other.due = RST_DUE

    def close(self, leg: Leg, now: float) -> None:
        """Close a leg's socket, in the way it is set to."""
        if leg.open:
            self.poller.drop(leg)
            leg.let_go()
        leg.connecting = leg.reading = leg.writing = leg.through = False
        leg.drop_held(now)

    def _abort(self, leg: Leg, now: float) -> None:
        """Send RST, unless bytes before it are still on their way: then look again soon."""
        if not leg.delivered() and now < self.moved_at + self.poller.timing.linger_s:
            self.probe_at = now + min(0.25, max(0.002, now - (self.first_at or now)))
            return
        leg.hung_up = True
        self.read(leg, now)  # what this peer said last is still evidence
        if leg.open:
            leg.look()
            tcp_info.reset_on_close(leg.sock)
            self.close(leg, now)

    def _look(self, now: float) -> None:
        """Let the tracker look at the clock, and add what the kernel says to what it suspects."""
        events = self._stalls(now)
        if self.witness.next_look(now) <= now:
            events += self.witness.look(now)
        if events:
            client, broker = self.client.remember(now), self.broker.remember(now)
            self.witness.emit([with_legs(event, client, broker) for event in events])
        # never at once again: a tracker that stays at its deadline must not keep the timer busy
        self.look_at = max(together(self.witness.next_look(now), now), now + 0.01)
        if self.client.stalled_from != math.inf or self.broker.stalled_from != math.inf:
            self.look_at = min(self.look_at, now + STALL_LOOK_S)

    def _stalls(self, now: float) -> list[Event]:
        """What the tracker has to tell of peers that take nothing."""
        events: list[Event] = []
        for leg in (self.client, self.broker):
            stalled_s = leg.stalled_for(now)
            if stalled_s > 0.0:
                events += self.witness.stalled(leg.side, stalled_s, now)
        return events

    # -- settling ------------------------------------------------------------------------------------

    def settle(self, now: float) -> None:
        """Do what has become due, end what is over, and set poller and alarm for the rest."""
        self.unsettled = False
        if self.released:
            return
        self.probe_at = math.inf
        if self.named_by != math.inf:
            dialing.name_or_abort(self, now)
        for leg in (self.client, self.broker):
            if leg.due and leg.open:
                self._discharge(leg, now)
        if closing.conclude(self, now):
            return
        for leg in (self.client, self.broker):
            if leg.open:
                self._tune(leg)
        self.poller.schedule(self, self.deadline())

    def _discharge(self, leg: Leg, now: float) -> None:
        """Pass the other leg's ending on, once the bytes that came before it are out."""
        if leg.connecting and leg.due is RST_DUE:
            self.dial = None
            self.close(leg, now)
        if leg.connecting or leg.held is not None or not leg.open:
            return
        if leg.due is FIN_DUE and leg.ending is not None and leg.other.over:
            leg.shut, leg.writing = True, False  # closing both is what follows, and sends the FIN
        elif not leg.shut and leg.writing and (leg.due is FIN_DUE or leg.other.ending is _FIN):
            leg.shut_down()
            self.shut_at = min(self.shut_at, now)
        elif leg.due is FIN_DUE:
            leg.shut = True
        if leg.due is RST_DUE:
            self._abort(leg, now)

    def _tune(self, leg: Leg) -> None:
        to = leg.other
        leg.through = (
            self.first_at is None and leg.reading and not leg.hung_up and to.writing and to.held is None
        )
        self.poller.watch(leg, leg.wanted())

    def deadline(self) -> float:
        """The earliest moment at which something is due without anybody stirring."""
        when = self.named_by if self.dial is None or not self.broker.connecting else self.dial.deadline
        if self.first_at is None:
            return min(when, self.look_at)
        return min(min(when, self.probe_at), closing.deadline(self))  # see `Poller.lag_since`


def together(when: float, now: float) -> float:
    """A little before `when` where that is far away: waking costs more than looking, also for nothing yet."""
    return math.floor(when * LOOKS_PER_S) / LOOKS_PER_S if FAR_S < when - now < math.inf else when

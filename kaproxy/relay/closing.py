"""The end of a connection's life: the first ending's facts, the look after it, the closing line, the rest.

The line is written when both legs have ended, or when nothing has moved for `post_mortem_s` after the
first ending: the forwarded FIN has then told whether the other peer's kernel still answers. What is
left of the connection lingers on, relayed as before, until it ends by itself or has been idle too long.
Read next: `witness.py`, which makes the line; `leg.py` for how facts are read.
"""

from __future__ import annotations

import math
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from kaproxy.connection.facts import LegFacts, ProxyAction, RelayFacts
from kaproxy.relay import tcp_info
from kaproxy.relay.leg import FIN_DUE, RST_DUE, Leg
from kaproxy.relay.witness import unseen

if TYPE_CHECKING:
    from kaproxy.relay.pair import Pair

LOOKS_S: Final[tuple[float, ...]] = (0.05, 0.2, 0.5, 1.0, 2.0, 3.0)
"""When to look, after a FIN was forwarded, whether it was acknowledged."""
PARTING_S: Final = 1.0
"""How long peers have to answer the proxy's own FIN before their sockets are closed."""


def first_ending(pair: Pair, now: float) -> None:
    """The first ending is the only candidate for a cause: keep what both legs looked like at it."""
    if pair.first_at is None:
        pair.first_at = pair.moved_at = now
        pair.client.remember(now)
        pair.broker.remember(now)


def look_again(pair: Pair, now: float) -> None:
    """Look whether the forwarded FIN was acknowledged, at most once for each moment of LOOKS_S passed."""
    taken = pair.looks
    while pair.looks < len(LOOKS_S) and now >= pair.shut_at + LOOKS_S[pair.looks]:
        pair.looks += 1
    if pair.looks != taken and not pair.witness.closed:
        pair.client.look()
        pair.broker.look()


def deadline(pair: Pair) -> float:
    """The next thing to do about a connection that has begun to end."""
    if pair.witness.closed:
        return pair.moved_at + pair.patience_s
    line = _line_at(pair)
    if pair.gone:
        return min(line, pair.witness.judge_at(line))
    return min(line, pair.shut_at + LOOKS_S[pair.looks]) if pair.looks < len(LOOKS_S) else line


def conclude(pair: Pair, now: float) -> bool:
    """Write the line if it is time, and let the connection go if nothing is left of it: True, at once or soon."""
    client, broker = pair.client, pair.broker
    if pair.first_at is None:
        return False
    over = client.over and broker.over
    if not pair.witness.closed:
        ended = _has_ended(client) and _has_ended(broker)
        known = ended and pair.named_by == math.inf and now >= pair.witness.judge_at(now)
        if known and over and not pair.gone:
            _let_go(pair, now)
            pair.poller.judge_soon(pair, now)
            return True
        if known or now >= _line_at(pair):
            write_line(pair, now)
    if over:
        _let_go(pair, now)
    if pair.witness.closed and (pair.gone or now >= pair.moved_at + pair.patience_s):
        _release(pair, now)
    return pair.released


def judge(pair: Pair, now: float) -> None:
    """The line of a connection whose sockets are gone, and with it the last of the connection."""
    write_line(pair, now)
    _release(pair, now)


def write_line(pair: Pair, now: float) -> None:
    """The closing line, with a last look at what is still open."""
    if pair.witness.closed:
        return
    for leg in (pair.client, pair.broker):
        _look(leg)
    poller = pair.poller
    opened = pair.witness.opened
    relay = RelayFacts(
        dwell_max_s=max(_dwell(pair, now), poller.batches.since(opened)),
        lag_max_s=poller.lag_since(opened, now),
        lag_recent_s=poller.lag_since(pair.witness.judged_from(), now),
    )
    pair.witness.close(now, pair.client.facts(now), pair.broker.facts(now), relay, pair.ended_by_proxy)
    pair.client.observe = pair.broker.observe = unseen


def part(pair: Pair, action: ProxyAction, detail: str, now: float) -> None:
    """The proxy ends a connection in order: held bytes and FIN to both peers, then a moment for theirs."""
    _end_by_proxy(pair, action, detail, now)
    pair.dial = None
    pair.named_by = math.inf
    for leg in (pair.client, pair.broker):
        if leg.connecting:
            pair.close(leg, now)
        leg.due = leg.due or FIN_DUE
    write_line(pair, now)
    pair.patience_s, pair.moved_at = PARTING_S, now
    pair.settle(now)


def cut(pair: Pair, action: ProxyAction, detail: str, now: float) -> None:
    """The proxy ends a connection here and now; nothing that goes wrong in it stops it from ending."""
    if pair.released:
        return
    with suppress(Exception):
        _end_by_proxy(pair, action, detail, now)
    for leg in (pair.client, pair.broker):
        if leg.open and leg.held is not None and not leg.connecting:
            with suppress(Exception):
                leg.sock.send(leg.held)
    with suppress(Exception):
        write_line(pair, now)
    pair.witness.close(now, LegFacts(), LegFacts(), RelayFacts(), (action, detail))
    _release(pair, now)


def fault_text(fault: BaseException) -> str:
    """A fault of the proxy's own, short enough for a log line: the error and where it was raised."""
    frames = traceback.extract_tb(fault.__traceback__)[-3:]
    where = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(fault).__name__}: {fault} ({where})"


def _end_by_proxy(pair: Pair, action: ProxyAction, detail: str, now: float) -> None:
    if not pair.witness.closed and pair.first_at is None:
        pair.ended_by_proxy = action, detail
        first_ending(pair, now)
        pair.witness.proxy_ended(action, detail, now)


def _has_ended(leg: Leg) -> bool:
    return leg.ending is not None or not leg.open


def _line_at(pair: Pair) -> float:
    if pair.named_by != math.inf:  # what the line is waiting for
        return pair.named_by
    return max(pair.first_at or 0.0, pair.moved_at) + pair.poller.timing.post_mortem_s


def _dwell(pair: Pair, now: float) -> float:
    """Longest hold, the one still going on included."""
    longest = pair.dwell
    for leg in (pair.client, pair.broker):
        if leg.held is not None:
            longest = max(longest, now - leg.held_at)
    return longest


def _let_go(pair: Pair, now: float) -> None:
    """Let go of the sockets; the line may still have to wait for what is to be known of others."""
    if pair.gone:
        return
    pair.gone = True
    for leg in (pair.client, pair.broker):
        if not pair.witness.closed:
            _look(leg)
        if leg.open:
            _prepare(leg)
        try:
            pair.close(leg, now)
        except Exception:  # whatever is wrong with it, it is let go
            continue
    pair.poller.leave()


def _look(leg: Leg) -> None:
    """What the kernel says last is worth having, not worth failing for."""
    try:
        leg.look()
    except Exception:
        return


def _prepare(leg: Leg) -> None:
    """Have close() send what it should: RST where one is due, FIN over what nobody will read."""
    try:
        if leg.due is RST_DUE:
            tcp_info.reset_on_close(leg.sock)
        elif not leg.connecting and leg.ending is None:
            leg.drain()
    except Exception:
        return


def _release(pair: Pair, now: float) -> None:
    """Let go of the pair: of its sockets, and of the references that would keep it alive."""
    _let_go(pair, now)
    pair.released = True
    pair.poller.release(pair)
    for leg in (pair.client, pair.broker):
        leg.observe = unseen
        del leg.pair, leg.other

"""What the endings of other connections tell of one: known in part at its first ending, in full a second later.

The directory remembers, this file asks. It may not judge: that five connections ended with this one is a
number here, that the broker was restarted is a rule's to say.
Read next: `directory.py`; `evidence.py` for the meaning of each number.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kaproxy.connection.directory import Death, Directory
from kaproxy.connection.evidence import Evidence, Neighbours
from kaproxy.connection.facts import BROKER, CLIENT, ESTABLISHED, Ending, Side

if TYPE_CHECKING:
    from kaproxy.connection.tracker import ConnectionTracker

#: A connection the broker ended wordlessly is judged this long (s) after that, knowing its neighbours.
WAIT_S: Final = 1.0
#: Where another worker may know more, any other line waits this long (s) for its news.
NEWS_S: Final = 0.25
#: Lines that have waited for news are judged at so many moments a second, the same for all: waking for each costs more.
TOGETHER_PER_S: Final = 50
#: "The same second" reaches this far (s) to both sides.
_HALF_S: Final = 0.5
#: What ends so near (s) to a peer's timer may be its doing.
_NEAR_S: Final = 0.5
_FIN: Final = Ending.FIN.value
_RST: Final = Ending.RST.value
_REFUSED: Final = Ending.REFUSED.value


def wordless(scene: Evidence, side: Side) -> bool:
    """Did that side end an established connection without saying why?"""
    if scene.phase is not ESTABLISHED or scene.closed_by != side:
        return False
    return scene.close_how == _FIN or scene.close_how == _RST


def unexplained_idle(scene: Evidence) -> float:
    """How long nothing had passed (s); 0 where a timer of the peers is as good a reason: the Keep Alive, or its expiry.

    All clients of one Keep Alive that expire die at one idle time, and whoever dies near it by chance is no sign of
    a box.
    """
    idle_s, keep_alive = scene.idle_s or 0.0, scene.effective_keep_alive or 0
    return 0.0 if _in_the_window(scene) or abs(idle_s - keep_alive) <= _NEAR_S else idle_s


def _in_the_window(scene: Evidence) -> bool:
    """May the broker have ended it because the Keep Alive was over?"""
    silent_s, low, high = scene.silence_counted_s, scene.limit_low_s, scene.limit_high_s
    if silent_s is None or low is None or high is None or not wordless(scene, BROKER):
        return False
    return low - _NEAR_S <= silent_s <= high + _NEAR_S


def note(scene: Evidence, now: float, directory: Directory) -> Evidence:
    """Tell the directory of this first ending, and ask what earlier ones had in common with it."""
    live = directory.live_everywhere
    directory.count(-1)
    directory.endings.add(now)
    if scene.close_how == _REFUSED:
        directory.refusals.add(now)
    by_broker = wordless(scene, BROKER)
    if by_broker:
        directory.broker_endings.add(now)
    if not by_broker and not wordless(scene, CLIENT):
        if directory.exchange is not None:
            directory.exchange.ended(scene, now, None)
        return scene
    death = Death(now, scene.duration_s, unexplained_idle(scene), scene.keep_alive or 0)
    same_age, near_age = directory.same_age(death)
    same_idle, keep_alives, near_idle = directory.same_idle(death)
    directory.note_death(death)
    if directory.exchange is not None:
        directory.exchange.ended(scene, now, death[1:])
    found = Neighbours(
        live=live,
        same_age=same_age,
        same_idle=same_idle,
        same_idle_keep_alives=keep_alives,
        near_age=near_age,
        near_idle=near_idle,
    )
    scene.neighbours = found
    return scene


def with_others(when: float) -> float:
    """The first moment from `when` on at which lines that have waited are judged."""
    return math.ceil(when * TOGETHER_PER_S) / TOGETHER_PER_S


def ended_around(when: float, directory: Directory) -> int:
    """First endings, of all workers, in the second around `when`, that one included."""
    start, end = when - _HALF_S, when + _HALF_S
    elsewhere = directory.exchange.endings_between(start, end) if directory.exchange is not None else 0
    return max(1, directory.endings.between(start, end) + elsewhere)


def known_by(
    now: float, tracker: ConnectionTracker, scene: Evidence, ended_at: float, directory: Directory
) -> Neighbours | None:
    """What was asked at the first ending, with what has become known until `now`."""
    if scene.neighbours is None:
        return None
    previous = tracker.past.ended_at
    return replace(
        scene.neighbours,
        ended_by_broker=directory.broker_endings.between(ended_at - _HALF_S, ended_at + _HALF_S),
        dials_refused=directory.refusals.between(ended_at - 1.0, now),
        connects_1m=tracker.past.connects,
        previous_ended_s=tracker.connect_at - previous if previous is not None else None,
    )

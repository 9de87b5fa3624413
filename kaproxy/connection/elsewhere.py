"""What the connections of one worker have to know of those of others: what stands on their slates, and news.

Every worker's slate (`slate.py`) says at once whose client identifiers it has, what ended when and how many are
live. Only where another one may hold the identifier of a CONNECT is that told as news, and answered by who holds
it; so is an ending that others have to judge by. News takes a moment: it names its time (monotonic seconds, one
clock for all processes of a machine), and closing lines that it concerns wait for it.
It may not know what carries either. Read next: `directory.py`, which is told and asked; `kaproxy/workers`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from kaproxy.connection.directory import Past, Remote, Settings
from kaproxy.connection.events import ClientIdContested
from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Ending, Origin, Side
from kaproxy.connection.neighbourhood import wordless
from kaproxy.connection.scene import settings_of
from kaproxy.connection.slate import key_of
from kaproxy.connection.watch import Told

if TYPE_CHECKING:
    from kaproxy.connection.directory import Directory
    from kaproxy.connection.slate import Slate
    from kaproxy.connection.tracker import ConnectionTracker


class Claim(NamedTuple):
    """A CONNECT came with this client identifier."""

    client_id: str
    origin: Origin
    settings: Settings
    at: float


class Held(NamedTuple):
    """The answer to a claim: this connection holds the identifier, or did when the CONNECT came."""

    newcomer: str  # conn_id
    origin: Origin
    settings: Settings
    age_s: float  # at the claim
    silence_s: float  # at the claim
    keep_alive: int  # in force
    told_at: float | None  # when this identifier was last warned of
    untold: int
    ended_at: float | None


class LetGo(NamedTuple):
    """The connection that held the identifier has ended, after `newcomer` took it."""

    newcomer: str  # conn_id
    at: float


class TurnedAway(NamedTuple):
    """The broker refused the newcomer: it takes nothing over."""

    client_id: str
    newcomer: str


class Ended(NamedTuple):
    """A first ending that says something of others."""

    at: float
    refused: bool  # a dial the broker's host refused
    by_broker: bool  # wordlessly, of an established connection
    death: tuple[float, float, int] | None  # age and idle time in s, Keep Alive; of a wordless ending


News: TypeAlias = Claim | Held | LetGo | TurnedAway | Ended
_KINDS: Final[dict[str, Callable[..., News]]] = {
    kind.__name__: kind for kind in (Claim, Held, LetGo, TurnedAway, Ended)
}
_CLAIM: Final = "Claim"


def to_data(news: News) -> list[Any]:
    """News as lists, numbers and text, none of them of a kind of their own: orjson takes no others."""
    data: list[Any] = [type(news).__name__]
    if isinstance(news, (Claim, Held)):
        data.extend(_plain(field) for field in news)
    else:
        data.extend(news)
    return data


def _plain(field: object) -> object:
    if isinstance(field, Origin):
        return _origin_data(field)
    return tuple(field) if isinstance(field, Settings) else field


def _origin_data(origin: Origin) -> tuple[object, ...]:
    return (
        origin.conn_id,
        origin.listener,
        origin.client_addr,
        origin.client_port,
        origin.broker_addr,
        origin.opened_at,
        origin.transport,
    )


def from_data(data: list[Any]) -> News:
    """What `to_data` has made. Raises ValueError, KeyError or TypeError where it has not."""
    kind, *fields = data
    news = _KINDS[kind](*fields)
    told: Any = news  # whose tables are lists still
    if isinstance(news, (Claim, Held)):
        return news._replace(origin=Origin(*told.origin), settings=Settings(*told.settings))
    if isinstance(news, Ended) and told.death is not None:
        return news._replace(death=tuple(told.death))
    return news


class Mark:
    """What stands on the slate of a connection that has sent CONNECT."""

    __slots__ = ("asked", "key", "row")

    def __init__(self, key: int, row: int, asked: bool) -> None:
        self.key = key
        self.row = row
        self.asked = asked  # its CONNECT was told, as another worker may hold its identifier


class Exchange:
    """One worker's dealings with others: what it lets them see, has to tell them, and makes of what it hears."""

    __slots__ = ("_asking", "_contested", "_directory", "_others", "_slate", "_wake", "untold")

    def __init__(
        self, directory: Directory, wake: Callable[[], None], slate: Slate, others: Sequence[Slate]
    ) -> None:
        """`wake` is called whenever there is something to tell and there was nothing before."""
        self._directory = directory
        self._slate = slate
        self._others = tuple(others)
        self._wake = wake
        self.untold: list[News] = []
        self._asking: dict[str, ConnectionTracker] = {}  # whose CONNECT was told, by conn_id
        self._contested: dict[str, ConnectionTracker] = {}  # by who took their identifier elsewhere

    def tell(self, news: News) -> None:
        """Have it told to the other workers."""
        self.untold.append(news)
        if len(self.untold) == 1:
            self._wake()

    def take(self) -> list[list[Any]]:
        """What is to be told, as `to_data` writes it down; it is told now."""
        untold, self.untold = self.untold, []
        return [to_data(news) for news in untold]

    # -- of this worker's own --------------------------------------------------------------------------

    def claimed(self, client_id: str, newcomer: ConnectionTracker, now: float) -> None:
        """`newcomer` sent CONNECT with this identifier, or the broker gave it.

        First it stands on the slate, then the others' are read: of two at once, one sees the other.
        """
        self.over(newcomer)
        key, origin = key_of(client_id), newcomer.origin
        slate = self._slate
        slate.hold(key)
        row = slate.enter(origin.conn_id, client_id, origin.client_addr, origin.opened_at)
        newcomer.mark = mark = Mark(key, row, False)
        for other in self._others:
            if other.may_hold(key):
                mark.asked = True
                self._asking[origin.conn_id] = newcomer
                self.tell(Claim(client_id, origin, settings_of(newcomer), now))
                return

    def turned_away(self, client_id: str, newcomer: ConnectionTracker) -> None:
        """The broker refused `newcomer`."""
        if newcomer.mark is not None and newcomer.mark.asked:
            self.tell(TurnedAway(client_id, newcomer.origin.conn_id))

    def left(self, holder: ConnectionTracker, past: Past, now: float) -> None:
        """`holder` has ended."""
        if isinstance(holder.rival, Remote):
            newcomer = holder.rival.origin.conn_id
            self._contested.pop(newcomer, None)
            self.tell(LetGo(newcomer, now))
        if holder.mark is not None:
            self._slate.remember(holder.mark.key, past.since, past.connects, now)

    def ended(self, scene: Evidence, now: float, death: tuple[float, float, int] | None) -> None:
        """A connection has ended; `death` where that was wordless."""
        self._slate.add_ending(now)
        refused, by_broker = scene.close_how == Ending.REFUSED, wordless(scene, Side.BROKER)
        if refused or by_broker or death is not None:
            self.tell(Ended(now, refused, by_broker, death))

    def over(self, holder: ConnectionTracker) -> None:
        """The closing line of `holder` is out."""
        mark, holder.mark = holder.mark, None
        if mark is not None:
            self._slate.strike(mark.row)
            self._slate.let_go(mark.key)
            self._asking.pop(holder.origin.conn_id, None)

    def counted(self, live: int) -> None:
        """So many connections of this worker are live."""
        self._slate.set_live(live)

    # -- what stands on others' slates -----------------------------------------------------------------

    def live_there(self) -> int:
        """Connections of all other workers."""
        return sum(other.live for other in self._others)

    def endings_between(self, start: float, end: float) -> int:
        """First endings there, in [start, end]."""
        return sum(other.endings_between(start, end) for other in self._others)

    def latest(self, mark: Mark, past: Past | None) -> Past | None:
        """`past`, or what another worker remembers of that identifier where its connection ended later."""
        for other in self._others:
            found = other.past_of(mark.key)
            if found is not None and (past is None or (found.ended_at or 0.0) > (past.ended_at or 0.0)):
                past = found
        return past

    # -- of others -------------------------------------------------------------------------------------

    def hear_all(self, told: list[list[Any]], now: float) -> tuple[list[ClientIdContested], int]:
        """`hear`, of all that another worker has told as `take` gives it; and how many pieces could not be heard."""
        events: list[ClientIdContested] = []
        failed = 0
        for data in told:
            try:
                event = self._hear_data(data, now)
            except Exception:  # as with any observer: what goes wrong here must not touch the relay
                failed += 1
                continue
            if event is not None:
                events.append(event)
        return events, failed

    def _hear_data(self, data: list[Any], now: float) -> ClientIdContested | None:
        """Most claims concern nobody here, and are not even read."""
        kind: str = data[0]
        if kind == _CLAIM and not self._directory.holders_of(data[1]):
            return None
        return self.hear(from_data(data), now)

    def hear(self, news: News, now: float) -> ClientIdContested | None:
        """Take in another worker's news; returns what is to be told of a connection here."""
        if isinstance(news, Claim):
            self._claim(news)
        elif isinstance(news, Held):
            return self._held(news, now)
        elif isinstance(news, LetGo):
            self._let_go(news)
        elif isinstance(news, TurnedAway):
            self._turned_away(news)
        else:
            self._directory.note_elsewhere(news)
        return None

    def _claim(self, claim: Claim) -> None:
        """Does a connection here hold that identifier, or did it when the CONNECT came?"""
        losers = [each for each in self._directory.holders_of(claim.client_id) if _lost_by(each, claim.at)]
        if losers:
            self._answer(claim, max(losers, key=lambda holder: holder.connect_at))

    def _answer(self, claim: Claim, holder: ConnectionTracker) -> None:
        ended_at = holder.first_ending_at
        holder.contested(Remote(claim.origin, claim.settings), claim.at)
        if ended_at is None:
            self._directory.lose(claim.client_id, holder)
            self._contested[claim.origin.conn_id] = holder
        told = holder.watch.contested
        self.tell(
            Held(
                claim.origin.conn_id,
                holder.origin,
                settings_of(holder),
                claim.at - holder.opened_at,
                max(0.0, claim.at - holder.up.packet_at),
                holder.effective_keep_alive,
                told.at if math.isfinite(told.at) else None,
                told.untold,
                ended_at,
            )
        )

    def _held(self, held: Held, now: float) -> ClientIdContested | None:
        newcomer = self._asking.get(held.newcomer)
        if newcomer is None or _took_over(newcomer) or _refused(newcomer):
            return None
        newcomer.holder = Remote(held.origin, held.settings, held.ended_at)
        told = Told(-math.inf if held.told_at is None else held.told_at, held.untold)
        told, untold = told.next(now, newcomer.policy.warning_interval_s)
        newcomer.watch.contested = told
        if untold is None:
            return None
        return ClientIdContested(
            origin=newcomer.origin,
            client_id=newcomer.client_id,
            keep_alive=newcomer.effective_keep_alive,
            holder=held.origin,
            holder_age_s=held.age_s,
            holder_silence_s=held.silence_s,
            holder_keep_alive=held.keep_alive,
            suppressed=untold,
        )

    def _let_go(self, news: LetGo) -> None:
        newcomer = self._asking.get(news.newcomer)
        if newcomer is not None and isinstance(newcomer.holder, Remote):
            newcomer.holder.first_ending_at = news.at

    def _turned_away(self, news: TurnedAway) -> None:
        holder = self._contested.pop(news.newcomer, None)
        if holder is not None and holder.scene is None:
            holder.rival = None
            self._directory.keep(news.client_id, holder)


def _lost_by(holder: ConnectionTracker, claimed_at: float) -> bool:
    """Whether that CONNECT took the identifier of `holder`: it held it then, and nobody else had taken it before."""
    ended_at = holder.first_ending_at
    if holder.connect_at > claimed_at or (ended_at is not None and ended_at < claimed_at):
        return False
    return holder.rival is None or holder.rival_at > claimed_at


def _took_over(newcomer: ConnectionTracker) -> bool:
    """Whether it is known whose identifier it took; of a connection here that proved to have lost it before, no."""
    holder = newcomer.holder
    return isinstance(holder, Remote) or (holder is not None and holder.rival is newcomer)


def _refused(tracker: ConnectionTracker) -> bool:
    return tracker.connack is not None and tracker.connack.code != 0

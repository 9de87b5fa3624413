"""What the connections of one worker have to know of those of others, as news that goes both ways.

Each CONNECT and each first ending is told; who holds the client identifier of a CONNECT heard of answers. So
nobody keeps a copy of anybody's directory, and a takeover is linked in both closing lines. News takes a moment:
it names its time (monotonic seconds, one clock for all processes of a machine), and closing lines wait for it.
It may not know what carries it. Read next: `directory.py`, which is told and asked; `kaproxy/workers`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from kaproxy.connection.directory import Remote, Settings
from kaproxy.connection.events import ClientIdContested
from kaproxy.connection.evidence import Evidence
from kaproxy.connection.facts import Ending, Origin, Side
from kaproxy.connection.neighbourhood import wordless
from kaproxy.connection.scene import settings_of
from kaproxy.connection.watch import Told

if TYPE_CHECKING:
    from kaproxy.connection.directory import Directory, Past
    from kaproxy.connection.tracker import ConnectionTracker


class Claim(NamedTuple):
    """A CONNECT came with this client identifier."""

    client_id: str
    origin: Origin
    settings: Settings
    at: float


class Held(NamedTuple):
    """The answer to a claim: this connection holds the identifier, or did when the CONNECT came."""

    client_id: str
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

    client_id: str
    newcomer: str
    at: float


class TurnedAway(NamedTuple):
    """The broker refused the newcomer: it takes nothing over."""

    client_id: str
    newcomer: str


class Ended(NamedTuple):
    """A first ending, with what it says of others."""

    conn_id: str
    at: float
    refused: bool  # a dial the broker's host refused
    by_broker: bool  # wordlessly, of an established connection
    death: tuple[float, float, int] | None  # age and idle time in s, Keep Alive; of a wordless ending


class Left(NamedTuple):
    """A client identifier is free again; its past goes with it."""

    client_id: str
    since: float
    connects: int
    at: float


News: TypeAlias = Claim | Held | LetGo | TurnedAway | Ended | Left
_KINDS: Final[dict[str, Callable[..., News]]] = {
    kind.__name__: kind for kind in (Claim, Held, LetGo, TurnedAway, Ended, Left)
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


class Exchange:
    """One worker's news: what it has to tell, and what it makes of what it hears."""

    __slots__ = ("_contested", "_directory", "live", "untold", "wake")

    def __init__(self, directory: Directory, wake: Callable[[], None]) -> None:
        """`wake` is called whenever there is something to tell and there was nothing before.

        Whoever carries the news calls it too, when a connection was accepted: how many are live is news as well.
        """
        self._directory = directory
        self.wake = wake
        self.untold: list[News] = []
        self.live: dict[str, int] = {}  # connections of each other worker
        self._contested: dict[str, ConnectionTracker] = {}  # by who took their identifier elsewhere

    def tell(self, news: News) -> None:
        """Have it told to the other workers."""
        self.untold.append(news)
        if len(self.untold) == 1:
            self.wake()

    def take(self) -> list[list[Any]]:
        """What is to be told, as `to_data` writes it down; it is told now."""
        untold, self.untold = self.untold, []
        return [to_data(news) for news in untold]

    # -- of this worker's own --------------------------------------------------------------------------

    def claimed(self, client_id: str, newcomer: ConnectionTracker, now: float) -> None:
        """`newcomer` sent CONNECT with this identifier."""
        self.tell(Claim(client_id, newcomer.origin, settings_of(newcomer), now))

    def turned_away(self, client_id: str, newcomer: ConnectionTracker) -> None:
        """The broker refused `newcomer`."""
        self.tell(TurnedAway(client_id, newcomer.origin.conn_id))

    def left(self, client_id: str, holder: ConnectionTracker, past: Past, now: float) -> None:
        """`holder` has ended."""
        if isinstance(holder.rival, Remote):
            newcomer = holder.rival.origin.conn_id
            self._contested.pop(newcomer, None)
            self.tell(LetGo(client_id, newcomer, now))
        self.tell(Left(client_id, past.since, past.connects, now))

    def ended(self, scene: Evidence, now: float, death: tuple[float, float, int] | None) -> None:
        """A connection has ended; `death` where that was wordless."""
        refused = scene.close_how == Ending.REFUSED
        self.tell(Ended(scene.origin.conn_id, now, refused, wordless(scene, Side.BROKER), death))

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
        if kind == _CLAIM and self._directory.holder_of(data[1]) is None:
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
        elif isinstance(news, Ended):
            self._directory.note_elsewhere(news)
        else:
            self._directory.remember(news.client_id, news.since, news.connects, news.at)
        return None

    def gone(self, worker: str) -> None:
        """That worker is no more, and none of its connections."""
        self.live.pop(worker, None)

    def _claim(self, claim: Claim) -> None:
        """Does a connection here hold that identifier, or did it when the CONNECT came?"""
        holder = self._directory.holder_of(claim.client_id)
        if holder is None or holder.rival is not None or holder.connect_at > claim.at:
            return
        ended_at = holder.first_ending_at
        if ended_at is not None and ended_at < claim.at:
            return
        holder.contested(Remote(claim.origin, claim.settings), claim.at)
        if ended_at is None:
            self._directory.lose(claim.client_id, holder)
            self._contested[claim.origin.conn_id] = holder
        told = holder.watch.contested
        self.tell(
            Held(
                claim.client_id,
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
        newcomer = self._newcomer(held.client_id, held.newcomer)
        if newcomer is None or newcomer.holder is not None or _refused(newcomer):
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
        newcomer = self._newcomer(news.client_id, news.newcomer)
        if newcomer is not None and isinstance(newcomer.holder, Remote):
            newcomer.holder.first_ending_at = news.at

    def _turned_away(self, news: TurnedAway) -> None:
        holder = self._contested.pop(news.newcomer, None)
        if holder is not None and holder.scene is None:
            holder.rival = None
            self._directory.keep(news.client_id, holder)

    def _newcomer(self, client_id: str, conn_id: str) -> ConnectionTracker | None:
        found = self._directory.holder_of(client_id)
        return found if found is not None and found.origin.conn_id == conn_id else None


def _refused(tracker: ConnectionTracker) -> bool:
    return tracker.connack is not None and tracker.connack.code != 0

"""The words of a judgement: causes, owners, confidence, and the verdict that holds them.

Every string here is a contract of the log line: strings are added, never renamed. This file may not
know how a verdict is reached.
Read next: `causes.py` for what each cause means, `rules/__init__.py` for how one is found.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from kaproxy.connection.records import record


class Cause(StrEnum):
    """What happened. Why it happened is the root, where the evidence reaches that far."""

    CLIENT_DISCONNECT = "client_disconnect"
    CLIENT_DISCONNECT_WITH_WILL = "client_disconnect_with_will"
    CLIENT_DISCONNECT_ERROR = "client_disconnect_error"
    KEEP_ALIVE_TIMEOUT = "keep_alive_timeout"
    PING_TIMEOUT = "ping_timeout"
    TAKEOVER = "takeover"
    PACKET_REJECTED = "packet_rejected"
    PACKET_UNACCEPTABLE = "packet_unacceptable"
    CONNECT_REFUSED = "connect_refused"
    BROKER_DISCONNECT = "broker_disconnect"
    BROKER_SHUTDOWN = "broker_shutdown"
    BROKER_CLOSED = "broker_closed"
    BROKER_RESET = "broker_reset"
    CLIENT_CLOSED = "client_closed"
    CLIENT_RESET = "client_reset"
    IDLE_CUT = "idle_cut"
    CLIENT_UNREACHABLE = "client_unreachable"
    BROKER_UNREACHABLE = "broker_unreachable"
    NO_CONNECT = "no_connect"
    PROBE = "probe"
    NOT_MQTT = "not_mqtt"
    NO_CONNACK = "no_connack"
    BROKER_REFUSED = "broker_refused"
    DIAL_TIMEOUT = "dial_timeout"
    TLS_FAILED = "tls_failed"
    PROXY_SHUTDOWN = "proxy_shutdown"
    PROXY_LIMIT = "proxy_limit"
    PROXY_ERROR = "proxy_error"
    UNKNOWN = "unknown"


#: Endings somebody meant; every other cause is a drop.
CLEAN_CAUSES: Final = frozenset(
    {Cause.CLIENT_DISCONNECT, Cause.CLIENT_DISCONNECT_WITH_WILL, Cause.PROBE, Cause.PROXY_SHUTDOWN}
)


class Owner(StrEnum):
    """Who has to act."""

    CLIENT_APP = "client_app"
    CLIENT_LIBRARY = "client_library"
    CLIENT_HOST = "client_host"
    PATH = "path"
    BROKER = "broker"
    PROXY = "proxy"
    OPERATOR = "operator"
    NOBODY = "nobody"


class Confidence(StrEnum):
    """How far a verdict may be trusted, in cause and (where one is given) root together.

    `settled`: an explicit code or two independent facts say so. `likely`: the evidence fits, and the
    look-alikes that can be told apart are ruled out. `unclear`: another explanation fits as well.
    """

    UNCLEAR = "unclear"
    LIKELY = "likely"
    SETTLED = "settled"

    @property
    def rank(self) -> int:
        """0 for unclear, 2 for settled."""
        return _RANKS[self]


_RANKS: Final = {Confidence.UNCLEAR: 0, Confidence.LIKELY: 1, Confidence.SETTLED: 2}


def weaker(one: Confidence, other: Confidence) -> Confidence:
    """The lesser of two confidences: a claim is as good as its weakest part."""
    return one if one.rank <= other.rank else other


@record(frozen=True, slots=True)
class RuledOut:
    """A look-alike the evidence speaks against: a cause, or `cause/root`, and the fact that beats it."""

    cause: str
    because: str


@record(unsafe_hash=True, slots=True, init=False)
class Verdict:
    """What is said of one ended connection, fit for the closing line. Nobody changes it.

    Its `__init__` is spelled out, and it therefore not frozen, to be machine code where the rest is: each connection
    makes one.
    """

    cause: Cause
    root: str | None
    owner: Owner
    confidence: Confidence
    code: str  # two letters, `codes.py`
    explanation: str
    advice: str
    ruled_out: tuple[RuledOut, ...] = ()
    would_settle: str | None = None

    def __init__(
        self,
        cause: Cause,
        root: str | None,
        owner: Owner,
        confidence: Confidence,
        code: str,
        explanation: str,
        advice: str,
        ruled_out: tuple[RuledOut, ...] = (),
        would_settle: str | None = None,
    ) -> None:
        self.cause = cause
        self.root = root
        self.owner = owner
        self.confidence = confidence
        self.code = code
        self.explanation = explanation
        self.advice = advice
        self.ruled_out = ruled_out
        self.would_settle = would_settle


@record(frozen=True, slots=True)
class Finding:
    """What a rule found, before it is put into sentences.

    `because` is the facts as whole sentences; the sentence on the ending itself is not among them. An
    `owner` or `advice` of None takes the ones of the catalogue.
    """

    cause: Cause
    because: tuple[str, ...] = ()
    confidence: Confidence = Confidence.LIKELY
    root: str | None = None
    owner: Owner | None = None
    advice: str | None = None
    ruled_out: tuple[RuledOut, ...] = ()
    would_settle: str | None = None

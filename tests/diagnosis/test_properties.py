"""Properties over evidence of every shape, also shapes no connection could have."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kaproxy.connection.evidence import (
    Evidence,
    Frame,
    Late,
    Neighbours,
    PartialPacket,
    Rival,
    Sighting,
    Unreadable,
)
from kaproxy.connection.facts import Ending, LegFacts, Origin, Phase, ProxyAction, RelayFacts
from kaproxy.connection.keepalive import Counts
from kaproxy.diagnosis import Cause, Confidence, Verdict, diagnose
from kaproxy.diagnosis.codes import FIRST_LETTERS, SECOND_LETTERS
from kaproxy.diagnosis.learning import may_teach, sure_expiry
from kaproxy.diagnosis.profiles import BROKER_PROFILES
from kaproxy.diagnosis.reading import STRANGERS
from kaproxy.diagnosis.record import from_record, to_record
from kaproxy.diagnosis.rules import RULES
from kaproxy.diagnosis.rules.orderly import left_in_order
from kaproxy.diagnosis.signs import fitting_signs
from kaproxy.mqtt.codes import PACKET_NAMES
from tests.diagnosis.cases import evidence as healthy

SIDES = st.sampled_from(("client", "broker"))
COUNTS = st.integers(0, 70_000)
CODES = st.integers(0, 255)
NAMES = st.sampled_from(PACKET_NAMES)
TEXTS = st.text(max_size=12)


def numbers(places: int, low: float = 0.0) -> st.SearchStrategy[float]:
    """Numbers with so many decimals, near the limits that matter and far from them."""
    near = st.sampled_from((0.0, 0.05, 1.0, 2.5, 15.0, 30.0, 60.0, 90.0, 120.0))
    return (near | st.floats(low, 1e6)).map(lambda value: round(value, places))


SECONDS = numbers(6)
SIGNED = numbers(6, -5.0)
MILLIS = numbers(3)
LEGS = st.builds(
    LegFacts,
    ending=st.none() | st.sampled_from(Ending),
    ended_s=st.none() | SECONDS,
    unsent=st.none() | COUNTS,
    unacked=st.none() | COUNTS,
    retransmits=st.none() | st.integers(0, 15),
    backoff=st.none() | st.integers(0, 15),
    rtt_ms=st.none() | MILLIS,
    last_ack_s=st.none() | SECONDS,
    window=st.none() | COUNTS,
    fin_acked=st.none() | st.booleans(),
    stalled_s=SECONDS,
    stalled_now=st.booleans(),
)
FRAMES = st.builds(
    Frame,
    ago_s=numbers(3, -5.0).map(lambda ago: round(ago, 1) if ago >= 100 else ago),
    from_client=st.booleans(),
    first_byte=CODES,
    size=COUNTS,
    packet_id=st.integers(0, 65535),
    count=st.integers(1, 2047),
)
ORIGINS = st.builds(
    Origin,
    conn_id=TEXTS,
    listener=TEXTS,
    client_addr=TEXTS,
    client_port=st.integers(0, 65535),
    broker_addr=TEXTS,
    opened_at=st.floats(0, 4e9).map(lambda value: round(value, 6)),
)
UNREADABLE = st.builds(
    Unreadable,
    side=SIDES,
    what=st.sampled_from(sorted(STRANGERS)) | TEXTS,
    packet=NAMES,
    offset=COUNTS,
    detail=TEXTS,
)
SIGHTINGS = st.builds(Sighting, packet=NAMES, ago_s=SECONDS)
PARTIALS = st.builds(PartialPacket, packet=NAMES, size=st.none() | COUNTS, seen=COUNTS)
LATES = st.builds(Late, packet=NAMES, after_s=SIGNED)
FLAGS = st.none() | st.booleans()
VERSIONS = st.sampled_from((None, "3.1", "3.1.1", "5.0", "9"))
KEEP_ALIVES = st.none() | st.sampled_from((0, 1, 2, 10, 60, 65535))
RIVALS = st.builds(
    Rival,
    conn_id=TEXTS,
    client_addr=TEXTS,
    gap_s=st.none() | numbers(6, -2.0),
    keep_alive=KEEP_ALIVES,
    protocol_version=VERSIONS,
    clean_start=FLAGS,
    will_present=FLAGS,
)
FEW = st.integers(0, 9)
NEIGHBOURS = st.builds(
    Neighbours,
    live=FEW,
    ended_by_broker=FEW,
    dials_refused=FEW,
    same_age=FEW,
    same_idle=FEW,
    same_idle_keep_alives=FEW,
    near_age=FEW,
    near_idle=FEW,
    connects_1m=st.integers(1, 90),
    previous_ended_s=st.none() | SECONDS,
)
ENDINGS = ("disconnect", *Ending, "tls_alert")


def _field(name: str) -> st.SearchStrategy[object]:
    """What a field of the evidence may hold."""
    special: dict[str, st.SearchStrategy[object]] = {
        "origin": ORIGINS,
        "duration_s": SECONDS,
        "phase": st.sampled_from(Phase),
        "closed_by": st.sampled_from(("client", "broker", "proxy", "unknown")),
        "close_how": st.sampled_from([str(each) for each in ENDINGS]),
        "proxy_action": st.none() | st.sampled_from(ProxyAction),
        "protocol_version": VERSIONS,
        "first_disconnect": st.none() | SIDES,
        "broker_profile": st.sampled_from((*BROKER_PROFILES, "unheard_of")),
        "counts": st.sampled_from([str(each) for each in Counts]),
        "margin_min_s": st.none() | numbers(6, -1e6),
        "ping_rtt_last_ms": st.none() | MILLIS,
        "ping_rtt_max_ms": st.none() | MILLIS,
        "unreadable": st.none() | UNREADABLE,
        "oddities": st.lists(TEXTS, max_size=3).map(tuple),
        "relay": st.builds(RelayFacts, SECONDS, SECONDS, SECONDS),
        "frames": st.lists(FRAMES, max_size=3).map(tuple),
        "history": TEXTS,
        "client_leg": LEGS,
        "broker_leg": LEGS,
        "closed_within_1s": st.integers(1, 5000),
    }
    if name in special:
        return special[name]
    for start, strategy in (
        ("last_from", SIGHTINGS),
        ("partial_from", PARTIALS),
        ("late_from", LATES),
        ("disconnect_from", CODES),
        ("connack_code", CODES),
        ("taken_over_by", RIVALS),
        ("took_over", RIVALS),
        ("neighbours", NEIGHBOURS),
    ):
        if name.startswith(start):
            return st.none() | strategy
    if name in ("will_present", "session_present", "clean_start"):
        return FLAGS
    if name in ("client_id", "proxy_detail", "observer_error"):
        return st.none() | TEXTS
    if name in ("keep_alive", "effective_keep_alive"):
        return KEEP_ALIVES
    return st.none() | SECONDS if name.endswith("_s") else COUNTS


ANY = st.fixed_dictionaries({each.name: _field(each.name) for each in fields(Evidence)}).map(
    lambda values: Evidence(**values)  # type: ignore[arg-type]
)


@st.composite
def nearly_healthy(draw: st.DrawFn) -> Evidence:
    """A connection as it might be, with a few fields changed: reaches deeper into the rules."""
    names = draw(st.lists(st.sampled_from([each.name for each in fields(Evidence)]), max_size=5, unique=True))
    changes: dict[str, Any] = {name: draw(_field(name)) for name in names}
    return replace(healthy(), **changes)


SOME = ANY | nearly_healthy()


@given(SOME)
def test_every_evidence_gets_a_verdict_and_always_the_same(evidence: Evidence) -> None:
    verdict = diagnose(evidence)
    assert isinstance(verdict, Verdict)
    assert diagnose(evidence) == verdict


@given(SOME)
def test_every_verdict_is_whole(evidence: Evidence) -> None:
    verdict = diagnose(evidence)
    assert verdict.code[0] in FIRST_LETTERS
    assert verdict.code[1] in SECOND_LETTERS.values()
    assert verdict.explanation
    assert verdict.advice


@given(SOME)
def test_a_silent_expiry_or_ping_timeout_is_never_settled(evidence: Evidence) -> None:
    verdict = diagnose(evidence)
    if verdict.cause in (Cause.KEEP_ALIVE_TIMEOUT, Cause.PING_TIMEOUT):
        stated = 0x8D in (evidence.disconnect_from_client, evidence.disconnect_from_broker)
        assert stated or verdict.confidence is not Confidence.SETTLED


#: Causes that a close without a word only ever suggests.
SUGGESTED = {
    Cause.PACKET_REJECTED,
    Cause.PACKET_UNACCEPTABLE,
    Cause.IDLE_CUT,
    Cause.BROKER_CLOSED,
    Cause.BROKER_RESET,
    Cause.CLIENT_CLOSED,
    Cause.CLIENT_RESET,
}


@given(SOME)
def test_a_trigger_a_crowd_or_a_box_is_never_settled_without_a_code(evidence: Evidence) -> None:
    verdict = diagnose(replace(evidence, first_disconnect=None))
    assert verdict.cause not in SUGGESTED or verdict.confidence is not Confidence.SETTLED


@given(SOME)
def test_an_unstated_takeover_is_not_settled_where_anything_else_happened(evidence: Evidence) -> None:
    verdict = diagnose(replace(evidence, first_disconnect=None, closed_within_1s=3))
    assert verdict.cause is not Cause.TAKEOVER or verdict.confidence is not Confidence.SETTLED


@given(SOME)
def test_what_kaproxy_ended_is_never_blamed_on_a_peer(evidence: Evidence) -> None:
    own = diagnose(evidence).cause in (Cause.PROXY_SHUTDOWN, Cause.PROXY_LIMIT, Cause.PROXY_ERROR)
    assert own == (evidence.closed_by == "proxy")


@given(SOME)
def test_timing_is_never_settled_on_what_could_not_be_read(evidence: Evidence) -> None:
    blind = replace(evidence, observer_error="IndexError", first_disconnect=None)
    verdict = diagnose(blind)
    if verdict.cause in (Cause.KEEP_ALIVE_TIMEOUT, Cause.PING_TIMEOUT):
        assert verdict.confidence is Confidence.UNCLEAR


@given(SOME)
def test_a_record_gives_the_evidence_back(evidence: Evidence) -> None:
    record = to_record(evidence, diagnose(evidence))
    assert from_record(record) == evidence


@given(SOME)
def test_a_record_survives_json(evidence: Evidence) -> None:
    record = to_record(evidence, diagnose(evidence))
    assert from_record(orjson.loads(orjson.dumps(record))) == evidence


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(-5, 99.9))
def test_numbers_come_back_to_the_stated_rounding(silence: float, rtt: float, ago: float) -> None:
    told = replace(healthy(), silence_s=silence, ping_rtt_max_ms=rtt, frames=(Frame(ago, True, 0xC0, 2),))
    read = from_record(to_record(told, diagnose(told)))
    assert read.silence_s == pytest.approx(silence, abs=0.5e-6)
    assert read.ping_rtt_max_ms == pytest.approx(rtt, abs=0.5e-3)
    assert read.frames[0].ago_s == pytest.approx(ago, abs=0.5001e-3)


@given(SOME, st.sampled_from((None, 0)), st.sampled_from((None, 0)))
def test_who_left_in_order_is_said_to_by_the_rules_behind_that_one_too(
    evidence: Evidence, code: int | None, connack: int | None
) -> None:
    left = replace(
        evidence,
        first_disconnect="client",
        disconnect_from_client=code,
        connack_code=connack,
        pings_open=0,
        unreadable=None,
    )
    found = left_in_order(left)
    assume(found is not None)
    others = (rule.judge(left) for rule in RULES if rule.judge is not left_in_order)
    assert next(each for each in others if each is not None) == found


@given(SOME)
def test_what_may_not_teach_is_no_sure_expiry_and_shows_no_sign(evidence: Evidence) -> None:
    verdict = diagnose(evidence)
    told = sure_expiry(evidence, verdict) is not None or fitting_signs(evidence, verdict) is not None
    assert may_teach(evidence, verdict) or not told

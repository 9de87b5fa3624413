"""The five questions no product answers, as pairs: what a log without evidence shows alike must be told apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaproxy.connection.evidence import Evidence, Late
from kaproxy.diagnosis import Cause, Confidence, diagnose
from tests.diagnosis.build import BROKER_RST, CLIENT_LEFT
from tests.diagnosis.cases import CASES, EXPIRED, KERNEL_ONLY, QUIET, evidence

PAIRS = {
    "1 gave up on PINGRESP: broker or path": ("broker hung", "broker's host gone"),
    "1 gave up on PINGRESP: broker or reader": ("broker hung", "client not reading"),
    "1 gave up on PINGRESP: broker or timer": ("broker hung", "closed at its timer though answered"),
    "1 gave up on PINGRESP: path or reader": ("broker's host gone", "client not reading"),
    "1 gave up on PINGRESP: reader or timer": ("client not reading", "closed at its timer though answered"),
    "1 gave up on PINGRESP, or left": ("paho C gives up", "normal DISCONNECT"),
    "1 gave up on PINGRESP, or exited": ("broker hung", "client exits with a young PINGREQ"),
    "2 path dead or loop hung": ("device gone", "loop hung"),
    "2 loop hung or not reading": ("loop hung", "not reading"),
    "2 path dead or not reading": ("device gone", "not reading"),
    "2 path dead or never pinged": ("device gone", "never pinged"),
    "3 broker hung or its host gone": ("broker hung", "TCP gave up on the broker"),
    "3 broker hung or not there": ("client gives up on CONNACK", "dial timed out"),
    "5 late client or early broker": ("late, announced", "0x8D before the limit"),
    "5 late client or late kaproxy": (
        "paho.mqtt.golang 1.4 at Keep Alive 10 against aedes",
        "kaproxy was late itself",
    ),
    "5 late client or fed client": (
        "paho.mqtt.golang 1.4 at Keep Alive 10 against aedes",
        "received data reset its ping timer",
    ),
    "takeover or expiry": ("takeover, 3.1.1", "device gone"),
    "announced or silent": ("device gone, announced", "device gone"),
}


@pytest.mark.parametrize(("one", "other"), PAIRS.values(), ids=PAIRS.keys())
def test_the_two_are_told_apart(one: str, other: str) -> None:
    first, second = diagnose(CASES[one].evidence), diagnose(CASES[other].evidence)
    assert (first.cause, first.root, first.owner, first.confidence) != (
        second.cause,
        second.root,
        second.owner,
        second.confidence,
    )


def idle_cut(**changes: object) -> Evidence:
    """Group 4: a box cuts both idle directions after 60 s of a Keep Alive of 300."""
    return evidence(**{**QUIET, "keep_alive": 300, "silence": 60.0, **changes})


def test_an_idle_cut_at_a_known_limit_is_no_keepalive_timeout_and_blames_nobody_for_sure() -> None:
    verdict = diagnose(idle_cut())
    assert (verdict.cause, verdict.root) == (Cause.IDLE_CUT, "limit_60s")
    assert verdict.confidence is Confidence.UNCLEAR
    assert "nginx" in verdict.explanation
    assert Cause.KEEP_ALIVE_TIMEOUT in {each.cause for each in verdict.ruled_out}


def test_an_idle_cut_at_no_known_limit_blames_nobody_for_sure() -> None:
    verdict = diagnose(idle_cut(silence=77.0))
    assert verdict.cause is Cause.BROKER_CLOSED
    assert verdict.confidence is Confidence.UNCLEAR
    assert "idle_cut" in verdict.explanation
    assert "idle_cut" in (verdict.would_settle or "")
    assert Cause.KEEP_ALIVE_TIMEOUT in {each.cause for each in verdict.ruled_out}


def test_an_idle_cut_at_the_broker_s_own_limit_looks_like_its_expiry_and_is_not_settled() -> None:
    verdict = diagnose(idle_cut(keep_alive=40))
    assert verdict.cause is Cause.KEEP_ALIVE_TIMEOUT
    assert verdict.confidence is Confidence.UNCLEAR
    assert "idle_cut" in verdict.explanation


def test_traffic_in_the_silence_rules_an_idle_cut_out() -> None:
    fed = replace(CASES["received data reset its ping timer"].evidence, idle_s=0.5)
    assert Cause.IDLE_CUT in {each.cause for each in diagnose(fed).ruled_out}


def test_a_connack_just_after_connect_is_no_traffic_in_the_silence() -> None:
    expired = CASES["received data reset its ping timer"].evidence
    quiet = replace(expired, downlink_in_silence=1, idle_s=(expired.silence_s or 0.0) - 0.001)
    assert Cause.IDLE_CUT not in {each.cause for each in diagnose(quiet).ruled_out}


@pytest.mark.parametrize("early_s", [0.21, 1.0, 30.0, 89.0])
def test_a_silence_below_the_limit_is_never_a_silent_keepalive_timeout(early_s: float) -> None:
    verdict = diagnose(evidence(**QUIET, silence=90.0 - early_s, client_leg=KERNEL_ONLY))
    assert verdict.cause in (Cause.BROKER_CLOSED, Cause.IDLE_CUT)


@pytest.mark.parametrize("silence", [89.81, 90.0, 97.0, 97.29])
def test_a_silence_in_the_window_is_one(silence: float) -> None:
    assert diagnose(evidence(**QUIET, silence=silence)).cause is Cause.KEEP_ALIVE_TIMEOUT


@pytest.mark.parametrize("silence", [97.31, 120.0, 500.0])
def test_a_silence_beyond_a_known_broker_s_window_is_none(silence: float) -> None:
    assert diagnose(evidence(**QUIET, silence=silence)).cause is Cause.BROKER_CLOSED


def test_a_broker_that_never_expires_did_not_expire_it() -> None:
    assert diagnose(evidence(**{**EXPIRED, "broker_profile": "amqtt"})).cause is Cause.BROKER_CLOSED


def test_keep_alive_0_has_no_limit() -> None:
    verdict = diagnose(evidence(**QUIET, silence=93.2, keep_alive=0))
    assert verdict.cause is Cause.BROKER_CLOSED


def test_a_reset_in_the_window_is_an_expiry_for_a_broker_that_resets_and_doubtful_for_one_that_does_not() -> (
    None
):
    reset = {"close_how": "rst", "broker_leg": CASES["broker reset"].evidence.broker_leg, **EXPIRED}
    assert diagnose(evidence(**reset, broker_profile="vernemq")).confidence is Confidence.LIKELY
    assert diagnose(evidence(**reset, broker_profile="mosquitto_2.0")).confidence is Confidence.UNCLEAR


@pytest.mark.parametrize(
    ("wait_s", "cause"),
    [(0.02, Cause.CLIENT_CLOSED), (1.2, Cause.CLIENT_CLOSED), (2.4, Cause.CLIENT_CLOSED)],
)
def test_a_young_open_ping_is_no_ping_timeout(wait_s: float, cause: Cause) -> None:
    base = CASES["broker hung"].evidence
    assert diagnose(evidence_with_wait(base, wait_s)).cause is cause


@pytest.mark.parametrize("wait_s", [3.0, 5.2, 10.4, 15.0, 30.5, 60.0, 60.9, 90.5, 120.0])
def test_known_ping_limits_are_recognised_at_keep_alive_60(wait_s: float) -> None:
    verdict = diagnose(evidence_with_wait(CASES["broker hung"].evidence, wait_s))
    assert (verdict.cause, verdict.root) == (Cause.PING_TIMEOUT, "broker_silent")
    assert verdict.confidence is Confidence.LIKELY


def evidence_with_wait(base: Evidence, wait_s: float) -> Evidence:
    return replace(base, ping_wait_s=wait_s, ping_ago_s=wait_s, silence_s=wait_s, idle_s=wait_s)


def test_a_stalled_client_leg_never_makes_the_broker_silent() -> None:
    case = CASES["client not reading"].evidence
    verdict = diagnose(case)
    assert verdict.root == "response_not_read"
    assert "ping_timeout/broker_silent" in {each.cause for each in verdict.ruled_out}


def test_a_late_disconnect_is_no_late_ping() -> None:
    case = evidence(**EXPIRED, late_from_client=Late("DISCONNECT", 0.1))
    assert diagnose(case).root != "pinged_late"


def test_a_packet_that_comes_long_after_is_no_late_ping() -> None:
    case = evidence(**EXPIRED, late_from_client=Late("PUBLISH", 45.0))
    assert diagnose(case).root != "pinged_late"


def test_the_late_ping_of_paho_golang_is_told_with_its_numbers() -> None:
    verdict = diagnose(CASES["paho.mqtt.golang 1.4 at Keep Alive 10 against aedes"].evidence)
    for number in (
        "15.001 s",
        "3 ms after",
        "4 ms beyond 1.5 x Keep Alive",
        "paho.mqtt.golang 1.2 to 1.4",
    ):
        assert number in verdict.explanation


def test_an_early_0x8d_says_by_how_much() -> None:
    assert "60 s early" in diagnose(CASES["0x8D before the limit"].evidence).explanation


def test_a_client_that_leaves_without_a_word_after_a_pause_may_have_been_cut_by_a_box() -> None:
    paused = diagnose(evidence(**CLIENT_LEFT, silence=3.0))
    assert (paused.cause, paused.confidence) == (Cause.CLIENT_CLOSED, Confidence.UNCLEAR)
    assert Cause.IDLE_CUT not in {each.cause for each in paused.ruled_out}
    busy = diagnose(evidence(**CLIENT_LEFT, silence=0.3))
    assert (busy.cause, busy.confidence) == (Cause.CLIENT_CLOSED, Confidence.LIKELY)
    assert Cause.IDLE_CUT in {each.cause for each in busy.ruled_out}


def test_a_broker_that_was_deaf_may_have_counted_a_silence_that_was_none() -> None:
    deaf = evidence(
        keep_alive=3, silence=0.5, pings_open=4, ping_wait_s=6.5, close_how="rst", broker_leg=BROKER_RST
    )
    verdict = diagnose(deaf)
    assert verdict.confidence is Confidence.UNCLEAR
    assert Cause.KEEP_ALIVE_TIMEOUT not in {each.cause for each in verdict.ruled_out}
    awake = diagnose(replace(deaf, pings_open=0, ping_wait_s=None))
    assert Cause.KEEP_ALIVE_TIMEOUT in {each.cause for each in awake.ruled_out}

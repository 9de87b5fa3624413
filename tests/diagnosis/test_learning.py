"""What a broker's own expiries say about it."""

from dataclasses import replace

import pytest

from kaproxy.connection.evidence import Evidence, Late
from kaproxy.diagnosis import Cause, Verdict, diagnose
from kaproxy.diagnosis.learning import FEWEST, Expiry, Learner, fitting, may_teach, sure_expiry
from kaproxy.diagnosis.profiles import BROKER_PROFILES, UNKNOWN_BROKER, learned_name, profile_named
from kaproxy.diagnosis.signs import SIGNS, fitting_signs
from tests.diagnosis.cases import evidence


def tight(keep_alive: int, over: float = 0.01) -> Expiry:
    silence = 1.5 * keep_alive + over
    return Expiry(keep_alive, silence, silence, silence)


def expired(silence: float, late: float | None = 0.1, keep_alive: int = 10) -> Evidence:
    low, high = UNKNOWN_BROKER.window.limits(keep_alive) or (None, None)
    return replace(
        evidence(),
        closed_by="broker",
        close_how="fin",
        keep_alive=keep_alive,
        effective_keep_alive=keep_alive,
        limit_low_s=low,
        limit_high_s=high,
        broker_profile="unknown",
        silence_s=silence,
        silence_bytes_s=silence,
        silence_counted_s=silence,
        idle_s=silence,
        downlink_idle_s=silence,
        late_from_client=None if late is None else Late("PINGREQ", late),
    )


def test_expiries_at_the_limit_to_the_hundredth_leave_the_tight_brokers() -> None:
    names = fitting([tight(10), tight(20), tight(30), tight(7)])
    assert {"aedes", "rumqttd"} <= set(names)
    assert not {"mosquitto_2.0", "vernemq", "emqx_5.0.26", "nanomq", "aws", "amqtt"} & set(names)


def test_expiries_seconds_late_leave_the_brokers_that_look_seldom() -> None:
    names = fitting([tight(20, over) for over in (0.4, 5.8, 3.1, 2.2)])
    assert "mosquitto_2.0" in names
    assert not {"aedes", "rumqttd", "hivemq"} & set(names)


def test_a_broker_that_counts_bytes_is_told_by_a_client_that_dripped_them() -> None:
    dripping = Expiry(10, 22.0, 15.01, 15.01)
    assert not {"aedes", "mosquitto_2.0.21"} & set(fitting([dripping, dripping, dripping]))


def test_expiries_that_no_row_explains_teach_nothing() -> None:
    assert fitting([Expiry(10, 3.0, 3.0, 3.0)] * 5) == ()


def test_nothing_is_learned_from_fewer_than_the_fewest() -> None:
    learner = Learner()
    for _ in range(FEWEST - 1):
        assert not learner.learn(expired(15.01), diagnose(expired(15.01)))
    early = learner.name
    assert learner.learn(expired(15.01), diagnose(expired(15.01)))
    assert early is None
    assert learner.name is not None
    assert profile_named(learner.name).learned == FEWEST


def test_a_silence_nobody_vouches_for_teaches_nothing() -> None:
    silent = expired(15.01, late=None)
    assert sure_expiry(silent, diagnose(silent)) is None


def test_an_expiry_behind_back_pressure_or_the_proxys_own_lateness_teaches_nothing() -> None:
    stalled = replace(expired(15.01), client_leg=replace(expired(15.01).client_leg, stalled_s=3.0))
    late = replace(expired(15.01), relay=replace(expired(15.01).relay, lag_recent_s=0.4))
    for case in (stalled, late):
        assert sure_expiry(case, diagnose(expired(15.01))) is None


def test_an_ending_that_was_no_expiry_teaches_nothing() -> None:
    closed = expired(2.0)
    assert sure_expiry(closed, diagnose(closed)) is None


@pytest.mark.parametrize("name", sorted(set(BROKER_PROFILES) - {"unknown", "amqtt"}))
def test_a_learned_profile_keeps_the_union_and_its_strong_part_holds_the_brokers_window(name: str) -> None:
    profile = profile_named(learned_name((name,), 9))
    assert profile.window == UNKNOWN_BROKER.window
    assert profile.strong is not None
    for keep_alive in (1, 2, 5, 9, 10, 60, 61, 300):
        strong, own = profile.strong.limits(keep_alive), BROKER_PROFILES[name].window.limits(keep_alive)
        assert strong is not None
        assert own is not None
        assert strong[0] <= own[0] + 1e-9
        assert strong[1] >= own[1] - 1e-9


def test_a_name_that_cannot_be_read_is_an_unknown_broker() -> None:
    for name in ("learned:", "learned:nobody:4", "learned:aedes:many", "nobody"):
        assert profile_named(name) is UNKNOWN_BROKER


def test_a_silence_in_the_learned_window_is_likely_where_the_unknown_broker_left_it_unclear() -> None:
    case = expired(3.01, keep_alive=2)
    assert diagnose(case).confidence == "unclear"
    known = replace(case, broker_profile=learned_name(("aedes", "rumqttd"), 5))
    assert diagnose(known).confidence == "likely"


def refused(code: int, keep_alive: int = 600) -> tuple[Evidence, Verdict]:
    case = replace(
        evidence(),
        protocol_version="3.1.1",
        connack_code=code,
        keep_alive=keep_alive,
        broker_profile="unknown",
    )
    verdict = diagnose(expired(15.01))
    return case, replace(verdict, cause=Cause.CONNECT_REFUSED, root="keep_alive_above_maximum")


def test_refusals_that_only_some_brokers_send_leave_those() -> None:
    learner = Learner()
    for _ in range(FEWEST):
        learner.learn(*refused(2))
    assert learner.name == learned_name(("mosquitto_2.0", "mosquitto_2.0.21"), FEWEST)
    for _ in range(FEWEST):
        learner.learn(expired(16.0), diagnose(expired(16.0)))
    assert "mosquitto_2.0.21" in (learner.name or "")
    assert "aedes" not in (learner.name or "")


def test_a_refusal_for_another_reason_is_no_sign() -> None:
    case, verdict = refused(2)
    other = replace(verdict, root="identifier_rejected")
    assert fitting_signs(case, other) is None
    assert fitting_signs(replace(case, protocol_version="5.0"), verdict) is None


def test_signs_that_contradict_each_other_teach_nothing() -> None:
    learner = Learner()
    for code in (2, 6, 2, 6):
        learner.learn(*refused(code))
    assert learner.name is None


def test_each_sign_may_teach() -> None:
    in_3x = replace(expired(15.01), oddities=("disconnect_from_broker_in_3x",), effective_keep_alive=None)
    for case, verdict in (
        refused(2),
        refused(6),
        (in_3x, replace(diagnose(in_3x), cause=Cause.BROKER_CLOSED)),
    ):
        assert fitting_signs(case, verdict) is not None
        assert may_teach(case, verdict)


def test_every_sign_names_profiles_there_are() -> None:
    for sign in SIGNS:
        assert sign.fits <= set(BROKER_PROFILES) - {"unknown"}, sign.name


@pytest.mark.parametrize(
    ("stated", "told", "silent"),
    [(True, "hivemq", "mosquitto_2.0.21"), (False, "mosquitto_2.0.21", "hivemq")],
)
def test_a_broker_that_always_announces_is_not_one_that_never_does(
    stated: bool, told: str, silent: str
) -> None:
    names = fitting([tight(10)._replace(stated=stated)] * 3)
    assert told in names
    assert silent not in names


def test_a_broker_that_always_resets_is_not_one_that_closed_with_fin() -> None:
    late = [Expiry(10, 20.0, 20.0, 20.0)] * 3
    assert "vernemq" in fitting(late)
    assert "vernemq" not in fitting([each._replace(fin=True) for each in late])

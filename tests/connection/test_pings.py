"""PINGREQ and PINGRESP matched first in, first out."""

from kaproxy.connection.pings import OPEN_LIMIT, PingLedger


def test_answers_are_matched_to_the_oldest_request() -> None:
    ledger = PingLedger()
    ledger.request(1.0)
    ledger.request(3.0)
    ledger.response(4.0)
    assert (ledger.rtt_last, ledger.oldest) == (3.0, 3.0)
    ledger.response(4.5)
    assert (ledger.rtt_last, ledger.rtt_max, ledger.oldest) == (1.5, 3.0, None)


def test_a_response_nobody_asked_for_is_counted_and_answers_nothing() -> None:
    ledger = PingLedger()
    ledger.response(1.0)
    ledger.request(2.0)
    assert (ledger.answered, ledger.rtt_last, ledger.oldest) == (1, None, 2.0)


def test_a_flood_of_requests_is_counted_but_held_to_a_limit() -> None:
    ledger = PingLedger()
    for number in range(10 * OPEN_LIMIT):
        ledger.request(float(number))
    assert (ledger.sent, len(ledger.open_at)) == (10 * OPEN_LIMIT, OPEN_LIMIT)

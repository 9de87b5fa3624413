"""What the records tell beyond their fields."""

from __future__ import annotations

from kaproxy.mqtt.packets import Connack

PAIRS = (("receive_maximum", 9), ("server_keep_alive", 30), ("assigned_client_identifier", "auto-7"))


def test_server_keep_alive_is_found_among_the_properties() -> None:
    assert Connack(False, 0, PAIRS).server_keep_alive == 30
    assert Connack(False, 0, (("reason_string", "x"),)).server_keep_alive is None


def test_the_assigned_client_identifier_is_found_among_the_properties() -> None:
    assert Connack(False, 0, PAIRS).assigned_client_identifier == "auto-7"
    assert Connack(False, 0).assigned_client_identifier is None

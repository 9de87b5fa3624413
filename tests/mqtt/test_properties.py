"""The property table against the one the tests wrote for themselves."""

from __future__ import annotations

import pytest

from kaproxy.mqtt.codes import DISCONNECT_FROM_BROKER, DISCONNECT_FROM_CLIENT, PacketType
from kaproxy.mqtt.properties import PROPERTIES, REPEATABLE
from tests.builders import PROPERTY_IDS
from tests.strategies import PROPERTIES_OF


def test_both_tables_have_the_same_names_numbers_and_wire_types() -> None:
    ours = {entry.name: (identifier, entry.kind) for identifier, entry in PROPERTIES.items()}
    assert ours == PROPERTY_IDS


@pytest.mark.parametrize("packet", sorted(PROPERTIES_OF))
def test_both_tables_allow_the_same_properties(packet: str) -> None:
    names = ("PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBACK", "UNSUBACK") if packet == "ACK" else (packet,)
    for name in names:
        assert {entry.name for entry in PROPERTIES.values() if name in entry.packets} == set(
            PROPERTIES_OF[packet]
        )


def test_every_packet_named_in_the_table_exists() -> None:
    known = {kind.name for kind in PacketType} | {"WILL", DISCONNECT_FROM_BROKER, DISCONNECT_FROM_CLIENT}
    assert {name for entry in PROPERTIES.values() for name in entry.packets} <= known
    assert "DISCONNECT" not in {name for entry in PROPERTIES.values() for name in entry.packets}


def test_user_properties_are_the_ones_that_repeat() -> None:
    assert REPEATABLE in {entry.name for entry in PROPERTIES.values()}

"""What one direction counts."""

from hypothesis import given
from hypothesis import strategies as st

from kaproxy.connection.direction import Direction
from kaproxy.connection.facts import Side


@given(st.sampled_from(Side), st.lists(st.tuples(st.booleans(), st.integers(1, 5)), max_size=30))
def test_unacknowledged_are_the_identifiers_sent_and_not_acknowledged_since(
    side: Side, steps: list[tuple[bool, int]]
) -> None:
    direction = Direction(side, 0.0)
    open_now: set[int] = set()
    for sent, packet_id in steps:
        if sent:
            direction.sent_publish(packet_id)
            open_now.add(packet_id)
        else:
            direction.acknowledged(packet_id)
            open_now.discard(packet_id)
        assert direction.unacknowledged == len(open_now)


def test_an_acknowledgement_of_no_identifier_ends_nothing() -> None:
    direction = Direction(Side.CLIENT, 0.0)
    direction.sent_publish(7)
    direction.acknowledged(0)
    assert direction.unacknowledged == 1

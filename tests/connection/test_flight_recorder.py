"""The ring of the last control packets."""

from hypothesis import given
from hypothesis import strategies as st

from kaproxy.connection.evidence import Frame
from kaproxy.connection.flight_recorder import FlightRecorder

ENTRY = st.tuples(
    st.floats(0, 1e6),
    st.integers(0, 255),
    st.integers(2, (1 << 28) - 1),
    st.integers(0, 65535),
    st.one_of(st.just(1), st.integers(1, 2047)),
    st.booleans(),
).map(lambda entry: entry if entry[4] == 1 else (*entry[:3], 0, *entry[4:]))  # a run has no packet identifier


@given(st.lists(ENTRY, max_size=40), st.integers(0, 20))
def test_it_holds_the_last_entries_in_order_exactly(
    entries: list[tuple[float, int, int, int, int, bool]], size: int
) -> None:
    recorder = FlightRecorder(size)
    for entry in entries:
        recorder.note(*entry)
    expected = tuple(
        Frame(1e6 - at, from_client, first, length, packet_id, count)
        for at, first, length, packet_id, count, from_client in (entries[-size:] if size else [])
    )
    assert recorder.frames(1e6) == expected


def test_what_does_not_fit_its_bits_is_kept_as_the_largest_that_does() -> None:
    recorder = FlightRecorder(1)
    recorder.note(0.0, 0x30, 1 << 40, 0, 1 << 20, True)
    (frame,) = recorder.frames(0.0)
    assert (frame.size, frame.count, frame.first_byte) == ((1 << 28) - 1, 2047, 0x30)

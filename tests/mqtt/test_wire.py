"""The wire types at their edges: complete, short, and cut off where no more was kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaproxy.mqtt.wire import INCOMPLETE, TOO_LONG, MalformedBodyError, Reader, remaining_length
from tests import builders
from tests.strategies import kept, properties

LENGTHS = [
    (0, "00"), (127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001"),
    (2_097_151, "ffff7f"), (2_097_152, "80808001"), (268_435_455, "ffffff7f"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "raw"), LENGTHS)
def test_remaining_length_is_read_at_every_boundary(value: int, raw: str) -> None:
    data = b"??" + bytes.fromhex(raw) + b"rest"
    assert remaining_length(data, 2, len(data)) == (value, 2 + len(raw) // 2)


@pytest.mark.parametrize(("value", "raw"), LENGTHS)
def test_a_prefix_of_a_remaining_length_is_incomplete(value: int, raw: str) -> None:
    data = bytes.fromhex(raw)
    for size in range(len(data)):
        assert remaining_length(data, 0, size)[1] == INCOMPLETE


def test_a_fifth_byte_of_remaining_length_is_too_long() -> None:
    assert remaining_length(b"\xff\xff\xff\xff\x01", 0, 5)[1] == TOO_LONG
    assert remaining_length(b"\xff\xff\xff\xff", 0, 4)[1] == TOO_LONG


def test_a_reader_reads_integers_and_strings_in_order() -> None:
    data = (
        b"\x05\x01\x02\x00\x01\x00\x00" + builders.text("é") + builders.binary(b"abc") + b"\xac\x02" + b"zz"
    )
    reader = Reader(data, 0, len(data))
    assert (reader.byte(), reader.two(), reader.four()) == (5, 258, 65_536)
    assert (reader.text(), reader.binary(), reader.variable(), reader.left) == ("é", 3, 300, 2)
    assert reader.rest() == b"zz"
    reader.finish()
    assert reader.oddities == []


@pytest.mark.parametrize(
    ("read", "raw", "what"),
    [
        ("byte", b"", "body_too_short"),
        ("two", b"\0", "body_too_short"),
        ("four", b"\0\0\0", "body_too_short"),
        ("variable", b"", "body_too_short"),
        ("variable", b"\x80", "body_too_short"),
        ("variable", b"\x80\x80\x80\x80\x01", "variable_integer_too_long"),
        ("text", b"\0", "body_too_short"),
        ("text", b"\0\x02a", "string_past_end"),
        ("binary", b"\0\x02a", "string_past_end"),
        ("finish", b"x", "trailing_bytes"),
    ],
)
def test_what_does_not_fit_is_named(read: str, raw: bytes, what: str) -> None:
    reader = Reader(raw + b"more", 0, len(raw))
    with pytest.raises(MalformedBodyError) as caught:
        getattr(reader, read)()
    assert caught.value.what == what


@pytest.mark.parametrize("read", ["byte", "two", "four", "variable", "text", "binary", "rest", "properties"])
def test_past_the_kept_part_everything_is_empty(read: str) -> None:
    reader = Reader(b"", 0, 100)
    value = reader.properties("CONNECT") if read == "properties" else getattr(reader, read)()
    assert not value
    assert reader.cut
    assert reader.truncated
    assert reader.left == 0
    reader.finish()


def test_a_string_is_shortened_where_the_kept_part_ends() -> None:
    reader = Reader(b"\0\x09abc\xc3", 0, 50)
    assert reader.text() == "abc�"
    assert reader.oddities == []
    assert (reader.text(), reader.byte()) == ("", 0)


def test_nothing_past_the_kept_part_is_malformed_any_more() -> None:
    reader = Reader(b"a", 0, 2)
    assert (reader.two(), reader.four(), reader.text()) == (0, 0, "")
    assert reader.cut


def test_the_declared_size_of_a_binary_is_told_though_it_was_not_kept() -> None:
    reader = Reader(b"\0\x28abc", 0, 50)
    assert reader.binary() == 40
    assert reader.cut


def test_a_string_longer_than_the_declared_body_is_malformed_even_if_not_all_was_kept() -> None:
    with pytest.raises(MalformedBodyError):
        Reader(b"\0\x28abc", 0, 20).text()


@given(properties("CONNECT"), st.integers(0, 60))
def test_properties_cut_off_are_a_beginning_of_the_whole(
    pairs: tuple[tuple[str, object], ...], size: int
) -> None:
    block = builders.properties(pairs)
    reader = Reader(block[:size], 0, len(block))
    found = reader.properties("CONNECT")
    assert found == kept(pairs)[: len(found)]
    assert reader.cut or found == kept(pairs)

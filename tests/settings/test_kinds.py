"""Every kind reads what people write, refuses the rest, and shows a value so that it reads back the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaproxy.settings.kinds import (
    Address,
    Choice,
    Count,
    Duration,
    Factor,
    HostPort,
    Kind,
    LogFile,
    Name,
    Size,
    duration_text,
)

ANY_TIME = Duration(0, 1e9)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("500ms", 0.5), ("2m", 120), ("1h", 3600), ("1h30m", 5400), ("1.5s", 1.5), ("1d", 86400)],
)
def test_a_duration_is_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert ANY_TIME.read(text) == seconds


@pytest.mark.parametrize(
    "text", ["10", "s", "", "10 s", "-1s", "1e3s", "10S", "10s ", "1.s", 10, 1.5, True, None]
)
def test_what_is_not_a_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        ANY_TIME.read(text)


def test_zero_needs_no_unit() -> None:
    assert ANY_TIME.read("0") == 0


@given(st.integers(0, 10**9))
def test_a_duration_shown_reads_back_the_same(milliseconds: int) -> None:
    assert ANY_TIME.read(duration_text(milliseconds / 1000)) == milliseconds / 1000


@pytest.mark.parametrize(
    ("text", "size"),
    [("8MiB", 8 << 20), ("512 KiB", 512 << 10), ("1GB", 10**9), ("100B", 100), ("1.5KiB", 1536)],
)
def test_a_size_is_a_number_with_its_unit(text: str, size: int) -> None:
    assert Size(0, 1 << 40).read(text) == size


@pytest.mark.parametrize("text", ["8", "8mb", "MiB", 8, None])
def test_what_is_not_a_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="not a size"):
        Size(0, 1 << 40).read(text)


@pytest.mark.parametrize("text", ["1.5", "", "ten", True, 1.5, None, "9" * 30])
def test_what_is_not_a_whole_number_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="whole number"):
        Count(0, 10).read(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:1883", ("127.0.0.1", 1883)),
        ("[::1]:1883", ("::1", 1883)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
        ("broker.example.com:8883", ("broker.example.com", 8883)),
        ("my_service:1883", ("my_service", 1883)),
    ],
)
def test_an_address_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert HostPort(1).read(text) == address
    assert str(Address(*address)) == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1883", "the port is missing"),
        ("host:", "the port is missing or not a number"),
        (":1883", "the host is missing"),
        ("host:0", "port too small"),
        ("host:65536", "port too large"),
        ("::1:1883", "goes in brackets"),
        ("[host]:1883", "do not hold an IPv6 address"),
        ("mqtt://host:1883", "goes in brackets"),
        ("ho st:1883", "not a name or an address"),
        (1883, "not HOST:PORT"),
    ],
)
def test_what_is_not_an_address_is_refused(text: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        HostPort(1).read(text)


@pytest.mark.parametrize(
    ("kind", "outside"),
    [
        (Duration(1, 60), "1s"),
        (Duration(1, 60), "1m"),
        (Size(1024, 2048), "1KiB"),
        (Count(3, 4), "3"),
        (Factor(0.5, 2), "2"),
    ],
)
def test_the_limits_themselves_are_allowed(kind: Kind, outside: str) -> None:
    kind.read(outside)


@pytest.mark.parametrize(
    ("kind", "outside", "complaint"),
    [
        (Duration(1, 60), "999ms", "too small"),
        (Duration(1, 60), "61s", "too large"),
        (Size(1024, 2048), "1023B", "too small"),
        (Count(3, 4), 5, "too large"),
        (Factor(0.5, 2), 0.4, "too small"),
        (Factor(0.5, 2), "fast", "not a number"),
        (Choice(("json", "logfmt")), "jsom", "did you mean json"),
        (Name(), "a b", "not a name"),
        (Name(), "", "not a name"),
        (LogFile(), "", "not a path"),
    ],
)
def test_what_is_outside_the_limits_is_refused(kind: Kind, outside: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        kind.read(outside)


def test_an_address_that_may_be_none_reads_and_shows_the_empty_text() -> None:
    kind = HostPort(0, or_none=True)
    assert kind.read("") is None
    assert kind.show(None) == '""'
    assert kind.read(kind.show(Address("::1", 9464)).strip('"')) == Address("::1", 9464)
    with pytest.raises(ValueError, match="not HOST:PORT"):
        HostPort(0).read("")

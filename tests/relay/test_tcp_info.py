"""Facts about reading TCP_INFO."""

import socket
import struct
from collections.abc import Iterator

import pytest

from kaproxy.relay import tcp_info
from kaproxy.relay.tcp_info import TcpInfo, TcpState


@pytest.fixture
def legs() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    with ours, theirs:
        yield ours, theirs


def full(size: int) -> bytes:
    """A struct in which every u32 holds its own offset, cut to `size`."""
    raw = bytearray(b"".join(struct.pack("=I", at) for at in range(0, 280, 4)))
    raw[0:8] = bytes([4, 0, 3, 0, 5, 0, 0, 0])
    return bytes(raw[:size])


def test_every_field_is_read_at_its_offset() -> None:
    assert tcp_info.decode(full(280)) == TcpInfo(4, 3, 5, 24, 52, 56, 68, 100, 144, 228)


def test_what_an_older_kernel_does_not_return_is_none_not_zero() -> None:
    info = tcp_info.decode(full(104))
    assert info.total_retrans == 100
    assert info.notsent is None
    assert info.snd_wnd is None


def test_a_field_cut_in_half_is_unknown() -> None:
    assert tcp_info.decode(full(231)).snd_wnd is None
    assert tcp_info.decode(full(232)).snd_wnd == 228


@pytest.mark.parametrize("size", range(0, 281, 7))
def test_any_length_is_read_without_error(size: int) -> None:
    info = tcp_info.decode(full(size))
    assert info.state == (4 if size else TcpState.UNKNOWN)


def test_a_live_socket_is_established_and_has_a_round_trip_time(
    legs: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = legs
    ours.sendall(b"hello")
    assert theirs.recv(5) == b"hello"
    info = tcp_info.read(ours)
    assert info.state == TcpState.ESTABLISHED
    assert info.rtt_us is not None
    assert info.rtt_us > 0


def test_bytes_the_peer_does_not_read_stay_outstanding(legs: tuple[socket.socket, socket.socket]) -> None:
    ours, _theirs = legs
    assert tcp_info.outstanding(ours) == 0
    ours.setblocking(False)
    try:
        while True:
            ours.send(b"x" * 65536)
    except BlockingIOError:
        pass
    assert tcp_info.outstanding(ours) > 0
    assert (tcp_info.read(ours).notsent or 0) > 0


def test_closing_with_the_switch_set_resets_the_peer(legs: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = legs
    tcp_info.reset_on_close(ours)
    ours.close()
    with pytest.raises(ConnectionResetError):
        theirs.recv(1)

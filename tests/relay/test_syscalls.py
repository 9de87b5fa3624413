"""The system calls that are there twice: both builds' own, over real TCP sockets, with every way they can go."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaproxy.build import COMPILED, build
from kaproxy.relay import syscalls, tcp_info
from kaproxy.relay.syscalls import Unsent

Transfer = Callable[[int, int, int], bytes | Unsent]
Accept = Callable[[socket.socket], tuple[int, str, int]]
Receive = Callable[[int, int], bytes]
Dial = Callable[[int, tuple[str | int, ...]], tuple[int, int]]
Read = Callable[[socket.SocketType], tcp_info.TcpInfo]
ROOM = 65536
IN_C = build() == COMPILED
#: In the compiled build both are there, and have to do the same.
BOTH: dict[str, Transfer] = {"python": syscalls.plain_transfer} | ({"c": syscalls.transfer} if IN_C else {})
each = pytest.mark.parametrize("transfer", BOTH.values(), ids=BOTH)
ACCEPTS: dict[str, Accept] = {"python": syscalls.plain_accept} | ({"c": syscalls.accept} if IN_C else {})
each_accept = pytest.mark.parametrize("accept", ACCEPTS.values(), ids=ACCEPTS)
RECEIVES: dict[str, Receive] = {"python": syscalls.plain_receive} | ({"c": syscalls.receive} if IN_C else {})
each_receive = pytest.mark.parametrize("receive", RECEIVES.values(), ids=RECEIVES)
DIALS: dict[str, Dial] = {"python": syscalls.plain_dial} | ({"c": syscalls.dial} if IN_C else {})
each_dial = pytest.mark.parametrize("dial", DIALS.values(), ids=DIALS)
READS: Mapping[str, Read] = {"python": tcp_info.plain_read} | ({"c": tcp_info.read} if IN_C else {})
each_read = pytest.mark.parametrize("read", READS.values(), ids=READS)


def connected() -> tuple[socket.socket, socket.socket]:
    """Both ends of one TCP connection over loopback; the second, as the proxy's, never blocks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    ours.setblocking(False)
    return peer, ours


@contextmanager
def relayed() -> Iterator[tuple[socket.socket, socket.socket, socket.socket, socket.socket]]:
    """A client and its leg, a broker's leg and the broker."""
    with ExitStack() as stack:
        client, source = map(stack.enter_context, connected())
        broker, target = map(stack.enter_context, connected())
        yield client, source, target, broker


def come(source: socket.socket, data: bytes) -> None:
    """Wait until that much of it can be read."""
    source.setblocking(True)
    assert source.recv(len(data), socket.MSG_PEEK | socket.MSG_WAITALL) == data
    source.setblocking(False)


def fill(target: socket.socket) -> None:
    """Send until the kernel takes no more."""
    with pytest.raises(BlockingIOError):
        while True:
            target.send(b"x" * 262144)


def reset(peer: socket.socket, ours: socket.socket) -> None:
    """The peer resets the connection, and our kernel knows."""
    tcp_info.reset_on_close(peer)
    peer.close()
    while tcp_info.read(ours).state != tcp_info.TcpState.CLOSE:
        pass


def test_the_compiled_build_has_the_calls_in_c_and_the_pure_one_has_not() -> None:
    assert (syscalls.transfer is not syscalls.plain_transfer) == IN_C
    assert (syscalls.accept is not syscalls.plain_accept) == IN_C
    assert (syscalls.receive is not syscalls.plain_receive) == IN_C
    assert (syscalls.dial is not syscalls.plain_dial) == IN_C
    assert (syscalls.in_c("tcp_info") is not None) == IN_C


@each
def test_what_is_read_is_sent_and_returned(transfer: Transfer) -> None:
    with relayed() as (client, source, target, broker):
        client.sendall(b"publish")
        come(source, b"publish")
        assert transfer(source.fileno(), target.fileno(), ROOM) == b"publish"
        assert broker.recv(100) == b"publish"


@each
@pytest.mark.parametrize("room", [1, 5, ROOM, 4 * ROOM])
def test_no_more_is_read_than_there_is_room_for(transfer: Transfer, room: int) -> None:
    with relayed() as (client, source, target, broker):
        client.sendall(b"publish")
        come(source, b"publish")
        assert transfer(source.fileno(), target.fileno(), room) == b"publish"[:room]
        assert broker.recv(100) == b"publish"[:room]


@each
def test_the_end_of_file_is_no_bytes_and_sends_none(transfer: Transfer) -> None:
    with relayed() as (client, source, target, broker):
        client.shutdown(socket.SHUT_WR)
        come(source, b"")
        assert transfer(source.fileno(), target.fileno(), ROOM) == b""
        broker.setblocking(False)
        with pytest.raises(BlockingIOError):
            broker.recv(1)


@each
def test_nothing_to_read_raises_and_does_not_wait(transfer: Transfer) -> None:
    with relayed() as (_, source, target, _broker), pytest.raises(BlockingIOError):
        transfer(source.fileno(), target.fileno(), ROOM)


@each
def test_a_reset_raises_once_and_leaves_the_other_socket_alone(transfer: Transfer) -> None:
    with relayed() as (client, source, target, _):
        reset(client, source)
        with pytest.raises(ConnectionResetError):
            transfer(source.fileno(), target.fileno(), ROOM)
        assert tcp_info.read(target).state == tcp_info.TcpState.ESTABLISHED


@each
def test_a_target_that_takes_nothing_leaves_the_bytes_with_the_caller(transfer: Transfer) -> None:
    with relayed() as (client, source, target, _):
        fill(target)
        client.sendall(b"publish")
        come(source, b"publish")
        assert transfer(source.fileno(), target.fileno(), ROOM) == (b"publish", 0, errno.EAGAIN)


@each
def test_a_target_that_takes_a_part_leaves_all_bytes_and_says_how_many_went(transfer: Transfer) -> None:
    with relayed() as (client, source, target, broker):
        target.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        broker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        sent = client.send(os.urandom(200_000))
        unsent: bytes | Unsent = b""
        while not isinstance(unsent, tuple):
            unsent = transfer(source.fileno(), target.fileno(), ROOM)
        data, went, code = unsent
        assert 0 <= went < len(data) <= sent
        assert code == (0 if went else errno.EAGAIN)


@each
def test_a_target_that_was_reset_says_so_beside_the_bytes(transfer: Transfer) -> None:
    with relayed() as (client, source, target, broker):
        client.sendall(b"publish")
        come(source, b"publish")
        reset(broker, target)
        assert transfer(source.fileno(), target.fileno(), ROOM) == (b"publish", 0, errno.ECONNRESET)


@each
def test_a_closed_target_is_told_and_no_signal_ends_the_process(transfer: Transfer) -> None:
    with relayed() as (client, source, target, _):
        target.shutdown(socket.SHUT_WR)
        for said, code in ((target.fileno(), errno.EPIPE), (-1, errno.EBADF)):
            client.sendall(b"publish")
            come(source, b"publish")
            assert transfer(source.fileno(), said, ROOM) == (b"publish", 0, code)


@each
def test_a_closed_source_raises(transfer: Transfer) -> None:
    with relayed() as (_, _source, target, _broker), pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        transfer(-1, target.fileno(), ROOM)


@each
@settings(deadline=None, max_examples=30)
@given(sizes=st.lists(st.integers(1, 300_000), min_size=1, max_size=8), data=st.data())
def test_every_byte_arrives_once_and_in_order(
    transfer: Transfer, sizes: list[int], data: st.DataObject
) -> None:
    room = data.draw(st.sampled_from([100, ROOM, 4 * ROOM]))
    with relayed() as (client, source, target, broker):
        for size in (min(size, 100 * room) for size in sizes):
            sent, arrived = os.urandom(size), b""
            client.setblocking(False)
            at = client.send(sent)
            while len(arrived) < at:
                try:
                    taken = transfer(source.fileno(), target.fileno(), room)
                except BlockingIOError:
                    continue
                assert isinstance(taken, bytes)  # the broker reads as it comes
                arrived += broker.recv(len(taken), socket.MSG_WAITALL)
            assert arrived == sent[:at]


@contextmanager
def called(
    host: str, family: socket.AddressFamily, only_v6: bool = False
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A listener that never blocks, and a client that waits in its queue."""
    both = family == socket.AF_INET6 and not only_v6
    with socket.create_server((host, 0), family=family, dualstack_ipv6=both) as listener:
        listener.setblocking(False)
        to = ("127.0.0.1" if both else host, listener.getsockname()[1])
        with socket.create_connection(to) as client:
            yield listener, client


@each_accept
@pytest.mark.parametrize(
    ("host", "family", "only_v6", "seen"),
    [
        ("127.0.0.1", socket.AF_INET, False, "127.0.0.1"),
        ("::1", socket.AF_INET6, True, "::1"),
        ("::", socket.AF_INET6, False, "::ffff:127.0.0.1"),
    ],
)
def test_who_called_is_told_and_the_socket_never_blocks(
    accept: Accept, host: str, family: socket.AddressFamily, only_v6: bool, seen: str
) -> None:
    with called(host, family, only_v6) as (listener, client):
        fd, address, port = accept(listener)
        with socket.socket(fileno=fd) as taken:
            assert (address, port) == (seen, client.getsockname()[1])
            assert not os.get_blocking(fd)
            assert not os.get_inheritable(fd)
            client.sendall(b"hello")
            come(taken, b"hello")


@each_accept
def test_nobody_waiting_raises_and_a_closed_listener_too(accept: Accept) -> None:
    with called("127.0.0.1", socket.AF_INET) as (listener, _):
        os.close(accept(listener)[0])
        with pytest.raises(BlockingIOError):
            accept(listener)
        listener.close()
        with pytest.raises((OSError, ValueError), match=r"Bad file descriptor|negative"):
            accept(listener)


@each_receive
def test_what_has_come_is_received_as_far_as_there_is_room_and_then_the_end(receive: Receive) -> None:
    with relayed() as (client, source, _target, _broker):
        with pytest.raises(BlockingIOError):
            receive(source.fileno(), ROOM)
        client.sendall(b"publish")
        client.shutdown(socket.SHUT_WR)
        come(source, b"publish")
        assert receive(source.fileno(), 3) == b"pub"
        assert receive(source.fileno(), ROOM) == b"lish"
        assert receive(source.fileno(), ROOM) == b""


@each_receive
def test_a_reset_and_a_closed_socket_raise_where_bytes_were_to_be_received(receive: Receive) -> None:
    with relayed() as (client, source, _target, _broker):
        reset(client, source)
        with pytest.raises(ConnectionResetError):
            receive(source.fileno(), ROOM)
    with pytest.raises(OSError, match="Bad file descriptor"):
        receive(-1, ROOM)


@each_dial
@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_a_broker_on_this_host_is_connected_at_once_by_a_socket_that_neither_blocks_nor_delays(
    dial: Dial, host: str, family: socket.AddressFamily
) -> None:
    with socket.create_server((host, 0), family=family) as listener:
        fd, code = dial(family, listener.getsockname())
        with socket.socket(fileno=fd) as sock:
            assert code == 0
            assert sock.getpeername() == listener.getsockname()
            assert sock.family == family
            assert not os.get_blocking(fd)
            assert not os.get_inheritable(fd)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@each_dial
def test_a_dial_that_is_not_answered_yet_is_on_its_way(dial: Dial) -> None:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as full,
        socket.create_connection(full.getsockname()),
    ):
        fd, code = dial(socket.AF_INET, full.getsockname())
        with socket.socket(fileno=fd) as sock, pytest.raises(OSError, match="not connected"):
            assert code == errno.EINPROGRESS
            sock.getpeername()


@each_dial
def test_a_dial_that_fails_leaves_no_descriptor_behind(dial: Dial) -> None:
    with socket.socket() as probe:
        before = probe.fileno()
    assert dial(socket.AF_INET, ("255.255.255.255", 1)) in {(-1, errno.ENETUNREACH), (-1, errno.EACCES)}
    with socket.socket() as probe:
        assert probe.fileno() == before


@each_dial
def test_the_scope_of_a_link_is_part_of_where_to(dial: Dial) -> None:
    assert dial(socket.AF_INET6, ("fe80::1%lo", 9, 0, 0)) == (-1, errno.EINVAL)
    assert dial(socket.AF_INET6, ("fe80::1%lo", 9, 0, socket.if_nametoindex("lo"))) == (-1, errno.ENETUNREACH)


def still(info: tcp_info.TcpInfo) -> tuple[int | None, ...]:
    """What does not change by the millisecond while nothing happens."""
    return tuple(info._replace(last_data_recv_ms=None, last_ack_recv_ms=None))


@each_read
def test_the_kernel_says_the_same_of_a_socket_in_both_builds(read: Read) -> None:
    with relayed() as (client, source, target, broker):
        client.sendall(b"publish")
        come(source, b"publish")
        fill(target)
        for sock in (client, source, target, broker):
            told = read(sock)
            assert isinstance(told, tcp_info.TcpInfo)
            assert still(told) == still(tcp_info.plain_read(sock))
        assert read(target).notsent
        assert read(target).state == tcp_info.TcpState.ESTABLISHED
        reset(broker, target)
        assert read(target).state == tcp_info.TcpState.CLOSE


@each_read
def test_nothing_is_said_of_what_is_closed_or_no_tcp_socket(read: Read) -> None:
    with socket.socket(socket.AF_UNIX) as other, pytest.raises(OSError, match=r"not supported|not available"):
        read(other)
    with pytest.raises((OSError, ValueError), match=r"Bad file descriptor|negative"):
        read(other)


if IN_C:

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ((), TypeError),
            ((1, 2), TypeError),
            (("1", 2, 3), TypeError),
            ((1, 2, 0), ValueError),
            ((1, 2**40, 3), OverflowError),
        ],
    )
    def test_what_is_no_descriptor_or_size_is_refused(
        arguments: tuple[int, int, int], error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            syscalls.transfer(*arguments)

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [((), TypeError), ((1,), TypeError), ((1, 0), ValueError), ((2**40, 1), OverflowError)],
    )
    def test_what_cannot_be_received_from_is_refused(
        arguments: tuple[int, int], error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            syscalls.receive(*arguments)

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ((), TypeError),
            ((socket.AF_INET, "127.0.0.1"), TypeError),
            ((socket.AF_INET, ("localhost", 1)), ValueError),
            ((socket.AF_INET, ("127.0.0.1", 65536)), ValueError),
            ((socket.AF_INET, ("9" * 99, 1)), ValueError),
            ((socket.AF_INET6, ("127.0.0.1", 1)), ValueError),
            ((socket.AF_UNIX, ("127.0.0.1", 1)), ValueError),
        ],
    )
    def test_what_is_no_address_is_not_dialed(
        arguments: tuple[int, tuple[str | int, ...]], error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            syscalls.dial(*arguments)

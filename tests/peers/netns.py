"""Network namespaces: a path between two hosts that exists only for one test and can be cut.

`with two_hosts(folder) as path:` makes the namespaces `near` and `far`, joined by a veth pair with addresses
inside them alone; nothing of the machine's own network changes. `path.cut()` drops every packet of the
far host silently in both directions, as a dead radio does; `path.unplug()` takes the link down.
Needs root; see `places.namespaces`.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers import places

CLONE_NEWNET = 0x40000000
NEAR_ADDRESS, FAR_ADDRESS = "10.77.0.1", "10.77.0.2"

_numbers = itertools.count(1)
_libc = ctypes.CDLL(None, use_errno=True)


def _run(*command: str) -> None:
    program = str(places.program(command[0]))
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


def _in(namespace: str, *command: str) -> None:
    _run("ip", "netns", "exec", namespace, *command)


@contextmanager
def entered(namespace: str | None) -> Iterator[None]:
    """This thread inside a namespace: a socket made here stays there. Never await inside the block."""
    if namespace is None:
        yield
        return
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    target = os.open(str(Path("/run/netns") / namespace), os.O_RDONLY)
    try:
        _setns(target)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(target)
        os.close(home)


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@dataclass(frozen=True)
class Hosts:
    """Two hosts and the path between them."""

    near: str  # namespace of the proxy
    far: str  # namespace of the peer at the other end of the path
    near_address: str = NEAR_ADDRESS
    far_address: str = FAR_ADDRESS

    def cut(self) -> None:
        """From now on every packet is lost without a word, both ways."""
        rules = "add table inet cut; " + " ".join(
            f"add chain inet cut {hook} {{ type filter hook {hook} priority 0; policy drop; }};"
            for hook in ("input", "output")
        )
        _in(self.far, str(places.program("nft")), rules)

    def lose_towards_near(self) -> None:
        """Only what the far host sends is lost."""
        chain = "add chain inet cut output { type filter hook output priority 0; policy drop; };"
        _in(self.far, str(places.program("nft")), f"add table inet cut; {chain}")

    def lose_towards_far(self) -> None:
        """Only what is sent to the far host is lost."""
        chain = "add chain inet cut input { type filter hook input priority 0; policy drop; };"
        _in(self.far, str(places.program("nft")), f"add table inet cut; {chain}")

    def lose_data_towards_far(self) -> None:
        """Bare acknowledgements still reach the far host; whatever carries bytes to it is lost."""
        chain = "add chain inet cut input { type filter hook input priority 0; policy accept; };"
        rule = "add rule inet cut input tcp flags & psh == psh drop;"
        _in(self.far, str(places.program("nft")), f"add table inet cut; {chain} {rule}")

    def lose_at_random(self, percent: int) -> None:
        """So many of a hundred packets are lost, each way."""
        rules = "add table inet cut; " + " ".join(
            f"add chain inet cut {hook} {{ type filter hook {hook} priority 0; policy accept; }}; "
            f"add rule inet cut {hook} numgen random mod 100 < {percent} drop;"
            for hook in ("input", "output")
        )
        _in(self.far, str(places.program("nft")), rules)

    def forget_flow(self, port: int) -> None:
        """Packets from and to this port of the far host are lost from now on; its other flows live."""
        rules = "add table inet gone; " + " ".join(
            f"add chain inet gone {hook} {{ type filter hook {hook} priority 0; policy accept; }}; "
            f"add rule inet gone {hook} tcp {which} {port} drop;"
            for hook, which in (("input", "dport"), ("output", "sport"))
        )
        _in(self.far, str(places.program("nft")), rules)

    def setting(self, namespace: str, name: str, value: str) -> None:
        """A kernel setting of one host, as `net.ipv4.tcp_retries2`."""
        _in(namespace, "sh", "-c", f"echo {value} > /proc/sys/{name.replace('.', '/')}")

    def reset(self, port: int) -> None:
        """A box on the path forgets its flows: the next packet towards `port` gets a reset for an answer."""
        chain = "add chain inet box input { type filter hook input priority 0; policy accept; };"
        rule = f"add rule inet box input tcp dport {port} reject with tcp reset;"
        _in(self.far, str(places.program("nft")), f"add table inet box; {chain} {rule}")

    def heal(self) -> None:
        """The path works again after `cut`."""
        _in(self.far, str(places.program("nft")), "delete table inet cut")

    def unplug(self) -> None:
        """The far host's link goes down."""
        _in(self.far, str(places.program("ip")), "link", "set", "v1", "down")


def _plug(namespace: str, link: str, address: str) -> None:
    ip = str(places.program("ip"))
    _in(namespace, ip, "addr", "add", f"{address}/30", "dev", link)
    _in(namespace, ip, "link", "set", link, "up")
    _in(namespace, ip, "link", "set", "lo", "up")


@contextmanager
def two_hosts() -> Iterator[Hosts]:
    """Two namespaces joined by a veth pair, gone at the end of the block."""
    number = f"{os.getpid()}-{next(_numbers)}"
    hosts = Hosts(near=f"kap-{number}-n", far=f"kap-{number}-f")
    made: list[str] = []
    try:
        for namespace in (hosts.near, hosts.far):
            _run("ip", "netns", "add", namespace)
            made.append(namespace)
        pair = ["v0", "netns", hosts.near, "type", "veth", "peer", "name", "v1", "netns", hosts.far]
        _run("ip", "link", "add", *pair)
        _plug(hosts.near, "v0", hosts.near_address)
        _plug(hosts.far, "v1", hosts.far_address)
        yield hosts
    finally:
        for namespace in made:
            _run("ip", "netns", "del", namespace)

"""What mqtt-packet writes we read, and what it reads of our builders is what we read of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kaproxy.mqtt.packets import Acknowledge, Connect, Packet
from tests import strategies
from tests.mqtt.observing import decoder
from tests.mqtt.oracle.speech import from_node, ordered, to_node
from tests.strategies import Sample

ROOT = Path(__file__).parents[3]
MODULES = Path(os.environ.get("KAPROXY_NODE_MODULES", ROOT / ".peers" / "node" / "node_modules"))
# it loses empty user properties, and chokes on one called as a field of its own tables is
PLAIN = st.text("abcdefghijklmnopqrstuvwxyzäß€😀", min_size=1, max_size=9).filter(lambda text: text != "size")


class Oracle:
    """The node process; `ask` it one question at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, **question: object) -> dict[str, Any]:
        """Its answer; a refusal is an error of the test."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert "error" not in answer, (question, answer)
        return answer


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    """mqtt-packet, or a loud skip; with CI set, a failure."""
    node = shutil.which("node")
    if node is None or not (MODULES / "mqtt-packet").is_dir():
        reason = f"no node, or no mqtt-packet in {MODULES}: run tests/peers/install"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    command = [str(node), str(Path(__file__).with_name("oracle.mjs")), str(MODULES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Oracle(process)
        process.stdin.close()  # type: ignore[union-attr]


@st.composite
def versioned(draw: st.DrawFn) -> tuple[int, bool, bool, Sample]:
    """Version, direction, whether it is the first packet, and the packet."""
    version, from_client, first = draw(strategies.VERSIONS), draw(st.booleans()), draw(st.booleans())
    if first:
        beginnings = strategies.connects if from_client else strategies.connacks
        return version, from_client, True, draw(beginnings(version, PLAIN))
    return version, from_client, False, draw(strategies.packets(version, from_client, PLAIN))


def _comparable(packet: Packet) -> Packet:
    """Properties in one order, and an acknowledgement without a reason code as one with 0."""
    first, size, packet_id, count, body = packet
    if body is None and first >> 4 in (4, 5, 6, 7):
        body = Acknowledge(0)
    if body is not None:
        body = replace(body, properties=ordered(body.properties))
    if isinstance(body, Connect) and body.will:
        body = replace(body, will=replace(body.will, properties=ordered(body.will.properties)))
    return first, size, packet_id, count, body


@settings(max_examples=600)
@given(versioned())
def test_it_reads_what_we_read(oracle: Oracle, drawn: tuple[int, bool, bool, Sample]) -> None:
    version, from_client, first, sample = drawn
    answer = oracle.ask(op="parse", version=version, hex=sample.raw.hex())
    (found,) = decoder(from_client=from_client, version=version, begun=not first).feed(sample.raw)
    assert answer["left"] == 0
    assert [_comparable(from_node(node, version)) for node in answer["packets"]] == [_comparable(found)]


@settings(max_examples=600)
@given(versioned())
def test_we_read_what_it_writes(oracle: Oracle, drawn: tuple[int, bool, bool, Sample]) -> None:
    version, from_client, first, sample = drawn
    body = sample.packet[4]
    if isinstance(body, Connect):
        assume(body.has_user_name or not body.has_password)  # it refuses to write what 5.0 allows
    raw = bytes.fromhex(oracle.ask(op="generate", version=version, packet=to_node(sample.packet))["hex"])
    one = decoder(from_client=from_client, version=version, begun=not first)
    (found,) = one.feed(raw)
    expected = (sample.packet[0], len(raw), *sample.packet[2:])
    assert _comparable(found) == _comparable(expected)
    assert one.oddities == ()

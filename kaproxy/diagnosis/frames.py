"""A flight recorder's entry as one short string, and back: "-15.002 C PINGREQ 2".

Time in seconds from the first ending (to the millisecond, from 100 s on to a tenth), direction (`C` from the
client, `b` from the broker), control packet, flags where they are not the usual ones, size in bytes, `#` packet
identifier, `x` how many in one run. The flags of PUBLISH are QoS, `d` for DUP and `r` for RETAIN ("q1dr"); of
other packets "f" and a hexadecimal digit. Only the standard's packet names are known here.
Read next: `record.py`.
"""

from __future__ import annotations

import re
from typing import Final

from kaproxy.connection.evidence import Frame
from kaproxy.diagnosis.numbers import with_thousandths
from kaproxy.mqtt.codes import PACKET_NAMES, REQUIRED_FLAGS, PacketType

_USUAL: Final = tuple(REQUIRED_FLAGS.get(PacketType(kind), 0) for kind in range(16))
_PUBLISH: Final = int(PacketType.PUBLISH)
_DUP, _RETAIN = 0x08, 0x01
_LONG_AGO_S: Final = 100.0
_KINDS: Final = {name: kind for kind, name in enumerate(PACKET_NAMES)}

FORM: Final = '"-15.002 C PINGREQ 2", "-1.5 b PUBLISH q1r 230 #7 x3"'
_FORM: Final = re.compile(
    r"([+-]\d+(?:\.\d+)?) ([Cb]) ([A-Z]+)(?: (?:q([0-3])(d?)(r?)|f([0-9a-f])))? (\d+)(?: #(\d+))?(?: x(\d+))?"
)


def pack(frame: Frame) -> str:
    """The entry as text; times are rounded as said above."""
    ago = abs(frame.ago_s)
    when = f"{ago:.1f}" if ago >= _LONG_AGO_S else with_thousandths(ago) if ago else "0.000"
    sign, words = "+" if frame.ago_s < 0 else "-", _WORDS[frame.from_client][frame.first_byte]
    text = f"{sign}{when}{words}{frame.size}"
    if frame.packet_id:
        text += f" #{frame.packet_id}"
    return text if frame.count == 1 else f"{text} x{frame.count}"


def packed(entries: tuple[Frame, ...]) -> list[str]:
    """All entries as texts."""
    return [pack(entry) for entry in entries]


def unpack(text: str) -> Frame:
    """The entry a text stands for; ValueError where it is none."""
    found = _FORM.fullmatch(text)
    if found is None or found[3] not in _KINDS:
        raise ValueError(text)
    kind = _KINDS[found[3]]
    return Frame(
        ago_s=-float(found[1]),
        from_client=found[2] == "C",
        first_byte=kind << 4 | _flags(found, kind),
        size=int(found[8]),
        packet_id=int(found[9] or 0),
        count=int(found[10] or 1),
    )


def _words(first_byte: int) -> str:
    """The control packet and its flags."""
    kind, flags = first_byte >> 4, first_byte & 0x0F
    name = PACKET_NAMES[kind]
    if flags == _USUAL[kind]:
        return name
    return f"{name} {_publish_flags(flags) if kind == _PUBLISH else f'f{flags:x}'}"


def _publish_flags(flags: int) -> str:
    return f"q{flags >> 1 & 3}{'d' * bool(flags & _DUP)}{'r' * bool(flags & _RETAIN)}"


def _flags(found: re.Match[str], kind: int) -> int:
    qos, dup, retain, other = found[4], found[5], found[6], found[7]
    if qos is not None:
        return int(qos) << 1 | (_DUP if dup else 0) | (_RETAIN if retain else 0)
    return int(other, 16) if other is not None else _USUAL[kind]


#: Direction and control packet, by who sent it and the first byte.
_WORDS: Final[tuple[tuple[str, ...], ...]] = tuple(
    tuple(f" {who} {_words(first_byte)} " for first_byte in range(256)) for who in "bC"
)

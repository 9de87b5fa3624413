"""The history string: a connection's story in letters, in the spirit of Zeek's.

Upper case is the client, lower case the broker. A type of control packet is written when it is first
seen, and again when it is first seen after the first ending; endings are always written. It may not
know times: the flight recorder has those.
"""

from __future__ import annotations

from typing import Final

from kaproxy.connection.facts import CLIENT, Ending, Side

#: Letter by packet type number (MQTT 5.0 2.1.2). The four acknowledgements of PUBLISH share one.
PACKET_LETTERS: Final = "-CCPAAAASSUUQQDH"
#: Letter by ending.
ENDING_LETTERS: Final = {
    Ending.FIN: "F",
    Ending.RST: "R",
    Ending.TIMED_OUT: "T",
    Ending.UNREACHABLE: "N",
    Ending.REFUSED: "X",
    Ending.LOCAL: "L",
}
OPAQUE: Final = "!"  # this direction is no longer understood
RIVAL: Final = "*"  # another connection sent CONNECT with this client identifier
PROXY: Final = "%"  # the proxy itself ended it


def packet_letter(kind: int, from_client: bool) -> str:
    """The letter of a packet type (0 to 15) from that side."""
    letter = PACKET_LETTERS[kind]
    return letter if from_client else letter.lower()


def ending_letter(side: Side, ending: Ending) -> str:
    """The letter of a leg's ending."""
    letter = ENDING_LETTERS[ending]
    return letter if side is CLIENT else letter.lower()

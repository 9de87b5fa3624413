"""The catalogue of roots, first half: why a keepalive or a ping ran out.

Rows in the manner of `causes.py`. This file may not know how a rule decides.
Read next: `roots.py` for the other half and the table of both.
"""

from __future__ import annotations

from kaproxy.diagnosis.causes import Row
from kaproxy.diagnosis.verdict import Owner

KEEP_ALIVE_ROOTS: tuple[Row, ...] = (
    Row(
        "client_unreachable",
        Owner.CLIENT_HOST,
        "The device or the path to it is gone.",
        "The client's kernel acknowledges neither the forwarded FIN nor the bytes before it; they are sent again.",
        "client_hung: there the kernel acknowledges.",
        "Look at the device's power, radio and network.",
    ),
    Row(
        "client_hung",
        Owner.CLIENT_APP,
        "The device is there, its MQTT loop does not run.",
        "The client's kernel acknowledges the forwarded FIN, the client used to ping, and it neither sends nor closes.",
        "client_unreachable; never_pinged, where it has not pinged before either.",
        "See what blocks the MQTT loop: a callback, a lock, a sleep.",
    ),
    Row(
        "client_not_reading",
        Owner.CLIENT_APP,
        "The client does not read what the broker sends, and its loop stands still with it.",
        "Bytes for the client are held here because its window is closed, and what was sent is acknowledged; or it "
        "read on so late that the broker's ending behind them was seen beyond the window.",
        "client_unreachable: there what was sent is not acknowledged.",
        "Make the client read: a slow message callback is the usual reason.",
    ),
    Row(
        "never_pinged",
        Owner.CLIENT_LIBRARY,
        "The client announced a Keep Alive and never sends PINGREQ.",
        "No PINGREQ in all its life, both directions idle, and a client alive enough to close after the broker.",
        "client_hung: a client that does not react may be either.",
        "Call the library's loop or ping function, or announce Keep Alive 0.",
    ),
    Row(
        "receive_resets_ping",
        Owner.CLIENT_LIBRARY,
        "The client's library counts received packets as a reason not to ping.",
        "The broker kept sending during the whole silence, the client took it, and closed after the broker did.",
        "client_hung: a client that does not react may be either.",
        "Update the client library: only what it sends may postpone PINGREQ.",
    ),
    Row(
        "pinged_late",
        Owner.CLIENT_LIBRARY,
        "The client pings later than the broker waits.",
        "A control packet came from the client just after the broker's ending; or it had pinged at the limit before; "
        "or it closed at once where a known library's late tick falls, and had been late before.",
        "client_hung, where nothing comes.",
        "Raise the Keep Alive, or update the library to one that pings in time.",
    ),
    Row(
        "upload_starved",
        Owner.CLIENT_APP,
        "A long packet was still on its way, and the broker counts complete packets only.",
        "A partial packet from the client at the ending, its last bytes younger than a quarter of the Keep Alive.",
        "client_hung in the middle of a packet: there the last bytes are old; packet_rejected with too_large.",
        "Send smaller packets, or raise the Keep Alive.",
    ),
    Row(
        "server_keep_alive_ignored",
        Owner.CLIENT_LIBRARY,
        "The client keeps to its own Keep Alive instead of the broker's Server Keep Alive.",
        "Server Keep Alive below its own; a silence, and earlier gaps, within its own; and it closed in its turn.",
        "pinged_late: there its own Keep Alive is exceeded too. client_hung: there it does not react.",
        "Use a library that obeys Server Keep Alive, or announce the broker's value.",
    ),
    Row(
        "silent_cap",
        Owner.BROKER,
        "The broker lowered the Keep Alive without telling.",
        "A silence below the limit in the window of a broker known to lower Keep Alive, told to nobody (3.x).",
        "idle_cut at the same constant, where both directions were idle; broker_premature.",
        "Announce a Keep Alive below the broker's cap.",
    ),
    Row(
        "broker_not_reading",
        Owner.BROKER,
        "The broker did not read, so it did not see the client's packets.",
        "Bytes for the broker are held here because its window is closed; or it states an early expiry while a PINGREQ "
        "had been unanswered for long.",
        "client_hung; ping_timeout, where the client left first.",
        "See what blocks the broker.",
    ),
    Row(
        "broker_premature",
        Owner.BROKER,
        "The broker expired the client before 1.5 x Keep Alive.",
        "0x8D after a silence below the limit, and nothing held or sent again on the broker leg.",
        "silent_cap, broker_not_reading, proxy_delayed.",
        "Report it to the broker's makers; a clock step at the broker does this too.",
    ),
    Row(
        "proxy_delayed",
        Owner.PROXY,
        "kaproxy itself passed packets on late.",
        "Its measured loop lag or dwell covers the lateness; likely only from a whole Keep Alive on.",
        "pinged_late.",
        "Give kaproxy more CPU.",
    ),
)
PING_ROOTS: tuple[Row, ...] = (
    Row(
        "broker_silent",
        Owner.BROKER,
        "The broker's host took the PINGREQ, its process did not answer.",
        "Nothing unsent and nothing unacknowledged on the broker leg, or its window closed; no PINGRESP came.",
        "broker_unreachable; response_not_read, where kaproxy holds bytes for the client.",
        "See what blocks the broker: an alarm, a full disk, an overloaded process.",
    ),
    Row(
        "broker_unreachable",
        Owner.PATH,
        "The path to the broker, or its host, is gone.",
        "Bytes for the broker are not acknowledged and are sent again and again.",
        "broker_silent: there the kernel acknowledges.",
        "Look at the network between kaproxy and the broker, and at the broker's host.",
    ),
    Row(
        "broker_slow",
        Owner.BROKER,
        "The broker answers, later than the client waits.",
        "PINGRESP just after the client's ending; or an answer before took over a second: the last one, or half as "
        "long as this wait.",
        "broker_silent.",
        "See what slows the broker.",
    ),
    Row(
        "response_not_read",
        Owner.CLIENT_APP,
        "The client does not read, so the PINGRESP cannot reach its application.",
        "Bytes for the client are held here because it does not take them.",
        "broker_silent: there nothing is held for the client.",
        "Make the client read: a slow message callback is the usual reason.",
    ),
    Row(
        "response_lost",
        Owner.PATH,
        "The PINGRESP was passed on and never arrived.",
        "Bytes for the client are not acknowledged and are sent again, while it ends the connection itself.",
        "response_not_read.",
        "Look at the path from kaproxy to the client.",
    ),
    Row(
        "client_timer",
        Owner.CLIENT_LIBRARY,
        "The client's own timer is wrong: it gave up too early, or although the answer was there.",
        "Answered in time and read, yet it closed at its ping timer; or it states 0x8D after next to no waiting.",
        "client_closed: a process may exit at that moment by chance.",
        "Look at the client's ping timeout; update the library.",
    ),
    Row(
        "proxy_delayed",
        Owner.PROXY,
        "kaproxy itself passed PINGREQ or PINGRESP on late.",
        "Its measured loop lag or dwell covers the wait.",
        "broker_slow.",
        "Give kaproxy more CPU.",
    ),
)

"""The drop this project began with: idle clients that ping every 1.5 x Keep Alive against a tight broker.

Nothing is wrong with the network and nothing with the broker; a client library's ticker fires when the broker's
patience ends, and chance decides. All the client says is `EOF` or `connection reset by peer`. The line must say
who has to act, to the millisecond, and the warning must stand in the log before the first drop.
"""

from __future__ import annotations

from typing import Any

import trio

from tests.end_to_end.keep_alive import expired
from tests.end_to_end.stage import Stage, scenario
from tests.peers import clients
from tests.peers.children import until
from tests.peers.proxy import Line, Proxy

KEEP_ALIVE, PERIOD_S = 2, 3.0
#: The first gap is late too, but shorter, so that nobody drops before the log could warn of it.
FIRST_S = PERIOD_S - 0.3
IDLE_CLIENTS = 8
TO_THE_MILLISECOND_S = 0.001
MEASURED_ALIKE_S = 0.02  # by the client's clock and by the proxy's: each waits its turn on a busy machine
HICCUP_S = 0.2  # what a loaded machine may add to a single gap


def warned_before(proxy: Proxy, line: Line, client_id: str | None = None) -> bool:
    """Does a keep_alive.late (of this client, where one is named) stand in the log before this closing line?"""
    for said in proxy.process.lines():
        if said["event"] == "keep_alive.late" and client_id in {None, said["client_id"]}:
            return True
        if said["event"] == "connection.closed" and said["conn_id"] == line["conn_id"]:
            return False
    return False


def check(line: Line) -> None:
    """What every drop of this kind must say, whoever made it."""
    assert line["cause"] == "keep_alive_timeout", line
    assert line["keep_alive"] == KEEP_ALIVE
    assert abs(line["silence_s"] - PERIOD_S) < HICCUP_S, line["silence_s"]
    counted: Any = line.get("silence_counted_s", line["silence_s"])
    beyond = line["limit_low_s"] - line["margin_min_s"]
    assert beyond > counted - TO_THE_MILLISECOND_S, line
    # A gap that was survived may have been longer by a hair; its line tells when it came, the margin when it was read.
    assert beyond < max(counted, line["gap_max_s"]) + MEASURED_ALIKE_S, line
    if line["owner"] == "proxy":  # on a busy machine the proxy may have been late itself, and then says so
        assert line["confidence"] == "unclear", line
    else:
        assert line["owner"] in {"client_library", "client_app"}, line


def late(lines: list[Line]) -> list[Line]:
    """Those that blame a late PINGREQ on the client's library."""
    return [one for one in lines if (one.get("root"), one["owner"]) == ("pinged_late", "client_library")]


async def drops(proxy: Proxy) -> list[Line]:
    """All drops until shortly after the first one that names the late PINGREQ."""
    await until("a drop for a late PINGREQ", lambda: late(proxy.closings()), 80)
    await trio.sleep(3.5)
    return proxy.closings()


@scenario("rumqttd: idle clients ping every 1.5 x Keep Alive", expired("pinged_late", "client_library"))
async def _idle(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("rumqttd"))
    ticking = {"clients": IDLE_CLIENTS, "keep_alive": KEEP_ALIVE, "period_s": PERIOD_S, "first_s": FIRST_S}
    told = await stage.enter(clients.tickers(proxy.address, stage.folder, stagger_s=0.3, **ticking))
    dropped = await drops(proxy)
    own_clock = {line["client_id"]: line["silence_s"] for line in told.all("lost")}
    apart = []
    for line in dropped:
        check(line)
        assert line["late_gaps"] >= 1
        assert warned_before(proxy, line, line["client_id"])
        apart.append(abs(line["silence_s"] - own_clock[line["client_id"]]))
    assert min(apart) < MEASURED_ALIKE_S, apart
    return late(dropped)[0]


@scenario(
    "aedes: idle paho.mqtt.golang 1.4.1 clients with Keep Alive 2",
    expired("pinged_late", "client_library"),
    "aedes",
    "paho.mqtt.golang",
)
async def _golang(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("aedes"))
    many = clients.paho_golang(proxy.address, stage.folder, "go", KEEP_ALIVE, clients=60, stagger="50ms")
    told = await stage.enter(many)
    dropped = await drops(proxy)
    said = await told.said("lost")
    assert "EOF" in said["detail"] or "reset" in said["detail"], "it says no more than that"
    assert warned_before(proxy, dropped[0])
    for line in dropped:
        check(line)
    return late(dropped)[0]

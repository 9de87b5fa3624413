"""The drop this project began with: idle clients that ping every 1.5 x Keep Alive against a tight broker.

Nothing is wrong with the network and nothing with the broker; a client library's ticker fires when the broker's
patience ends, and chance decides. All the client says is `EOF` or `connection reset by peer`. The line must say
who has to act, to the millisecond, and the warning must stand in the log before the first drop.
"""

from __future__ import annotations

from statistics import median

import trio

from tests.end_to_end.keep_alive import expired
from tests.end_to_end.stage import Stage, scenario
from tests.peers import clients
from tests.peers.children import until
from tests.peers.proxy import Line, Proxy

KEEP_ALIVE, PERIOD_S = 2, 3.0
#: The first gap is a hair shorter, so that nobody drops before the log could warn of it.
FIRST_S = PERIOD_S - 0.05
IDLE_CLIENTS = 8
MEASURED_ALIKE_S = 0.005  # by the client's clock and by the proxy's, two processes of one machine
HICCUP_S = 0.2  # what a loaded machine may add to a single gap


def warned_before(proxy: Proxy, line: Line) -> bool:
    """Does a keep_alive.late of this client stand in the log before its closing line?"""
    events = [
        said["event"]
        for said in proxy.process.lines()
        if said.get("conn_id") == line["conn_id"]
        and said["event"] in {"keep_alive.late", "connection.closed"}
    ]
    return events[0] == "keep_alive.late"


def check(proxy: Proxy, line: Line) -> None:
    """What every drop of this kind must say, whoever made it."""
    assert line["root"] == "pinged_late", line
    assert line["owner"] == "client_library", line
    assert warned_before(proxy, line), line
    assert line["keep_alive"] == KEEP_ALIVE
    assert abs(line["silence_s"] - PERIOD_S) < HICCUP_S, line["silence_s"]
    assert abs(line["margin_min_s"] - (line["limit_low_s"] - line["silence_s"])) < MEASURED_ALIKE_S, line
    assert line["late_gaps"] >= 1


@scenario("rumqttd: idle clients ping every 1.5 x Keep Alive", expired("pinged_late", "client_library"))
async def _idle(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("rumqttd"))
    ticking = {"clients": IDLE_CLIENTS, "keep_alive": KEEP_ALIVE, "period_s": PERIOD_S, "first_s": FIRST_S}
    told = await stage.enter(clients.tickers(proxy.address, stage.folder, stagger_s=0.3, **ticking))
    await until("the first drop", proxy.closings, 80)
    await trio.sleep(3.5)
    own_clock = {line["client_id"]: line["silence_s"] for line in told.all("lost")}
    closings = [line for line in proxy.closings() if line["client_id"] in own_clock]
    for line in closings:
        check(proxy, line)
    apart = median(abs(line["silence_s"] - own_clock[line["client_id"]]) for line in closings)
    assert apart < MEASURED_ALIKE_S, apart
    return closings[0]


@scenario(
    "aedes: idle paho.mqtt.golang 1.4.1 clients with Keep Alive 2",
    expired("pinged_late", "client_library"),
    "aedes",
    "paho.mqtt.golang",
)
async def _golang(stage: Stage) -> Line:
    proxy = await stage.before(await stage.broker("aedes"))
    many = clients.paho_golang(proxy.address, stage.folder, "go", KEEP_ALIVE, clients=80)
    told = await stage.enter(many)
    await until("the first drop", proxy.closings, 80)
    await told.said("lost")
    await trio.sleep(1)
    for line in proxy.closings():
        check(proxy, line)
    return proxy.closings()[0]

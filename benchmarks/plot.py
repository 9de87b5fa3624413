"""The plot of a run: kaproxy's two builds and nginx beside HAProxy, one row per load. Read next: `page.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt

SHOWN = {
    "round_trips_1": "round trips, 1 connection",
    "round_trips_50": "round trips, 50",
    "round_trips_1000": "round trips, 1,000",
    "round_trips_4000": "round trips, 4,000",
    "round_trips_qos1_1": "round trips, QoS 1, 1",
    "round_trips_qos1_50": "round trips, QoS 1, 50",
    "round_trips_qos1_1000": "round trips, QoS 1, 1,000",
    "stream_small": "streamed, 110 bytes",
    "stream_mixed": "streamed, mixed sizes",
    "stream_large": "streamed, 64 KB",
    "stream_huge": "streamed, 1 MB",
    "churn": "connect and disconnect",
}
NAMES = {"nginx": "nginx stream", "kaproxy": "kaproxy", "compiled": "kaproxy, compiled"}
COLOURS = ["#9e9e9e", "#f2a65a", "#2a6f97"]


def write_plot(results: dict[str, Any], path: Path) -> None:
    """Throughput as a ratio to HAProxy's with its lowest and highest pair, as SVG."""
    rows = [
        {"load": SHOWN[f["experiment"]], "relay": NAMES[name], **f["ratios"][name]}
        for f in results["figures"]
        if f["experiment"] in SHOWN and f["figure"] == "rate"
        for name in NAMES
        if name in f["ratios"]
    ]
    order, relays = list(SHOWN.values()), list(NAMES.values())
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("load:N", sort=order, title=None),
        yOffset=alt.YOffset("relay:N", sort=relays),
    )
    bars = base.mark_bar(height=7).encode(
        x=alt.X("median:Q", title="throughput / HAProxy's, one thread or worker each"),
        color=alt.Color("relay:N", sort=relays, title=None, scale=alt.Scale(domain=relays, range=COLOURS)),
    )
    spread = base.mark_rule(color="#333").encode(x="low:Q", x2="high:Q")
    even = alt.Chart(alt.InlineData(values=[{"x": 1.0}])).mark_rule(strokeDash=[4, 3]).encode(x="x:Q")
    chart = (bars + spread + even).properties(
        width=520, height=alt.Step(11), title="As fast as HAProxy is 1.0"
    )
    chart.configure_axis(labelLimit=260).save(str(path))

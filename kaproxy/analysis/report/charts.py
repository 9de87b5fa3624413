"""The charts of the report: a few hundred counted numbers each, drawn by Vega-Lite in the reader's browser.

Every chart is one or two queries that count in the engine, and a specification made with altair, which checks it. A
log that has nothing for a chart gets none. It may not know the page around it.
Read next: `html.py`, which puts them on a page; `kaproxy/analysis/findings/buckets.py` for the buckets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import altair

from kaproxy.analysis.findings.asking import DROP, Span, literal, span
from kaproxy.analysis.findings.buckets import bucket_sql, edges
from kaproxy.analysis.findings.finding import Finding
from kaproxy.analysis.findings.idle_gaps import CUT, IDLE_GAP, ONLY_ANSWERS, SILENT
from kaproxy.analysis.store.engine import Engine
from kaproxy.diagnosis.verdict import Cause

Datum: TypeAlias = dict[str, Any]

#: Widths a bin of time may have (s); the first that leaves no more than `_MOST_BINS` is taken.
_BIN_WIDTHS_S = (1, 5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 86_400, 7 * 86_400)
_MOST_BINS = 120
#: Causes with a colour of their own; the rest are drawn as one.
_COLOURS = 9
_REST = "all others"
#: Buckets of a chart are so many times as wide as those of `buckets.py`: eight an octave would be more than is seen.
_COARSER = 8
_HEIGHT = 240
#: Clients and connections of each whose lives are drawn.
_CLIENTS, _LIVES = 12, 200
#: Steps of the part of the broker's patience that was left, per whole.
_MARGIN_STEPS = 20
_LEAST_MARGIN = -1.0


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: a stable name, its heading, how to read it in a sentence or two, its Vega-Lite specification."""

    name: str
    heading: str
    note: str
    spec: Datum


def charts(engine: Engine, findings: Sequence[Finding]) -> list[Chart]:
    """Every chart that this log has something for, in the order of the page. Raises EngineError."""
    covered = span(engine)
    if not covered.lines:
        return []
    found: tuple[Callable[[], Chart | None], ...] = (
        lambda: _causes_over_time(engine, covered),
        lambda: _incidents(engine, covered, findings),
        lambda: _margins(engine),
        lambda: _idle_gaps(engine),
        lambda: _round_trips(engine),
        lambda: _lives(engine),
    )
    return [chart for make in found if (chart := make()) is not None]


def bin_width_s(covered_s: float) -> int:
    """How wide a bin of time is, so that a log of this length (s) has no more than 120 of them."""
    return next((width for width in _BIN_WIDTHS_S if covered_s / width <= _MOST_BINS), _BIN_WIDTHS_S[-1])


def _width_in_words(seconds: int) -> str:
    for unit, name in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % unit == 0:
            many = seconds // unit
            return name if many == 1 else f"{many} {name}s"
    raise AssertionError(seconds)


# ------------------------------------------------------------------ over time


def _causes_over_time(engine: Engine, covered: Span) -> Chart | None:
    width = bin_width_s(covered.seconds)
    rows = engine.rows(
        f"select cast(floor(ended_us / {width * 1_000_000}) as {{INT}}) as step, cause, count(*) from {{drops}} "
        f"where {DROP} group by step, cause order by step, cause"
    )
    if not rows:
        return None
    named = _most((str(cause), int(count)) for _, cause, count in rows)
    total: Counter[tuple[int, str]] = Counter()
    for step, cause, count in rows:
        total[int(step), named(str(cause))] += int(count)
    order = _by_count((cause, count) for (_, cause), count in total.items())
    data = _stacked(total, order, width)
    chart = (
        _of(data)
        .mark_bar()
        .encode(
            x=_time("at"),
            x2="until:T",
            y=altair.Y("above:Q", title=f"drops in a {_width_in_words(width)}"),
            y2="below:Q",
            color=_colour("cause", order),
            tooltip=["cause:N", "drops:Q", altair.Tooltip("at:T", format=_MOMENT, title="from (UTC)")],
        )
    )
    note = f"Each bar is a {_width_in_words(width)}; connections that ended on purpose are left out."
    return _chart("causes", "Causes over time", note, chart)


def _stacked(total: Counter[tuple[int, str]], order: Sequence[str], width_s: int) -> list[Datum]:
    """Each count on top of those of the more frequent names; Vega-Lite does not stack bars of a width of their own."""
    data: list[Datum] = []
    for step in sorted({step for step, _ in total}):
        below = 0
        for name in order:
            count = total.get((step, name), 0)
            if count:
                part = {"cause": name, "drops": count, "below": below, "above": below + count}
                data.append(_bin(step, width_s) | part)
                below += count
    return data


def _incidents(engine: Engine, covered: Span, findings: Sequence[Finding]) -> Chart | None:
    events = [
        {
            "at": each.first_us / 1000,
            "until": max(each.last_us or 0, each.first_us) / 1000,
            "what": each.title,
            "drops": each.drops,
        }
        for each in findings
        if each.kind == "incident" and each.first_us is not None
    ]
    if not events:
        return None
    width = bin_width_s(covered.seconds)
    rows = engine.rows(
        f"select cast(floor(ended_us / {width * 1_000_000}) as {{INT}}) as step, count(*) from {{drops}} "
        f"where {DROP} group by step order by step"
    )
    drops = [_bin(int(step), width) | {"drops": int(count)} for step, count in rows]
    bars = (
        _of(drops)
        .mark_bar(color=_PALE)
        .encode(
            x=_time("at"),
            x2="until:T",
            y=altair.Y("drops:Q", title=f"drops in a {_width_in_words(width)}"),
            y2=_FLOOR,
        )
    )
    marks = (
        _of(events)
        .mark_point(size=120, filled=True, color=_ALARM, shape="triangle-down")
        .encode(
            x=_time("at"),
            y="drops:Q",
            tooltip=["what:N", "drops:Q", altair.Tooltip("at:T", format=_MOMENT, title="from (UTC)")],
        )
    )
    note = "Bars: all drops. Each red mark is an incident, as high as the connections it took with it."
    return _chart("incidents", "Incidents", note, altair.layer(bars, marks))


# -------------------------------------------------------------- distributions


def _margins(engine: Engine) -> Chart | None:
    rows = engine.rows(
        f"select cast(floor(margin_min_s / limit_low_s * {_MARGIN_STEPS}) as {{INT}}) as step, "
        f"case when cause = '{Cause.KEEP_ALIVE_TIMEOUT}' then 'expired by the broker' "
        f"when {DROP} then 'dropped otherwise' else 'ended on purpose' end as how, count(*) from {{closed}} "
        "where margin_min_s is not null and limit_low_s > 0 group by step, how order by step, how"
    )
    if not rows:
        return None
    least = round(_LEAST_MARGIN * _MARGIN_STEPS)
    total: Counter[tuple[int, str]] = Counter()
    for step, how, count in rows:
        total[max(int(step), least), str(how)] += int(count)
    width = 100 / _MARGIN_STEPS
    data = [
        {"left": step * width, "next": (step + 1) * width, "how": how, "connections": count}
        for (step, how), count in total.items()
    ]
    chart = (
        _of(data)
        .mark_bar()
        .encode(
            x=altair.X("left:Q", title="% of the broker's patience left at the worst moment"),
            x2="next:Q",
            y=_counted("connections"),
            y2=_FLOOR,
            color=_colour("how", ["expired by the broker", "dropped otherwise", "ended on purpose"]),
            tooltip=["how:N", "left:Q", "connections:Q"],
        )
    )
    note = (
        "The smallest margin of each connection: 100 is a client that never was silent, 0 one that came at the last "
        "moment, below 0 one that came too late. Drawn by the square root, so that few stand out beside many."
    )
    return _chart("margins", "How close clients came to the limit", note, chart)


def _idle_gaps(engine: Engine) -> Chart | None:
    kinds = (
        ("survived", IDLE_GAP, f"gap_max_s is not null and {ONLY_ANSWERS} and {IDLE_GAP} >= 1"),
        ("fatal: cut without a word", "idle_s", CUT),
        ("fatal: the client vanished", "silence_s", SILENT),
    )
    data = _distributions(engine, kinds, "seconds", 1.0)
    if len({datum["what"] for datum in data}) < _BOTH:
        return None
    chart = _histogram(data, "seconds", "idle for (s)", [name for name, _, _ in kinds])
    note = (
        "The longest idle time that each connection survived, and the one that ended it. Where fatal ones stand in a "
        "peak and survived ones stop before it, a box on the path has that limit."
    )
    return _chart("idle_gaps", "Idle times: survived against fatal", note, chart)


_BOTH = 2


def _round_trips(engine: Engine) -> Chart | None:
    kinds = (
        ("PINGREQ to PINGRESP, slowest of a connection", "ping_rtt_max_ms", "ping_rtt_max_ms is not null"),
        ("TCP, client leg", "client_leg_rtt_ms", "client_leg_rtt_ms is not null"),
        ("TCP, broker leg", "broker_leg_rtt_ms", "broker_leg_rtt_ms is not null"),
    )
    data = _distributions(engine, kinds, "milliseconds", 0.01)
    if not data:
        return None
    chart = _histogram(data, "milliseconds", "round trip (ms)", [name for name, _, _ in kinds])
    note = (
        "Of each connection at its end. A slow client leg is the path or the device; a slow broker leg, or slow "
        "PINGRESP over quick legs, is the broker."
    )
    return _chart("round_trips", "Round trips by leg", note, chart)


def _distributions(
    engine: Engine, kinds: Iterable[tuple[str, str, str]], unit: str, least: float
) -> list[Datum]:
    """Counts by coarse log bucket of each kind: its name, the value counted, and of which connections."""
    data: list[Datum] = []
    for name, value, condition in kinds:
        step = f"cast(floor(({bucket_sql(value)}) / {_COARSER}) as {{INT}})"
        rows = engine.rows(
            f"select {step} as step, count(*) from {{closed}} where {condition} and {value} >= {least} "
            "group by step order by step"
        )
        for number, count in rows:
            low, high = edges(int(number) * _COARSER)[0], edges((int(number) + 1) * _COARSER)[0]
            data.append({"what": name, unit: max(low, least), "next": high, "connections": int(count)})
    return data


def _histogram(data: list[Datum], unit: str, title: str, kinds: list[str]) -> altair.Chart:
    drawn: altair.Chart = (
        _of(data)
        .mark_bar(opacity=0.75)
        .encode(
            x=altair.X(
                f"{unit}:Q", title=title, scale=altair.Scale(type="log"), axis=altair.Axis(format="~s")
            ),
            x2="next:Q",
            y=_counted("connections"),
            y2=_FLOOR,
            color=_colour("what", kinds),
            tooltip=["what:N", altair.Tooltip(f"{unit}:Q", format=".3~s", title="from"), "connections:Q"],
        )
    )
    return drawn


#: Where bars of a width of their own begin.
_FLOOR = altair.Y2(datum=0)


def _counted(field: str) -> altair.Y:
    """Counts on an axis that shows few beside many."""
    return altair.Y(f"{field}:Q", title=field, stack=None, scale=altair.Scale(type="sqrt"))


# ---------------------------------------------------------------------- lives


def _lives(engine: Engine) -> Chart | None:
    """When the clients with the most drops were connected, and what ended it each time."""
    worst = engine.rows(
        f"select client_id, count(*) as many from {{drops}} where {DROP} and client_id != '' "
        f"group by client_id order by many desc, client_id limit {_CLIENTS}"
    )
    data: list[Datum] = []
    for client_id, _ in worst:
        data += _lives_of(engine, str(client_id))
    if not data:
        return None
    named = _most(Counter(datum["ended by"] for datum in data).items())
    for datum in data:
        datum["ended by"] = named(datum["ended by"])
    shown = Counter(str(datum["ended by"]) for datum in data)
    chart = (
        _of(data)
        .mark_bar(height=altair.RelativeBandSize(0.7), minBandSize=2)
        .encode(
            x=_time("from"),
            x2="to:T",
            y=altair.Y("client:N", title=None, sort=[_short(str(client_id)) for client_id, _ in worst]),
            color=_colour("ended by", [name for name, _ in shown.most_common()]),
            tooltip=["client:N", "ended by:N", "conn_id:N", altair.Tooltip("to:T", format=_MOMENT)],
        )
        .properties(height=24 * len(worst))
    )
    note = f"The clients with the most drops, the last {_LIVES} connections of each; the colour is what ended it."
    return _chart("lives", "Lives of the worst clients", note, chart)


def _lives_of(engine: Engine, client_id: str) -> list[Datum]:
    rows = engine.rows(
        "select opened_us, ended_us, cause, conn_id from {closed} "
        f"where client_id = {literal(engine, client_id)} and opened_us is not null "
        f"order by ended_us desc limit {_LIVES}"
    )
    return [
        {
            "client": _short(client_id),
            "from": opened / 1000,
            "to": max(ended, opened + 1) / 1000,
            "ended by": str(cause),
            "conn_id": str(conn_id),
        }
        for opened, ended, cause, conn_id in rows
    ]


def _short(client_id: str) -> str:
    return client_id if len(client_id) <= _NAME else client_id[: _NAME - 1] + "…"


_NAME = 28
_MOMENT = "%Y-%m-%d %H:%M:%S"

# -------------------------------------------------------------------- drawing


def _of(data: list[Datum]) -> altair.Chart:
    """A chart without a mark yet, of these rows."""
    return altair.Chart(altair.InlineData(values=data))


def _chart(name: str, heading: str, note: str, drawn: Any) -> Chart:
    height = {} if name == "lives" else {"height": _HEIGHT}
    spec = drawn.properties(width="container", description=f"{heading}. {note}", **height).to_dict()
    return Chart(name, heading, note, spec)


def _time(field: str) -> altair.X:
    axis = altair.Axis(format="%d %b %H:%M", labelOverlap=True)
    return altair.X(f"{field}:T", title="UTC", scale=altair.Scale(type="utc"), axis=axis)


def _bin(step: int, width_s: int) -> Datum:
    """Where a bin of time begins and ends, milliseconds since 1970."""
    return {"at": step * width_s * 1000, "until": (step + 1) * width_s * 1000}


def _colour(field: str, order: list[str]) -> altair.Color:
    scale = altair.Scale(domain=order, range=[_PALETTE[at % len(_PALETTE)] for at in range(len(order))])
    legend = altair.Legend(title=None, orient="bottom", columns=2, labelLimit=300)
    return altair.Color(f"{field}:N", scale=scale, legend=legend, sort=order)


#: Told apart by people who do not see all colours, and on paper (after Okabe and Ito), then greys.
_PALETTE = (
    *(
        "#0072b2",
        "#d55e00",
        "#009e73",
        "#e69f00",
        "#cc79a7",
        "#56b4e9",
        "#7a5195",
        "#f0c808",
        "#8c8c8c",
        "#333333",
    ),
)
_PALE, _ALARM = "#b8c4d6", "#c8372d"


def _most(counts: Iterable[tuple[str, int]]) -> Callable[[str], str]:
    """The name that a value is drawn by: its own for the most frequent ones, else that of the rest."""
    kept = set(_by_count(counts)[:_COLOURS])
    return lambda name: name if name in kept else _REST


def _by_count(counts: Iterable[tuple[str, int]]) -> list[str]:
    """The names, the most frequent first."""
    total: Counter[str] = Counter()
    for name, count in counts:
        total[name] += count
    return [name for name, _ in total.most_common()]

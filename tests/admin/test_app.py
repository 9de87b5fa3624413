"""The pages as a scraper sees them, without a socket."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.testing
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from kaproxy.admin.app import GOOD_FOR_S, REQUESTS_AT_ONCE, Pages
from kaproxy.telemetry.overview import Overview
from tests.telemetry.test_metrics import overview
from tests.telemetry.test_tally import ONE

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
Look = Callable[[], Awaitable[Overview]]


def looking(found: Overview) -> Look:
    async def look() -> Overview:
        return found

    return look


async def get(
    pages: Pages, path: str, accept: str = "", method: str = "GET"
) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of one request."""
    sent: list[Any] = []
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(b"accept", accept.encode())] if accept else [], "root_path": "", "scheme": "http",
        "http_version": "1.1", "server": ("x", 1), "client": ("x", 2),
    }  # fmt: skip

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await pages.app()(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    body = b"".join(part["body"] for part in sent[1:] if "body" in part)
    return sent[0]["status"], headers, body.decode()


async def test_health_is_ok_whatever_else_is_wrong() -> None:
    async def look() -> Overview:
        raise AssertionError("not to be asked")

    assert await get(Pages(look), "/healthz") == (
        200, {"content-length": "3", "content-type": "text/plain; charset=utf-8"}, "ok\n",
    )  # fmt: skip


async def test_readiness_ends_with_the_drain() -> None:
    assert (await get(Pages(looking(overview(ONE))), "/readyz"))[::2] == (200, "ready\n")
    draining = overview(ONE, draining=True)
    assert (await get(Pages(looking(draining)), "/readyz"))[::2] == (503, "draining\n")
    assert (await get(Pages(looking(replace(draining, draining=False, workers=()))), "/readyz"))[0] == 503


@pytest.mark.parametrize(("accept", "parse"), [("", plain_text), (OPEN_METRICS, open_metrics)])
async def test_metrics_parse_in_both_forms_and_sum_the_workers(
    accept: str, parse: Callable[[str], Any]
) -> None:
    status, headers, body = await get(Pages(looking(overview(ONE, ONE))), "/metrics", accept)
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in parse(body)
        for sample in family.samples
    }
    assert status == 200
    assert headers["content-type"].startswith(accept.partition(";")[0] or "text/plain")
    assert samples[("kaproxy_connections_live",)] == 6
    assert samples[("kaproxy_bytes_total", ("direction", "from_broker"))] == 400
    key = ("cause", "keep_alive_timeout"), ("owner", "client_library"), ("root", "pinged_late")
    assert samples[("kaproxy_connections_closed_total", *key)] == 6


async def test_an_empty_histogram_has_all_its_buckets() -> None:
    _, _, body = await get(Pages(looking(overview())), "/metrics")
    families = {family.name: family for family in plain_text(body)}
    buckets = [s for s in families["kaproxy_ping_rtt_seconds"].samples if s.name.endswith("_bucket")]
    assert buckets[-1].labels == {"le": "+Inf"}
    assert {sample.value for sample in buckets} == {0}


async def test_status_is_json_with_the_sum_and_each_worker() -> None:
    _, _, body = await get(Pages(looking(overview(ONE, ONE))), "/status")
    told = json.loads(body)
    assert told["total"]["connections_accepted"] == 20
    assert [worker["connections_accepted"] for worker in told["workers"]] == [10, 10]
    assert told["total"]["causes"] == {"client_disconnect": 8, "keep_alive_timeout": 6}


async def test_many_who_ask_at_once_cost_one_look() -> None:
    looks = 0
    now = 0.0

    async def look() -> Overview:
        nonlocal looks
        looks += 1
        await trio.lowlevel.checkpoint()
        return overview(ONE)

    pages = Pages(look, lambda: now)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(get, pages, "/metrics")
    assert looks == 1
    now = GOOD_FOR_S * 2
    await get(pages, "/metrics")
    assert looks == 2


async def test_more_requests_than_are_answered_at_once_are_told_to_come_again() -> None:
    waiting = trio.Event()

    async def look() -> Overview:
        await waiting.wait()
        return overview(ONE)

    pages, statuses = Pages(look), []

    async def ask() -> None:
        statuses.append((await get(pages, "/readyz"))[0])

    async with trio.open_nursery() as nursery:
        for _ in range(REQUESTS_AT_ONCE):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert (await get(pages, "/healthz"))[0] == 503
        waiting.set()
    assert statuses == [200] * REQUESTS_AT_ONCE
    assert (await get(pages, "/healthz"))[0] == 200


async def test_nothing_can_be_changed_and_nothing_else_is_there() -> None:
    pages = Pages(looking(overview(ONE)))
    assert (await get(pages, "/status", method="POST"))[0] == 405
    assert (await get(pages, "/config"))[0] == 404

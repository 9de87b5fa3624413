"""The pages: /healthz (the process answers), /readyz (clients are served), /metrics, /status.

Few requests at once are answered, the others told to come again, and what was looked up is good for a moment:
however many ask, the cost stays small. It may not know a socket. Read next: `server.py`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from kaproxy.admin.exposition import exposition
from kaproxy.telemetry.overview import Overview

Look = Callable[[], Awaitable[Overview]]

#: An overview is shown again to whoever asks within so long (s).
GOOD_FOR_S = 0.25
#: Requests answered at once; one more is told 503.
REQUESTS_AT_ONCE = 8


class Pages:
    """What is answered."""

    def __init__(self, look: Look, clock: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._clock = clock
        self._seen: tuple[float, Overview] | None = None
        self._looking = trio.Lock()
        self._busy = 0

    def app(self) -> Starlette:
        """The application."""
        pages = {
            "/healthz": healthz,
            "/readyz": self.readyz,
            "/metrics": self.metrics,
            "/status": self.status,
        }
        return Starlette(routes=[Route(path, self._bounded(page)) for path, page in pages.items()])

    async def readyz(self, _request: Request) -> Response:
        """200 while a client that comes is served, 503 before that and while draining."""
        overview = await self._look()
        words = "ready" if overview.ready else "draining" if overview.draining else "not ready"
        return PlainTextResponse(f"{words}\n", 200 if overview.ready else 503)

    async def metrics(self, request: Request) -> Response:
        """For Prometheus."""
        page, content_type = exposition(await self._overview(), request.headers.get("accept", ""))
        return Response(page, media_type=content_type)

    async def status(self, _request: Request) -> Response:
        """For people and scripts: the sum, and each worker."""
        return JSONResponse((await self._overview()).to_data())

    async def _overview(self) -> Overview:
        async with self._looking:
            if self._seen is None or self._clock() - self._seen[0] > GOOD_FOR_S:
                self._seen = self._clock(), await self._look()
            return self._seen[1]

    def _bounded(
        self, page: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if self._busy >= REQUESTS_AT_ONCE:
                return PlainTextResponse("busy\n", 503, {"Retry-After": "1"})
            self._busy += 1
            try:
                return await page(request)
            finally:
                self._busy -= 1

        return answer


async def healthz(_request: Request) -> Response:
    """The loop turns."""
    return PlainTextResponse("ok\n")

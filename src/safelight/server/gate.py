"""Answers from the first moment: health and the studio's page at once, the rest when it is open.

Importing the routes and opening the desk takes a second on a small machine. Nobody needs to wait
for that to see the page, and nothing is refused meanwhile: other requests are held until it is
done.
"""

from __future__ import annotations

import asyncio
import json

from starlette.requests import Request
from starlette.responses import Response

from safelight.errors import NotFoundError, TransientError
from safelight.server import problems
from safelight.server.front import App, Front, Receive, Scope, Send
from safelight.server.logs import Journal
from safelight.server.metrics import Metrics
from safelight.server.static import Pages
from safelight.settings import Settings

HEALTHY = json.dumps({"status": "ok"}).encode()


class Gate:
    """An ASGI application in front of one that is still being made."""

    def __init__(self, settings: Settings, journal: Journal, metrics: Metrics) -> None:
        self._early = Front(self._meanwhile, settings=settings, journal=journal, metrics=metrics)
        self._pages = Pages()
        self._app: App | None = None
        self._decided = asyncio.Event()

    def open(self, app: App) -> None:
        """Send everything to ``app`` from now on, and first what was held."""
        self._app = app
        self._decided.set()

    def give_up(self) -> None:
        """Refuse what was held: there will be no application."""
        self._decided.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, perhaps after a wait."""
        if self._app is None and scope["type"] == "http" and not _is_early(scope):
            await self._decided.wait()
        await (self._early if self._app is None else self._app)(scope, receive, send)

    async def _meanwhile(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/healthz":
            answer = Response(HEALTHY, media_type="application/json")
        elif _is_early(scope):
            try:
                answer = self._pages.answer(Request(scope), scope["path"])
            except NotFoundError as error:
                answer = problems.from_error(error)
        else:
            answer = problems.from_error(TransientError("the server could not open"))
        await answer(scope, receive, send)


def _is_early(scope: Scope) -> bool:
    """Whether a request is for health or a file of the studio."""
    path = str(scope["path"])
    return scope["method"] in ("GET", "HEAD") and (
        path == "/healthz" or not path.startswith(("/api", "/readyz"))
    )

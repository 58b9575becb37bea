"""The front of the server: what happens to every request before and after its route.

One pure ASGI class, so that event streams pass through it untouched.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response

from safelight.errors import ForbiddenError, TooLargeError
from safelight.server import problems
from safelight.server.headers import ALWAYS, HSTS
from safelight.server.limits import body_limit
from safelight.server.logs import METHODS, Event, Journal
from safelight.server.metrics import Metrics
from safelight.settings import Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Front:
    """Checks where a request comes from and how big it is; adds headers; logs; catches crashes."""

    def __init__(self, app: App, *, settings: Settings, journal: Journal, metrics: Metrics) -> None:
        self._app = app
        self._journal = journal
        self._metrics = metrics
        self._upload_bytes = settings.max_upload_mb * 1024 * 1024
        self._public = urlsplit(settings.public_url)
        self._headers = [
            (k.lower().encode(), v.encode())
            for k, v in [*ALWAYS.items(), *([HSTS] if self._public.scheme == "https" else [])]
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Never raises for HTTP."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send, self._headers, self._limit(scope))
        started = time.perf_counter()
        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                await refusal(scope, exchange.receive, exchange.send)
            else:
                await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:  # noqa: BLE001 - the last line: a bug becomes a bare 500
            if not exchange.gone:
                self._journal.crash(error)
            if exchange.status is None and not exchange.gone:
                await problems.internal()(scope, receive, exchange.send)
        finally:
            self._record(scope, exchange, time.perf_counter() - started)

    def _limit(self, scope: Scope) -> int:
        return body_limit(str(scope["path"]), self._upload_bytes)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that must not reach a route, or None."""
        headers = {k: v.decode("latin-1") for k, v in scope["headers"]}
        host = headers.get(b"host", "")
        if not self._is_ours(host):
            return problems.from_error(
                ForbiddenError(
                    "this server does not answer under that host name",
                    hint="set public_url to the address that people type",
                )
            )
        if scope["method"] not in SAFE_METHODS and not self._same_origin(scope, headers, host):
            return problems.from_error(
                ForbiddenError("another site sent this request", hint="open this server's own page")
            )
        try:
            length = int(headers.get(b"content-length", "0"))
        except ValueError:
            return problems.problem(400, "bad-request", "a bad content length", "send it again")
        limit = self._limit(scope)
        if length > limit:
            return problems.from_error(TooLargeError(f"the body is over {limit} bytes"))
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header names this server. Other names are DNS rebinding."""
        if host and host == self._public.netloc:
            return True
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if name in LOOPBACK_NAMES:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def _same_origin(self, scope: Scope, headers: dict[bytes, str], host: str) -> bool:
        """Whether a request that changes something comes from our own page or from no page."""
        origin = headers.get(b"origin")
        if origin is None:
            return headers.get(b"sec-fetch-site", "none") in ("same-origin", "none")
        if self._public.netloc and origin == f"{self._public.scheme}://{self._public.netloc}":
            return True
        return origin == f"{scope.get('scheme', 'http')}://{host}"

    def _record(self, scope: Scope, exchange: _Exchange, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        route = getattr(scope.get("route"), "path", "unknown")
        status = exchange.status if exchange.status is not None else 499
        self._metrics.request(method, status, seconds)
        self._journal.write(
            Event.REQUEST,
            method=method,
            route=route if route in self._journal.routes else "unknown",
            status=status,
            ms=round(seconds * 1000, 1),
            bytes=exchange.sent,
        )


class _Exchange:
    """One request's two directions: counts the body, adds the headers, remembers the status."""

    def __init__(
        self, receive: Receive, send: Send, headers: list[tuple[bytes, bytes]], limit: int
    ) -> None:
        self._receive, self._send = receive, send
        self._headers, self._limit = headers, limit
        self._taken = 0
        self._over = False
        self.gone = False
        self.status: int | None = None
        self.sent = 0

    async def receive(self) -> Message:
        """The next piece of the body; a disconnect once it is over the limit."""
        if self._over:
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.gone = True
        self._taken += len(message.get("body", b""))
        if self._taken > self._limit:
            self._over = True
            if self.status is None:
                answer = problems.from_error(TooLargeError(f"the body is over {self._limit} bytes"))
                await answer({"type": "http"}, self._receive, self._answer)
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        """Pass an answer on with our headers; swallow what a route says after a 413."""
        if not self._over:
            await self._answer(message)

    async def _answer(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            present = {k.lower() for k, _ in message.get("headers", [])}
            extra = [(k, v) for k, v in self._headers if k not in present]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        elif message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        await self._send(message)

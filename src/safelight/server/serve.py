"""Runs the server in this process until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import time
import webbrowser
from collections.abc import Coroutine, Generator
from typing import Any

import uvicorn
from fastapi import FastAPI

from safelight.errors import RequestError, TransientError
from safelight.server.app import build_app
from safelight.server.context import Context
from safelight.server.logs import Event, Journal, take_over
from safelight.server.metrics import Metrics, serve_metrics
from safelight.settings import Settings

_STARTED = time.monotonic()


def serve(settings: Settings, *, open_browser: bool = False) -> int:
    """Serve until SIGTERM or SIGINT; then finish running work and return 0.

    Prints ``safelight: ready http://host:port`` on standard output once it answers. A second
    signal stops without waiting. Raises :class:`TransientError` if the address is taken.
    """
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    listener = _bind(settings)
    journal = Journal(level=settings.log_level)
    take_over(journal, level=settings.log_level)
    with contextlib.closing(listener):
        return asyncio.run(_run(settings, listener, journal, open_browser=open_browser))


def _bind(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(256)
    except socket.gaierror:
        listener.close()
        raise RequestError("the host is not an address of this machine") from None
    except OSError as error:
        listener.close()
        raise TransientError(
            f"cannot listen on port {settings.port}", hint="choose another with --port"
        ) from error
    listener.setblocking(False)  # noqa: FBT003 - the standard library's form
    return listener


def address(settings: Settings, listener: socket.socket) -> str:
    """The address that people on this machine type."""
    port = listener.getsockname()[1]
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn, with our signals and our ready line."""

    def __init__(self, config: uvicorn.Config, journal: Journal, url: str, port: int) -> None:
        super().__init__(config)
        self._journal, self._url, self._port = journal, url, port

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone: :func:`_run` handles them."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so on standard output."""
        await super().startup(sockets=sockets)
        if self.started:
            milliseconds = round((time.monotonic() - _STARTED) * 1000, 1)
            self._journal.write(Event.READY, port=self._port, ms=milliseconds)
            sys.stdout.write(f"safelight: ready {self._url}\n")
            sys.stdout.flush()


async def _run(
    settings: Settings, listener: socket.socket, journal: Journal, *, open_browser: bool
) -> int:
    port = listener.getsockname()[1]
    journal.write(Event.START, port=port)
    app = build_app(settings, journal=journal)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        lifespan="on",
        timeout_graceful_shutdown=settings.job_timeout_seconds,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=64 * 1024,
    )
    url = address(settings, listener)
    server = _Server(config, journal, url, port)
    loop = asyncio.get_running_loop()
    stopping, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        if stopping.is_set():
            hurry.set()
            server.should_exit = server.force_exit = True
        stopping.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, on_signal)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    counting = await _metrics(app.state.metrics, settings.metrics_port)
    if open_browser:
        loop.run_in_executor(None, webbrowser.open, url)
    await _first(serving, stopping.wait())
    if not serving.done():
        await _first(asyncio.create_task(_drain(app, settings)), hurry.wait())
        server.should_exit = True
    await serving
    if counting is not None:
        counting.close()
    return 0 if server.started else 1


async def _metrics(metrics: Metrics, port: int) -> asyncio.Server | None:
    if not port:
        return None
    try:
        return await serve_metrics(metrics, port)
    except OSError as error:
        raise TransientError(
            f"cannot listen on port {port} for metrics", hint="choose another metrics_port"
        ) from error


async def _drain(app: FastAPI, settings: Settings) -> None:
    """Let running jobs end and their callers hear of it; then end the event streams."""
    ctx: Context | None = getattr(app.state, "context", None)
    if ctx is None:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(settings.job_timeout_seconds):
            await ctx.desk.drain()
    await asyncio.sleep(0.1)  # the last events are on their way
    ctx.closing.set()


async def _first(task: asyncio.Task[None], other: Coroutine[Any, Any, object]) -> None:
    """Wait until one of the two is done; the second is then given up."""
    waiter = asyncio.ensure_future(other)
    await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()

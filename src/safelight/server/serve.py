"""Runs the server in this process until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import time
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Generator
from typing import TYPE_CHECKING

import uvicorn

from safelight.errors import RequestError, TransientError
from safelight.server.gate import Gate
from safelight.server.logs import Event, Journal, take_over
from safelight.server.metrics import Metrics, serve_metrics
from safelight.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from safelight.server.context import Context
    from safelight.server.front import App

_STARTED = time.monotonic()


def serve(settings: Settings, *, open_browser: bool = False) -> int:
    """Serve until SIGTERM or SIGINT; then finish running work and return 0.

    Prints ``safelight: ready http://host:port`` on standard output once it answers everything. A
    second signal stops without waiting. Raises :class:`TransientError` if the address is taken,
    and what opening the desk raises.
    """
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    listener = _bind(settings)
    journal = Journal(level=settings.log_level)
    take_over(journal, level=settings.log_level)
    with contextlib.closing(listener):
        asyncio.run(_run(settings, listener, journal, open_browser=open_browser))
    return 0


def _bind(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio turns Nagle's delay off only where the protocol is named; with it on, each answer of a
    # kept-open connection waits 40 ms for the caller's acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
    """The address that people type."""
    port = listener.getsockname()[1]
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: :func:`_run` has ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield


async def _run(
    settings: Settings, listener: socket.socket, journal: Journal, *, open_browser: bool
) -> None:
    port = listener.getsockname()[1]
    journal.write(Event.START, port=port)
    metrics, stop, hurry = Metrics(), asyncio.Event(), asyncio.Event()
    gate = Gate(settings, journal, metrics)
    server = _Server(
        uvicorn.Config(
            gate,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_keep_alive=30,
            timeout_graceful_shutdown=5,
        )
    )

    def on_signal() -> None:
        (hurry if stop.is_set() else stop).set()

    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, on_signal)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with (
            _counting(metrics, settings.metrics_port),
            _opened(settings, journal, metrics) as (app, context),
        ):
            gate.open(app)
            url = address(settings, listener)
            milliseconds = round((time.monotonic() - _STARTED) * 1000, 1)
            journal.write(Event.READY, port=port, ms=milliseconds)
            sys.stdout.write(f"safelight: ready {url}\n")
            sys.stdout.flush()
            if open_browser:
                await asyncio.to_thread(webbrowser.open, url)
            await _first(stop.wait(), asyncio.shield(serving))
            started = time.monotonic()
            await _first(_drain(context, settings), hurry.wait())
            context.closing.set()  # event streams end; clients resume elsewhere or later
            server.should_exit, server.force_exit = True, hurry.is_set()
            await serving
            journal.write(Event.STOP, seconds=round(time.monotonic() - started, 3))
    finally:
        gate.give_up()
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def _opened(
    settings: Settings, journal: Journal, metrics: Metrics
) -> AsyncIterator[tuple[App, Context]]:
    """The whole application, open. Its imports run in a thread, so that the gate answers."""

    def build() -> FastAPI:
        from safelight.server.app import build_app

        return build_app(settings, journal=journal, metrics=metrics)

    app = await asyncio.to_thread(build)
    async with app.router.lifespan_context(app):
        yield app, app.state.context


@contextlib.asynccontextmanager
async def _counting(metrics: Metrics, port: int) -> AsyncIterator[None]:
    """Serve the metrics on a port of their own, unless it is 0."""
    if not port:
        yield
        return
    try:
        server = await serve_metrics(metrics, port)
    except OSError as error:
        raise TransientError(
            f"cannot listen on port {port} for metrics", hint="choose another metrics_port"
        ) from error
    async with server:
        yield


async def _drain(context: Context, settings: Settings) -> None:
    """Take no more jobs, let running ones end and their callers hear of it."""
    context.stopping.set()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(settings.job_timeout_seconds):
            await context.desk.drain()
    await asyncio.sleep(0.1)  # the last events are on their way


async def _first(*waits: Awaitable[object]) -> None:
    """Wait until one is done; the others are given up."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()

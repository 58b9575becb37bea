"""Server-sent events that resume: every event has its number, and a beat keeps the line open.

Source: WHATWG HTML, section 9.2.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from starlette.responses import StreamingResponse

BEAT_SECONDS = 15.0
RETRY_MS = 1_000


class Numbered(Protocol):
    """What the desk tells about a job."""

    @property
    def seq(self) -> int:
        """Number of the event in its job, from 1."""
        ...

    @property
    def type(self) -> str:
        """``queued``, ``running``, ``progress``, ``preview``, ``done``, ``refused``, ..."""
        ...

    @property
    def data(self) -> Any:
        """What happened, ready for JSON."""
        ...


def read_event_id(value: str | None) -> int:
    """The number after which to go on; 0 from the start, also for anything that is no number."""
    if value is not None and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    return 0


def encode_event(event: Numbered) -> bytes:
    """One event in wire form."""
    data = json.dumps(event.data, separators=(",", ":"))
    return f"id: {event.seq}\nevent: {event.type}\ndata: {data}\n\n".encode()


async def wire(
    source: AsyncIterator[Numbered], closing: asyncio.Event, *, beat_seconds: float = BEAT_SECONDS
) -> AsyncIterator[bytes]:
    """The events of ``source`` in wire form, with a beat in every silence.

    Ends when the source ends or the server closes; the client then comes back with the number of
    the last event it has.
    """
    yield f"retry: {RETRY_MS}\n\n".encode()
    stop: asyncio.Future[object] = asyncio.ensure_future(closing.wait())
    pending: asyncio.Future[Numbered | None] | None = None
    try:
        while not closing.is_set():
            if pending is None:
                pending = asyncio.ensure_future(_next(source))
            either: set[asyncio.Future[Any]] = {pending, stop}
            done, _ = await asyncio.wait(
                either, timeout=beat_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if pending in done:
                event = pending.result()
                pending = None
                if event is None:
                    return
                yield encode_event(event)
            elif not done:
                yield b": beat\n\n"
    finally:
        stop.cancel()
        if pending is not None:
            pending.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await pending


async def _next(source: AsyncIterator[Numbered]) -> Numbered | None:
    return await anext(source, None)


class EventStream(StreamingResponse):
    """The answer of an events route; ``headers`` are added to its own."""

    def __init__(
        self,
        source: AsyncIterator[Numbered],
        closing: asyncio.Event,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(
            wire(source, closing),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", **headers},
        )

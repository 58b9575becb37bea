"""The keeper's ends of its two pipes: frames over asyncio streams."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from safelight.frames import Frame, encode_frame, read_frame_async

STREAM_LIMIT_BYTES = 1024 * 1024


class FrameStream:
    """Frames over a connected socket; many tasks may send, one receives."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = asyncio.Lock()

    @classmethod
    async def over(cls, sock: socket.socket) -> FrameStream:
        """Take over a connected socket."""
        return cls(*await asyncio.open_connection(sock=sock, limit=STREAM_LIMIT_BYTES))

    async def send(self, header: dict[str, Any], parts: Sequence[bytes] = ()) -> None:
        """Send one frame. Raises :class:`ConnectionError` when the peer is gone."""
        data = encode_frame(header, parts)
        async with self._lock:
            self._writer.write(data)
            await self._writer.drain()

    async def receive(self) -> Frame:
        """Wait for one frame. Raises :class:`EOFError` when the peer is gone."""
        try:
            return await read_frame_async(self._reader)
        except ConnectionError:
            raise EOFError from None

    def close(self) -> None:
        """Close the socket; the peer sees the end."""
        self._writer.close()

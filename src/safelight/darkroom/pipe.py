"""The engine process's end of its pipe: blocking frames, one writer at a time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from typing import Any

from safelight.frames import Frame, encode_frame, exact_reader, read_frame


class FramePipe:
    """Frames over a connected socket. Safe to write from several threads, to read from one."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader = sock.makefile("rb")
        self._read_exactly = exact_reader(self._reader.read)
        self._lock = threading.Lock()

    def send(self, header: dict[str, Any], parts: Sequence[bytes] = ()) -> None:
        """Send one frame. Raises :class:`OSError` when the peer is gone."""
        data = encode_frame(header, parts)
        with self._lock:
            self._sock.sendall(data)

    def receive(self) -> Frame:
        """Wait for one frame. Raises :class:`EOFError` when the peer is gone."""
        try:
            return read_frame(self._read_exactly)
        except ConnectionError:
            raise EOFError from None

"""Length-prefixed frames: how the desk's process and the darkroom's processes speak over a pipe.

A frame is a canonical JSON header and zero or more byte parts::

    u32 header length | header | u32 part count | (u32 length | bytes) ...

All integers are big-endian. A frame is at most 256 MiB. :class:`Child` starts the process at the
other end of such a pipe.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from safelight.errors import DarkroomError, TooLargeError
from safelight.ids import canonical_json

MAX_FRAME_BYTES = 256 * 1024 * 1024
MAX_PARTS = 64
STREAM_LIMIT_BYTES = 1024 * 1024
_BACKOFF_SECONDS = (0.0, 0.5, 2.0, 10.0, 30.0)
_PASSED_ON = frozenset(
    {
        "PATH",
        "LANG",
        "LC_ALL",
        "TZ",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "PYTHONPATH",
        "SYSTEMROOT",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "CUDA_VISIBLE_DEVICES",
        "HIP_VISIBLE_DEVICES",
        "HSA_OVERRIDE_GFX_VERSION",
        "PYTORCH_ENABLE_MPS_FALLBACK",
    }
)
"""What a child's environment takes over from ours: what computing needs, no secret."""
_U32 = struct.Struct(">I")

Frame = tuple[dict[str, Any], list[bytes]]


def encode_frame(header: dict[str, Any], parts: Sequence[bytes] = ()) -> bytes:
    """The bytes of one frame. Raises :class:`TooLargeError` over the limits."""
    head = canonical_json(header)
    total = len(head) + sum(len(part) for part in parts)
    if total > MAX_FRAME_BYTES or len(parts) > MAX_PARTS:
        raise TooLargeError(f"a frame of {total} bytes and {len(parts)} parts is over the limit")
    out = [_U32.pack(len(head)), head, _U32.pack(len(parts))]
    for part in parts:
        out += [_U32.pack(len(part)), part]
    return b"".join(out)


def read_frame(read_exactly: Callable[[int], bytes]) -> Frame:
    """Read one frame with a blocking ``read_exactly(n)``.

    Raises :class:`EOFError` at a clean end, :class:`DarkroomError` on a torn or oversized frame.
    """
    head_length = _U32.unpack(read_exactly(4))[0]
    _check(head_length)
    header = _header(read_exactly(head_length))
    count = _U32.unpack(read_exactly(4))[0]
    _check_count(count)
    parts: list[bytes] = []
    for _ in range(count):
        length = _U32.unpack(read_exactly(4))[0]
        _check(length)
        parts.append(read_exactly(length))
    return header, parts


async def read_frame_async(reader: asyncio.StreamReader) -> Frame:
    """As :func:`read_frame`, on an asyncio reader. :class:`EOFError` means the peer is gone."""
    try:
        head_length = _U32.unpack(await reader.readexactly(4))[0]
        _check(head_length)
        header = _header(await reader.readexactly(head_length))
        count = _U32.unpack(await reader.readexactly(4))[0]
        _check_count(count)
        parts: list[bytes] = []
        for _ in range(count):
            length = _U32.unpack(await reader.readexactly(4))[0]
            _check(length)
            parts.append(await reader.readexactly(length))
    except asyncio.IncompleteReadError as error:
        raise EOFError from error
    return header, parts


def exact_reader(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Make ``read_exactly`` from a ``read(n)`` that may return less.

    The result raises :class:`EOFError` if the stream ends first.
    """

    def read_exactly(n: int) -> bytes:
        chunks: list[bytes] = []
        missing = n
        while missing:
            chunk = read(missing)
            if not chunk:
                raise EOFError
            chunks.append(chunk)
            missing -= len(chunk)
        return b"".join(chunks)

    return read_exactly


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
        """Wait for one frame.

        Raises :class:`EOFError` when the peer is gone, :class:`DarkroomError` on a bad frame.
        """
        try:
            return await read_frame_async(self._reader)
        except ConnectionError:
            raise EOFError from None

    def close(self) -> None:
        """Close the socket; the peer sees the end."""
        self._writer.close()


class Child:
    """A child process, and the frames to and from it. It may die at any time."""

    def __init__(self, process: subprocess.Popen[bytes], stream: FrameStream) -> None:
        self._process = process
        self.stream = stream

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Run ``command --fd N``, where N is the number of its end of the pipe.

        Its environment is ``environment`` and what computing needs of ours. Its standard streams
        are closed, because libraries print what they are given.
        """
        ours, theirs = socket.socketpair()
        passed = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
        with theirs:
            stream = await FrameStream.over(ours)
            process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                [*command, "--fd", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**passed, **environment},
                cwd="/",
            )
        return cls(process, stream)

    def kill(self) -> None:
        """Kill the process now, if it still runs; its stream ends."""
        if self._process.poll() is None:
            self._process.kill()

    async def ended_within(self, seconds: float) -> bool:
        """Wait for the process to end by itself; return whether it did."""
        try:
            await asyncio.to_thread(self._process.wait, seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def bury(self) -> None:
        """Kill the process, collect it, and close the pipe."""
        self.kill()
        self._process.wait()  # killed above, so at once
        self.stream.close()


def backoff_seconds(failures: int) -> float:
    """How long to wait before a child is started again, after so many failed starts in a row."""
    return _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]


def _header(raw: bytes) -> dict[str, Any]:
    try:
        header = json.loads(raw)
    except ValueError as error:
        raise DarkroomError("a frame header is not JSON") from error
    if not isinstance(header, dict):
        raise DarkroomError("a frame header is not an object")
    return header


def _check(length: int) -> None:
    if length > MAX_FRAME_BYTES:
        raise DarkroomError(f"a frame part of {length} bytes is over the limit")


def _check_count(count: int) -> None:
    if count > MAX_PARTS:
        raise DarkroomError(f"a frame of {count} parts is over the limit")

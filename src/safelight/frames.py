"""Length-prefixed frames: how the desk's process and the darkroom's processes speak over a pipe.

A frame is a canonical JSON header and zero or more byte parts::

    u32 header length | header | u32 part count | (u32 length | bytes) ...

All integers are big-endian. A frame is at most 256 MiB.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from safelight.errors import DarkroomError, TooLargeError
from safelight.ids import canonical_json

MAX_FRAME_BYTES = 256 * 1024 * 1024
MAX_PARTS = 64
_U32 = struct.Struct(">I")

Frame = tuple[dict[str, Any], list[bytes]]


class BinaryWriter(Protocol):
    """What :func:`write_frame` needs: a blocking writer such as ``socket.makefile('wb')``."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""
        ...

    def flush(self) -> object:
        """Hand over what was written."""
        ...


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


def write_frame(writer: BinaryWriter, header: dict[str, Any], parts: Sequence[bytes] = ()) -> None:
    """Write one frame and flush it."""
    writer.write(encode_frame(header, parts))
    writer.flush()


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

"""Frames between processes: whole, in order, or an error."""

from __future__ import annotations

import asyncio
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight import frames
from safelight.errors import DarkroomError, TooLargeError

headers = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8"), max_size=20),
    max_size=5,
)
parts = st.lists(st.binary(max_size=50), max_size=5)


class Drip(io.BytesIO):
    """Gives one byte at a time, as a slow pipe may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(1, size or 1))


async def read_async(data: bytes) -> frames.Frame:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await frames.read_frame_async(reader)


@given(st.lists(st.tuples(headers, parts), min_size=1, max_size=3))
def test_frames_come_out_as_they_went_in(sent: list[tuple[dict[str, object], list[bytes]]]) -> None:
    pipe = io.BytesIO()
    for header, data in sent:
        frames.write_frame(pipe, header, data)
    read = frames.exact_reader(Drip(pipe.getvalue()).read)
    assert [frames.read_frame(read) for _ in sent] == sent
    with pytest.raises(EOFError):
        frames.read_frame(read)


@given(headers, parts)
def test_both_readers_agree(header: dict[str, object], data: list[bytes]) -> None:
    raw = frames.encode_frame(header, data)
    assert asyncio.run(read_async(raw)) == (header, data)


@given(headers, parts, st.data())
def test_a_torn_frame_is_never_half_a_frame(
    header: dict[str, object], data: list[bytes], pick: st.DataObject
) -> None:
    raw = frames.encode_frame(header, data)
    torn = raw[: pick.draw(st.integers(0, len(raw) - 1))]
    with pytest.raises(EOFError):
        frames.read_frame(frames.exact_reader(io.BytesIO(torn).read))
    with pytest.raises(EOFError):
        asyncio.run(read_async(torn))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_frame_or_an_error(raw: bytes) -> None:
    try:
        header, _ = frames.read_frame(frames.exact_reader(io.BytesIO(raw).read))
    except (EOFError, DarkroomError):
        return
    assert isinstance(header, dict)


def u32(n: int) -> bytes:
    return struct.pack(">I", n)


@pytest.mark.parametrize(
    "raw",
    [
        u32(frames.MAX_FRAME_BYTES + 1),
        u32(2) + b"[]" + u32(0),
        u32(2) + b"xx" + u32(0),
        u32(2) + b"{}" + u32(frames.MAX_PARTS + 1),
        u32(2) + b"{}" + u32(1) + u32(frames.MAX_FRAME_BYTES + 1),
    ],
)
def test_limits_are_kept_before_memory_is_taken(raw: bytes) -> None:
    with pytest.raises(DarkroomError):
        frames.read_frame(frames.exact_reader(io.BytesIO(raw).read))
    with pytest.raises(DarkroomError):
        asyncio.run(read_async(raw))


def test_too_many_parts_are_not_sent() -> None:
    with pytest.raises(TooLargeError):
        frames.encode_frame({}, [b""] * (frames.MAX_PARTS + 1))

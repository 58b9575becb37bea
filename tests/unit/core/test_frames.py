"""Frames between processes: whole, in order, or an error."""

from __future__ import annotations

import asyncio
import io
import struct
import sys

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
    raw = b"".join(frames.encode_frame(header, data) for header, data in sent)
    read = frames.exact_reader(Drip(raw).read)
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


ECHO = """
import os, socket, sys
from safelight import frames
ours = socket.socket(fileno=int(sys.argv[sys.argv.index("--fd") + 1]))
read = frames.exact_reader(ours.makefile("rb").read)
while True:
    header, parts = frames.read_frame(read)
    if header["op"] == "die":
        os._exit(3)
    ours.sendall(frames.encode_frame({"asked": header, "environment": dict(os.environ)}, parts))
"""


async def test_a_child_hears_answers_and_may_die(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFELIGHT_TEST_SECRET", "canary")
    child = await frames.Child.start([sys.executable, "-c", ECHO], {"HOME": "/nowhere"})
    try:
        big = bytes(3 * frames.STREAM_LIMIT_BYTES)
        orders = [{"op": "echo", "n": n} for n in range(3)]
        sending = [asyncio.create_task(child.stream.send(order, [big])) for order in orders]
        for order in orders:
            header, parts = await child.stream.receive()
            assert header["asked"] == order
            assert parts == [big]
            assert header["environment"]["HOME"] == "/nowhere"
            assert "SAFELIGHT_TEST_SECRET" not in header["environment"]
        await asyncio.gather(*sending)
        assert not await child.ended_within(0.01)
        await child.stream.send({"op": "die"})
        with pytest.raises(EOFError):
            await child.stream.receive()
        assert await child.ended_within(60)
    finally:
        child.bury()
    with pytest.raises(ConnectionError):
        await child.stream.send({"op": "echo"})


def test_each_failed_start_waits_longer_up_to_a_limit() -> None:
    waits = [frames.backoff_seconds(failures) for failures in range(20)]
    assert waits[0] == 0
    assert waits == sorted(waits)
    assert waits[-1] == waits[-2] <= 60

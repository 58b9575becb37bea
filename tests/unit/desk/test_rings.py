"""Events are numbered, resume, and always tell the end."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from deskwork import NOON
from safelight.desk import rings as module
from safelight.desk.rings import Event, Rings

JOB = "job_1"


async def heard(rings: Rings, after: int = 0) -> list[Event]:
    ring = rings.get(JOB)
    assert ring is not None
    return [event async for event in ring.follow(after)]


async def test_events_are_numbered_from_one_and_end() -> None:
    rings = Rings()
    rings.tell(JOB, "queued", place=1)
    rings.tell(JOB, "running")
    rings.end(JOB, "done", NOON, reply=b"abc", assets=["ast_1"])
    events = await heard(rings)
    assert [(e.seq, e.type) for e in events] == [(1, "queued"), (2, "running"), (3, "done")]
    assert events[2].data == {"reply": "YWJj", "assets": ["ast_1"]}
    assert "YWJj" not in repr(events[2])


async def test_following_goes_on_after_the_last_one_heard() -> None:
    rings = Rings()
    rings.tell(JOB, "queued", place=1)
    rings.tell(JOB, "running")
    following = asyncio.create_task(heard(rings, 1))
    await asyncio.sleep(0)
    rings.tell(JOB, "progress", index=0, step=1, steps=2)
    rings.end(JOB, "cancelled", NOON)
    assert [e.seq for e in await asyncio.wait_for(following, 5)] == [2, 3, 4]


async def test_a_number_from_before_a_restart_gets_everything_again() -> None:
    rings = Rings()
    rings.tell(JOB, "queued", place=1)
    following = asyncio.create_task(heard(rings, 40))
    await asyncio.sleep(0)
    rings.end(JOB, "failed", NOON, code="x")
    assert [e.type for e in await asyncio.wait_for(following, 5)] == ["queued", "failed"]


async def test_the_end_is_told_again_to_those_who_ask_again() -> None:
    rings = Rings()
    rings.end(JOB, "failed", NOON, code="x")
    for after in (0, 1, 99):
        assert [e.type for e in await heard(rings, after)] == ["failed"]


async def test_nothing_is_told_after_the_end() -> None:
    rings = Rings()
    rings.end(JOB, "cancelled", NOON)
    rings.tell(JOB, "progress", index=0, step=1, steps=2)
    rings.end(JOB, "done", NOON, reply=b"late")
    assert [e.type for e in await heard(rings)] == ["cancelled"]
    assert rings.reply(JOB) is None


async def test_a_ring_is_bounded_and_keeps_one_preview() -> None:
    rings = Rings()
    for i in range(1_000):
        rings.tell(JOB, "progress", index=0, step=i, steps=1_000)
        rings.tell(JOB, "preview", sealed=f"{i}")
    rings.end(JOB, "done", NOON, reply=b"", assets=[])
    events = await heard(rings)
    assert len(events) <= module.RING_EVENTS
    assert [e.data["sealed"] for e in events if e.type == "preview"] == ["999"]
    assert events[-1].type == "done"


async def test_replies_are_forgotten_after_a_while_and_when_there_are_too_many(
    monkeypatch: object,
) -> None:
    rings = Rings()
    rings.end("job_old", "done", NOON, reply=b"x" * 10)
    rings.end("job_new", "done", NOON + timedelta(minutes=9), reply=b"y" * 10)
    assert rings.sweep(NOON + timedelta(minutes=11)) == ["job_old"]
    assert rings.reply("job_old") is None
    assert rings.reply("job_new") == b"y" * 10
    module_limit, module.MAX_REPLY_BYTES = module.MAX_REPLY_BYTES, 15
    try:
        rings.end("job_newer", "done", NOON, reply=b"z" * 10)
    finally:
        module.MAX_REPLY_BYTES = module_limit
    assert rings.reply("job_new") is None
    assert rings.reply("job_newer") == b"z" * 10

"""A job's way through the desk, with a fleet that follows a script."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from deskwork import (
    COST,
    NOON,
    Script,
    ScriptedFleet,
    add_account,
    later,
    make_everything,
    open_test_desk,
    request_for,
    sealed_asset,
    submit_kept,
    until_end,
)
from safelight.desk import Desk
from safelight.desk.fleet import Listener, Outcome
from safelight.errors import ConflictError, ForbiddenError, NotFoundError, QuotaError, RequestError
from safelight.ids import FixedClock, new_id
from safelight.records import Account, Job

MONTH = "2026-11-01"


async def off_record(
    desk: Desk, account: Account | None, **changes: object
) -> tuple[Job, str | None]:
    values: dict[str, object] = {
        "account": account,
        "sealed": request_for(),
        "cost": COST,
        "retention": "none",
        "protection": "sealed",
    }
    return await desk.submit(**(values | changes))  # type: ignore[arg-type]


async def test_a_kept_job_ends_in_the_library(
    desk: Desk, fleet: ScriptedFleet, anna: Account
) -> None:
    job = await submit_kept(desk, anna)
    events = [event async for event in desk.events(job.id)]
    assert [e.type for e in events] == ["queued", "running", "progress", "preview", "done"]
    assert events[0].data == {"place": 1}
    assert events[-1].data["assets"] == list(job.assets)
    [(asset, envelope)], following = await desk.library(anna.id)
    made = sealed_asset(asset.id)
    assert (asset.id, envelope, following) == (job.assets[0], made.envelope, None)
    for part in ("full", "thumb", "meta"):
        assert (await desk.asset_part(anna.id, asset.id, part))[1] == getattr(made, part)
    assert (await desk.job(job.id, account=anna.id)).state == "done"
    assert await desk.reply(job.id) == b"sealed reply of " + job.id.encode()
    assert await desk.tokens(anna.id) == (1, None)
    assert await desk.queue_lengths() == (0, 0)


async def test_off_the_record_leaves_one_row_and_no_file(
    desk: Desk, fleet: ScriptedFleet, anna: Account, tmp_path: Path
) -> None:
    first, _ = await off_record(desk, anna)
    assert await until_end(desk, first.id) == "done"
    files = files_in(tmp_path)
    rows = await every_row(desk)
    for _ in range(20):
        job, _ = await off_record(desk, anna)
        assert await until_end(desk, job.id) == "done"
        assert await desk.reply(job.id) == b"sealed reply of " + job.id.encode()
    after = await every_row(desk)
    assert len(set(rows) ^ set(after)) == 2  # the day's row, before and after
    assert await desk.records.jobs.bills(anna.id) == [("2026-11-28", 21, 21)]
    assert files_in(tmp_path) == files


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


async def every_row(desk: Desk) -> list[tuple[object, ...]]:
    from safelight.store import key_tables, tables

    rows: list[tuple[object, ...]] = []
    for database, metadata in (
        (desk.records.database, tables.metadata),
        (desk.keys_store.database, key_tables.metadata),
    ):
        async with database.read() as connection:
            for table in metadata.sorted_tables:
                found = await connection.execute(table.select())
                rows += [(table.name, *row) for row in found]
    return rows


async def test_an_off_the_record_job_is_forgotten(
    desk: Desk, fleet: ScriptedFleet, anna: Account, clock: FixedClock
) -> None:
    job, _ = await off_record(desk, anna)
    await until_end(desk, job.id)
    later(clock, minutes=11)
    await desk.tidy_memory()
    assert await desk.reply(job.id) is None
    with pytest.raises(NotFoundError):
        await desk.job(job.id, account=anna.id)


async def test_a_guest_follows_with_the_ticket_only(desk: Desk, fleet: ScriptedFleet) -> None:
    job, ticket = await off_record(desk, None)
    assert ticket is not None
    assert (await desk.job(job.id, account=None, ticket=ticket)).id == job.id
    for wrong in (None, "", ticket[:-1] + "x"):
        with pytest.raises(NotFoundError):
            await desk.job(job.id, account=None, ticket=wrong)
    with pytest.raises(ForbiddenError):
        await submit_kept(desk, None)  # type: ignore[arg-type]


async def test_guests_can_be_shut_out(tmp_path: Path) -> None:
    desk = await open_test_desk(tmp_path, guests="off")
    with pytest.raises(ForbiddenError):
        await off_record(desk, None)
    await desk.close()


async def test_another_account_sees_no_job(
    desk: Desk, fleet: ScriptedFleet, anna: Account, bert: Account
) -> None:
    kept = await submit_kept(desk, anna)
    hidden, _ = await off_record(desk, anna)
    for job in (kept.id, hidden.id, "job_none"):
        with pytest.raises(NotFoundError):
            await desk.job(job, account=bert.id)
        with pytest.raises(NotFoundError):
            await desk.job(job, account=None, ticket="x")
    assert {job.id for job in await desk.jobs(anna.id)} == {kept.id, hidden.id}
    assert await desk.jobs(bert.id) == []


@pytest.mark.parametrize("keep", [True, False])
async def test_one_idempotency_key_is_one_job(
    desk: Desk, fleet: ScriptedFleet, anna: Account, keep: bool
) -> None:
    asset = new_id("ast")
    sealed = request_for(asset) if keep else request_for()

    async def send(sealed: bytes) -> Job:
        job, _ = await desk.submit(
            account=anna,
            sealed=sealed,
            cost=COST,
            retention="owner" if keep else "none",
            protection="sealed",
            assets=(asset,) if keep else (),
            idempotency_key="one-key-only",
        )
        return job

    first, again = await send(sealed), await send(sealed)
    assert first.id == again.id
    assert await until_end(desk, first.id) == "done"
    assert (await send(sealed)).id == first.id
    with pytest.raises(ConflictError):
        await send(sealed + b"another")
    assert fleet.seen == [first.id]


@pytest.mark.parametrize("keep", [True, False])
async def test_keys_gone_fails_uncharged_and_the_same_key_may_come_again(
    desk: Desk, fleet: ScriptedFleet, anna: Account, keep: bool
) -> None:
    fleet.script = lambda job, sealed, hear: Outcome(state="failed", code="darkroom-key-lost")
    how = {"idempotency_key": "one-key-only"}
    if keep:
        lost = await submit_kept(desk, anna, **how)
    else:
        lost, _ = await off_record(desk, anna, **how)
    [*_, end] = [event async for event in desk.events(lost.id)]
    assert (end.type, end.data["code"]) == ("failed", "darkroom-key-lost")
    assert "seal" in end.data["hint"]
    assert await desk.tokens(anna.id) == (0, None)
    fleet.script = make_everything
    if keep:
        again = await submit_kept(desk, anna, **how)
    else:
        again, _ = await off_record(desk, anna, **how)
    assert again.id != lost.id
    assert await until_end(desk, again.id) == "done"
    assert await desk.tokens(anna.id) == (1, None)


async def test_a_crashed_engine_is_tried_again_up_to_the_limit(
    desk: Desk, fleet: ScriptedFleet, anna: Account
) -> None:
    tries = 0

    def crash_twice(job: str, sealed: bytes, hear: Listener) -> Outcome:
        nonlocal tries
        tries += 1
        if tries < 3:
            return Outcome(state="failed", code="darkroom-stopped")
        return make_everything(job, sealed, hear)

    fleet.script = crash_twice
    job = await submit_kept(desk, anna)
    assert await until_end(desk, job.id) == "done"
    assert (await desk.job(job.id, account=anna.id)).attempts == 3
    tries = -99
    doomed = await submit_kept(desk, anna)
    [*_, end] = [event async for event in desk.events(doomed.id)]
    assert (end.type, end.data["code"]) == ("failed", "darkroom-stopped")
    assert await desk.tokens(anna.id) == (1, None)


async def test_a_fleet_that_raises_is_a_crashed_engine(
    desk: Desk, fleet: ScriptedFleet, anna: Account
) -> None:
    def broken(job: str, sealed: bytes, hear: Listener) -> Outcome:
        raise OSError("a broken pipe")

    fleet.script = broken
    job = await submit_kept(desk, anna)
    assert await until_end(desk, job.id) == "failed"
    fleet.script = make_everything
    assert await until_end(desk, (await submit_kept(desk, anna)).id) == "done"


async def test_a_refusal_is_neither_kept_nor_charged(
    desk: Desk, fleet: ScriptedFleet, anna: Account
) -> None:
    fleet.script = lambda job, sealed, hear: Outcome(state="refused", reply=b"sealed refusal")
    kept = await submit_kept(desk, anna)
    hidden, _ = await off_record(desk, anna)
    for job in (kept, hidden):
        [*_, end] = [event async for event in desk.events(job.id)]
        assert end.type == "refused"
        assert await desk.reply(job.id) == b"sealed refusal"
    assert await desk.library(anna.id) == ([], None)
    assert await desk.tokens(anna.id) == (0, None)


async def test_public_copies_are_made_when_both_sides_of_the_seal_say_so(
    desk: Desk, fleet: ScriptedFleet, anna: Account
) -> None:
    """The job's own retention and what the darkroom hands over: one alone publishes nothing."""
    out = io.BytesIO()
    Image.new("RGB", (6, 4), "red").save(out, "PNG", pnginfo=_with_text("a secret word"))

    def handing(pictures: tuple[bytes, ...]) -> Script:
        return lambda job, sealed, hear: replace(
            make_everything(job, sealed, hear), public=pictures
        )

    fleet.script = handing((out.getvalue(),))
    private = await submit_kept(desk, anna)
    assert await until_end(desk, private.id) == "done"
    fleet.script = handing(())
    withheld = await submit_kept(desk, anna, retention="public")
    assert await until_end(desk, withheld.id) == "done"
    fleet.script = handing((b"not a picture",))
    broken = await submit_kept(desk, anna, retention="public")
    assert await until_end(desk, broken.id) == "done"
    assert await desk.publications(anna.id) == []
    assert (await desk.explore())[0] == []

    fleet.script = handing((out.getvalue(),))
    job = await submit_kept(desk, anna, retention="public")
    assert await until_end(desk, job.id) == "done"
    [shown] = await desk.publications(anna.id)
    assert (shown.asset, shown.width_px, shown.height_px) == (job.assets[0], 6, 4)
    assert (shown.words, shown.show_name, shown.remix) == ("", False, False)
    _, picture = await desk.publication_picture(shown.id)
    assert b"secret" not in picture
    kept, _ = await desk.library(anna.id)
    assert {a.id: a.visibility for a, _ in kept} == {
        job.assets[0]: "public",
        private.assets[0]: "private",
        withheld.assets[0]: "private",
        broken.assets[0]: "private",
    }


def _with_text(words: str) -> PngInfo:
    info = PngInfo()
    info.add_text("prompt", words)
    return info


async def test_an_asset_that_was_not_asked_for_is_not_taken(
    desk: Desk, fleet: ScriptedFleet, anna: Account
) -> None:
    fleet.script = lambda job, sealed, hear: Outcome(
        state="done", assets=(sealed_asset(new_id("ast")),), reply=b"r"
    )
    job = await submit_kept(desk, anna)
    [*_, end] = [event async for event in desk.events(job.id)]
    assert (end.type, end.data["code"]) == ("failed", "integrity")
    assert await desk.library(anna.id) == ([], None)
    assert [blob async for blob in desk.blobs.list()] == []


async def test_cancel_while_it_waits_and_while_it_runs(
    desk: Desk, fleet: ScriptedFleet, anna: Account
) -> None:
    fleet.gate.clear()
    running = await submit_kept(desk, anna)
    waiting = await submit_kept(desk, anna)
    hidden, _ = await off_record(desk, anna)
    await fleet.began(running.id)
    for job in (waiting, running, hidden):
        assert (await desk.cancel(job.id)).state == "cancelled"
        assert await until_end(desk, job.id) == "cancelled"
        assert (await desk.cancel(job.id)).state == "cancelled"
    assert running.id in fleet.cancelled
    fleet.gate.set()
    done = await submit_kept(desk, anna)
    assert await until_end(desk, done.id) == "done"
    assert (await desk.cancel(done.id)).state == "done"
    assert fleet.seen == [running.id, done.id]
    assert await desk.tokens(anna.id) == (1, None)
    with pytest.raises(NotFoundError):
        await desk.cancel("job_none")


async def test_a_result_that_comes_after_a_cancel_is_dropped(
    desk: Desk, fleet: ScriptedFleet, anna: Account
) -> None:
    job = await submit_kept(desk, anna)

    def late(name: str, sealed: bytes, hear: Listener) -> Outcome:
        return make_everything(name, sealed, hear)

    await until_end(desk, job.id)
    fleet.gate.clear()
    second = await submit_kept(desk, anna)
    await fleet.began(second.id)
    await desk.records.jobs.cancel(second.id, NOON)  # as from another desk: nobody tells the fleet
    fleet.gate.set()
    await desk.drain()
    assert {a.id for a, _ in (await desk.library(anna.id))[0]} == set(job.assets)
    assert len([blob async for blob in desk.blobs.list()]) == 3
    assert await desk.keys_store.reply(second.id, NOON) is None


async def test_what_waits_too_long_fails_as_expired(
    desk: Desk, fleet: ScriptedFleet, anna: Account, clock: FixedClock
) -> None:
    fleet.gate.clear()
    first = await submit_kept(desk, anna)
    await fleet.began(first.id)
    kept = await submit_kept(desk, anna)
    hidden, _ = await off_record(desk, anna)
    later(clock, minutes=61)
    await desk.look_for_lost_jobs()
    for job in (kept, hidden):
        [*_, end] = [event async for event in desk.events(job.id)]
        assert (end.type, end.data["code"]) == ("failed", "expired")
    fleet.gate.set()
    assert (await desk.job_by_id(first.id)) is not None


async def test_the_queue_has_a_limit(tmp_path: Path) -> None:
    desk = await open_test_desk(tmp_path, queue_limit=2)
    anna = await add_account(desk)
    for _ in range(2):
        await submit_kept(desk, anna)
        await off_record(desk, anna)
    with pytest.raises(QuotaError):
        await submit_kept(desk, anna)
    with pytest.raises(QuotaError):
        await off_record(desk, anna)
    await desk.close()


async def test_a_month_has_its_tokens_kept_or_not(desk: Desk) -> None:
    anna = await add_account(desk, plan="small")
    await desk.records.jobs.bill(anna.id, NOON, 1, 498)
    await submit_kept(desk, anna)
    await off_record(desk, anna)
    assert await desk.tokens(anna.id) == (500, 500)
    with pytest.raises(QuotaError):
        await submit_kept(desk, anna)
    with pytest.raises(QuotaError):
        await off_record(desk, anna)
    assert await desk.tokens(anna.id) == (500, 500)


async def test_assets_are_named_one_for_each_kept_picture(desk: Desk, anna: Account) -> None:
    for assets in ((), (new_id("ast"), new_id("ast"))):
        with pytest.raises(RequestError):
            await submit_kept(desk, anna, assets=assets)
    with pytest.raises(RequestError):
        await off_record(desk, anna, assets=(new_id("ast"),))


async def test_accounts_take_turns_through_the_desk(
    desk: Desk, anna: Account, bert: Account
) -> None:
    many = [await submit_kept(desk, anna) for _ in range(4)]
    one = await submit_kept(desk, bert)
    fleet = ScriptedFleet()
    desk.attach(fleet)
    for job in [*many, one]:
        await until_end(desk, job.id)
    assert fleet.seen.index(one.id) == 1


async def test_a_restart_goes_on_with_queued_and_running_jobs(tmp_path: Path) -> None:
    desk = await open_test_desk(tmp_path)
    anna = await add_account(desk)
    fleet = ScriptedFleet()
    fleet.gate.clear()
    desk.attach(fleet)
    running, queued = await submit_kept(desk, anna), await submit_kept(desk, anna)
    await fleet.began(running.id)
    await desk.close()
    again = await open_test_desk(tmp_path)
    second = ScriptedFleet()
    again.attach(second)
    for job in (running, queued):
        assert await until_end(again, job.id) == "done"
    assert second.seen == [running.id, queued.id]
    assert await again.tokens(anna.id) == (2, None)
    await again.close()


async def test_after_a_restart_an_ended_job_tells_its_end_with_its_reply(tmp_path: Path) -> None:
    desk = await open_test_desk(tmp_path)
    anna = await add_account(desk)
    desk.attach(ScriptedFleet())
    job = await submit_kept(desk, anna)
    told = [event async for event in desk.events(job.id)]
    await desk.close()
    again = await open_test_desk(tmp_path)
    [end] = [event async for event in again.events(job.id, told[-1].seq)]
    assert (end.type, end.data) == ("done", told[-1].data)
    with pytest.raises(NotFoundError):
        async for _ in again.events("job_none"):
            pass
    await again.close()


async def test_one_home_has_one_desk(tmp_path: Path) -> None:
    from safelight.errors import TransientError

    desk = await open_test_desk(tmp_path)
    with pytest.raises(TransientError):
        await open_test_desk(tmp_path)
    await desk.close()
    await (await open_test_desk(tmp_path)).close()


async def test_draining_ends_what_runs_and_begins_nothing(
    desk: Desk, fleet: ScriptedFleet, anna: Account
) -> None:
    fleet.gate.clear()
    running = await submit_kept(desk, anna)
    await fleet.began(running.id)
    queued = await submit_kept(desk, anna)
    draining = asyncio.create_task(desk.drain())
    await asyncio.sleep(0.01)
    assert not draining.done()
    fleet.gate.set()
    await asyncio.wait_for(draining, 10)
    assert (await desk.job(running.id, account=anna.id)).state == "done"
    assert (await desk.job(queued.id, account=anna.id)).state == "queued"

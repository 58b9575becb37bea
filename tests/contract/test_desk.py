"""Two desks on one PostgreSQL and one S3 bucket, as on several machines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from deskwork import (
    NOON,
    ScriptedFleet,
    add_account,
    later,
    sealed_asset,
    submit_kept,
    until_end,
)
from safelight.desk import Desk
from safelight.errors import NotFoundError
from safelight.ids import FixedClock
from safelight.settings import Settings
from safelight.store.keys import Keys
from safelight.store.records import Records
from servers import new_database, s3_blobs


@pytest.fixture
async def desks(postgres: str, s3: str, tmp_path: Path) -> AsyncIterator[tuple[Desk, Desk]]:
    records, keys = await new_database(postgres), await new_database(postgres)
    one_bucket = s3_blobs(s3)
    clock = FixedClock(NOON)
    pair = [
        Desk(Records(records), Keys(keys), one_bucket, Settings(home=tmp_path / name), clock)
        for name in ("here", "there")
    ]
    for desk in pair:
        await desk.open()
    yield pair[0], pair[1]
    for desk in pair:
        await desk.close()


async def test_a_job_submitted_here_is_made_there_and_its_end_is_told_here(
    desks: tuple[Desk, Desk],
) -> None:
    here, there = desks
    anna = await add_account(here)
    job = await submit_kept(here, anna)
    fleet = ScriptedFleet()
    there.attach(fleet)
    await there.look_for_lost_jobs()
    assert await until_end(there, job.id) == "done"
    await here.look_for_lost_jobs()
    *_, end = [event async for event in here.events(job.id)]
    assert (end.type, end.data["assets"]) == ("done", list(job.assets))
    assert end.data["reply"] is not None
    assert fleet.seen == [job.id]
    [(asset, envelope)], _ = await here.library(anna.id)
    assert envelope == sealed_asset(asset.id).envelope
    assert (await here.asset_part(anna.id, asset.id, "full"))[1] == sealed_asset(asset.id).full
    assert await there.delete_asset(anna.id, asset.id)
    with pytest.raises(NotFoundError):
        await here.asset(anna.id, asset.id)
    assert [blob async for blob in here.blobs.list()] == []


async def test_a_job_of_a_desk_that_died_is_taken_over_when_its_lease_ends(
    desks: tuple[Desk, Desk],
) -> None:
    here, there = desks
    anna = await add_account(here)
    job = await submit_kept(here, anna)
    now = here.clock.now()
    lost = await here.records.jobs.claim(job.id, now, now + timedelta(seconds=15))
    assert lost is not None  # and here dies
    there.attach(ScriptedFleet())
    await there.look_for_lost_jobs()
    assert (await there.job(job.id, account=anna.id)).state == "running"
    assert isinstance(there.clock, FixedClock)
    later(there.clock, seconds=16)
    await there.look_for_lost_jobs()
    assert await until_end(there, job.id) == "done"
    assert (await there.job(job.id, account=anna.id)).attempts == 2
    assert await there.tokens(anna.id) == (1, None)


async def test_the_sweeper_works_on_s3_and_postgresql(desks: tuple[Desk, Desk]) -> None:
    here, _ = desks
    anna = await add_account(here)
    kept = await here.put_asset(anna.id, sealed_asset(kind="upload"))
    await here._put(anna.id, [sealed_asset()], ["orphan"], None)
    assert isinstance(here.clock, FixedClock)
    later(here.clock, days=3_650)
    swept = await here.sweep()
    assert (swept.blobs, swept.envelopes) == (3, 1)
    assert (await here.asset(anna.id, kept.id))[1] is not None
    await here.leave(anna.id)
    assert [blob async for blob in here.blobs.list()] == []

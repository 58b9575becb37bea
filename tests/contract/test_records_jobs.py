"""Jobs in the records, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from deskwork import NOON, make_account, make_job, make_session
from safelight.errors import ConflictError, ForbiddenError, QuotaError
from safelight.ids import sha256_hex
from safelight.records import Account, Job
from safelight.store.records import NewAsset, Records
from safelight.store.records.submitting import Limits

NO_LIMIT = Limits(queue=1_000, monthly_tokens=None)
MONTH = "2026-11-01"


async def add_account(records: Records, name: str = "anna") -> Account:
    account = make_account(name)
    return await records.accounts.add(account, make_session(account.id))


def asset_of(job: Job, name: str | None = None) -> NewAsset:
    assert job.account is not None
    return NewAsset(
        id=name or job.assets[0],
        account=job.account,
        kind="picture",
        protection="sealed",
        retention="owner",
        size_bytes=10,
        made_on="2026-11-28",
        blob=f"b{job.id[4:]}"[:26],
        job=job.id,
    )


async def submit(records: Records, job: Job, body: str = "one") -> tuple[Job, bool]:
    return await records.jobs.submit(job, body.encode(), sha256_hex(body.encode()), NO_LIMIT)


async def start(records: Records, job: Job) -> Job:
    await submit(records, job)
    claimed = await records.jobs.claim(job.id, NOON, NOON + timedelta(seconds=15))
    assert claimed is not None
    return claimed.job


async def sealed_in_row(records: Records, job: str) -> bytes | None:
    async with records.database.read() as connection:
        query = text("SELECT sealed FROM jobs WHERE id = :id")
        return (await connection.execute(query, {"id": job})).scalar_one()


async def test_a_job_comes_back_as_it_was(records: Records) -> None:
    account = await add_account(records)
    job = make_job(account.id, idempotency_key="once-upon")
    assert await submit(records, job) == (job, True)
    assert await records.jobs.get(job.id) == job
    assert await records.jobs.of_account(account.id, 10) == [job]
    assert await records.jobs.queued() == [(job.id, account.id)]


async def test_the_same_key_and_body_is_the_same_job(records: Records) -> None:
    account = await add_account(records)
    first = make_job(account.id, idempotency_key="once-upon")
    await submit(records, first)
    again = make_job(account.id, idempotency_key="once-upon")
    assert await submit(records, again) == (first, False)
    with pytest.raises(ConflictError):
        await submit(records, again, "another")
    assert await records.jobs.queued() == [(first.id, account.id)]


async def test_keys_of_two_accounts_do_not_meet(records: Records) -> None:
    one, two = await add_account(records), await add_account(records, "bert")
    for account in (one, two):
        _, new = await submit(records, make_job(account.id, idempotency_key="once-upon"))
        assert new


async def test_twenty_at_once_with_one_key_make_one_job(records: Records) -> None:
    account = await add_account(records)
    jobs = [make_job(account.id, idempotency_key="once-upon") for _ in range(20)]
    answers = await asyncio.gather(*(submit(records, job) for job in jobs))
    assert len({job.id for job, _ in answers}) == 1
    assert [new for _, new in answers].count(True) == 1


@pytest.mark.parametrize("code", ["darkroom-key-lost", "expired"])
async def test_a_lost_job_is_sealed_again_under_its_key(records: Records, code: str) -> None:
    account = await add_account(records)
    lost = make_job(account.id, idempotency_key="once-upon")
    await submit(records, lost)
    await records.jobs.fail(lost.id, code, NOON)
    again = make_job(account.id, idempotency_key="once-upon")
    assert await submit(records, again, "sealed again") == (again, True)
    kept = await records.jobs.get(lost.id)
    assert kept is not None
    assert (kept.state, kept.idempotency_key) == ("failed", None)


async def test_any_other_failure_keeps_its_key(records: Records) -> None:
    account = await add_account(records)
    job = make_job(account.id, idempotency_key="once-upon")
    await submit(records, job)
    await records.jobs.fail(job.id, "no-memory", NOON)
    with pytest.raises(ConflictError):
        await submit(records, make_job(account.id, idempotency_key="once-upon"), "another")


async def test_the_queue_limit_holds_for_many_at_once(records: Records) -> None:
    account = await add_account(records)
    limits = Limits(queue=5, monthly_tokens=None)
    answers = await asyncio.gather(
        *(records.jobs.submit(make_job(account.id), b"x", "x", limits) for _ in range(12)),
        return_exceptions=True,
    )
    assert sum(isinstance(a, tuple) for a in answers) == 5
    assert sum(isinstance(a, QuotaError) for a in answers) == 7


async def test_the_month_covers_what_is_held_and_what_was_spent(records: Records) -> None:
    account = await add_account(records)
    limits = Limits(queue=100, monthly_tokens=10)
    spent = make_job(account.id, tokens=4)
    await records.jobs.submit(spent, b"x", "x", limits)
    running = await records.jobs.claim(spent.id, NOON, NOON)
    assert running is not None
    await records.jobs.finish(spent.id, 1, state="done", now=NOON, charge=True)
    held = make_job(account.id, tokens=4)
    await records.jobs.submit(held, b"x", "x", limits)
    assert await records.jobs.usage(account.id, MONTH) == (4, 4)
    with pytest.raises(QuotaError):
        await records.jobs.submit(make_job(account.id, tokens=3), b"x", "x", limits)
    elsewhere = replace(limits, held_elsewhere=1)
    with pytest.raises(QuotaError):
        await records.jobs.submit(make_job(account.id, tokens=2), b"x", "x", elsewhere)
    await records.jobs.cancel(held.id, NOON)
    await records.jobs.submit(make_job(account.id, tokens=6), b"x", "x", limits)
    next_month = make_job(account.id, tokens=4, created_at=NOON + timedelta(days=10))
    await records.jobs.submit(next_month, b"x", "x", limits)


async def test_a_shut_account_submits_nothing(records: Records) -> None:
    account = await add_account(records)
    await records.people.set_disabled(account.id, disabled=True)
    with pytest.raises(ForbiddenError):
        await submit(records, make_job(account.id))


async def test_an_asset_id_in_use_is_refused_at_the_door(records: Records) -> None:
    account = await add_account(records)
    job = await start(records, make_job(account.id))
    await records.jobs.finish(job.id, 1, state="done", now=NOON, kept=[asset_of(job)])
    with pytest.raises(ConflictError):
        await submit(records, make_job(account.id, assets=job.assets), "other")


async def test_one_of_ten_claims_wins(records: Records) -> None:
    account = await add_account(records)
    job = make_job(account.id)
    await submit(records, job)
    until = NOON + timedelta(seconds=15)
    claims = await asyncio.gather(*(records.jobs.claim(job.id, NOON, until) for _ in range(10)))
    won = [claim for claim in claims if claim is not None]
    assert len(won) == 1
    assert won[0].sealed == b"one"
    assert (won[0].job.state, won[0].job.attempts, won[0].job.lease_until) == ("running", 1, until)


async def test_a_late_job_is_not_claimed_and_expires(records: Records) -> None:
    account = await add_account(records)
    job = make_job(account.id)
    await submit(records, job)
    late = job.not_after + timedelta(seconds=1)
    assert await records.jobs.claim(job.id, late, late) is None
    assert await records.jobs.expire(NOON) == []
    assert await records.jobs.expire(late) == [job.id]
    expired = await records.jobs.get(job.id)
    assert expired is not None
    assert (expired.state, expired.error_code) == ("failed", "expired")
    assert await sealed_in_row(records, job.id) is None


async def test_finish_keeps_the_asset_ends_the_job_and_bills_in_one_step(records: Records) -> None:
    account = await add_account(records)
    job = await start(records, make_job(account.id))
    kept = asset_of(job)
    ended = await records.jobs.finish(job.id, 1, state="done", now=NOON, kept=[kept], charge=True)
    assert ended is not None
    assert (ended.state, ended.assets, ended.ended_at) == ("done", (kept.id,), NOON)
    assert await sealed_in_row(records, job.id) is None
    assert [k.asset.id for k in await records.assets.page(account.id)] == [kept.id]
    assert await records.jobs.bills(account.id) == [("2026-11-28", 1, 3)]


async def test_a_job_is_charged_once(records: Records) -> None:
    account = await add_account(records)
    job = await start(records, make_job(account.id))
    answers = await asyncio.gather(
        *(records.jobs.finish(job.id, 1, state="done", now=NOON, charge=True) for _ in range(8))
    )
    assert sum(answer is not None for answer in answers) == 1
    assert await records.jobs.bills(account.id) == [("2026-11-28", 1, 3)]


async def test_a_clash_of_asset_ids_undoes_the_whole_step(records: Records) -> None:
    account = await add_account(records)
    first = await start(records, make_job(account.id))
    other = await start(records, make_job(account.id))
    await records.jobs.finish(first.id, 1, state="done", now=NOON, kept=[asset_of(first)])
    with pytest.raises(ConflictError):
        await records.jobs.finish(
            other.id,
            1,
            state="done",
            now=NOON,
            kept=[asset_of(other, first.assets[0])],
            charge=True,
        )
    still = await records.jobs.get(other.id)
    assert still is not None
    assert still.state == "running"
    assert await records.jobs.bills(account.id) == []


async def test_a_worker_whose_lease_ended_is_not_heard(records: Records) -> None:
    account = await add_account(records)
    job = await start(records, make_job(account.id))
    after = NOON + timedelta(seconds=16)
    assert await records.jobs.recover(NOON, 3, all_running=False) == ([], [])
    queued, failed = await records.jobs.recover(after, 3, all_running=False)
    assert (queued, failed) == ([(job.id, account.id)], [])
    again = await records.jobs.claim(job.id, after, after + timedelta(seconds=15))
    assert again is not None
    assert again.job.attempts == 2
    assert not await records.jobs.beat(job.id, 1, after)
    assert await records.jobs.finish(job.id, 1, state="done", now=after, charge=True) is None
    assert not await records.jobs.requeue(job.id, 1)
    assert await records.jobs.beat(job.id, 2, after + timedelta(seconds=30))
    assert await records.jobs.finish(job.id, 2, state="done", now=after, charge=True) is not None
    assert await records.jobs.bills(account.id) == [("2026-11-28", 1, 3)]


async def test_a_beat_keeps_the_lease(records: Records) -> None:
    account = await add_account(records)
    job = await start(records, make_job(account.id))
    await records.jobs.beat(job.id, 1, NOON + timedelta(seconds=60))
    after = NOON + timedelta(seconds=16)
    assert await records.jobs.recover(after, 3, all_running=False) == ([], [])
    queued, _ = await records.jobs.recover(after, 3, all_running=True)
    assert queued == [(job.id, account.id)]


async def test_a_job_tried_too_often_fails_uncharged(records: Records) -> None:
    account = await add_account(records)
    job = make_job(account.id)
    await submit(records, job)
    for _ in range(2):
        await records.jobs.claim(job.id, NOON, NOON)
        await records.jobs.recover(NOON, 3, all_running=True)
    await records.jobs.claim(job.id, NOON, NOON)
    assert await records.jobs.recover(NOON, 3, all_running=True) == ([], [job.id])
    failed = await records.jobs.get(job.id)
    assert failed is not None
    assert (failed.state, failed.error_code, failed.attempts) == ("failed", "darkroom-stopped", 3)
    assert await records.jobs.usage(account.id, MONTH) == (0, 0)


async def test_cancel_in_every_state(records: Records) -> None:
    account = await add_account(records)
    queued = make_job(account.id)
    await submit(records, queued)
    cancelled = await records.jobs.cancel(queued.id, NOON)
    assert cancelled is not None
    assert cancelled.state == "cancelled"
    running = await start(records, make_job(account.id))
    assert await records.jobs.cancel(running.id, NOON) is not None
    assert await records.jobs.finish(running.id, 1, state="done", now=NOON, charge=True) is None
    done = await start(records, make_job(account.id))
    await records.jobs.finish(done.id, 1, state="done", now=NOON)
    assert await records.jobs.cancel(done.id, NOON) is None
    assert await records.jobs.cancel("job_none", NOON) is None
    assert await sealed_in_row(records, running.id) is None
    assert await records.jobs.bills(account.id) == []


async def test_day_bills_add_up_and_hold_nothing_else(records: Records) -> None:
    await records.jobs.bill("", NOON, 2, 5)
    await records.jobs.bill("", NOON, 1, 1)
    await records.jobs.bill("", NOON + timedelta(days=1), 1, 1)
    assert await records.jobs.bills("") == [("2026-11-28", 3, 6), ("2026-11-29", 1, 1)]


async def test_ended_jobs_are_forgotten_and_their_assets_stay(records: Records) -> None:
    account = await add_account(records)
    job = await start(records, make_job(account.id))
    await records.jobs.finish(job.id, 1, state="done", now=NOON, kept=[asset_of(job)])
    waiting = make_job(account.id)
    await submit(records, waiting)
    assert await records.jobs.forget_ended(NOON) == 0
    assert await records.jobs.forget_ended(NOON + timedelta(seconds=1)) == 1
    assert await records.jobs.get(job.id) is None
    assert await records.jobs.get(waiting.id) == waiting
    assert len(await records.assets.page(account.id)) == 1


async def test_counts_of_what_is_active(records: Records) -> None:
    account = await add_account(records)
    await submit(records, make_job(account.id))
    await start(records, make_job(account.id))
    assert await records.jobs.count_active() == {"queued": 1, "running": 1}

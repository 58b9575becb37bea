"""Jobs that are kept: the queue's truth.

States: see :data:`safelight.records.JOB_STEPS`. A worker's ``attempts`` number is its claim to a
job: after a lost lease the number has moved on, and the late worker's result is not taken.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, insert, or_, select, text, update
from sqlalchemy.exc import IntegrityError as SqlIntegrityError

from safelight.errors import (
    ConflictError,
    ExpiredError,
)
from safelight.records import Job, JobState
from safelight.store.records.assets import NewAsset, insert_assets
from safelight.store.records.bills import BillRows, add_to_bill
from safelight.store.records.job_forms import ACTIVE, COLUMNS, read_job, write_job
from safelight.store.records.submitting import Limits, look
from safelight.store.tables import jobs
from safelight.store.times import to_us

_BY_ID = select(*COLUMNS).where(jobs.c.id == bindparam("id"))
_INSERT = insert(jobs)
_CLAIM = (
    update(jobs)
    .where(
        jobs.c.id == bindparam("job_id"),
        jobs.c.state == "queued",
        jobs.c.not_after > bindparam("at"),
    )
    .values(
        state="running",
        attempts=jobs.c.attempts + 1,
        lease_until=bindparam("lease"),
        started_at=bindparam("at"),
    )
    .returning(*COLUMNS, jobs.c.sealed)
)
_QUEUED = text(
    "SELECT id, account FROM jobs WHERE state IN ('queued', 'running') AND state = 'queued'"
    " ORDER BY CASE WHEN attempts > 0 THEN 0 ELSE 1 END, created_at, id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A job that is this worker's until its lease ends."""

    job: Job
    sealed: bytes


class JobRows(BillRows):
    """Rows of ``jobs``, and what they cost."""

    async def submit(
        self, job: Job, sealed: bytes, body_sha256: str, limits: Limits
    ) -> tuple[Job, bool]:
        """Add a queued job with its sealed request; its tokens are held while it has not ended.

        With an idempotency key that is in use: the same body gives the job that is there (and
        False); another raises :class:`ConflictError`, unless that job failed because every key it
        was sealed to is gone, or it expired: then this one takes its place.
        Raises :class:`QuotaError`, :class:`ForbiddenError`.
        """
        assert job.account is not None
        # One transaction. A crash before its end leaves nothing; after it, a queued job.
        try:
            async with self._db.write("submit") as connection:
                lock = not self._db.is_sqlite
                earlier = await look(connection, job, body_sha256, limits, lock=lock)
                if earlier is not None:
                    return earlier, False
                await connection.execute(
                    _INSERT, write_job(job) | {"sealed": sealed, "body_sha256": body_sha256}
                )
        except SqlIntegrityError:
            raise ConflictError("this job's id or idempotency key is in use") from None
        return job, True

    async def get(self, job: str) -> Job | None:
        """The job with this id."""
        async with self._db.read() as connection:
            row = (await connection.execute(_BY_ID, {"id": job})).first()
        return None if row is None else read_job(row)

    async def of_account(self, account: str, limit: int) -> list[Job]:
        """The jobs of an account, newest first."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                select(*COLUMNS)
                .where(jobs.c.account == account)
                .order_by(jobs.c.created_at.desc())
                .limit(limit)
            )
            return [read_job(row) for row in rows]

    async def queued(self) -> list[tuple[str, str]]:
        """Id and account of every queued job: those begun before, then the oldest."""
        async with self._db.read() as connection:
            return [(row[0], row[1]) for row in await connection.execute(_QUEUED)]

    async def count_active(self) -> dict[str, int]:
        """How many jobs are queued and running."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                select(jobs.c.state, func.count()).where(ACTIVE).group_by(jobs.c.state)
            )
            return {row[0]: int(row[1]) for row in rows}

    async def claim(self, job: str, now: datetime, lease_until: datetime) -> Claimed | None:
        """Take a queued job; None if somebody else did, it was cancelled, or it is too late.

        A crash leaves it running until the lease ends, then queued again.
        """
        async with self._db.write_lazily("claim") as connection:
            row = (
                await connection.execute(
                    _CLAIM, {"job_id": job, "at": to_us(now), "lease": to_us(lease_until)}
                )
            ).first()
        return None if row is None else Claimed(job=read_job(row), sealed=bytes(row.sealed))

    async def beat(self, job: str, attempt: int, lease_until: datetime) -> bool:
        """Extend the lease; False if the job is no longer this worker's."""
        async with self._db.write_lazily("beat") as connection:
            found = await connection.execute(
                update(jobs).where(_claimed(job, attempt)).values(lease_until=to_us(lease_until))
            )
        return bool(found.rowcount)

    async def finish(
        self,
        job: str,
        attempt: int,
        *,
        state: JobState,
        now: datetime,
        code: str | None = None,
        kept: Sequence[NewAsset] = (),
        charge: bool = False,
    ) -> Job | None:
        """End a running job: asset rows, state, and the bill, in one transaction.

        The sealed request is gone with it, and its tokens are no longer held. None (and nothing
        changed) if the job is no longer this worker's: so a job is charged once at most.
        Raises :class:`ConflictError` if an asset's id is in use.
        """
        # A crash before the end of this transaction leaves a running job whose lease will end, and
        # blobs and envelopes that no row names (Note [crash order]).
        try:
            async with self._db.write("finish") as connection:
                row = (
                    await connection.execute(
                        update(jobs)
                        .where(_claimed(job, attempt))
                        .values(
                            state=state,
                            ended_at=to_us(now),
                            error_code=code,
                            sealed=None,
                            lease_until=None,
                            assets=json.dumps([asset.id for asset in kept]),
                        )
                        .returning(*COLUMNS)
                    )
                ).first()
                if row is None:
                    return None
                await insert_assets(connection, kept)
                ended = read_job(row)
                if charge:
                    await add_to_bill(
                        connection, ended.account or "", now, ended.cost.count, row.tokens
                    )
        except SqlIntegrityError:
            raise ConflictError("an asset of this job has an id that is in use") from None
        return ended

    async def requeue(self, job: str, attempt: int) -> bool:
        """Put a running job back in the queue; False if it is no longer this worker's."""
        async with self._db.write_lazily("requeue") as connection:
            found = await connection.execute(
                update(jobs).where(_claimed(job, attempt)).values(state="queued", lease_until=None)
            )
        return bool(found.rowcount)

    async def cancel(self, job: str, now: datetime) -> Job | None:
        """Cancel a job that has not ended; its tokens are free again. None if it had ended."""
        return await self._end_active(job, "cancelled", None, now)

    async def fail(self, job: str, code: str, now: datetime) -> Job | None:
        """Fail a job that has not ended, uncharged. None if it had ended."""
        return await self._end_active(job, "failed", code, now)

    async def expire(self, now: datetime) -> list[str]:
        """Fail every queued job that is past its time; return their ids."""
        async with self._db.write("expire") as connection:
            rows = await connection.execute(
                update(jobs)
                .where(ACTIVE, jobs.c.state == "queued", jobs.c.not_after <= to_us(now))
                .values(**_ended("failed", ExpiredError.code, now))
                .returning(jobs.c.id)
            )
            return [row[0] for row in rows]

    async def recover(
        self, now: datetime, retry_limit: int, *, all_running: bool
    ) -> tuple[list[tuple[str, str]], list[str]]:
        """Put jobs whose lease ended back in the queue, or fail those tried too often.

        ``all_running`` when no other desk can be at work: then no lease is waited for. Returns
        (id, account) of those queued again, and ids of those failed.
        """
        lost = and_(jobs.c.state == "running", ACTIVE)
        if not all_running:
            lost = and_(lost, or_(jobs.c.lease_until.is_(None), jobs.c.lease_until <= to_us(now)))
        async with self._db.write("recover") as connection:
            failed = await connection.execute(
                update(jobs)
                .where(lost, jobs.c.attempts >= retry_limit)
                .values(**_ended("failed", "darkroom-stopped", now))
                .returning(jobs.c.id)
            )
            failed_ids = [row[0] for row in failed]
            queued = await connection.execute(
                update(jobs)
                .where(lost)
                .values(state="queued", lease_until=None)
                .returning(jobs.c.id, jobs.c.account)
            )
            return [(row[0], row[1]) for row in queued], failed_ids

    async def forget_ended(self, before: datetime) -> int:
        """Delete rows of jobs that ended before this time; their assets stay."""
        async with self._db.write_lazily("job-sweep") as connection:
            found = await connection.execute(delete(jobs).where(jobs.c.ended_at < to_us(before)))
        return int(found.rowcount)

    async def _end_active(
        self, job: str, state: JobState, code: str | None, now: datetime
    ) -> Job | None:
        # A crash before leaves the job as it was; after, an ended job that holds no tokens.
        async with self._db.write(state) as connection:
            row = (
                await connection.execute(
                    update(jobs)
                    .where(jobs.c.id == job, ACTIVE)
                    .values(**_ended(state, code, now))
                    .returning(*COLUMNS)
                )
            ).first()
        return None if row is None else read_job(row)


def _claimed(job: str, attempt: int) -> Any:
    return and_(jobs.c.id == job, jobs.c.state == "running", jobs.c.attempts == attempt)


def _ended(state: JobState, code: str | None, now: datetime) -> dict[str, Any]:
    return {
        "state": state,
        "error_code": code,
        "ended_at": to_us(now),
        "sealed": None,
        "lease_until": None,
        "assets": "[]",
    }

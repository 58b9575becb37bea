"""What is asked before a job is taken: one statement, as each costs turns of two threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from safelight.errors import (
    ConflictError,
    DarkroomKeyLostError,
    ExpiredError,
    ForbiddenError,
    QuotaError,
)
from safelight.ids import utc_day
from safelight.records import Job
from safelight.store.records.job_forms import ACTIVE, COLUMNS, read_job
from safelight.store.tables import accounts, assets, day_bills, jobs

_earlier = jobs.alias("earlier")
_own = jobs.c.account == bindparam("account")
_LOCK = select(accounts.c.id).where(accounts.c.id == bindparam("account")).with_for_update()
_LOOK = (
    select(
        accounts.c.disabled,
        accounts.c.leaving,
        select(func.count())
        .select_from(jobs)
        .where(_own, ACTIVE)
        .scalar_subquery()
        .label("active"),
        select(func.coalesce(func.sum(jobs.c.tokens), 0))
        .where(_own, ACTIVE)
        .scalar_subquery()
        .label("held"),
        exists(select(assets.c.id).where(assets.c.id.in_(bindparam("ids", expanding=True)))).label(
            "taken"
        ),
        _earlier.c.body_sha256.label("earlier_body"),
        *(_earlier.c[c.name].label(f"earlier_{c.name}") for c in COLUMNS),
    )
    .select_from(
        accounts.outerjoin(
            _earlier,
            and_(
                _earlier.c.account == accounts.c.id,
                _earlier.c.idempotency_key == bindparam("key"),
            ),
        )
    )
    .where(accounts.c.id == bindparam("account"))
)
USED = select(func.coalesce(func.sum(day_bills.c.tokens), 0)).where(
    day_bills.c.account == bindparam("account"), day_bills.c.day >= bindparam("month")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an account may have in the queue and spend in this month; None for no limit."""

    queue: int
    monthly_tokens: int | None
    held_elsewhere: int = 0
    """Tokens of jobs that no row has: off the record."""


async def look(
    connection: AsyncConnection, job: Job, body_sha256: str, limits: Limits, *, lock: bool
) -> Job | None:
    """Check that a job may be taken; return the one that took its place before.

    ``lock`` lets submissions of one account take turns where the database does not by itself, so
    that none slips past a limit. Raises as :meth:`JobRows.submit` says.
    """
    asked = {"account": job.account, "key": job.idempotency_key, "ids": list(job.assets)}
    if lock:  # a statement of its own: the next one then sees what the other has committed
        await connection.execute(_LOCK, {"account": job.account})
    row = (await connection.execute(_LOOK, asked)).first()
    if row is None or row.disabled or row.leaving:
        raise ForbiddenError("this account cannot make pictures", hint="ask the operator")
    if row.earlier_id is not None:
        if row.earlier_body == body_sha256:
            return read_job(row, "earlier_")
        await _make_way(connection, row)
    if row.active >= limits.queue:
        raise QuotaError(
            f"{row.active} jobs are waiting already; the limit is {limits.queue}",
            hint="wait until some have ended",
        )
    if row.taken:
        raise ConflictError("an asset id is in use", hint="make a new id for every picture")
    if limits.monthly_tokens is not None:
        month = f"{utc_day(job.created_at)[:7]}-01"
        used = await connection.execute(USED, {"account": job.account, "month": month})
        held = row.held + limits.held_elsewhere
        if used.scalar_one() + held + job.tokens > limits.monthly_tokens:
            raise QuotaError(f"this month's {limits.monthly_tokens} tokens do not cover this job")
    return None


async def _make_way(connection: AsyncConnection, row: Any) -> None:
    lost = (DarkroomKeyLostError.code, ExpiredError.code)
    if row.earlier_state != "failed" or row.earlier_error_code not in lost:
        raise ConflictError(
            "this idempotency key was used for another request", hint="make a new key per request"
        )
    # The caller sealed the same request again. The failed job stays, without the key.
    await connection.execute(
        update(jobs).where(jobs.c.id == row.earlier_id).values(idempotency_key=None)
    )

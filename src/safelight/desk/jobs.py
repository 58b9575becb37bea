"""Jobs: submit, follow, cancel. Kept jobs are rows; off-the-record ones live in memory only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from safelight.desk.parts import Parts
from safelight.desk.rings import Event
from safelight.errors import (
    ForbiddenError,
    NotFoundError,
    QuotaError,
    RequestError,
    SafelightError,
    all_errors,
)
from safelight.ids import b64, new_id, sha256_hex
from safelight.policy.plans import DEFAULT_PLAN, PLANS, Plan, check_plan, price
from safelight.records import JOB_ENDED, Account, CostHeader, Job, Protection, Retention
from safelight.store.records.submitting import Limits

GUESTS = ""
"""Where guests stand in the round of accounts, and on the day bills."""
MAX_NOT_AFTER = timedelta(hours=24)


class Jobs(Parts):
    """The caller's side of the queue."""

    async def submit(
        self,
        *,
        account: Account | None,
        sealed: bytes,
        cost: CostHeader,
        retention: Retention,
        protection: Protection,
        assets: tuple[str, ...] = (),
        not_after: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> tuple[Job, str | None]:
        """Take a sealed request into the queue; the second value is a guest's ticket.

        When this returns, a kept job survives a crash and a power cut. The same idempotency key
        with the same bytes gives the same job. Raises :class:`ForbiddenError`,
        :class:`QuotaError`, :class:`ConflictError`, :class:`RequestError`.
        """
        plan = self._plan(account, retention)
        check_plan(plan, cost)
        if len(assets) != (cost.count if retention != "none" else 0):
            raise RequestError("a kept request names one asset id for each picture")
        job = self._new_job(
            account, cost, retention, protection, assets, not_after, idempotency_key
        )
        if retention == "none":
            taken, ticket, new = self._off_record.submit(job, sealed, self.settings.queue_limit)
            if new and account is not None and plan.monthly_tokens is not None:
                await self._check_month(account.id, plan.monthly_tokens, taken)
        else:
            limits = Limits(
                queue=self.settings.queue_limit,
                monthly_tokens=plan.monthly_tokens,
                held_elsewhere=self._off_record.held_tokens(job.account or GUESTS),
            )
            ticket = None
            taken, new = await self.records.jobs.submit(job, sealed, sha256_hex(sealed), limits)
        if new:
            # A crash here leaves a queued job that the next start puts in its turn.
            self._enqueue(taken.account, taken.id, plan)
        return taken, ticket

    async def job(self, job: str, *, account: str | None, ticket: str | None = None) -> Job:
        """One job of this caller's. Raises :class:`NotFoundError` for any other."""
        found = await self.job_by_id(job)
        if found is not None:
            if found.account is not None and found.account == account:
                return found
            if found.account is None and ticket and self._off_record.ticket_fits(job, ticket):
                return found
        raise NotFoundError("no such job")

    async def job_by_id(self, job: str) -> Job | None:
        """The job with this id, whoever asks."""
        return self._off_record.get(job) or await self.records.jobs.get(job)

    async def jobs(self, account: str, *, limit: int = 50) -> list[Job]:
        """The jobs of an account, newest first; off-the-record ones while they are remembered."""
        found = await self.records.jobs.of_account(account, limit)
        found += self._off_record.of_account(account)
        return sorted(found, key=lambda job: job.created_at, reverse=True)[:limit]

    async def reply(self, job: str) -> bytes | None:
        """The sealed reply of an ended job, while it is kept."""
        waiting = self._rings.reply(job)
        if waiting is not None or job in self._off_record:
            return waiting
        return await self.keys_store.reply(job, self.clock.now())

    async def events(self, job: str, after: int = 0) -> AsyncIterator[Event]:
        """What happens to a job, after event number ``after``, until it has ended.

        Raises :class:`NotFoundError`. A job that ended before a restart tells its end only.
        """
        ring = self._rings.get(job)
        if ring is None:
            found = await self.job_by_id(job)
            if found is None:
                raise NotFoundError("no such job")
            if found.state in JOB_ENDED:
                yield await self._end_of(found, after)
                return
            self._rings.tell(job, "queued", place=self._turns.place(job))
            ring = self._rings.get(job)
            assert ring is not None
        async for event in ring.follow(after):
            yield event

    async def cancel(self, job: str) -> Job:
        """Cancel a job that has not ended; one that has stays as it is.

        Returns the job as it is then. Nothing is charged. Raises :class:`NotFoundError`.
        """
        now = self.clock.now()
        found = await self.job_by_id(job)
        if found is None:
            raise NotFoundError("no such job")
        if job in self._off_record:
            ended = self._off_record.end(job, replace(found, state="cancelled", ended_at=now))
        else:
            ended = await self.records.jobs.cancel(job, now)
        if ended is None:
            return await self.job_by_id(job) or found
        self._turns.remove(job)
        self._rings.end(job, "cancelled", now)
        if found.state == "running" and self._fleet is not None:
            await self._fleet.cancel(job)
        return ended

    async def queue_lengths(self) -> tuple[int, int]:
        """How many jobs are queued, and how many running."""
        counts = await self.records.jobs.count_active()
        queued, running = self._off_record.counts()
        return counts.get("queued", 0) + queued, counts.get("running", 0) + running

    # --- within ---

    def _plan(self, account: Account | None, retention: Retention) -> Plan:
        if account is None:
            if not self.settings.guests_allowed or retention != "none":
                raise ForbiddenError("this needs an account", hint="sign in, or keep nothing")
            return PLANS["guest"]
        return PLANS.get(account.plan, PLANS[DEFAULT_PLAN])

    def _new_job(
        self,
        account: Account | None,
        cost: CostHeader,
        retention: Retention,
        protection: Protection,
        assets: tuple[str, ...],
        not_after: datetime | None,
        idempotency_key: str | None,
    ) -> Job:
        now = self.clock.now()
        latest = now + timedelta(minutes=self.settings.not_after_minutes)
        if not_after is not None:
            latest = min(not_after, now + MAX_NOT_AFTER)
        return Job(
            id=new_id("job"),
            account=None if account is None else account.id,
            state="queued",
            retention=retention,
            protection=protection,
            cost=cost,
            tokens=price(cost),
            created_at=now,
            not_after=latest,
            idempotency_key=idempotency_key,
            assets=assets,
        )

    async def _check_month(self, account: str, monthly: int, job: Job) -> None:
        """Take an off-the-record job back out if this month's tokens do not cover it."""
        used, held = await self.records.jobs.usage(account, job.created_at.strftime("%Y-%m-01"))
        if used + held + self._off_record.held_tokens(account) > monthly:
            now = self.clock.now()
            gone = replace(job, state="failed", error_code=QuotaError.code, ended_at=now)
            self._off_record.end(job.id, gone)
            raise QuotaError(f"this month's {monthly} tokens do not cover this job")

    def _enqueue(self, account: str | None, job: str, plan: Plan, *, first: bool = False) -> None:
        place = self._turns.push(
            account or GUESTS, job, most_running=plan.concurrent_jobs, first=first
        )
        self._rings.tell(job, "queued", place=place)

    async def _end_of(self, job: Job, after: int) -> Event:
        """The last event of a job whose ring is gone."""
        data = ending(job)
        if job.state in ("done", "refused"):
            reply = await self.reply(job.id)
            data = {"reply": None if reply is None else b64(reply), **data}
        return Event(seq=after + 1, type=job.state, data=data)


def ending(job: Job) -> dict[str, Any]:
    """What the last event of an ended job says, beside its reply."""
    if job.state in ("done", "refused"):
        return {"assets": list(job.assets)}
    return failure(job.error_code) if job.state == "failed" else {}


def failure(code: str | None) -> dict[str, Any]:
    """What a failed job's event says: the code of one of our errors and its hint."""
    hints = {error.code: error.default_hint for error in reversed(all_errors())}
    return {"code": code, "hint": hints.get(code or "", SafelightError.default_hint)}

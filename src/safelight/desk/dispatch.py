"""The dispatcher: takes the next job when a darkroom is free, and watches over it.

Nothing polls on the way of a job: submitting wakes a worker. A slow timer looks for leases that
ended, requests that are too late, and, where several desks share a database, others' queued jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from safelight.desk.finishing import Finishing
from safelight.desk.fleet import Fleet, Outcome
from safelight.desk.jobs import ending, failure
from safelight.desk.rings import Rings
from safelight.errors import DarkroomError, ExpiredError, SafelightError
from safelight.ids import b64
from safelight.policy.plans import DEFAULT_PLAN, PLANS, Plan
from safelight.records import JOB_ENDED, Job


class Dispatch(Finishing):
    """The darkroom's side of the queue."""

    def attach(self, fleet: Fleet) -> None:
        """Give the desk its darkrooms and begin to work. Call once, after :meth:`open`."""
        self._fleet = fleet
        self._draining = False
        for _ in range(fleet.slots):
            self._beside(self._work(fleet))
        self._beside(self._every(self.settings.lease_seconds / 2, self.look_for_lost_jobs))

    async def drain(self) -> None:
        """Begin no more jobs, and return when those that run have ended."""
        self._draining = True
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    async def look_for_lost_jobs(self) -> None:
        """Fail what is too late, and put back in the queue what a dead worker left."""
        now = self.clock.now()
        for job in self._off_record.late(now):
            if (found := self._off_record.get(job)) is not None:
                self._turns.remove(job)
                await self._fail(found, ExpiredError.code)
        for job in await self.records.jobs.expire(now):
            self._turns.remove(job)
            self._rings.end(job, "failed", now, **failure(ExpiredError.code))
        await self._recover(all_running=False)
        if not self.records.database.is_sqlite:
            await self._load_queue()
            await self._hear_of_other_desks()

    async def _recover(self, *, all_running: bool) -> None:
        queued, failed = await self.records.jobs.recover(
            self.clock.now(), self.settings.retry_limit, all_running=all_running
        )
        for job, account in queued:
            self._enqueue(account, job, await self._plan_of(account), first=True)
        for job in failed:
            self._rings.end(job, "failed", self.clock.now(), **failure(DarkroomError.code))

    async def _load_queue(self) -> None:
        plans: dict[str, Plan] = {}
        for job, account in await self.records.jobs.queued():
            if job not in self._turns and job not in self._working:
                if account not in plans:
                    plans[account] = await self._plan_of(account)
                self._enqueue(account, job, plans[account])

    async def _hear_of_other_desks(self) -> None:
        """Tell those who follow a job here that another desk has ended it."""
        for job in self._rings.going_on():
            if job in self._working or job in self._off_record:
                continue
            found = await self.records.jobs.get(job)
            if found is not None and found.state in JOB_ENDED:
                self._turns.remove(job)
                reply = await self.keys_store.reply(job, self.clock.now())
                self._rings.end(job, found.state, self.clock.now(), reply=reply, **ending(found))

    async def _plan_of(self, account: str | None) -> Plan:
        if account is None:
            return PLANS["guest"]
        found = await self.records.accounts.by_id(account)
        return PLANS.get(found.plan if found else DEFAULT_PLAN, PLANS[DEFAULT_PLAN])

    # --- one worker for each slot of the fleet ---

    async def _work(self, fleet: Fleet) -> None:
        while True:
            account, job = await self._turns.next()
            if self._draining:
                self._turns.ended(account)
                await asyncio.Event().wait()  # until the desk closes
            task = asyncio.create_task(self._develop(fleet, job))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            self._working.add(job)
            try:
                # Not `await task`: a job that is taken from us must not end this worker too. If a
                # store is away, the lease ends and the job is tried again.
                await asyncio.wait({task})
                if not task.cancelled():
                    task.exception()
            finally:
                if not task.done() and not task.cancelling():
                    task.cancel()  # once: it is then putting its job back
                self._working.discard(job)
                self._turns.ended(account)

    async def _develop(self, fleet: Fleet, name: str) -> None:
        taken = await self._whole(self._claim(name))
        if taken is None:
            return
        job, sealed = taken
        self._rings.tell(name, "running")
        beating = asyncio.create_task(self._beat(job, asyncio.current_task()))
        try:
            outcome = await fleet.develop(name, sealed, job.cost, _Hearing(self._rings, name))
        except asyncio.CancelledError:
            await self._whole(self._put_back(job))
            raise
        except Exception:  # noqa: BLE001 - whatever a fleet does, the queue goes on
            outcome = Outcome(state="failed", code=DarkroomError.code)
        finally:
            beating.cancel()
        await self._whole(self._settle(job, outcome))

    async def _claim(self, name: str) -> tuple[Job, bytes] | None:
        now = self.clock.now()
        if name in self._off_record:
            found = self._off_record.get(name)
            if found is not None and found.state == "queued" and found.not_after <= now:
                await self._fail(found, ExpiredError.code)
                return None
            job, sealed = self._off_record.start(name, now), self._off_record.sealed(name)
            return None if job is None or sealed is None else (job, sealed)
        claimed = await self.records.jobs.claim(name, now, now + self._lease())
        if claimed is None:
            found = await self.records.jobs.get(name)
            if found is not None and found.state == "queued":  # not taken: it is too late
                await self._fail(found, ExpiredError.code)
            return None
        return claimed.job, claimed.sealed

    async def _beat(self, job: Job, worker: asyncio.Task[Any] | None) -> None:
        """Keep the lease. If the job is no longer ours, stop working on it."""
        if job.id in self._off_record:
            return
        while True:
            await asyncio.sleep(self.settings.lease_seconds / 3)
            with suppress(SafelightError):  # the records are away; perhaps not at the next beat
                lease = self.clock.now() + self._lease()
                if not await self._whole(self.records.jobs.beat(job.id, job.attempts, lease)):
                    if worker is not None:
                        worker.cancel()
                    return

    async def _settle(self, job: Job, outcome: Outcome) -> None:
        if outcome.state == "cancelled":
            await self.cancel(job.id)
            return
        if outcome.state == "failed":
            code = outcome.code or SafelightError.code
            if code == DarkroomError.code and job.attempts < self.settings.retry_limit:
                await self._put_back(job)
            else:
                await self._fail(job, code)
            return
        try:
            await self.finish(job, outcome)
        except SafelightError as error:
            await self._fail(job, error.code)

    async def _put_back(self, job: Job) -> None:
        """Queue a running job again, before its account's others: same seed, same picture."""
        if job.id in self._off_record:
            back = self._off_record.requeue(job.id) is not None
        else:
            back = await self.records.jobs.requeue(job.id, job.attempts)
        if back:
            self._enqueue(job.account, job.id, await self._plan_of(job.account), first=True)

    def _lease(self) -> timedelta:
        return timedelta(seconds=self.settings.lease_seconds)

    async def _every(self, seconds: float, work: Callable[[], Any]) -> None:
        while True:
            await asyncio.sleep(seconds)
            with suppress(Exception):  # a store is away, perhaps; the queue must go on
                await self._whole(work())


class _Hearing:
    """Passes what a darkroom says on to those who follow."""

    def __init__(self, rings: Rings, job: str) -> None:
        self._rings = rings
        self._job = job

    def progress(self, index: int, step: int, steps: int, seconds_left: float | None) -> None:
        """A picture has made a step."""
        self._rings.tell(
            self._job, "progress", index=index, step=step, steps=steps, seconds_left=seconds_left
        )

    def preview(self, sealed: bytes) -> None:
        """A sealed preview."""
        self._rings.tell(self._job, "preview", sealed=b64(sealed))

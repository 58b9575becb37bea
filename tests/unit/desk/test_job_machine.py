"""Any order of submit, claim, lost lease, finish, refuse, cancel and restart keeps the books right.

A model in plain Python says what each job must be; the records are asked after every step.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from deskwork import NOON, make_account, make_job, make_session, put_empty_databases
from safelight.errors import ConflictError
from safelight.records import JOB_ENDED, Account, Job
from safelight.store.blobs import new_name
from safelight.store.records import NewAsset, Records
from safelight.store.records.submitting import Limits
from safelight.store.sqlite import sqlite_url

T = TypeVar("T")
RETRY_LIMIT = 3
LEASE = timedelta(seconds=15)
NO_LIMIT = Limits(queue=10_000, monthly_tokens=None)


@dataclass
class Expected:
    job: Job
    state: str = "queued"
    attempts: int = 0
    lease: datetime = NOON
    key: str | None = None
    kept: set[str] = field(default_factory=set)


class JobMachine(RuleBasedStateMachine):
    jobs: Bundle[str] = Bundle("jobs")
    claims: Bundle[tuple[str, int]] = Bundle("claims")

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.home = Path(tempfile.mkdtemp(prefix="safelight-machine-"))
        self.now = NOON
        self.model: dict[str, Expected] = {}
        self.charged = 0
        self.run(put_empty_databases(self.home))
        self.records = Records(sqlite_url(self.home / "records.db"))
        self.run(self.records.open())
        account = make_account()
        self.account: Account = self.run(
            self.records.accounts.add(account, make_session(account.id))
        )

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.run(self.records.close())
            self.loop.close()
            shutil.rmtree(self.home)

    @rule(
        target=jobs, key=st.sampled_from([None, "key-one", "key-two"]), body=st.sampled_from("ab")
    )
    def submit(self, key: str | None, body: str) -> str:
        job = make_job(
            self.account.id,
            idempotency_key=key,
            created_at=self.now,
            not_after=self.now + timedelta(minutes=5),
        )
        earlier = [e for e in self.model.values() if key is not None and e.key == key]
        try:
            taken, new = self.run(self.records.jobs.submit(job, b"x", body * 64, NO_LIMIT))
        except ConflictError:
            assert earlier
            assert earlier[0].job.idempotency_key == key
            return earlier[0].job.id
        if not new:
            assert [e.job.id for e in earlier] == [taken.id]
            return taken.id
        for lost in earlier:  # it made way because its keys were gone or it was too late
            assert lost.state == "failed"
            lost.key = None
        self.model[job.id] = Expected(job=job, key=key)
        return job.id

    @rule(target=claims, job=jobs)
    def claim(self, job: str) -> tuple[str, int]:
        expected = self.model[job]
        may = expected.state == "queued" and expected.job.not_after > self.now
        claimed = self.run(self.records.jobs.claim(job, self.now, self.now + LEASE))
        assert (claimed is not None) == may
        if claimed is None:
            return job, -1
        expected.state, expected.lease = "running", self.now + LEASE
        expected.attempts += 1
        assert claimed.job.attempts == expected.attempts
        return job, expected.attempts

    def ours(self, claim: tuple[str, int]) -> bool:
        expected = self.model[claim[0]]
        return expected.state == "running" and expected.attempts == claim[1]

    @rule(claim=claims)
    def beat(self, claim: tuple[str, int]) -> None:
        ours = self.ours(claim)
        assert self.run(self.records.jobs.beat(*claim, self.now + LEASE)) == ours
        if ours:
            self.model[claim[0]].lease = self.now + LEASE

    @rule(claim=claims, state=st.sampled_from(["done", "refused"]))
    def finish(self, claim: tuple[str, int], state: str) -> None:
        expected, ours = self.model[claim[0]], self.ours(claim)
        kept = []
        if state == "done":
            kept.append(
                NewAsset(
                    id=expected.job.assets[0],
                    account=self.account.id,
                    kind="picture",
                    protection="sealed",
                    retention="owner",
                    size_bytes=1,
                    made_on="2026-11-28",
                    blob=new_name(),
                    job=claim[0],
                )
            )
        ended = self.run(
            self.records.jobs.finish(
                *claim,
                state=state,
                now=self.now,
                kept=kept,
                charge=state == "done",  # type: ignore[arg-type]
            )
        )
        assert (ended is not None) == ours
        if ours:
            expected.state = state
            expected.kept = {asset.id for asset in kept}
            self.charged += expected.job.tokens if state == "done" else 0

    @rule(claim=consumes(claims))
    def give_back(self, claim: tuple[str, int]) -> None:
        ours = self.ours(claim)
        assert self.run(self.records.jobs.requeue(*claim)) == ours
        if ours:
            self.model[claim[0]].state = "queued"

    @rule(job=jobs)
    def cancel(self, job: str) -> None:
        ended = self.run(self.records.jobs.cancel(job, self.now))
        assert (ended is None) == (self.model[job].state in JOB_ENDED)
        if ended is not None:
            self.model[job].state = "cancelled"

    @rule(job=jobs, code=st.sampled_from(["darkroom-key-lost", "no-memory"]))
    def fail(self, job: str, code: str) -> None:
        ended = self.run(self.records.jobs.fail(job, code, self.now))
        assert (ended is None) == (self.model[job].state in JOB_ENDED)
        if ended is not None:
            self.model[job].state = "failed"

    @rule(seconds=st.sampled_from([1, 14, 16, 200, 400]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def expire(self) -> None:
        late = {
            name
            for name, e in self.model.items()
            if e.state == "queued" and e.job.not_after <= self.now
        }
        assert set(self.run(self.records.jobs.expire(self.now))) == late
        for name in late:
            self.model[name].state = "failed"

    @rule(restart=st.booleans())
    def recover(self, restart: bool) -> None:
        if restart:
            self.run(self.records.close())
            self.records = Records(sqlite_url(self.home / "records.db"))
            self.run(self.records.open())
        queued, failed = self.run(
            self.records.jobs.recover(self.now, RETRY_LIMIT, all_running=restart)
        )
        lost = {
            name: e
            for name, e in self.model.items()
            if e.state == "running" and (restart or e.lease <= self.now)
        }
        assert {name for name, _ in queued} == {
            name for name, e in lost.items() if e.attempts < RETRY_LIMIT
        }
        assert set(failed) == {name for name, e in lost.items() if e.attempts >= RETRY_LIMIT}
        for name, expected in lost.items():
            expected.state = "failed" if name in failed else "queued"

    @invariant()
    def the_books_are_right(self) -> None:
        if not hasattr(self, "records"):
            return
        found = {
            job.id: job for job in self.run(self.records.jobs.of_account(self.account.id, 999))
        }
        assert {name: job.state for name, job in found.items()} == {
            name: e.state for name, e in self.model.items()
        }
        held = sum(e.job.tokens for e in self.model.values() if e.state not in JOB_ENDED)
        assert self.run(self.records.jobs.usage(self.account.id, "2026-11-01")) == (
            self.charged,
            held,
        )
        listed = {
            k.asset.id for k in self.run(self.records.assets.page(self.account.id, limit=999))
        }
        assert listed == {asset for e in self.model.values() for asset in e.kept}
        queued = {name for name, _ in self.run(self.records.jobs.queued())}
        assert queued == {name for name, e in self.model.items() if e.state == "queued"}


TestJobMachine = JobMachine.TestCase
TestJobMachine.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

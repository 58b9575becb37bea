"""Jobs that are never written down: off-the-record work lives here, in memory, and nowhere else."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from safelight.errors import (
    ConflictError,
    DarkroomKeyLostError,
    ExpiredError,
    QuotaError,
    TransientError,
)
from safelight.ids import new_token, sha256_hex
from safelight.records import JOB_ENDED, Job, check_job_step

KEPT_AFTER_END = timedelta(minutes=10)
MAX_JOBS = 5_000
MAX_SEALED_BYTES = 1024 * 1024 * 1024


@dataclass(slots=True)
class _Held:
    job: Job
    sealed: bytes | None
    body_sha256: str
    tickets: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<off the record: {self.job.id}>"


class OffRecord:
    """The off-the-record jobs of this process. A restart forgets them, as promised."""

    def __init__(self) -> None:
        self._jobs: dict[str, _Held] = {}
        self._once: dict[tuple[str | None, str], str] = {}
        self._sealed_bytes = 0

    def __contains__(self, job: str) -> bool:
        return job in self._jobs

    def submit(self, job: Job, sealed: bytes, queue_limit: int) -> tuple[Job, str | None, bool]:
        """Add a job. Returns it, a guest's ticket, and whether it is new.

        Idempotency as in the records. Raises :class:`ConflictError`, :class:`QuotaError`, and
        :class:`TransientError` when memory for waiting requests is used up.
        """
        digest = sha256_hex(sealed)
        earlier = self._earlier(job, digest)
        if earlier is not None:
            return earlier.job, self._ticket(earlier), False
        waiting = sum(1 for held in self._active(job.account))
        if waiting >= queue_limit:
            raise QuotaError(
                f"{waiting} jobs are waiting already; the limit is {queue_limit}",
                hint="wait until some have ended",
            )
        if len(self._jobs) >= MAX_JOBS or self._sealed_bytes + len(sealed) > MAX_SEALED_BYTES:
            raise TransientError("too much off-the-record work is waiting", hint="try again soon")
        held = self._jobs[job.id] = _Held(job=job, sealed=sealed, body_sha256=digest)
        self._sealed_bytes += len(sealed)
        if job.idempotency_key is not None:
            self._once[(job.account, job.idempotency_key)] = job.id
        return job, self._ticket(held), True

    def get(self, job: str) -> Job | None:
        """The job, while it is remembered."""
        held = self._jobs.get(job)
        return None if held is None else held.job

    def sealed(self, job: str) -> bytes | None:
        """The sealed request, until the job ends."""
        held = self._jobs.get(job)
        return None if held is None else held.sealed

    def ticket_fits(self, job: str, ticket: str) -> bool:
        """Whether a guest holds the ticket of this job."""
        held = self._jobs.get(job)
        digest = sha256_hex(ticket.encode())
        return held is not None and any(hmac.compare_digest(t, digest) for t in held.tickets)

    def of_account(self, account: str) -> list[Job]:
        """The remembered jobs of an account."""
        return [held.job for held in self._jobs.values() if held.job.account == account]

    def held_tokens(self, account: str) -> int:
        """Tokens of an account's jobs that have not ended."""
        return sum(held.job.tokens for held in self._active(account))

    def counts(self) -> tuple[int, int]:
        """How many are queued, how many running."""
        states = [held.job.state for held in self._jobs.values()]
        return states.count("queued"), states.count("running")

    def start(self, job: str, now: datetime) -> Job | None:
        """Begin a queued job; None if it is not queued any more."""
        held = self._jobs.get(job)
        if held is None or held.job.state != "queued":
            return None
        return self._step(
            held, replace(held.job, state="running", started_at=now, attempts=held.job.attempts + 1)
        )

    def requeue(self, job: str) -> Job | None:
        """Put a running job back; None if it is not running any more."""
        held = self._jobs.get(job)
        if held is None or held.job.state != "running":
            return None
        return self._step(held, replace(held.job, state="queued"))

    def end(self, job: str, ended: Job) -> Job | None:
        """End a job that has not ended; its sealed request is dropped. None if it had."""
        held = self._jobs.get(job)
        if held is None or held.job.state in JOB_ENDED:
            return None
        self._sealed_bytes -= len(held.sealed or b"")
        held.sealed = None
        return self._step(held, ended)

    def late(self, now: datetime) -> list[str]:
        """Queued jobs that are past their time."""
        return [
            held.job.id
            for held in self._jobs.values()
            if held.job.state == "queued" and held.job.not_after <= now
        ]

    def sweep(self, now: datetime) -> None:
        """Forget jobs that ended a while ago."""
        for name, held in list(self._jobs.items()):
            if held.job.ended_at is not None and now - held.job.ended_at > KEPT_AFTER_END:
                del self._jobs[name]
        self._once = {k: j for k, j in self._once.items() if j in self._jobs}

    def _active(self, account: str | None) -> Iterator[_Held]:
        return (
            held
            for held in self._jobs.values()
            if held.job.account == account and held.job.state not in JOB_ENDED
        )

    def _earlier(self, job: Job, digest: str) -> _Held | None:
        if job.idempotency_key is None:
            return None
        name = self._once.get((job.account, job.idempotency_key))
        held = None if name is None else self._jobs.get(name)
        if held is None:
            return None
        if held.body_sha256 == digest:
            return held
        lost = (DarkroomKeyLostError.code, ExpiredError.code)
        if held.job.state == "failed" and held.job.error_code in lost:
            return None  # the caller sealed the same request again
        raise ConflictError(
            "this idempotency key was used for another request", hint="make a new key per request"
        )

    def _ticket(self, held: _Held) -> str | None:
        if held.job.account is not None:
            return None
        ticket = new_token(24)
        held.tickets = [*held.tickets[-3:], sha256_hex(ticket.encode())]
        return ticket

    def _step(self, held: _Held, after: Job) -> Job:
        check_job_step(held.job.state, after.state)
        held.job = after
        return after
